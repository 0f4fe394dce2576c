"""Dataset versions: content-addressed, checked against their manifest, rows refused with their place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.dataset import InvalidDataset, Row
from contracts.dataset_files import read_manifest, read_rows, write_dataset


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


def test_key_examples_are_a_file_of_their_own_that_the_counts_leave_out(tmp_path: Path) -> None:
    plain = write_dataset(tmp_path / "plain", SPLITS, ["negative", "positive"])
    manifest = write_dataset(tmp_path / "keys", SPLITS, ["negative", "positive"], key_examples=[row("k2"), row("k1", "never this")])
    assert [one.id for one in read_rows(tmp_path / "keys" / "key-examples")] == ["k1", "k2"]
    assert read_manifest(tmp_path / "keys") == manifest
    assert set(manifest.files) - set(plain.files) == {"key-examples/data.jsonl"}
    assert (manifest.rows, manifest.by_slice, manifest.by_source) == (plain.rows, plain.by_slice, plain.by_source)
    assert manifest.version != plain.version


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


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"votes": {"negative": 2, "positive": 1}}, "row '1': label = 'positive' has 1 votes and 'negative' has 2: correct the label"),
        ({"votes": {"negative": 1}}, "label = 'positive' has 0 votes and 'negative' has 1"),
        ({"votes": {"positive": 2, "negative": -1}}, "votes for 'negative' = -1: a whole number from 0 to 1000000"),
        ({"votes": {"positive": 1.5}}, "votes for 'positive' = 1.5"),
        ({"votes": {"positive": float("nan")}}, "has NaN, which is not JSON: allowed are finite numbers"),
        ({"votes": {"positive": float("inf")}}, "has Infinity, which is not JSON: allowed are finite numbers"),
        ({"votes": {"positive": True}}, "votes for 'positive' = True"),
        ({"votes": {"positive": 10**400}}, "votes for 'positive' = 1000"),
        ({"votes": ["positive"]}, "votes = ['positive']: an object"),
        ({"votes": None}, "votes = None: an object"),
        ({"label": 1}, "field 'label' must be a string, not the number 1"),
        ({"group": ""}, "field 'group' is empty"),
        ({"slice": None}, "field 'slice' must be a string, not null"),
    ],
)
def test_a_row_that_contradicts_itself_is_named(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    line = json.dumps({**json.loads(row("1").to_json()), **change})
    (tmp_path / "data.jsonl").write_text(row("0").to_json() + "\n" + line + "\n")
    with pytest.raises(InvalidDataset) as caught:
        read_rows(tmp_path)
    assert str(caught.value).startswith("data.jsonl:2: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize("votes", [{}, {"positive": 0}, {"positive": 2, "negative": 2}, {"positive": 3, "negative": 2}])
def test_a_tie_and_a_label_without_votes_contradict_nothing(tmp_path: Path, votes: dict[str, int]) -> None:
    (tmp_path / "data.jsonl").write_text(replace(row("0"), votes=votes).to_json())
    assert [one.votes for one in read_rows(tmp_path)] == [votes]


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_bytes(row("0").to_json().encode() + b"\n\xff\n")
    with pytest.raises(InvalidDataset, match=r"data\.jsonl:2: is not UTF-8: byte 0xFF at position 0"):
        read_rows(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not JSON"), ("[]", "must be an object, not a list"), ('{"version": "1"}', "has no field 'labels'"),
        ('{"version": NaN', "has NaN"), ('{"version": "1", "version": "2"}', "has the field 'version' twice"),
    ],
)  # fmt: skip
def test_a_damaged_manifest_is_named(tmp_path: Path, content: str, reason: str) -> None:
    write_dataset(tmp_path, SPLITS, ["positive"])
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InvalidDataset, match=rf"manifest\.json: {reason}"):
        read_manifest(tmp_path)


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
