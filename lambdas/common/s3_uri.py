"""S3 URIs: ``s3://bucket/key`` taken apart, and JSON read through them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit


def split_uri(uri: str) -> tuple[str, str]:
    """(bucket, key). Raises ValueError for anything that is not an S3 URI with a key."""
    parts = urlsplit(uri)
    key = parts.path.lstrip("/")
    if parts.scheme != "s3" or not parts.netloc or not key:
        raise ValueError(f"{uri!r} is not an S3 URI of the form s3://bucket/key")
    return parts.netloc, key


def read_json(s3: Any, uri: str) -> Any:
    """Parse one JSON object of S3 with the given client."""
    bucket, key = split_uri(uri)
    return json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
