"""What an operator uploads first: own texts are read or refused line by line, and nothing is written by half."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from dataset_files import rows_of

from contracts.dataset import SPLITS, Manifest
from contracts.dataset_files import read_manifest, read_rows
from contracts.groups import group_of
from local.texts.own_texts import InvalidTexts, read_texts
from local.upload.__main__ import main

LABELS = ("negative", "neutral", "positive")


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def many(folder: Path) -> Path:
    """Ninety texts of thirty documents, three labels in each."""
    lines = [json.dumps({"text": f"{label} words {n}", "label": label, "group": f"doc-{n}"}) for n in range(30) for label in LABELS]
    return write(folder / "texts.jsonl", "\n".join(lines))


def test_csv_and_json_lines_give_the_same_rows(tmp_path: Path) -> None:
    table = write(
        tmp_path / "t.csv",
        'text,label,group,slice,votes\n"good, really",positive,d1,,"{""positive"": 2, ""neutral"": 1}"\nbad,negative,,web,\n',
    )
    objects = write(
        tmp_path / "t.jsonl",
        '{"text": "good, really", "label": "positive", "group": "d1", "votes": {"positive": 2, "neutral": 1}}\n\n'
        '{"text": "bad", "label": "negative", "slice": "web"}\n',
    )
    rows = [read_texts(path, LABELS, longest=100).rows for path in (table, objects)]
    assert [(row.text, row.label, row.votes, row.slice) for row in rows[0]] == [
        ("good, really", "positive", {"positive": 2, "neutral": 1}, "all"), ("bad", "negative", {}, "web"),
    ]  # fmt: skip
    assert [row.source for row in rows[0]] == ["file:t.csv"] * 2
    for one, other in zip(*rows, strict=True):
        assert (one.id, one.text, one.label, one.votes, one.group, one.slice) == (
            other.id, other.text, other.label, other.votes, other.group, other.slice,
        )  # fmt: skip
    assert rows[0][0].group == "subject:d1"
    assert rows[0][1].group == rows[0][1].id, "a text of no group is a group of its own"


def test_groups_are_those_that_a_retraining_gives_new_labels(tmp_path: Path) -> None:
    """So that what a caller later says about ``d1``, or this text again, is not held out after it was trained on."""
    rows = read_texts(
        write(tmp_path / "t.csv", "text,label,group\nGood  stuff,positive,d1\nBad stuff,negative,\n"), LABELS, longest=100
    ).rows
    assert [row.group for row in rows] == [group_of("whatever it says", "d1"), group_of("bad  stuff", None)]


def test_a_repeated_text_is_kept_once(tmp_path: Path) -> None:
    own = read_texts(write(tmp_path / "t.csv", "text,label\ngood,positive\nGood ,positive\nbad,negative\n"), LABELS, longest=100)
    assert ([row.text for row in own.rows], own.repeated) == (["good", "bad"], 1)


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("t.csv", "text,label\n,positive\n", "line 2: text is empty (no character in it can be seen): allowed is 1 to 100 characters"),
        ("t.csv", "text,label\nfine,postive\n", "line 2: label = 'postive': allowed are negative, neutral, positive (dataset.labels)"),
        ("t.csv", "text,label\nfine,positive\nFine,neutral\n", "line 3: label = 'neutral': line 2 has the same text as 'positive'"),
        ("t.csv", "text,label\n" + "x" * 101 + ",positive\n", "101 characters: allowed is 1 to 100 characters (dataset.max_text_chars)"),
        ("t.csv", "text,label,votes\nfine,positive,many\n", "line 2: votes = 'many'"),
        ("t.csv", 'text,label,votes\nfine,positive,"{""good"": 1}"\n', "votes ="),
        ("t.csv", "text,label,colour\nfine,positive,red\n", "the unknown column 'colour' on line 1: allowed are text, label, group"),
        ("t.csv", "text,label\nfine,positive,more\n", "line 2: has 3 fields where the header has 2: put a text with a comma in"),
        ("t.csv", "words,label\nfine,positive\n", "no column text"),
        ("t.csv", "text,label\n", "no line with a text"),
        ("t.csv", "", "no column text and label"),
        ("t.jsonl", '{"text": "fine"\n', "line 1: is not JSON"),
        ("t.jsonl", "[1]\n", "line 1: is not a JSON object but a list"),
        ("t.jsonl", '{"text": 7, "label": "positive"}\n', "line 1: text must be a string, not the number 7"),
        ("t.jsonl", '{"text": "fine", "label": "positive", "group": 3}\n', "line 1: group must be a string, not the number 3"),
        ("t.jsonl", '{"text": "fine", "label": "positive", "votes": {"positive": -1}}\n', "line 1: votes"),
        ("t.jsonl", '{"text": "fine", "label": "positive", "votes": {"positive": NaN}}\n', "line 1: has NaN, which is not JSON"),
        (
            "t.jsonl",
            '{"text": "fine", "label": "positive", "votes": {"positive": 1, "negative": 2}}\n',
            "line 1: label = 'positive' has 1 votes and 'negative' has 2",
        ),
        ("t.jsonl", '{"text": "fine", "label": "positive", "text": "bad"}\n', "line 1: has the field 'text' twice"),
        ("t.jsonl", "\n" + "[" * 50_000 + "\n", "line 2: is nested deeper than the 20 levels"),
        ("t.jsonl", '{"text": "\\ud800", "label": "positive"}\n', "line 1: text has U+D800 at position 0, half of a surrogate pair"),
        ("t.jsonl", '{"text": "fine", "label": "positive", "group": "a\\u0000"}\n', "line 1: group has U+0000 at position 1"),
        ("t.jsonl", '{"text": "fine", "label": "positive", "slice": "\\u200b"}\n', "line 1: slice is empty"),
        ("t.jsonl", '{"text": "fine", "label": "positive", "votes": "' + "[" * 5_000 + '"}\n', "line 1: votes = "),
        ("t.csv", "text,label\na\x1bb,positive\n", "line 2: text has U+001B at position 1, a control character"),
        ("t.csv", "text,label,group\nfine,positive, \n", "line 2: group is empty"),
        ("t.csv", "text,label,group\nfine,positive\n", "line 2: has 2 fields where the header has 3: give every column"),
        ("t.csv", "text,label,text\nfine,positive,x\n", "the column 'text' 2 times on line 1: keep one of them"),
        ("t.csv", "text;label\nfine;positive\n", "separates its columns by semicolons (line 1: 'text;label'): save it as UTF-8, which"),
        ("t.csv", "sep=;\ntext;label\n", "separates its columns by semicolons"),
        ("t.csv", "text\tlabel\nfine\tpositive\n", "separates its columns by tabs"),
        ("t.csv", "Text,Label\nfine,positive\n", "has no column text and label (line 1: 'Text,Label')"),
        ("t.csv", 'text,label\n"one\ntwo",positive\nfine,postive\n', "line 4: label = 'postive'"),
        ("t.csv", 'text,label\n"one\r\ntwo",postive\n', "line 2: label = 'postive'"),
        ("t.csv", 'text,label\nfine,positive\n"open,positive\n' + "x,y\n" * 9, "begins on line 3: its quotation mark is never closed"),
        ("t.csv", 'text,label\n"one\ntwo" three,positive\n', "begins on line 2: ' three,positive\\n' follows a closing quotation mark"),
        ("t.csv", 'text,label\na 5" screen,positive\n', "begins on line 2: a quotation mark stands inside a field"),
        ("t.csv", 'text,label\nfine, "good, really",positive\n', "begins on line 2: a quotation mark stands inside a field"),
        ("t.txt", "fine\n", "no .csv and no .jsonl"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named_with_its_line(tmp_path: Path, name: str, content: str, named: str) -> None:
    with pytest.raises(InvalidTexts, match=re.escape(named)):
        read_texts(write(tmp_path / name, content), LABELS, longest=100)


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        (
            "t.csv",
            "text,label\nschön,positive\n".encode("latin-1"),
            "byte 0xF6 on line 2 ('ö' if it is Latin-1 or Windows-1252)",
        ),
        ("t.jsonl", '{"text": "schön", "label": "positive"}'.encode("latin-1"), "line 1: is not UTF-8: byte 0xF6 at position 13"),
        ("t.csv", "text,label\nfine,positive\n".encode("utf-16"), "is UTF-16, as spreadsheets save 'Unicode text': save it as UTF-8"),
        ("t.csv", "text,label\nfine,positive\n".encode("utf-16-le"), "has zero bytes, so it is probably UTF-16"),
        ("t.csv", b"PK\x03\x04...", "is a spreadsheet or another archive"),
        ("t.jsonl", b"\x1f\x8b...", "is compressed: unpack it"),
    ],
)
def test_a_spreadsheets_encoding_is_named_with_the_cure(tmp_path: Path, name: str, content: bytes, named: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidTexts, match=re.escape(named)):
        read_texts(path, LABELS, longest=100)


def test_what_is_no_file_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidTexts, match="does not exist"):
        read_texts(tmp_path / "absent.csv", LABELS, longest=100)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InvalidTexts, match="cannot be read: Is a directory"):
        read_texts(tmp_path / "folder.csv", LABELS, longest=100)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_is_read_as_it_stands(tmp_path: Path, end: str) -> None:
    """Line ends of every system, a byte order mark, quoted commas, line breaks and quotation marks, and separators of Unicode."""
    lines = ["\ufefftext,label", '"a ""5"""" screen, good', 'and more",positive', "", "line\u2028separator\u0085,negative", "Café,neutral"]
    path = tmp_path / "t.CSV"
    path.write_bytes(end.join(lines).encode())
    rows = read_texts(path, LABELS, longest=100).rows
    assert [row.text for row in rows] == [f'a "5"" screen, good{end}and more', "line\u2028separator\u0085", "Café"]


def test_json_lines_end_at_a_line_feed_only(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    lines = ['{"text": "one\u2028two\u0085three",\r "label": "positive"}', '{"text": "next", "label": "negative"}\r']
    path.write_bytes("\n".join(lines).encode())
    assert [row.text for row in read_texts(path, LABELS, longest=100).rows] == ["one\u2028two\u0085three", "next"]


def test_an_accent_in_two_forms_is_one_text_and_one_group(tmp_path: Path) -> None:
    content = "text,label,group\nCafe\u0301,positive,Mu\u0308ller\nCafé,positive,Müller\n"
    own = read_texts(write(tmp_path / "t.csv", content), LABELS, longest=100)
    assert ([(row.text, row.group) for row in own.rows], own.repeated) == ([("Café", "subject:Müller")], 1)


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "file", "in the way")
    assert main(["--texts", str(many(tmp_path)), "--output", str(tmp_path / "file" / "upload")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_own_texts_become_a_version_that_jobs_and_functions_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "upload"
    assert main(["--texts", str(many(tmp_path)), "--output", str(output)]) == 0
    (folder,) = (output / "datasets").iterdir()
    manifest = read_manifest(folder)  # checks every file against its hash
    assert manifest.version == folder.name
    assert sum(manifest.rows.values()) == 90
    places: dict[str, set[str]] = {}
    for split in SPLITS:
        rows = read_rows(folder / split)
        assert {row.label for row in rows} == set(LABELS)
        for row in rows:
            places.setdefault(row.group, set()).add(split)
        data = (folder / split / "data.jsonl").read_bytes()
        assert Counter(row.label for row in rows_of(data, split)) == Counter(row.label for row in rows)
    assert all(len(splits) == 1 for splits in places.values()), "a document is on one side only"
    Manifest.parse((folder / "manifest.json").read_bytes(), "manifest")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in (output / "base-model").iterdir()}
    said = capsys.readouterr().out
    assert f"datasets/{manifest.version}" in said
    assert "--name /reviewloop/dev/dataset" in said


def test_the_same_texts_give_the_same_version(tmp_path: Path) -> None:
    texts = many(tmp_path)
    for name in ("one", "two"):
        assert main(["--texts", str(texts), "--output", str(tmp_path / name)]) == 0
    names = [[path.name for path in (tmp_path / name / "datasets").iterdir()] for name in ("one", "two")]
    assert names[0] == names[1]


@pytest.mark.parametrize("fault", ["full folder", "too few texts", "bad line", "no such stage"])
def test_nothing_is_left_when_it_cannot_be_made(tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    output, texts, stage = tmp_path / "upload", many(tmp_path), "dev"
    if fault == "full folder":
        output.mkdir()
        write(output / "mine.txt", "keep me")
    elif fault == "too few texts":
        write(texts, '{"text": "fine", "label": "positive"}\n{"text": "bad", "label": "negative"}\n')
    elif fault == "bad line":
        write(texts, texts.read_text(encoding="utf-8") + "\nnot json\n")
    else:
        stage = "absent"
    before = sorted(path.name for path in tmp_path.rglob("*"))
    assert main(["--texts", str(texts), "--output", str(output), "--stage", stage]) == 2
    named = {"full folder": "not an empty folder", "too few texts": "neutral", "bad line": "line 91", "no such stage": "absent"}
    assert named[fault] in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
