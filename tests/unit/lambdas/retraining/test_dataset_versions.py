"""Versions in S3: whole or not there, checked when read, remembered per execution."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contracts.amendments import CORRECT, FORGET, Amendment, Known, group_digest
from contracts.dataset import SPLITS, InvalidDataset, Manifest, ReferenceText, Row
from contracts.dataset_files import write_version
from lambdas.retraining.freeze_dataset.freeze import Frozen, LabelCounts
from lambdas.retraining.freeze_dataset.row_files import Version
from lambdas.retraining.freeze_dataset.versions import DatasetTooLarge, DatasetVersions

LABELS = ("negative", "positive")


class Bucket:
    """The few S3 calls that are used; ``dies_after`` puts the writer's process dies."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.objects: dict[str, bytes] = {}
        self.dies_after = dies_after

    def put_object(self, *, Bucket: str, Key: str, Body: Any, ContentType: str) -> None:  # noqa: N803  (boto3's names)
        if self.dies_after is not None and len(self.objects) >= self.dies_after:
            raise KeyboardInterrupt
        self.objects[Key] = Body if isinstance(Body, bytes) else Body.read()

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803  (boto3's names)
        return {"Body": io.BytesIO(self.objects[Key]), "ContentLength": len(self.objects[Key])}

    def list_objects_v2(self, *, Bucket: str, Prefix: str, MaxKeys: int) -> dict[str, Any]:  # noqa: N803  (boto3's names)
        return {"Contents": [{"Key": key} for key in sorted(self.objects) if key.startswith(Prefix)][:MaxKeys]}

    def get_paginator(self, operation: str) -> Bucket:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str, StartAfter: str) -> Iterator[dict[str, Any]]:  # noqa: N803  (boto3's names)
        for key in sorted(self.objects):
            if key.startswith(Prefix) and key > StartAfter:
                yield {"Contents": [{"Key": key}]}


def row(name: str) -> Row:
    return Row(id=name, text=f"text {name}", label="positive", votes={"positive": 1}, group=name, slice="s", source="x")


def frozen(folder: Path, *names: str) -> Frozen:
    splits = {"train": [row(n) for n in names], "validation": [], "test": []}
    folder.mkdir()
    manifest, files = write_version(folder, splits, LABELS, parent=None, watermark=None, reference=[ReferenceText("served", "text:1")])
    return Frozen(manifest, files, LabelCounts(0, 0, 0, 0, 0), reference=0)


def whole(version: Version) -> tuple[Manifest, dict[str, list[Row]]]:
    """The manifest and every row, read back from disk."""
    return version.manifest, {name: [file.read(entry) for entry in file.entries] for name, file in version.splits.items()}


def expected(version: Frozen, *names: str) -> tuple[Manifest, dict[str, list[Row]]]:
    return version.manifest, {**{split: [] for split in SPLITS}, "train": [row(name) for name in names]}


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    bucket, version = Bucket(), frozen(tmp_path / "made", "a", "b")
    versions = DatasetVersions(bucket, "data")
    uri = versions.write(version)
    assert uri == f"s3://data/datasets/{version.manifest.version}"
    assert whole(versions.read(uri, tmp_path)) == expected(version, "a", "b")


@pytest.mark.parametrize("puts", range(5))
def test_a_writer_that_dies_leaves_no_version_and_its_repetition_completes_it(tmp_path: Path, puts: int) -> None:
    bucket, version = Bucket(dies_after=puts), frozen(tmp_path / "made", "a", "b")
    versions = DatasetVersions(bucket, "data")
    with pytest.raises(KeyboardInterrupt):
        versions.write(version)
    assert not [key for key in bucket.objects if key.endswith("manifest.json")]
    bucket.dies_after = None
    assert whole(versions.read(versions.write(version), tmp_path)) == expected(version, "a", "b")


def test_key_examples_are_read_back(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    splits = {"train": [row("a")], "validation": [], "test": []}
    manifest, files = write_version(tmp_path / "made", splits, LABELS, parent=None, watermark=None, key_examples=[row("k")])
    versions = DatasetVersions(Bucket(), "data")
    uri = versions.write(Frozen(manifest, files, LabelCounts(0, 0, 0, 0, 0), reference=0))
    version = versions.read(uri, tmp_path)
    assert version.key_examples is not None
    assert list(version.key_examples.rows()) == [row("k")]
    version.remove()
    assert not list(tmp_path.glob("parent-*"))


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    bucket, version = Bucket(), frozen(tmp_path / "made", "a")
    versions = DatasetVersions(bucket, "data")
    uri = versions.write(version)
    bucket.objects[f"datasets/{version.manifest.version}/train/data.jsonl"] += b" "
    with pytest.raises(InvalidDataset, match=version.manifest.version):
        versions.read(uri, tmp_path)


def test_a_version_that_does_not_fit_on_the_disk_twice_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket, version = Bucket(), frozen(tmp_path / "made", "a")
    versions = DatasetVersions(bucket, "data")
    uri = versions.write(version)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=200))
    with pytest.raises(
        DatasetTooLarge, match=r"train/data\.jsonl has 0 MiB and needs twice that on disk, 0 MiB are free: raise FREEZE_DISK_MIB"
    ):
        versions.read(uri, tmp_path)


def test_an_execution_finds_what_it_froze_and_only_that() -> None:
    versions = DatasetVersions(Bucket(), "data")
    versions.remember("arn:execution:1", {"dataset_uri": "s3://data/datasets/v"})
    assert versions.recall("arn:execution:1") == {"dataset_uri": "s3://data/datasets/v"}
    assert versions.recall("arn:execution:2") is None


def forgetting(at: str, group: str = "subject:bob") -> Amendment:
    return Amendment(FORGET, f"2026-11-23T{at}+00:00", "operator-1", group_digest(group))


def kept(*amendments: Amendment) -> DatasetVersions:
    bucket = Bucket()
    bucket.objects = {one.key: one.to_json().encode() for one in amendments} | {"amendments/": b"", "datasets/x": b""}
    return DatasetVersions(bucket, "data")


def test_every_amendment_is_applied_by_one_version_whatever_clock_it_has() -> None:
    """The correction is there first, and the operator of the deletion has a clock that is behind: its key comes before."""
    fast = Amendment(CORRECT, "2026-11-23T10:00:30.000+00:00", "operator-1", "train:5", "positive", "irony")
    slow, last = forgetting("09:31:00.000"), forgetting("10:00:31.000", "subject:cy")
    first = kept(fast).amendments(Known())
    known = Known().and_also(first.keys)
    second = kept(fast, slow).amendments(known)
    assert (set(first.corrections), second.forgets("subject:bob"), set(second.corrections)) == ({"train:5"}, True, set())
    known = known.and_also(second.keys)
    assert known.until == fast.key, "the last key stays"
    third = kept(fast, slow, last).amendments(known)
    assert third.keys == (last.key,)
    assert kept(fast, slow, last).amendments(known.and_also(third.keys)).keys == ()


def test_what_is_an_hour_older_than_the_last_known_amendment_is_not_read_again() -> None:
    known = Known().and_also([forgetting("10:00:00.000").key])
    versions = kept(forgetting("08:59:59.999"), forgetting("09:00:00.001"), forgetting("10:00:00.000"))
    assert versions.amendments(known).keys == (forgetting("09:00:00.001").key,)


def test_a_manifest_without_the_list_of_the_last_hour_has_that_hour_applied_once_more() -> None:
    """Nobody knows whether an amendment of that hour was there in time."""
    old, lost = forgetting("10:00:30.000", "subject:ann"), forgetting("10:00:00.000")
    manifest = Manifest("v", None, LABELS, {}, {}, {}, {"train/data.jsonl": "0" * 64}, amended=old.key)
    content = manifest.to_json()
    assert "amended_lately" not in content
    again = Manifest.parse(content, "manifest.json")
    assert kept(old, lost).amendments(again.known).keys == (lost.key,)
    known = again.known.and_also([lost.key])
    assert known == Known(old.key, (lost.key, old.key))
    written = replace(again, amended=known.until, amended_lately=known.lately)
    assert Manifest.parse(written.to_json(), "manifest.json") == written
    assert kept(old, lost).amendments(written.known).keys == ()
