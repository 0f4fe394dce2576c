"""What an operator uploads first: own texts are read or refused line by line, and nothing is written by half."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from lambdas.common.dataset import Manifest, parse_rows
from lambdas.freeze_dataset.freeze import group_of
from local.first_upload import main
from local.own_texts import InvalidTexts, read_texts
from model_code.data import SPLITS, read_manifest, read_rows

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
        ("t.csv", "text,label\n,positive\n", "line 2: text = ''"),
        ("t.csv", "text,label\nfine,postive\n", "line 2: label = 'postive': allowed are negative, neutral, positive (dataset.labels)"),
        ("t.csv", "text,label\nfine,positive\nFine,neutral\n", "line 3: label = 'neutral': line 2 has the same text as 'positive'"),
        ("t.csv", "text,label\n" + "x" * 101 + ",positive\n", "line 2: text has 101 characters: at most 100"),
        ("t.csv", "text,label,votes\nfine,positive,many\n", "line 2: votes = 'many'"),
        ("t.csv", 'text,label,votes\nfine,positive,"{""good"": 1}"\n', "votes ="),
        ("t.csv", "text,label,colour\nfine,positive,red\n", "line 2: field 'colour' is unknown: allowed are text, label, group"),
        ("t.csv", "text,label\nfine,positive,more\n", "line 2: field 'None' is unknown"),
        ("t.csv", "words,label\nfine,positive\n", "no column text"),
        ("t.csv", "text,label\n", "no line with a text"),
        ("t.csv", "", "no column text and label"),
        ("t.jsonl", '{"text": "fine"\n', "line 1: not JSON"),
        ("t.jsonl", "[1]\n", "line 1: not a JSON object but list"),
        ("t.jsonl", '{"text": 7, "label": "positive"}\n', "line 1: text = 7"),
        ("t.jsonl", '{"text": "fine", "label": "positive", "group": 3}\n', "line 1: group = 3"),
        ("t.jsonl", '{"text": "fine", "label": "positive", "votes": {"positive": -1}}\n', "line 1: votes"),
        ("t.jsonl", '{"text": "fine", "label": "positive", "votes": {"positive": NaN}}\n', "line 1: votes"),
        (
            "t.jsonl",
            '{"text": "fine", "label": "positive", "votes": {"positive": 1, "negative": 2}}\n',
            "line 1: label = 'positive' has 1 votes and 'negative' has 2",
        ),
        ("t.txt", "fine\n", "no .csv and no .jsonl"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named_with_its_line(tmp_path: Path, name: str, content: str, named: str) -> None:
    with pytest.raises(InvalidTexts, match=re.escape(named)):
        read_texts(write(tmp_path / name, content), LABELS, longest=100)


def test_other_files_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidTexts, match="does not exist"):
        read_texts(tmp_path / "absent.csv", LABELS, longest=100)
    latin = tmp_path / "latin.csv"
    latin.write_bytes("text,label\nschön,positive\n".encode("latin-1"))
    with pytest.raises(InvalidTexts, match="cannot be read as UTF-8"):
        read_texts(latin, LABELS, longest=100)


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
        assert Counter(row.label for row in parse_rows(data, split)) == Counter(row.label for row in rows)
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
