"""The code that training and evaluation jobs run, as one S3 object with the same bytes on every machine."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from stacks.constructs.python_function import ROOT, staging_root

MODEL_CODE = ROOT / "model_code"


def model_code_archive() -> bytes:
    """``sourcedir.tar.gz``: the package ``model_code`` and, at the root, the entry points that import it.

    Sorted, without times and owners, so equal files give equal bytes.
    """
    members = {f"model_code/{path.relative_to(MODEL_CODE)}": path for path in MODEL_CODE.rglob("*.py")}
    members |= {path.name: path for path in (MODEL_CODE / "entrypoints").glob("*.py")}
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in sorted(members):
            data = members[name].read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


class ModelCodeAsset(Construct):
    """The archive as a CDK asset: ``s3_uri`` is the object, ``file_name`` its name inside a channel."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        path: Path = staging_root() / "sourcedir.tar.gz"
        path.write_bytes(model_code_archive())
        self.asset = assets.Asset(self, "Asset", path=str(path))

    @property
    def s3_uri(self) -> str:
        return self.asset.s3_object_url

    @property
    def object_arn(self) -> str:
        return f"{self.asset.bucket.bucket_arn}/{self.asset.s3_object_key}"

    @property
    def file_name(self) -> str:
        """A channel of one object keeps its name, which CDK makes from the content's hash."""
        return self.asset.s3_object_key.rsplit("/", 1)[-1]
