"""Dataset versions in S3. A version's key is its content hash. Its manifest is written last, so a kill leaves no half version."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contracts.amendments import PREFIX, Amendment, Amendments, Known
from contracts.dataset import SPLITS, InvalidDataset, Manifest
from contracts.dataset_files import KEY_EXAMPLES, check_hash, file_name
from lambdas.common.s3_uri import read_bytes, read_json, split_uri
from lambdas.retraining.freeze_dataset.freeze import Frozen
from lambdas.retraining.freeze_dataset.row_files import RowFile, Version

_CHUNK = 1 << 20


class DatasetTooLarge(RuntimeError):
    """The function's disk does not hold the dataset twice."""


class DatasetVersions:
    """Reads and writes the dataset versions of one data bucket.

    Args:
        s3: client.
        bucket: the data bucket, where new versions are written to ``datasets/<version>/``.
    """

    def __init__(self, s3: Any, bucket: str) -> None:
        self._s3, self._bucket = s3, bucket

    def uri(self, version: str) -> str:
        return f"s3://{self._bucket}/datasets/{version}"

    def read(self, uri: str, folder: Path) -> Version:
        """The labelled rows of a version and its key examples, copied below ``folder``, every file checked against its hash.

        Raises:
            InvalidDataset: a file is missing or was changed, or a line is no row.
            DatasetTooLarge: it does not fit twice, as what is read and as what is written.
        """
        where = f"{uri}/manifest.json"
        manifest = Manifest.parse(read_bytes(self._s3, where), where)
        splits = {split: self._rows(uri, split, manifest, folder) for split in SPLITS}
        kept = file_name(KEY_EXAMPLES) in manifest.files
        return Version(manifest, splits, self._rows(uri, KEY_EXAMPLES, manifest, folder) if kept else None)

    def write(self, frozen: Frozen) -> str:
        """Store a version; storing it again changes nothing. Returns its URI."""
        prefix = f"datasets/{frozen.manifest.version}"
        for name, path in frozen.files.items():
            with path.open("rb") as stream:
                self._s3.put_object(Bucket=self._bucket, Key=f"{prefix}/{name}", Body=stream, ContentType="application/jsonlines")
        self._put_json(f"{prefix}/manifest.json", frozen.manifest.to_json())
        return self.uri(frozen.manifest.version)

    def amendments(self, known: Known) -> Amendments:
        """All amendments that a version does not know.

        Raises:
            InvalidAmendment: an object below the prefix is none.
        """
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=PREFIX, StartAfter=known.after)
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        uris = [f"s3://{self._bucket}/{key}" for key in keys if key not in known]
        return Amendments.of(Amendment.parse(read_bytes(self._s3, uri), uri) for uri in uris)

    def recall(self, execution_id: str) -> dict[str, Any] | None:
        """What an execution has frozen already, when its step is run again."""
        key = _record_key(execution_id)
        if not self._exists(key):
            return None
        record: dict[str, Any] = read_json(self._s3, f"s3://{self._bucket}/{key}")
        return record

    def remember(self, execution_id: str, record: Mapping[str, Any]) -> None:
        self._put_json(_record_key(execution_id), json.dumps(record, sort_keys=True, allow_nan=False))

    def _rows(self, uri: str, split: str, manifest: Manifest, folder: Path) -> RowFile:
        bucket, prefix = split_uri(uri)
        name = file_name(split)
        if name not in manifest.files:
            raise InvalidDataset(f"the manifest of {uri} names no {name}")
        found = self._s3.get_object(Bucket=bucket, Key=f"{prefix.rstrip('/')}/{name}")
        free = shutil.disk_usage(folder).free
        if 2 * found["ContentLength"] > free:
            raise DatasetTooLarge(
                f"{uri}/{name} has {found['ContentLength'] >> 20} MiB and needs twice that on disk, {free >> 20} MiB are free: "
                "raise FREEZE_DISK_MIB in stacks/retraining.py, at most 10240"
            )
        digest, path = hashlib.sha256(), folder / f"parent-{split}.jsonl"
        with path.open("wb") as stream:
            while chunk := found["Body"].read(_CHUNK):
                digest.update(chunk)
                stream.write(chunk)
        check_hash(digest.hexdigest(), name, manifest)
        return RowFile.of(path, f"{uri}/{name}")

    def _exists(self, key: str) -> bool:
        # Not HeadObject: without a right to list the whole bucket S3 answers 403 for a missing key.
        found = self._s3.list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1).get("Contents", [])
        return any(item["Key"] == key for item in found)

    def _put_json(self, key: str, text: str) -> None:
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=text.encode(), ContentType="application/json")


def _record_key(execution_id: str) -> str:
    return f"freezes/{hashlib.sha256(execution_id.encode()).hexdigest()[:32]}.json"
