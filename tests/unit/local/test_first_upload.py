"""What an operator uploads first: a whole version of the team's own texts, or nothing."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from dataset_files import rows_of

from contracts.dataset import SPLITS, Manifest
from contracts.dataset_files import read_manifest, read_rows
from local.upload.__main__ import main
from stacks.names import Names
from stacks.settings import load_settings

SETTINGS = Path(__file__).resolve().parents[3] / "settings"
LABELS = ("negative", "neutral", "positive")


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def many(folder: Path) -> Path:
    """Ninety texts of thirty documents, three labels in each."""
    lines = [json.dumps({"text": f"{label} words {n}", "label": label, "group": f"doc-{n}"}) for n in range(30) for label in LABELS]
    return write(folder / "texts.jsonl", "\n".join(lines))


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "file", "in the way")
    assert main(["--texts", str(many(tmp_path)), "--output", str(tmp_path / "file" / "upload")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_an_interrupted_upload_says_so_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(folder: Path, *_: object, **__: object) -> None:
        folder.mkdir(parents=True)
        write(folder / "half", "written")
        raise KeyboardInterrupt

    monkeypatch.setattr("local.upload.__main__.write_dataset", interrupted)
    monkeypatch.setattr("local.upload.__main__.word_pieces", lambda *_: None)
    monkeypatch.setattr("local.upload.__main__.lines", lambda *_: [])
    path = many(tmp_path)
    assert main(["--texts", str(path), "--output", str(tmp_path / "out" / "upload")]) == 130
    assert capsys.readouterr().err == "interrupted: nothing was written\n"
    assert [one.name for one in (tmp_path / "out").iterdir()] == []


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
    assert f"--name {Names(load_settings(SETTINGS / 'dev.yaml'), '').parameter('dataset')}" in said


def test_options_of_reading_without_a_file_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--text texts.csv`` is a slip that would upload the Amazon reviews."""
    assert main(["--text", "texts.csv", "--output", str(tmp_path / "upload")]) == 2
    assert "give it with --texts FILE" in capsys.readouterr().err
    assert not (tmp_path / "upload").exists()


def test_key_examples_are_written_beside_the_splits(tmp_path: Path) -> None:
    keys = write(tmp_path / "keys.csv", "text,label\nNever wrong,positive\nAlways bad,negative\n")
    assert main(["--texts", str(many(tmp_path)), "--output", str(tmp_path / "upload"), "--key-examples", str(keys)]) == 0
    (folder,) = (tmp_path / "upload" / "datasets").iterdir()
    assert "key-examples/data.jsonl" in read_manifest(folder).files
    assert {row.text: row.label for row in read_rows(folder / "key-examples")} == {"Never wrong": "positive", "Always bad": "negative"}


def test_150_labels_are_told_in_80_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    names = [f"{'Sehr langer Name einer Absicht ' * 2}[{n}]" if n % 2 else f"Absicht/{n}" for n in range(150)]
    lines = [
        json.dumps({"text": f"{word} {name}", "label": name})
        for n, name in enumerate(names)
        for word in "abcdefghijklmnopqrstuvwx"[: 9 + n % 12]
    ]
    assert main(["--texts", str(write(tmp_path / "t.jsonl", "\n".join(lines))), "--output", str(tmp_path / "upload")]) == 0
    said, _, commands = capsys.readouterr().out.partition("Upload it once")
    assert commands
    assert max(map(len, said.splitlines())) <= 80
    assert "(130 labels between)" in said
    assert "2,157" in said, "the sum of all texts is not cut"
    manifest = read_manifest(next((tmp_path / "upload" / "datasets").iterdir()))
    assert sorted(manifest.label_names.values()) == sorted(names)


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
    named = {"full folder": "not an empty folder", "too few texts": "has too few texts", "bad line": "line 91", "no such stage": "absent"}
    assert named[fault] in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
