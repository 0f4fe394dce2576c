"""Functions and containers share no code, but they must read and write the same dataset versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.common import dataset as functions_form
from local.rows import normal_text
from model_code import data as container_form
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


def test_both_write_the_same_bytes_and_so_the_same_version(tmp_path: Path) -> None:
    written = container_form.write_dataset(
        tmp_path, {name: [container_form.Row(**row) for row in rows] for name, rows in splits().items()}, LABELS, watermark="w"
    )
    manifest, files = functions_form.render(
        {name: [functions_form.Row(**row) for row in rows] for name, rows in splits().items()},
        LABELS,
        parent=None,
        watermark="w",
    )
    assert manifest.version == written.version
    assert {name: (tmp_path / name).read_bytes() for name in files} == files
    assert dict(manifest.files) == dict(written.files)


def test_a_container_reads_what_a_function_wrote(tmp_path: Path) -> None:
    manifest, files = functions_form.render(
        {name: [functions_form.Row(**row) for row in rows] for name, rows in splits().items()},
        LABELS,
        parent="0123456789abcdef",
        watermark=None,
    )
    for name, content in {**files, "manifest.json": manifest.to_json().encode()}.items():
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(content)
    read = container_form.read_manifest(tmp_path)
    assert (read.version, read.parent, list(read.labels)) == (manifest.version, "0123456789abcdef", list(LABELS))
    assert [row.text for row in container_form.read_rows(tmp_path / "train")] == TEXTS[:3]


def test_a_container_reads_a_version_with_new_rows_and_a_reference(tmp_path: Path) -> None:
    rows = [functions_form.Row(**row, new=number > 0) for number, row in enumerate(splits()["train"])]  # type: ignore[arg-type]
    reference = [functions_form.ReferenceText(text, f"text:{number}") for number, text in enumerate(TEXTS)]
    manifest, files = functions_form.render(
        {"train": rows, "validation": rows, "test": rows}, LABELS, parent=None, watermark=None, reference=reference
    )
    for name, content in {**files, "manifest.json": manifest.to_json().encode()}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert [row.text for row in container_form.read_rows(tmp_path / "train")] == TEXTS[:3]
    served = read_reference(tmp_path, container_form.read_manifest(tmp_path))
    assert sorted((item.text, item.group) for item in served) == sorted((item.text, item.group) for item in reference)


def test_whether_a_row_is_new_is_written_when_it_is_and_read_back() -> None:
    plain, fresh = (functions_form.Row(**values(1, "x"), new=new) for new in (False, True))  # type: ignore[arg-type]
    assert "new" not in plain.to_json()
    assert [container_form.Row(**values(1, "x"), new=row.new).to_json() for row in (plain, fresh)] == [plain.to_json(), fresh.to_json()]  # type: ignore[arg-type]
    assert functions_form.parse_rows(f"{plain.to_json()}\n{fresh.to_json()}\n".encode(), "train") == (plain, fresh)


@given(st.text(max_size=30))
def test_both_call_the_same_texts_the_same(text: str) -> None:
    row = functions_form.Row(**{**values(1, text), "text": text})
    assert row.normal_text == normal_text(text)


@pytest.mark.parametrize(
    ("line", "problem"), [('{"id": "1"}', "KeyError"), ("not json", "JSONDecodeError"), ("[1]", "TypeError"), ('"x"', "TypeError")]
)
def test_a_line_that_is_no_row_is_named(line: str, problem: str) -> None:
    with pytest.raises(functions_form.InvalidDataset, match=rf"train:2.*{problem}"):
        functions_form.parse_rows(f"\n{line}\n".encode(), "train")


def test_a_row_that_is_new_in_some_other_form_is_named() -> None:
    line = functions_form.Row(**values(1, "x")).to_json().replace("{", '{"new": "yes", ', 1)  # type: ignore[arg-type]
    with pytest.raises(functions_form.InvalidDataset, match=r"train:1: field 'new' = 'yes'"):
        functions_form.parse_rows(line.encode(), "train")


def test_a_changed_file_is_refused() -> None:
    manifest, files = functions_form.render({name: [] for name in functions_form.SPLITS}, LABELS, parent=None, watermark=None)
    assert functions_form.check_file(files["test/data.jsonl"], "test/data.jsonl", manifest) == b""
    with pytest.raises(functions_form.InvalidDataset, match=manifest.version):
        functions_form.check_file(b"changed", "test/data.jsonl", manifest)
