"""The rows, manifests and files of a dataset version: what is written is read back, and what is wrong is named."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from dataset_files import render, rows_of

from contracts.dataset import SPLITS, InvalidDataset, Manifest, ReferenceText, Row
from contracts.dataset_files import check_hash, read_manifest, read_rows, write_dataset
from model_code.drift_baseline import read_reference

LABELS = ("negative", "positive")


def values(number: int, text: str) -> dict[str, Any]:
    return {
        "id": f"prediction:{number}", "text": text, "label": "positive", "votes": {"positive": 2, "negative": 1},
        "group": f"text:{number}", "slice": "recent", "source": f"review:{number}",
    }  # fmt: skip


TEXTS = ["plain", "Zwei  Wörter", "line\u2028separator", "tab\tand\nnewline", 'quote " and \\', "\u0085next line", "😀"]


def splits() -> dict[str, list[dict[str, Any]]]:
    rows = [values(n, text) for n, text in enumerate(TEXTS)]
    return {"train": rows[:3], "validation": rows[3:5], "test": rows[5:]}


def test_a_version_in_a_folder_has_the_bytes_of_one_that_is_stored(tmp_path: Path) -> None:
    rows = {name: [Row(**row) for row in rows] for name, rows in splits().items()}
    written = write_dataset(tmp_path, rows, LABELS, label_names={"negative": "schlecht"})
    manifest, files = render(rows, LABELS, parent=None, watermark=None, label_names={"negative": "schlecht"})
    assert manifest == written
    assert {name: (tmp_path / name).read_bytes() for name in files} == files


def test_a_container_reads_what_a_function_wrote(tmp_path: Path) -> None:
    manifest, files = render(
        {name: [Row(**row) for row in rows] for name, rows in splits().items()},
        LABELS,
        parent="0123456789abcdef",
        watermark=None,
    )
    for name, content in {**files, "manifest.json": manifest.to_json().encode()}.items():
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
    read = read_manifest(tmp_path)
    assert (read.version, read.parent, list(read.labels)) == (manifest.version, "0123456789abcdef", list(LABELS))
    assert [row.text for row in read_rows(tmp_path / "train")] == TEXTS[:3]


def test_a_container_reads_a_version_with_new_rows_and_a_reference(tmp_path: Path) -> None:
    rows = [Row(**row, new=number > 0) for number, row in enumerate(splits()["train"])]
    reference = [ReferenceText(text, f"text:{number}") for number, text in enumerate(TEXTS)]
    manifest, files = render({"train": rows, "validation": rows, "test": rows}, LABELS, parent=None, watermark=None, reference=reference)
    for name, content in {**files, "manifest.json": manifest.to_json().encode()}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert [row.text for row in read_rows(tmp_path / "train")] == TEXTS[:3]
    served = read_reference(tmp_path, read_manifest(tmp_path))
    assert sorted((item.text, item.group) for item in served) == sorted((item.text, item.group) for item in reference)


def test_whether_a_row_is_new_is_written_when_it_is_and_read_back() -> None:
    plain, fresh = (Row(**values(1, "x"), new=new) for new in (False, True))
    assert "new" not in plain.to_json()
    assert rows_of(f"{plain.to_json()}\n{fresh.to_json()}\n".encode(), "train") == (plain, fresh)


@pytest.mark.parametrize("line", [b"not json", b"[1]", b'"x"', b'{"text": "caf\xe9"}', b"[" * 50_000])
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: bytes) -> None:
    good = Row(**values(1, "x")).to_json().encode()
    data = b"\n" + good + b"\n\n" + line + b"\n"
    (tmp_path / "data.jsonl").write_bytes(data)
    for read in (lambda: rows_of(data, "data.jsonl"), lambda: read_rows(tmp_path)):
        with pytest.raises(ValueError, match=r"^data\.jsonl:4: (is not JSON|must be an object|is not UTF-8|is nested deeper)"):
            read()


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"text": ""}, "field 'text' is empty"),
    ({"text": " \u200b"}, "field 'text' is empty"),
    ({"text": None}, "field 'text' must be a string, not null"),
    ({"text": "a\x00"}, r"field 'text' has U\+0000 at position 1, a control character: allowed are"),
    ({"text": "\ud83d"}, r"field 'text' has U\+D83D at position 0, half of a surrogate pair"),
    ({"group": "\ufffe"}, r"field 'group' has U\+FFFE at position 0, a noncharacter"),
    ({"slice": ""}, "field 'slice' is empty"),
    ({"id": 7}, "field 'id' must be a string, not the number 7"),
    ({"label": []}, "field 'label' must be a string, not a list"),
    ({"votes": {"positive": -1}}, "row 'prediction:1': votes for 'positive' = -1: a whole number from 0 to"),
    ({"votes": [1]}, r"row 'prediction:1': votes = \[1\]: an object of whole numbers"),
    ({"new": "yes"}, "field 'new' = 'yes': allowed is true or false"),
]


@pytest.mark.parametrize(("change", "problem"), BAD_FIELDS, ids=[str(change) for change, _ in BAD_FIELDS])
def test_a_field_of_another_form_is_named(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidDataset, match=f"^train:1: {problem}"):
        rows_of(json.dumps({**values(1, "x"), **change}).encode(), "train")


@pytest.mark.parametrize("field", values(1, "x"))
def test_a_field_that_is_missing_is_named(field: str) -> None:
    row = {name: value for name, value in values(1, "x").items() if name != field}
    with pytest.raises(InvalidDataset, match=f"^train:1: has no field '{field}': a row has id, text"):
        rows_of(json.dumps(row).encode(), "train")


MANIFEST: dict[str, Any] = {
    "version": "0123456789abcdef", "parent": None, "labels": ["negative", "positive"], "rows": {"train": 1}, "by_slice": {},
    "by_source": {}, "files": {"train/data.jsonl": "0" * 64}, "watermark": "2026-01-01T00:00:00+00:00",
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("version", "", "a text"), ("parent", 3, "a version or null"), ("labels", "negative", "a list of different texts"),
        ("labels", ["a", "a"], "different texts"), ("rows", {"train": -1}, "whole numbers, 0 or more"),
        ("by_slice", [], "an object of names"),
        ("files", {}, "SHA-256"), ("files", {"train/data.jsonl": "abc"}, "64 hexadecimal digits"),
        ("watermark", "yesterday", "ISO 8601 with its zone"), ("watermark", "2026-01-01T00:00:00", "with its zone"),
        ("watermark", 5, "ISO 8601"),
    ],
)  # fmt: skip
def test_a_manifest_of_another_form_is_named(field: str, value: Any, allowed: str) -> None:
    assert Manifest.parse(json.dumps(MANIFEST), "manifest.json").labels == ("negative", "positive")
    with pytest.raises(InvalidDataset, match=rf"^manifest\.json: field '{field}' = .*allowed is .*{re.escape(allowed)}"):
        Manifest.parse(json.dumps({**MANIFEST, field: value}), "manifest.json")
    with pytest.raises(InvalidDataset, match=r"manifest\.json: has no field 'files'"):
        Manifest.parse(json.dumps({**MANIFEST, "files": None} | {"files": 1}).replace('"files"', '"file"'), "manifest.json")


def test_an_accent_in_two_forms_is_read_as_one_text_and_one_group() -> None:
    rows = [
        Row(**{**values(1, "x"), "text": unicodedata.normalize(form, "Café"), "group": unicodedata.normalize(form, "subject:é")})
        for form in ("NFC", "NFD")
    ]
    read = rows_of("\n".join(row.to_json() for row in rows).encode(), "train")
    assert read[0] == read[1] == rows[0]


def test_a_changed_file_is_refused() -> None:
    manifest, files = render({name: [] for name in SPLITS}, LABELS, parent=None, watermark=None)
    check_hash(hashlib.sha256(files["test/data.jsonl"]).hexdigest(), "test/data.jsonl", manifest)
    with pytest.raises(InvalidDataset, match=manifest.version):
        check_hash(hashlib.sha256(b"changed").hexdigest(), "test/data.jsonl", manifest)
