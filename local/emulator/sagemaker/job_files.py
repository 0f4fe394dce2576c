"""Files of jobs: inputs from S3, outputs to S3, all under the job's execution role, and the folder that stands for /opt/ml."""

from __future__ import annotations

import gzip
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local.emulator import sessions
from local.emulator.background import RUN_DIR
from local.emulator.sagemaker.service_output import SAGEMAKER, split_s3_uri

PREFIX = "/opt/ml"


class JobFailed(Exception):
    """The job cannot go on; the text is its FailureReason."""


class JobStorage:
    """S3 as one job's execution role sees it."""

    def __init__(self, role_arn: str, job_name: str) -> None:
        """Raises ApiError (ValidationException) when the role is missing or does not trust SageMaker."""
        self._s3 = sessions.role_session(role_arn, SAGEMAKER, "SageMaker").client("s3")
        self._role_arn, self._job = role_arn, job_name

    def download(self, uri: str, folder: Path) -> int:
        """Every object whose key begins with the URI's key, as S3Prefix means it; returns how many.

        Raises:
            JobFailed: nothing matches, or the role may not list or read it.
        """
        bucket, _ = split_s3_uri(uri)
        prefix = uri.removeprefix(f"s3://{bucket}").lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        base = prefix if prefix.endswith("/") else prefix.rsplit("/", 1)[0] + "/" if "/" in prefix else ""
        count = 0
        try:
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    relative = item["Key"].removeprefix(prefix if prefix.endswith("/") else base)
                    if item["Key"].endswith("/") or not self._below(item["Key"], prefix):
                        continue
                    target = folder / relative
                    target.parent.mkdir(parents=True, exist_ok=True)
                    self._s3.download_file(bucket, item["Key"], str(target))
                    count += 1
        except ClientError as error:
            raise JobFailed(self._denied(error, uri)) from None
        if not count:
            raise JobFailed(f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given in input data source.')
        return count

    @staticmethod
    def _below(key: str, prefix: str) -> bool:
        return prefix.endswith("/") or key == prefix or key.startswith(prefix + "/")

    def upload(self, path: Path, uri: str, kms_key_id: str | None) -> None:
        """Raises JobFailed when the role may not write there."""
        bucket, key = split_s3_uri(uri)
        extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id} if kms_key_id else {}
        try:
            self._s3.upload_file(str(path), bucket, key, ExtraArgs=extra)
        except Exception as error:  # upload_file wraps the client's error
            raise JobFailed(self._denied(error, uri)) from None

    def upload_folder(self, folder: Path, uri: str, kms_key_id: str | None) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.upload(path, f"{uri.rstrip('/')}/{path.relative_to(folder)}", kms_key_id)

    def _denied(self, error: Exception, uri: str) -> str:
        return f"ClientError: {error} ({uri}, execution role {self._role_arn})"


def job_folder(kind: str, name: str) -> Path:
    """An empty folder for one job."""
    folder = RUN_DIR / "jobs" / kind / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def pack(folder: Path, target: Path) -> None:
    """``model.tar.gz``: the folder's contents at the root. Level 1: weights hardly compress, and time does count."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(target, "wb", compresslevel=1) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)


def rewrite(values: Sequence[str], root: Path) -> list[str]:
    """The container's ``/opt/ml`` as the job's folder: without Docker nothing can be mounted there."""
    return [value.replace(PREFIX, str(root)) for value in values]


def failure_text(root: Path, fallback: str) -> str:
    """What the container said of its failure, cut as SageMaker cuts it."""
    path = root / "output" / "failure"
    return (path.read_text(errors="replace") if path.exists() else fallback)[:1_024]


def tail(log_file: Path, lines: int = 3) -> str:
    text = log_file.read_text(errors="replace").strip().splitlines() if log_file.exists() else []
    return " | ".join(text[-lines:]) or "no output"


def public(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what is the emulator's own (keys that begin with an underscore) and without tags."""
    return {key: value for key, value in record.items() if not key.startswith("_") and key != "Tags" and value is not None}
