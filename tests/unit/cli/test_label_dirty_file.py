"""A long file with all that real files have: each row is asked about, repeats a text, or is named with its line, kind and reason."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.exit_codes import ExitCode
from cli.label.command import _looked
from cli.label.job import Standing
from cli.label.texts import read_texts
from cli.main import app

ROWS = 3_000
UNREADABLE, STORED = "records cannot be read", "texts cannot be stored"
# What a row is -> its share of the rows, its bytes, and what becomes of it; None: a text of its own.
DIRT: dict[str, tuple[int, str | bytes, str | None]] = {
    "good": (60, '{n};"good, {n}";c{n};x', None),
    "letters of many scripts": (3, "{n};sch\u00f6n \u65e5\u672c \U0001f600 {n};c{n};x", None),
    "two lines": (3, '{n};"one ""{n}""\r\ntwo\nthree";c{n};x', None),
    "blanks beside marks": (2, '{n}; "one; {n}" ;c{n};x', None),
    "formula": (2, '{n};"=HYPERLINK(1, {n})";c{n};x', None),
    "hashtag": (1, '{n};"#fine {n}";c{n};x', None),
    "repeated": (4, '{n};"The same  text";c;x', "repeated"),
    "blank line": (2, "", "blank"),
    "delimiters alone": (1, ";;;", "blank"),
    "empty": (2, "{n};;c{n};x", "texts are empty"),
    "invisible": (1, "{n};\u200b\u200d;c{n};x", "texts are empty"),
    "long": (1, "{n};" + "y" * 100_000 + "{n};c{n};x", "texts are too long"),
    "zero byte": (1, "{n};a\0b {n};c{n};x", STORED),
    "another encoding": (1, b"{n};sch\xf6n;c{n};x", UNREADABLE),
    "too many": (1, "{n};fine;c{n};x;y;z", UNREADABLE),
    "too few": (1, "{n};fine", UNREADABLE),
    "text after a mark": (1, '{n};"fine" {n};c{n};x', UNREADABLE),
    "comment": (1, "# exported {n}", UNREADABLE),
    "names again": (1, "Id; Review Text ;Customer No.;Note", "lines have the names of the columns again"),
}


def dirty() -> tuple[bytes, list[str]]:
    """A file of a spreadsheet, and what each row is."""
    draw = random.Random(7)  # noqa: S311  (the same file each time)
    kinds = draw.choices(list(DIRT), [share for share, _, _ in DIRT.values()], k=ROWS)
    lines = [b"\xef\xbb\xbfId; Review Text ;Customer No.;Note"]
    for number, kind in enumerate(kinds):
        row = DIRT[kind][1]
        row = row if isinstance(row, bytes) else row.encode()
        lines.append(row.replace(b"{n}", str(number).encode()))
    return b"\r\n".join(lines) + b"\r\n", kinds


def test_every_row_is_counted_once_and_each_bad_one_has_its_line_and_reason(tmp_path: Path) -> None:
    content, kinds = dirty()
    (tmp_path / "dirty.csv").write_bytes(content)
    texts = read_texts(tmp_path / "dirty.csv", {"group": "customer no."}, header="auto", longest=5_000)
    became = Counter(DIRT[kind][2] or "text" for kind in kinds)
    assert became.pop("blank") > 0
    same = became.pop("repeated")
    assert (len(texts.wanted), texts.repeated) == (became.pop("text") + 1, same - 1)
    assert Counter(one.kind for one in texts.refused) == became
    assert len(texts.wanted) + texts.repeated + len(texts.refused) == ROWS - sum(DIRT[kind][2] == "blank" for kind in kinds)
    begins = [1]
    for kind in kinds:
        begins.append(begins[-1] + (3 if kind == "two lines" else 1))
    lines = {begins[number] + 1: kind for number, kind in enumerate(kinds)}
    assert all(DIRT[lines[one.line]][2] == one.kind for one in texts.refused)
    assert all(one.reason for one in texts.refused)


def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: Any, *options: str) -> Any:
    (tmp_path / "dirty.csv").write_bytes(dirty()[0])
    monkeypatch.setattr("cli.label.command.Account", lambda settings, _: SimpleNamespace(settings=settings))
    monkeypatch.setattr("cli.label.command.stage_labels", lambda _: None)
    monkeypatch.setattr("cli.label.command._job", lambda *_: job)
    arguments = ["label", str(tmp_path / "dirty.csv"), "--labels", "Good,Bad", "--stage", "newacct", "--out", str(tmp_path / "out")]
    return CliRunner().invoke(app, [*arguments, *options])


class Interrupted:
    """A job at which somebody presses Ctrl-C while people are asked."""

    name, gold_tasks = "dirty", ()

    def ask(self, _: Any) -> int:
        raise KeyboardInterrupt


def test_bad_rows_are_told_by_kind_before_anybody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = invoke(tmp_path, monkeypatch, Interrupted())
    assert done.exit_code == ExitCode.REFUSED
    refused = [json.loads(line) for line in (tmp_path / "out" / "refused.jsonl").read_text(encoding="utf-8").splitlines()]
    counts = Counter(one["kind"] for one in refused)
    assert f"{len(refused)} rows cannot be used" in done.output
    for kind, count in counts.items():
        first = next(one for one in refused if one["kind"] == kind)
        assert f"{count} x {kind}\n    line {first['line']}: {first['reason']}" in done.output
        assert count < 4 or f"and {count - 3} more" in done.output
    assert "correct it in the file and run the same command again" in done.output


def test_an_interruption_while_people_are_asked_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = invoke(tmp_path, monkeypatch, Interrupted(), "--yes")
    assert (done.exit_code, "Run the same command again to go on" in done.stderr) == (ExitCode.INTERRUPTED, True)


def test_an_interruption_while_people_answer_is_told_by_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.label.command.time.sleep", interrupt)
    assert _looked(lambda: Standing({}, 0, 0, running=True), wait=True, every=1.0).interrupted
    looks = iter([Standing({}, 0, 0, running=True), Standing({}, 1, 1)])
    assert not _looked(lambda: next(looks), wait=True, every=1.0).interrupted


@pytest.mark.parametrize(("labels", "said"), [("Good", "--labels 'Good': 2 to 200"), (None, "the stage has no labels yet")])
def test_labels_that_nobody_can_choose_from_are_refused_before_anybody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, labels: str | None, said: str
) -> None:
    (tmp_path / "texts.csv").write_text("text\nfine\n", encoding="utf-8")
    monkeypatch.setattr("cli.label.command.Account", lambda settings, _: SimpleNamespace(settings=settings))
    monkeypatch.setattr("cli.label.command.stage_labels", lambda _: None)
    options = [] if labels is None else ["--labels", labels]
    arguments = ["label", str(tmp_path / "texts.csv"), "--yes", "--stage", "newacct", "--out", str(tmp_path / "out"), *options]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, said in done.stderr) == (ExitCode.REFUSED, True)
