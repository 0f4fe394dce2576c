"""Model artifacts: checked when a model is created, downloaded and unpacked once when it is first served."""

from __future__ import annotations

import hashlib
import tarfile
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from botocore.exceptions import ClientError

from embedded_aws.core.api import ApiError, validation_error
from embedded_aws.core.background import RUN_DIR
from embedded_aws.core.sessions import role_session

PRINCIPAL = "sagemaker.amazonaws.com"
_unpacking = threading.Lock()


def check(url: str, role_arn: str) -> None:
    """See that the artifact exists and that the execution role may read it, as CreateModel does.

    Raises:
        ApiError: ValidationException in the service's words.
    """
    _head(url, role_arn)


def unpacked(url: str, role_arn: str) -> Path:
    """The folder with the artifact's files, shared by every instance that serves it; its files are read-only.

    Raises:
        ApiError: ValidationException: the artifact is gone, cannot be read, or is no gzip tar archive.
    """
    client, head = _head(url, role_arn)
    folder = RUN_DIR / "models" / hashlib.sha256(f"{url} {head['ETag']}".encode()).hexdigest()[:24]
    with _unpacking:
        if folder.exists():
            return folder
        archive = folder.with_suffix(".tar.gz")
        archive.parent.mkdir(parents=True, exist_ok=True)
        bucket, key = _location(url)
        client.download_file(bucket, key, str(archive))
        partial = folder.with_suffix(".partial")
        try:
            with tarfile.open(archive, "r:gz") as tar:
                tar.extractall(partial, filter="data")
        except (tarfile.TarError, OSError, EOFError) as error:
            raise validation_error(f"Failed to extract model data archive from {url}: {error}") from None
        finally:
            archive.unlink(missing_ok=True)
        for path in partial.rglob("*"):
            if path.is_file():
                path.chmod(0o444)
        partial.rename(folder)
    return folder


def _location(url: str) -> tuple[str, str]:
    parsed = urlparse(url)
    return parsed.netloc, parsed.path.lstrip("/")


def _head(url: str, role_arn: str) -> tuple[Any, dict[str, Any]]:
    bucket, key = _location(url)
    if urlparse(url).scheme != "s3" or not key:
        raise validation_error(f"Model data {url} is not an S3 object: give s3://bucket/key of a model.tar.gz.")
    try:
        client = role_session(role_arn, PRINCIPAL).client("s3")
        return client, client.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            raise validation_error(f"Could not find model data at {url}.") from None
        raise _unreadable(url, role_arn) from None
    except ApiError:
        raise _unreadable(url, role_arn) from None


def _unreadable(url: str, role_arn: str) -> ApiError:
    return validation_error(
        f'Could not access model data at {url}. Please ensure that the role "{role_arn}" exists and that its trust relationship policy '
        f'allows the action "sts:AssumeRole" for the service principal "{PRINCIPAL}". Also ensure that the role has "s3:GetObject" '
        "permissions and that the object is located in the same Region."
    )
