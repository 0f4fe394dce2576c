"""Versions in S3: whole or not there, checked when read, remembered per execution."""

from __future__ import annotations

import io
from typing import Any

import pytest

from lambdas.common.dataset import SPLITS, Dataset, InvalidDataset, ReferenceText, Row, file_name, parse_rows, render
from lambdas.freeze_dataset.freeze import Frozen, LabelCounts
from lambdas.freeze_dataset.versions import DatasetVersions

LABELS = ("negative", "positive")


class Bucket:
    """The few S3 calls that are used; ``dies_after`` puts the writer's process dies."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.objects: dict[str, bytes] = {}
        self.dies_after = dies_after

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> None:  # noqa: N803  (boto3's names)
        if self.dies_after is not None and len(self.objects) >= self.dies_after:
            raise KeyboardInterrupt
        self.objects[Key] = Body

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803  (boto3's names)
        return {"Body": io.BytesIO(self.objects[Key])}

    def list_objects_v2(self, *, Bucket: str, Prefix: str, MaxKeys: int) -> dict[str, Any]:  # noqa: N803  (boto3's names)
        return {"Contents": [{"Key": key} for key in sorted(self.objects) if key.startswith(Prefix)][:MaxKeys]}


def row(name: str) -> Row:
    return Row(id=name, text=f"text {name}", label="positive", votes={"positive": 1}, group=name, slice="s", source="x")


def frozen(*names: str) -> Frozen:
    splits = {"train": [row(n) for n in names], "validation": [], "test": []}
    manifest, files = render(splits, LABELS, parent=None, watermark=None, reference=[ReferenceText("served", "text:1")])
    return Frozen(manifest, files, LabelCounts(0, 0, 0, 0, 0), reference=0)


def as_dataset(version: Frozen) -> Dataset:
    return Dataset(version.manifest, {name: parse_rows(version.files[file_name(name)], name) for name in SPLITS})


def test_what_was_written_is_read_back() -> None:
    bucket, version = Bucket(), frozen("a", "b")
    versions = DatasetVersions(bucket, "data")
    uri = versions.write(version)
    assert uri == f"s3://data/datasets/{version.manifest.version}"
    assert versions.read(uri) == as_dataset(version)


@pytest.mark.parametrize("puts", range(5))
def test_a_writer_that_dies_leaves_no_version_and_its_repetition_completes_it(puts: int) -> None:
    bucket, version = Bucket(dies_after=puts), frozen("a", "b")
    versions = DatasetVersions(bucket, "data")
    with pytest.raises(KeyboardInterrupt):
        versions.write(version)
    assert not [key for key in bucket.objects if key.endswith("manifest.json")]
    bucket.dies_after = None
    assert versions.read(versions.write(version)) == as_dataset(version)


def test_a_changed_file_is_refused() -> None:
    bucket, version = Bucket(), frozen("a")
    versions = DatasetVersions(bucket, "data")
    uri = versions.write(version)
    bucket.objects[f"datasets/{version.manifest.version}/train/data.jsonl"] += b" "
    with pytest.raises(InvalidDataset, match=version.manifest.version):
        versions.read(uri)


def test_an_execution_finds_what_it_froze_and_only_that() -> None:
    versions = DatasetVersions(Bucket(), "data")
    versions.remember("arn:execution:1", {"dataset_uri": "s3://data/datasets/v"})
    assert versions.recall("arn:execution:1") == {"dataset_uri": "s3://data/datasets/v"}
    assert versions.recall("arn:execution:2") is None
