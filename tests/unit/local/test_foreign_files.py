"""Files as public data sets have them: sorted, put together from parts, with columns that are called as a role but have none."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from contracts.dataset_files import read_rows, write_dataset
from local.texts.moments import moment
from local.texts.options import ReadingOptions
from local.texts.own_texts import PreparedTexts, prepare
from local.texts.problems import InvalidTexts, Problems
from local.texts.records import Reader, Text

AUTO = ReadingOptions()
LABELS = ("bad", "good")


def prepared(path: Path, options: ReadingOptions = AUTO) -> PreparedTexts:
    return prepare(path, options, labels=None, longest=1_000, seed=1)


def read(path: Path, options: ReadingOptions = AUTO) -> list[Text]:
    """The texts of one file, before labels are known and splits are made."""
    problems = Problems()
    found = Reader(options, 1_000, problems).read(path)
    assert not problems, "\n".join(problems.lines(path))
    return found


def text(number: int) -> str:
    """A text of its own: no other one has three of its words in a row."""
    return " ".join(f"{word}{number:05d}".translate(str.maketrans("0123456789", "abcdefghij")) for word in ("we", "were", "told", "about"))


def records(count: int = 60, **more: Any) -> list[dict[str, Any]]:
    """Different texts with one of two labels. A callable is asked for the value of each."""
    return [
        {"text": text(n), "label": LABELS[n % 2], **{name: value(n) if callable(value) else value for name, value in more.items()}}
        for n in range(count)
    ]


def json_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def table(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]), encoding="utf-8")
    return path


def rows_of(made: PreparedTexts) -> int:
    return sum(len(part) for part in made.splits.values())


def test_the_label_of_a_sorted_file_is_found_although_the_first_records_have_one_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("local.texts.files.SAMPLE_RECORDS", 20)
    monkeypatch.setattr("local.texts.records.SAMPLE_RECORDS", 20)
    half = 60
    rows = [f"{text(n)},{'on' if n < half else 'off'},{n}" for n in range(2 * half)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["review,state,number", *rows]), encoding="utf-8")
    assert {one.label for one in read(path)} == {"on", "off"}
    path.write_text("\n".join(["review,state,source", *(f"{row[: row.rindex(',')]},{'ab'[n % 2]}" for n, row in enumerate(rows))]))
    with pytest.raises(InvalidTexts, match=r"several columns that could be the label: 'state', 'source'"):
        prepared(path)


def test_names_of_columns_that_come_again_are_no_text(tmp_path: Path) -> None:
    """As where several tables were put into one file."""
    lines = [f"{one['text']},{one['label']}" for one in records()]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["text,label", *lines[:20], "text,label", *lines[20:40], "text,label", *lines[40:]]), encoding="utf-8")
    made = prepared(path)
    assert (made.labels, rows_of(made)) == (LABELS, 60)
    assert made.report.left_out == {"lines that have the names of the columns again": 2}


@pytest.mark.parametrize(
    ("more", "option"),
    [
        pytest.param({"votes_up": lambda n: n % 3, "votes_funny": 1}, {"votes": "-"}, id="a column of votes that are for no label"),
        pytest.param({"votes": {"useful": 1, "funny": 2}}, {"votes": "-"}, id="an object of votes that are for no label"),
        pytest.param({"votes": {"good": 3}}, {"votes": "-"}, id="votes against the label"),
        pytest.param({"votes": "5 of 7"}, {"votes": "-"}, id="votes in words"),
        pytest.param({"date": lambda n: "2024-05-01" if n < 50 else "unknown"}, {"time": "-"}, id="a time that is unknown far below"),
    ],
)
def test_a_column_that_only_looks_like_a_role_need_not_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, more: dict[str, Any], option: dict[str, str]
) -> None:
    """The refusal says so, and no record is lost by it."""
    monkeypatch.setattr("local.texts.files.SAMPLE_RECORDS", 20)
    path = json_lines(tmp_path / "t.jsonl", records(**more))
    with pytest.raises(InvalidTexts) as caught:
        prepared(path)
    assert caught.value.go_on == option
    (role,) = option
    assert f"--{role} -" in str(caught.value)
    assert len(read(path, ReadingOptions(**option))) == 60


def test_a_text_and_a_label_are_needed(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", records())
    with pytest.raises(InvalidTexts, match="cannot be used without a label: - stands for no column of the other roles only"):
        prepared(path, ReadingOptions(label="-"))


def test_a_time_column_that_the_user_named_is_not_offered_to_be_left_unread(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "t.jsonl", records(written=lambda n: "last week" if n == 4 else "2024-05-31"))
    with pytest.raises(InvalidTexts) as caught:
        prepared(path, ReadingOptions(time="written"))
    assert caught.value.go_on == {"on_bad": "drop"}


def test_a_name_with_a_plus_or_a_comma_is_one_column(tmp_path: Path) -> None:
    rows = records(**{"title+body": lambda n: f"whole {n}", "a, b": json.dumps({"bad": 1, "good": 1})})
    found = read(json_lines(tmp_path / "t.jsonl", rows), ReadingOptions(text="title+body", votes="a, b"))
    assert (found[7].text, found[7].votes) == ("whole 7", {"bad": 1, "good": 1})


def test_joined_columns_keep_a_zero_and_refuse_what_is_no_single_value(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "t.jsonl", records(number=0))
    assert read(path, ReadingOptions(text="number+text"))[0].text == f"0\n{text(0)}"
    json_lines(path, records(title=["a", "b"]))
    with pytest.raises(InvalidTexts, match=r"line 1: title = \['a', 'b'\] is no single value"):
        prepared(path, ReadingOptions(text="title+text"))


def test_numbers_are_groups_and_slices(tmp_path: Path) -> None:
    """A spreadsheet's gaps make 12.0 of 12."""
    path = json_lines(tmp_path / "t.jsonl", records(group=lambda n: [12, 12.0, 1.5][n % 3], slice=2.0))
    found = read(path)
    assert [one.group for one in found[:3]] == ["subject:12", "subject:12", "subject:1.5"]
    assert found[0].slice == "2"


def test_not_a_number_is_no_label_and_no_group(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    values = "SELECT 'the text number ' || n AS text, CASE WHEN n % 2 = 0 THEN 1.0 ELSE 'nan'::DOUBLE END AS label"
    duckdb.sql(values + ", 'nan'::DOUBLE AS \"group\" FROM range(60) AS t(n)").write_parquet(str(path))
    with pytest.raises(InvalidTexts, match="30 x labels are empty"):
        prepared(path)
    problems = Problems()
    found = Reader(ReadingOptions(on_bad="drop"), 1_000, problems).read(path)
    assert not any(one.has_group for one in found)


def test_a_parquet_file_is_the_one_that_is_named(tmp_path: Path) -> None:
    """Brackets in its name stand for themselves."""
    for name, said in (("b[1].parquet", "this one"), ("b1.parquet", "another"), ("b*?.parquet", "this one, too")):
        rows = "SELECT $said || ' ' || n AS text, n % 2 AS label FROM range(3) AS t(n)"
        duckdb.sql(rows, params={"said": said}).write_parquet(str(tmp_path / name))
    assert [one.text for one in read(tmp_path / "b[1].parquet")] == ["this one 0", "this one 1", "this one 2"]
    assert read(tmp_path / "b*?.parquet")[0].text == "this one, too 0"


@pytest.mark.parametrize("name", [b"caf\xe9.csv", b"a\x01b\x7f.csv"])
def test_the_name_of_a_file_may_be_anything(tmp_path: Path, name: bytes) -> None:
    """It is a row's source, and a dataset's rows are read again."""
    path = table(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)), records())
    made = prepared(path)
    write_dataset(tmp_path / "made", made.splits, made.labels)
    assert {row.source for row in read_rows(tmp_path / "made" / "train")} <= {"file:caf\ufffd.csv", "file:a\ufffdb\ufffd.csv"}
    "\n".join(made.report.lines()).encode()


def test_a_number_beyond_all_dates_is_no_time() -> None:
    assert moment("Mon, 99999999999 Jan 2020 00:00:00 GMT") is None


def test_each_record_is_counted_once(tmp_path: Path) -> None:
    """Also where it is left out for two reasons, and a text that was cut where it is in a split."""
    long = {n: f"{text(n)} " * 60 for n in range(4)}
    rows = [{**one, "text": long.get(n, one["text"])} for n, one in enumerate(records())]
    rows[0]["label"], rows[1]["text"] = "", rows[3]["text"]
    path = json_lines(tmp_path / "t.jsonl", rows)
    dropped = prepared(path, ReadingOptions(on_bad="drop", long="drop"))
    assert dropped.report.left_out == {"labels are empty": 1, "texts longer than 1,000 characters (--long drop)": 3}
    cut = prepared(path, ReadingOptions(on_bad="drop", long="cut"))
    assert cut.report.left_out == {"labels are empty": 1, "repeated texts": 1}
    assert cut.report.changed == {"texts cut to 1,000 characters (--long cut)": 2}
    for made in (dropped, cut):
        assert rows_of(made) + sum(made.report.left_out.values()) == made.report.files[0].records


def test_held_out_texts_of_a_label_that_is_not_taught_are_named(tmp_path: Path) -> None:
    """A training refuses them, minutes or hours later."""
    votes = {"bad": 2, "good": 2, "new": 1}
    rows = [{**one, "votes": votes, "split": ("train", "validation", "test")[n // 20]} for n, one in enumerate(records())]
    rows += [{"text": f"new {split}", "label": "new", "split": split, "votes": {}} for split in ("validation", "test")]
    path = json_lines(tmp_path / "t.jsonl", rows)
    keys = table(tmp_path / "keys.csv", [{"text": "always new", "label": "new"}, {"text": "always good", "label": "good"}])
    with pytest.raises(
        InvalidTexts, match=r"1 x validation texts of a label that no training text has\n    line 61: label = 'new'"
    ) as caught:
        prepared(path)
    assert caught.value.go_on == {"on_bad": "drop"}
    made = prepared(path, ReadingOptions(on_bad="drop", key_examples=keys))
    assert (made.labels, rows_of(made), [row.label for row in made.key_examples]) == (LABELS, 60, ["good"])
    assert made.splits["train"][0].votes == {"bad": 2, "good": 2}
    assert sum(made.report.left_out.values()) == 3


def test_a_file_that_cannot_even_be_looked_at_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidTexts, match=r"x\.csv cannot be read: File name too long"):
        prepared(tmp_path / f"{'x' * 300}.csv")
    with pytest.raises(InvalidTexts, match=r"x\.csv cannot be read: File name too long"):
        prepared(table(tmp_path / "t.csv", records()), ReadingOptions(key_examples=tmp_path / f"{'x' * 300}.csv"))


def test_a_file_of_a_folder_has_the_columns_of_its_training_file(tmp_path: Path) -> None:
    """Test texts of a competition have no labels: another column with few values is not taken for them."""
    mood, source = (lambda n: ["calm", "angry"][n % 2]), (lambda n: "ab"[n % 3 == 0])
    learnt = [{"text": one["text"], "mood": mood(n), "source": source(n)} for n, one in enumerate(records(60))]
    asked = [{"source": source(n), "text": f"asked {one['text']}"} for n, one in enumerate(records(30))]
    table(tmp_path / "train.csv", learnt)
    table(tmp_path / "test.csv", asked)
    options = ReadingOptions(label="mood")
    with pytest.raises(InvalidTexts, match=r"test.csv has no column 'mood'"):
        prepared(tmp_path, options)
    table(tmp_path / "train.csv", [{"text": one["text"], "label": one["mood"], "source": one["source"]} for one in learnt])
    with pytest.raises(InvalidTexts, match=r"test.csv has no column 'label', which is the label of train.csv, and the values of 'source'"):
        prepared(tmp_path)
    table(tmp_path / "test.csv", [{"Title": "about", **one, "Label": mood(n), "category": source(n)} for n, one in enumerate(asked)])
    assert rows_of(prepared(tmp_path)) == 90
    table(tmp_path / "test.csv", [{"type": mood(n), "sentence": one["text"], "source": one["source"]} for n, one in enumerate(asked)])
    made = prepared(tmp_path)
    assert made.labels == ("angry", "calm")
    assert "test.csv: the label is column 'type', and 'label' in train.csv" in made.report.warnings
    assert "test.csv: the text is column 'sentence', and 'text' in train.csv" in made.report.warnings


def test_key_examples_may_have_other_columns_than_the_texts(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "t.jsonl", [{"Satz": one["text"], "Ressort": one["label"], "Kunde": n} for n, one in enumerate(records())])
    keys = table(tmp_path / "keys.csv", [{"text": "never wrong", "label": "good"}, {"text": "always wrong", "label": "bad"}])
    made = prepared(path, ReadingOptions(text="Satz", label="Ressort", group="Kunde", key_examples=keys))
    assert [(row.text, row.label) for row in made.key_examples] == [("never wrong", "good"), ("always wrong", "bad")]


def test_a_short_file_of_key_examples_loses_none_to_a_header(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "t.jsonl", records())
    (tmp_path / "keys.csv").write_text("never wrong,good\nalways wrong,bad\n")
    made = prepared(path, ReadingOptions(key_examples=tmp_path / "keys.csv"))
    assert [(row.text, row.label) for row in made.key_examples] == [("never wrong", "good"), ("always wrong", "bad")]


def test_groups_that_leave_nothing_to_split_are_named(tmp_path: Path) -> None:
    """A column called group may say in which half of a test a user was, and nan may stand for no group."""
    path = json_lines(tmp_path / "t.jsonl", records(group=lambda n: "AB"[n % 3 == 0]))
    with pytest.raises(InvalidTexts, match=r"too few texts.*no group is split apart, and there are 2 \(--group - reads none\)"):
        prepared(path)
    assert rows_of(prepared(path, ReadingOptions(group="-"))) == 60
    made = prepared(json_lines(path, records(group=lambda n: "nan" if n % 3 else n)))
    assert any(warning.startswith("the group 'nan' has 67% of the texts, which are all in one split") for warning in made.report.warnings)


def test_a_column_that_names_the_numbers_of_the_labels_is_told(tmp_path: Path) -> None:
    rows = [{"text": one["text"], "label": LABELS.index(one["label"]), "label_text": one["label"]} for one in records()]
    said = "column 'label_text' has a name for each value of 'label': with --label, people see these"
    assert said in prepared(json_lines(tmp_path / "t.jsonl", rows)).report.warnings
    rows[0]["label_text"] = "good"
    assert said not in prepared(json_lines(tmp_path / "t.jsonl", rows)).report.warnings


def test_json_lines_may_be_called_json(tmp_path: Path) -> None:
    assert len(read(json_lines(tmp_path / "t.json", records()))) == 60
    for document in ('{"data": [{"text": "a", "label": "b"}]}', '[\n{"text": "a", "label": "b"}\n]', '{\n"text": "a"\n}'):
        (tmp_path / "t.json").write_text(document)
        with pytest.raises(InvalidTexts, match="is one JSON document: write one object per line"):
            prepared(tmp_path / "t.json")


def test_an_option_is_offered_only_if_something_is_left_with_it(tmp_path: Path) -> None:
    path = json_lines(tmp_path / "t.jsonl", records(text=""))
    with pytest.raises(InvalidTexts, match="60 x texts are empty") as caught:
        prepared(path)
    assert caught.value.go_on == {}
    assert "To go on" not in str(caught.value)
    with pytest.raises(InvalidTexts, match=r"has no record that can be used \(left out: 60 texts are empty\)"):
        prepared(path, ReadingOptions(on_bad="drop"))


def test_a_sample_of_many_labels_is_as_large_as_it_may_be(tmp_path: Path) -> None:
    rows = [{"text": one["text"], "label": f"label {n % 50}"} for n, one in enumerate(records(1_000))]
    made = prepared(json_lines(tmp_path / "t.jsonl", rows), ReadingOptions(most_rows=120))
    assert rows_of(made) <= 200, "120 of 200 are for training"
    assert len(made.labels) == 50


def test_splits_with_a_typing_error_are_not_drawn_anew(tmp_path: Path) -> None:
    """Test texts of the file would be trained on, and nothing but a note would say so."""
    path = json_lines(tmp_path / "t.jsonl", records(split=lambda n: "tset" if n == 7 else ("train", "validation", "test")[n // 20]))
    with pytest.raises(InvalidTexts, match="line 8: split = 'tset': allowed are train, validation or test"):
        prepared(path)
    json_lines(path, records(split=lambda n: ("train", "test", "unlabelled")[n % 3]))
    assert "column 'split' is not the split: it has 3 different values" in prepared(path).report.warnings
