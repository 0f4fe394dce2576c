"""Dataset versions: content-addressed, checked against their manifest, rows refused with their place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from model_code.data import InvalidDataset, Row, read_manifest, read_rows, write_dataset


def row(name: str, text: str = "fine", label: str = "positive") -> Row:
    return Row(name, text, label, {label: 3}, f"g{name}", "amazon", "vader-icwsm-2014")


SPLITS = {"train": [row("1"), row("2")], "validation": [row("3")], "test": [row("4")]}


def test_rows_survive_a_round_trip(tmp_path: Path) -> None:
    write_dataset(tmp_path, SPLITS, ["negative", "positive"])
    assert read_rows(tmp_path / "train") == SPLITS["train"]


def test_version_depends_on_rows_and_not_on_their_order(tmp_path: Path) -> None:
    first = write_dataset(tmp_path / "a", SPLITS, ["positive"]).version
    assert write_dataset(tmp_path / "b", {**SPLITS, "train": SPLITS["train"][::-1]}, ["positive"]).version == first
    assert write_dataset(tmp_path / "c", {**SPLITS, "train": [row("1", "changed")]}, ["positive"]).version != first


def test_changed_file_is_refused_by_name(tmp_path: Path) -> None:
    write_dataset(tmp_path, SPLITS, ["positive"])
    (tmp_path / "test" / "data.jsonl").write_text(row("9").to_json())
    with pytest.raises(InvalidDataset, match=r"test/data\.jsonl has SHA-256"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(("line", "reason"), [("{", "JSON"), ('{"id": "1"}', "text"), (row("1", " ").to_json(), "empty")])
def test_bad_row_is_named_with_its_line(tmp_path: Path, line: str, reason: str) -> None:
    (tmp_path / "data.jsonl").write_text(row("0").to_json() + "\n" + line + "\n")
    with pytest.raises(InvalidDataset, match=r"data\.jsonl:2") as caught:
        read_rows(tmp_path)
    assert reason in str(caught.value)


def test_only_a_new_row_says_so_and_rows_without_the_mark_keep_their_bytes(tmp_path: Path) -> None:
    new = replace(row("1"), new=True)
    assert '"new": true' in new.to_json()
    assert "new" not in json.loads(row("1").to_json())
    write_dataset(tmp_path, {**SPLITS, "train": [new, row("2")]}, ["positive"])
    assert [one.new for one in read_rows(tmp_path / "train")] == [True, False]


def test_a_mark_that_is_no_boolean_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text(json.dumps({**json.loads(row("0").to_json()), "new": "yes"}))
    with pytest.raises(InvalidDataset, match=r"data\.jsonl:1: field 'new' = 'yes'"):
        read_rows(tmp_path)


def test_missing_channel_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="must hold data"):
        read_rows(tmp_path)
