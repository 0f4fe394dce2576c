"""Forms of tables that other programs write: what can only be meant in one way is read, anything else says how to save the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.texts import encodings
from local.texts.files import Opened, open_records
from local.texts.problems import UnreadableFile
from local.texts.quoting import Dialect, UnreadableRecord, split

TEXTS = ("It is fine", "Battery died", "Great value")


def opened(tmp_path: Path, content: str, name: str = "t.csv", header: str = "auto", *, alone: bool = False) -> Opened:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8", newline="")
    return open_records(path, header=header, alone=alone)


def read(tmp_path: Path, content: str, name: str = "t.csv") -> list[list[str]]:
    """Values of each record; the reason of a bad one."""
    records = (record for _, record in opened(tmp_path, content, name).records)
    return [[str(record)] if isinstance(record, UnreadableRecord) else [str(value) for value in record.values()] for record in records]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_mark_after_a_backslash_is_part_of_the_text(tmp_path: Path, delimiter: str, end: str) -> None:
    rows = ["text,label", r'"He said \"fine\", twice","good"', r'"\"fine\"",bad', r'"a\\b \\",good', r'"two' + "\n" + r'\"lines\"",bad']
    found = opened(tmp_path, end.join(rows).replace(",", delimiter) + end)
    assert [tuple(record.values()) for record in found.sample] == [
        (f'He said "fine"{delimiter} twice', "good"),
        ('"fine"', "bad"),
        ("a\\b \\", "good"),
        ('two\n"lines"', "bad"),
    ]
    assert [line for line, _ in found.records] == [2, 3, 4, 5]
    assert "backslashes before quotation marks" in found.delimiter


def test_a_text_that_ends_with_a_backslash_ends_there_where_all_records_are_well_quoted(tmp_path: Path) -> None:
    content = 'text,label\n"C:\\",good\n"a ""b"" in C:\\","bad"\n"D:\\",good\n'
    assert read(tmp_path, content) == [["C:\\", "good"], ['a "b" in C:\\', "bad"], ["D:\\", "good"]]


def test_one_bad_record_does_not_make_backslashes_of_another_form(tmp_path: Path) -> None:
    found = read(tmp_path, 'text,label\n"C:\\",good\n"one" two,bad\n"D:\\",good\nfine,bad\n')
    assert [len(one) for one in found] == [2, 1, 2, 2]
    assert found[0] == ["C:\\", "good"]


def test_blanks_may_stand_between_a_mark_and_the_delimiter(tmp_path: Path) -> None:
    content = 'id, text, label\n1, "fine, good", good\n2,\t"a ""b""\nc" , "bad" \n3, "one" two, bad\n4, "open, bad\n5, x, y\n'
    found = read(tmp_path, content)
    assert found[0] == ["1", "fine, good", " good"]
    assert found[1] == ["2", 'a "b"\nc', "bad"]
    assert "' two, bad' follows a closing quotation mark" in found[2][0]
    assert "its quotation mark is never closed" in found[3][0]
    assert found[4] == ["5", " x", " y"]


@pytest.mark.parametrize(
    "content",
    [
        '"text","label"\n"1","It is fine","good"\n"3","Battery died","bad"\n"12","Great value","good"\n',
        "text\tlabel\n1\tIt is fine\tgood\n3\tBattery died\tbad\n12\tGreat value\tgood\n",
        '"text" "label"\n"1" "It is fine" "good"\n"3" "Battery died" "bad"\n"12" "Great value" "good"\n',
    ],
    ids=["commas", "tabs", "blanks"],
)
def test_numbers_of_rows_without_a_name_are_a_column_of_their_own(tmp_path: Path, content: str) -> None:
    found = opened(tmp_path, content)
    assert found.columns == ("column 1", "text", "label")
    assert [record["text"] for record in found.sample] == list(TEXTS)
    assert "row names before the first column" in found.delimiter


def test_a_mark_in_a_table_of_r_has_a_backslash(tmp_path: Path) -> None:
    assert read(tmp_path, '"text" "label"\n"1" "a \\"b\\" c" "good"\n"2" "d" "bad"\n') == [["1", 'a "b" c', "good"], ["2", "d", "bad"]]


@pytest.mark.parametrize(
    "rows", [TEXTS, ('"1"', '"1"', '"2"'), ("1", "2", "3")], ids=["words", "numbers that come again", "numbers without quotation marks"]
)
def test_one_field_too_many_everywhere_is_refused_with_both_ways_out(tmp_path: Path, rows: tuple[str, ...]) -> None:
    """The first field may be the name of a row, or the beginning of a text with a comma."""
    with pytest.raises(UnreadableFile) as refused:
        opened(tmp_path, "text,label\n" + "".join(f"{row}, but late,bad\n" for row in rows))
    for part in ("2 names in its first line ('text,label') and 3 fields", "row.names = FALSE", "in quotation marks"):
        assert part in str(refused.value)


def test_a_record_that_is_too_long_is_no_row_name(tmp_path: Path) -> None:
    assert read(tmp_path, "text,label\n1,fine,good\nx,bad\n2,so,good\n")[1] == ["x", "bad"]
    assert read(tmp_path, "text,label\nfine,good,\nx,bad,\n") == [["fine", "good"], ["x", "bad"]]


def test_comments_before_the_names_of_columns_are_left_out_and_counted(tmp_path: Path) -> None:
    found = opened(tmp_path, '# exported, by "a tool"\r\n#\r\ntext,label\r\n#happy day,good\r\n# a comment\r\nx,bad\r\n')
    records = list(found.records)
    assert [(line, isinstance(record, UnreadableRecord)) for line, record in records] == [(4, False), (5, True), (6, False)]
    assert found.sample[0] == {"text": "#happy day", "label": "good"}
    assert "has 1 field where the header has 2" in str(records[1][1])
    assert "if it is a comment, remove it" in str(records[1][1])
    assert "2 comment lines before the names left out" in found.delimiter


@pytest.mark.parametrize("content", ["#happy day,good\n#sad day,bad\n#fine day,good\n", "#text,label\nfine,good\nso,bad\n"])
def test_a_number_sign_is_no_comment_where_no_names_follow(tmp_path: Path, content: str) -> None:
    found = opened(tmp_path, content)
    assert len(list(found.records)) == content.count("\n") - bool(found.header)
    assert "comment" not in found.delimiter


def test_texts_alone_may_have_comments_before_their_name(tmp_path: Path) -> None:
    found = opened(tmp_path, "# exported\ntext\n#happy day\n", alone=True)
    assert found.sample == ({"text": "#happy day"},)
    assert opened(tmp_path, "# exported\ntext\n#happy day\n", alone=True, header="no").sample[0] == {"column 1": "# exported"}


def test_malformed_records_cost_no_other_one_while_they_are_few(tmp_path: Path) -> None:
    rows = ['a 5" screen,bad' if number % 12 == 0 else f"text {number},good" for number in range(3_000)]
    found = read(tmp_path, "\n".join(["text,label", *rows]) + "\n")
    assert (len(found), sum(len(one) == 1 for one in found)) == (3_000, 250)


@pytest.mark.parametrize("dialect", [Dialect(), Dialect(escapes=True), Dialect(" "), Dialect("\t", escapes=True)], ids=str)
def test_where_a_block_ends_changes_nothing(dialect: Dialect) -> None:
    content = '1, "a, ""b"" c" ,x\r\n2,"d \\"e\\" \\\\",y\n3 ,"f\n"\t,\\"z\n'.replace(",", dialect.delimiter)
    whole = [(line, fields if isinstance(fields, list) else None) for line, fields in split([content], dialect)]
    assert whole
    for size in range(1, 9):
        blocks = (content[start : start + size] for start in range(0, len(content), size))
        assert [(line, fields if isinstance(fields, list) else None) for line, fields in split(blocks, dialect)] == whole


def test_lines_before_the_table_are_left_out_wherever_a_block_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encodings.blocks
    content = "# one\r\n# two\r\ntext,label\r\nfine,good\r\nx,bad\r\n"
    for size in range(1, 12):
        monkeypatch.setattr(
            encodings,
            "blocks",
            lambda path, encoding, size=size: (part[at : at + size] for part in whole(path, encoding) for at in range(0, len(part), size)),
        )
        found = opened(tmp_path, content)
        assert [(line, record) for line, record in found.records] == [
            (4, {"text": "fine", "label": "good"}),
            (5, {"text": "x", "label": "bad"}),
        ]


def test_apostrophes_that_make_records_as_wide_as_the_first_line_are_quotation_marks(tmp_path: Path) -> None:
    """Every text has a comma, so each record has as many fields too many, and begins with a number."""
    found = opened(tmp_path, "id,text\n" + "".join(f"{number},'it, is {number}'\n" for number in range(1, 9)))
    assert [record["text"] for record in found.sample] == [f"it, is {number}" for number in range(1, 9)]


def test_a_list_of_texts_has_delimiters_in_its_texts(tmp_path: Path) -> None:
    content = 'text\nI like it, really\na 5" screen; fine, so\nshort\n\nlast, one\n'
    found = opened(tmp_path, content, alone=True)
    assert [(line, record) for line, record in found.records] == [
        (2, {"text": "I like it, really"}),
        (3, {"text": 'a 5" screen; fine, so'}),
        (4, {"text": "short"}),
        (6, {"text": "last, one"}),
    ]
    assert found.delimiter == "each line is a text"


@pytest.mark.parametrize("content", ['text\n"one, two"\n"three\nfour"\nfive\n', 'text\n"1","one"\n"2","two"\n'])
def test_quotation_marks_are_read_in_a_list_of_texts(tmp_path: Path, content: str) -> None:
    found = opened(tmp_path, content, alone=True)
    assert found.delimiter != "each line is a text"
    assert next(record["text"] for record in found.sample) in ("one, two", "one")


def test_a_first_line_with_one_name_above_two_fields_everywhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="has 1 name in its first line"):
        opened(tmp_path, "text\nfine, so\nnot fine, really\n", alone=True)


def test_a_title_before_the_names_of_columns_is_refused_by_line(tmp_path: Path) -> None:
    content = "Export of 2026\n\nId,Text,Label\n1,fine,good\n2,so,bad\n3,well,good\n"
    with pytest.raises(
        UnreadableFile, match=r"names its columns on line 3 only \('Id,Text,Label'\): remove the lines before it, or begin each with #"
    ):
        opened(tmp_path, content)
    assert opened(tmp_path, "# " + content).sample[0] == {"Id": "1", "Text": "fine", "Label": "good"}
    assert len(opened(tmp_path, content, header="no").sample) == 4
