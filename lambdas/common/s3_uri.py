"""S3 URIs: ``s3://bucket/key`` taken apart, and JSON and lines read through them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from contracts.text import InvalidJson, parse_json

_CHUNK_BYTES = 1 << 16


def split_uri(uri: str) -> tuple[str, str]:
    """(bucket, key). Raises ValueError for anything that is not an S3 URI with a key."""
    parts = urlsplit(uri)
    key = parts.path.lstrip("/")
    if parts.scheme != "s3" or not parts.netloc or not key:
        raise ValueError(f"{uri!r} is not an S3 URI of the form s3://bucket/key")
    return parts.netloc, key


def read_bytes(s3: Any, uri: str) -> bytes:
    """One object with the given client."""
    bucket, key = split_uri(uri)
    data: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return data


def read_json(s3: Any, uri: str) -> Any:
    """Parse one JSON object of S3 with the given client. Raises InvalidJson, naming the object."""
    try:
        return parse_json(read_bytes(s3, uri))
    except InvalidJson as error:
        raise InvalidJson(f"{uri} {error}") from None


def read_lines(s3: Any, uri: str) -> Iterator[bytes]:
    """The lines of one object of S3, read as it streams in; only ``\\n`` ends one."""
    bucket, key = split_uri(uri)
    return newline_ended(s3.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(_CHUNK_BYTES))


def newline_ended(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ``\\n``, the last one with or without. botocore's ``iter_lines`` ends lines at ``\\r`` too."""
    pending: list[bytes] = []
    for chunk in chunks:
        first, *others = chunk.split(b"\n")
        pending.append(first)
        for part in others:
            yield b"".join(pending)
            pending = [part]
    if any(pending):
        yield b"".join(pending)
