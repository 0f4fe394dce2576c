"""What jobs share: files from and to S3 under the execution role, the folder that stands for /opt/ml, the container's environment."""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from embedded_aws.core import sessions
from embedded_aws.core.background import RUN_DIR
from embedded_aws.sagemaker.service_output import SAGEMAKER, split_s3_uri
from embedded_aws.tools.plain_path import plain

PREFIX = "/opt/ml"
_OF_THE_HOST = ("PATH", "LD_LIBRARY_PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONDONTWRITEBYTECODE")
# Libraries begin with one thread. A program that wants more reads SM_NUM_CPUS; idle threads then sleep, for others may need the core.
_THREADS = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
_NOWHERE = "http://127.0.0.1:9"
_ISOLATED = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _NOWHERE) | {"PIP_NO_INDEX": "1"}
"""Network isolation, as far as a process without a network of its own goes: well-behaved clients reach nothing."""

REASON_LIMIT = 1_024
"""Characters of a FailureReason."""

_ONE_THREAD = TransferConfig(use_threads=False)


class JobFailed(Exception):
    """The job cannot go on; the text is its FailureReason."""


class JobStorage:
    """S3 as one job's execution role sees it."""

    def __init__(self, role_arn: str, job_name: str) -> None:
        """Raises ApiError (ValidationException) when the role is missing or does not trust SageMaker."""
        self._s3 = sessions.role_session(role_arn, SAGEMAKER).client("s3")
        self._role_arn, self._job = role_arn, job_name

    def download(self, uri: str, folder: Path) -> int:
        """The object, or every object below the prefix, with its path relative to it; returns how many.

        ``s3://b/data/train`` and ``s3://b/data/train/`` give the same files. (AWS takes a key like ``data/train2/x`` for the
        first as well, since it only compares beginnings: such keys are left out here.)

        Raises:
            JobFailed: nothing matches, or the role may not list or read it.
        """
        count = self.download_if_any(uri, folder)
        if not count:
            raise JobFailed(f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given in input data source.')
        return count

    def download_if_any(self, uri: str, folder: Path) -> int:
        """Like :meth:`download`; nothing there is no failure."""
        bucket, prefix = split_s3_uri(uri)
        listed = uri.removeprefix(f"s3://{bucket}").lstrip("/")  # as it was given: policies name prefixes with their slash
        folder.mkdir(parents=True, exist_ok=True)
        count = 0
        try:
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=listed):
                for item in page.get("Contents", []):
                    relative = relative_path(item["Key"], prefix)
                    if relative is None:
                        continue
                    target = folder / relative
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as stream:
                        shutil.copyfileobj(self._s3.get_object(Bucket=bucket, Key=item["Key"])["Body"], stream)
                    count += 1
        except ClientError as error:
            raise JobFailed(self._denied(error, uri)) from None
        return count

    def fetch(self, uri: str, path: Path) -> None:
        """One object, as a program in the container reads it. Raises JobFailed: the object does not exist, or the role may not read it."""
        bucket, key = split_s3_uri(uri)
        try:
            with path.open("wb") as stream:
                shutil.copyfileobj(self._s3.get_object(Bucket=bucket, Key=key)["Body"], stream)
        except ClientError as error:
            raise JobFailed(self._denied(error, uri)) from None

    def upload(self, path: Path, uri: str, kms_key_id: str | None) -> None:
        """Raises JobFailed when the role may not write there."""
        bucket, key = split_s3_uri(uri)
        extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key_id} if kms_key_id else {}
        try:
            self._s3.upload_file(str(path), bucket, key, ExtraArgs=extra, Config=_ONE_THREAD)
        except Exception as error:  # upload_file wraps the client's error
            raise JobFailed(self._denied(error, uri)) from None

    def upload_folder(self, folder: Path, uri: str, kms_key_id: str | None) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.upload(path, f"{uri.rstrip('/')}/{path.relative_to(folder)}", kms_key_id)

    def _denied(self, error: Exception, uri: str) -> str:
        return f"ClientError: {error} ({uri}, execution role {self._role_arn})"


def relative_path(key: str, prefix: str) -> str | None:
    """The path of an object below its channel's folder; None for an object that the prefix does not name."""
    if key.endswith("/"):
        return None
    if key == prefix:
        return key.rsplit("/", 1)[-1]
    below = prefix and f"{prefix}/"
    return key.removeprefix(below) if key.startswith(below) else None


def container_environment(given: Mapping[str, str], *, isolated: bool, at_once: int) -> dict[str, str]:
    """A container's variables: none of the emulator's own, no credentials, the request's ``Environment`` over all defaults.

    Args:
        at_once: containers that share the machine's cores; ``SM_NUM_CPUS`` is this one's part.
    """
    host = {name: os.environ[name] for name in _OF_THE_HOST if name in os.environ}
    cores = max(1, (os.cpu_count() or 1) // at_once)
    return {**host, **_THREADS, "SM_NUM_CPUS": str(cores), "PYTHONUNBUFFERED": "1", **(_ISOLATED if isolated else {}), **given}


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
    """The container's ``/opt/ml`` as the job's folder: without Docker nothing can be mounted there. A value may be a shell script."""
    folder = str(plain(root, RUN_DIR))
    return [value.replace(PREFIX, folder) for value in values]


def algorithm_error(root: Path, log_file: Path, returncode: int) -> JobFailed:
    """What the container said of its failure; a long text is cut before the exit code."""
    path = root / "output" / "failure"
    said = path.read_text(errors="replace") if path.exists() else tail(log_file)
    kind, code = "AlgorithmError: ", f", exit code: {returncode}"
    return JobFailed(f"{kind}{said[: REASON_LIMIT - len(kind) - len(code)]}{code}")


def tail(log_file: Path, lines: int = 3) -> str:
    text = log_file.read_text(errors="replace").strip().splitlines() if log_file.exists() else []
    return " | ".join(text[-lines:]) or "no output"


def public(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what is the emulator's own (keys that begin with an underscore) and without tags."""
    return {key: value for key, value in record.items() if not key.startswith("_") and key != "Tags" and value is not None}
