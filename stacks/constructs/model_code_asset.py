"""The code that training and evaluation jobs run, as one S3 object with the same bytes on every machine."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from stacks.constructs.function_archive import ROOT, staging_root
from stacks.constructs.function_resource import FunctionResource
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources

PREFIX = "code/"
"""Prefix of the published archives in the models bucket. A job may read all of them and write none."""
_PUBLISH_SECONDS = 60

MODEL_CODE = ROOT / "model_code"
CONTRACTS = ROOT / "contracts"


def model_code_archive() -> bytes:
    """``sourcedir.tar.gz``: the packages ``model_code`` and ``contracts`` and, at the root, the entry points that import them.

    Sorted, without times and owners, so equal files give equal bytes.
    """
    members = {str(path.relative_to(ROOT)): path for package in (MODEL_CODE, CONTRACTS) for path in package.rglob("*.py")}
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
    """The archive as a CDK asset, and its copy ``code/<hash>.gz`` in the models bucket, where jobs read it.

    Jobs do not read the asset itself. Its bucket is shared by every app of the account, so a grant that also covers the archives of
    earlier deploys would cover theirs; and ``cdk gc`` deletes an asset that no template names, though running executions may.

    Attributes:
        s3_uri: the copy; ``file_name`` is its name inside a channel.
        published: what must have been made before a state machine names the copy.
    """

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources) -> None:
        super().__init__(scope, construct_id)
        archive = model_code_archive()
        # Named by its content: in one process CDK hashes what lies at a path once.
        path: Path = staging_root() / hashlib.sha256(archive).hexdigest() / "sourcedir.tar.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(archive)
        self.asset = assets.Asset(self, "Asset", path=str(path))
        self.file_name = self.asset.s3_object_key.rsplit("/", 1)[-1]
        models = shared.names.bucket("models")
        self.s3_uri = f"s3://{models}/{PREFIX}{self.file_name}"
        publish = PythonFunction(
            scope,
            "PublishCode",
            shared=shared,
            folder="custom_resources/publish_code",
            description="Lays the training code where jobs read it, beside that of earlier deploys",
            timeout=_PUBLISH_SECONDS,
        )
        publish.allow(["s3:GetObject"], [f"{self.asset.bucket.bucket_arn}/{self.asset.s3_object_key}"])
        published = [shared.names.bucket_arn("models", f"{PREFIX}*")]
        publish.allow(["s3:PutObject"], published, because="A deploy's code is named by its own hash, all below this one prefix")
        publish.allow(["kms:Decrypt", "kms:GenerateDataKey"], [shared.key.key_arn])
        self.published = FunctionResource(
            self,
            "Published",
            function=publish,
            resource_type="Custom::PublishedCode",
            properties={"Source": self.asset.s3_object_url, "Target": self.s3_uri},
        )
        self.published.node.add_dependency(publish.role)  # its policy: without it the copy races IAM
