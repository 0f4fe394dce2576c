"""``labels export``: everything that is known of a label, in three forms, none of which a spreadsheet runs."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cli.console import WRONG_OPTIONS
from cli.labels import command
from cli.labels.export import Format, document, safe_cell, write
from cli.main import app
from lambdas.common.labels import Labels
from lambdas.common.predictions import StoredPrediction
from lambdas.labeling.import_labels.manifest import LabeledRow, read_rows
from local.texts.files import open_records

MARK = "\ufeff"
LABELS = Labels.of(("negative", "positive"))


def stored(**changes: Any) -> StoredPrediction:
    item: dict[str, Any] = {
        "prediction_id": "p1", "text": "fine", "created_at": "2026-11-23T09:00:00+00:00", "expires_at": 1, "review_state": "reviewed",
        "attempt": 1, "label": "negative", "confidence": 0.4, "review_threshold": 0.6, "variant": "champion", "model_version": "m7",
        "review_reason": "low_confidence", "human_label": "positive", "votes": {"positive": 2}, "agreement": 1.0,
        "reviewed_at": "2026-11-23T10:00:00+00:00", "label_source": "review:p1", "review_outcome": "plurality: 2 of 2 votes",
        "label_basis": {"method": "plurality", "plurality": "positive", "guidelines": "0a1b2c"},
        "answers": [{"worker_id": "w1", "label": "positive", "seconds": 3.0}, {"worker_id": "w2", "label": "positive", "seconds": 4.0}],
    }  # fmt: skip
    return StoredPrediction.parse({**item, **changes})


def written(form: Format, *records: StoredPrediction) -> str:
    stream = io.StringIO()
    assert write(iter(records), form, stream) == len(records)
    return stream.getvalue()


def test_a_label_has_its_provenance() -> None:
    found = json.loads(written(Format.JSONL, stored()))
    assert found["answers"] == [
        {"worker": "w1", "label": "positive", "seconds": 3.0},
        {"worker": "w2", "label": "positive", "seconds": 4.0},
    ]
    assert found["model"] == {
        "label": "negative", "confidence": 0.4, "version": "m7", "variant": "champion", "answered_at": "2026-11-23T09:00:00+00:00",
        "review_reason": "low_confidence",
    }  # fmt: skip
    assert (found["guidelines"], found["basis"]) == ("0a1b2c", {"method": "plurality", "plurality": "positive"})
    assert (found["id"], found["label"], found["reviewed_at"], found["source"]) == (
        "prediction:p1", "positive", "2026-11-23T10:00:00+00:00", "review:p1"
    )  # fmt: skip


def test_a_text_that_no_model_answered_has_no_model() -> None:
    nothing = dict.fromkeys(("label", "confidence", "review_threshold", "variant", "model_version", "review_reason"))
    assert document(stored(**nothing))["model"] is None
    assert "prediction-id" not in json.loads(written(Format.MANIFEST, stored(**nothing)))


def test_the_manifest_is_what_the_import_reads() -> None:
    [row] = read_rows(
        [
            written(
                Format.MANIFEST,
                stored(),
            ).encode()
        ],
        "label",
        LABELS,
    )
    assert isinstance(row, LabeledRow)
    assert (row.text, row.prediction_id, row.consolidated.label, dict(row.consolidated.votes)) == (
        "fine",
        "p1",
        "positive",
        {"positive": 2},
    )
    assert [one.worker_id for one in row.answers] == ["w1", "w2"]


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\uff1d1+1", '=HYPERLINK("https://x.example","y")']
)
def test_no_cell_is_a_formula(text: str) -> None:
    [row] = csv.DictReader(io.StringIO(written(Format.CSV, stored(text=text)).removeprefix(MARK), newline=""))
    assert (row["text"][0], row["text"].replace("'", "")) == ("'", text)
    assert row["model_confidence"] == "0.4"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@given(text=st.text("x;=,'|\t\n\r\"- \uff1d", min_size=1, max_size=12))
@example(text='x;=HYPERLINK("https://x.example","y")')
@example(text='x;"=1+1')
@example(text="x;\t =1")
@example(text="x\n=1")
@example(text='x;"')
@example(text="x;")
def test_no_cell_is_a_formula_whatever_the_spreadsheet_takes_for_the_delimiter(delimiter: str, text: str) -> None:
    """In German, French and many other settings Excel separates at a semicolon, and then a quotation mark in the middle quotes nothing."""
    table = written(Format.CSV, stored(text=text), stored(subject=text)).removeprefix(MARK)
    cells = [cell for row in csv.reader(io.StringIO(table, newline=""), delimiter=delimiter) for cell in row]
    assert [cell for cell in cells if cell.lstrip(" \t\r\n").startswith(("=", "+", "-", "@", "\uff1d"))] == []
    if delimiter == ",":
        first = next(csv.DictReader(io.StringIO(table, newline="")))
        assert len(first["text"].replace("'", "")) == len(text.replace("'", "")), "nothing but apostrophes is added"


def test_a_table_says_that_it_is_utf_8_and_no_other_form_does() -> None:
    """Excel takes a table without a byte order mark for the code page of the machine."""
    table = written(Format.CSV, stored(text="schöne Grüße, 好评"))
    assert table.startswith(MARK)
    assert "schöne Grüße, 好评" in table
    assert MARK not in table[1:]
    assert MARK not in written(Format.JSONL, stored()) + written(Format.MANIFEST, stored())


def test_a_table_is_read_again_by_the_project_s_own_reader(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(written(Format.CSV, stored(text="schöne Grüße"), stored(text="fine, really")).encode())
    opened = open_records(tmp_path / "labels.csv")
    assert (opened.columns[0], [record["text"] for record in opened.sample]) == ("id", ["schöne Grüße", "fine, really"])


def test_what_is_no_formula_stays_as_it_is() -> None:
    assert [safe_cell(value) for value in ("fine - really", "a=b; c", None, -1.5, {"a": 1})] == [
        "fine - really",
        "a=b; c",
        "",
        "-1.5",
        '{"a": 1}',
    ]
    assert written(Format.CSV).count("\r\n") == 1, "a table without rows has its header"


@pytest.mark.parametrize("form", list(Format))
def test_standard_output_gets_utf_8_whatever_the_terminal_reads(form: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = stored(text="ça va 👍")
    monkeypatch.setattr(command.stores.Stage, "exported", lambda *_: iter([record]))
    monkeypatch.setattr(command, "settings_of", lambda _: None)
    monkeypatch.setattr(command, "Account", lambda *_: None)
    with (tmp_path / "said").open("w+", encoding="latin-1") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        command.export(form=form, since=None)
    assert (tmp_path / "said").read_bytes().decode() == written(form, record)


def test_a_time_that_is_none_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "test.yaml").write_text(yaml.safe_dump({"stage": "test"}), encoding="utf-8")
    monkeypatch.setattr("cli.console.ROOT", tmp_path)
    for options, said in ((["export", "--since", "yesterday"], "--since 'yesterday'"), (["forget", " "], "SUBJECT"),
                          (["correct", "p1", "good", "--reason", ""], "--reason is empty")):  # fmt: skip
        done = CliRunner().invoke(app, ["labels", *options, "--stage", "test"])
        assert (done.exit_code, said in done.output) == (WRONG_OPTIONS, True), done.output
