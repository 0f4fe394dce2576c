"""What ``label`` reads of a file: each different text once, values as the first upload reads them, and no text lost as a column's name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from label_files import read


def test_a_bad_row_is_named_with_its_line_and_costs_no_other(tmp_path: Path) -> None:
    texts = read(tmp_path, f'id,text\n1,fine\n2,\n3,{"x" * 51}\n4,a,b\n5,FINE\n6,"two\nlines"\n7,last\n')
    assert [(one.line, one.text) for one in texts.wanted] == [(2, "fine"), (7, "two\nlines"), (9, "last")]
    assert texts.repeated == 1
    assert [one.line for one in texts.refused] == [3, 4, 5]
    reasons = ("is empty", "has 51 characters: allowed is 1 to 50", "has 3 fields where the header has 2")
    assert all(reason in one.reason for reason, one in zip(reasons, texts.refused, strict=True))


def test_a_file_needs_nothing_but_texts(tmp_path: Path) -> None:
    assert [one.text for one in read(tmp_path, 'text\nfine\n"a, b"\n').wanted] == ["fine", "a, b"]
    assert [one.text for one in read(tmp_path, '{"text": "x y"}\n', "texts.jsonl").wanted] == ["x y"]
    joined = read(tmp_path, "title,body,author\nOne,two,ann\nThree,,bob\n", text="title+body", group="author")
    assert [(one.text, one.group) for one in joined.wanted] == [("One\ntwo", "subject:ann"), ("Three", "subject:bob")]


def test_values_are_read_as_the_first_upload_reads_them(tmp_path: Path) -> None:
    rows = (
        {"title": 0, "body": "One", "case": 5.0},
        {"title": "Two", "body": ["a", "b"], "case": 6},
        {"title": "Six", "body": "b", "case": [7]},
    )
    read_rows = read(tmp_path, "\n".join(map(json.dumps, rows)) + "\n", "texts.jsonl", text="title+body", group="case")
    assert [(one.text, one.group) for one in read_rows.wanted] == [("0\nOne", "subject:5")]
    assert [one.line for one in read_rows.refused] == [2, 3]
    assert "is no single value" in read_rows.refused[0].reason


TEXTS = ("I love this phone", "Battery died", "Great value")


@pytest.mark.parametrize(
    ("header", "rows", "columns", "named"),
    [
        ("", TEXTS, {}, False),
        ("Kommentar", TEXTS, {}, False),
        ("Review Text", TEXTS, {}, True),
        ("Kommentar", TEXTS, {"text": "kommentar"}, True),
        ("", [f"{number},{text}" for number, text in enumerate(TEXTS, 1)], {}, False),
        ("", [f"{number},{text} and a case" for number, text in enumerate(TEXTS, 1)], {"text": "2", "group": "1"}, False),
        ("", [f"2026-11-0{number},{text} and a case" for number, text in enumerate(TEXTS, 1)], {}, False),
        ("Nr,Kommentar", [f"{number},{text} and a case" for number, text in enumerate(TEXTS, 1)], {}, True),
        ("Tag,Kommentar", [f"2026-11-0{number},{text} and a case" for number, text in enumerate(TEXTS, 1)], {}, True),
        ("", [f"{'abc'[number]},{text} and a case" for number, text in enumerate(TEXTS)], {}, False),
    ],
)
def test_no_text_is_taken_for_the_names_of_columns(
    tmp_path: Path, header: str, rows: list[str], columns: dict[str, str], named: bool
) -> None:
    """A name that is asked about like a text does no harm and is seen; a text that is taken for a name is lost unseen."""
    found = read(tmp_path, "\n".join([*filter(None, [header]), *rows]) + "\n", **columns)
    expected = [*([] if named or not header else [header]), *TEXTS]
    assert [one.text.removesuffix(" and a case") for one in found.wanted] == expected
    assert ("the first line names the columns" in found.read_as) == named
    assert ("no line names the columns (--header yes: the first one does)" in found.read_as) == (not named)
