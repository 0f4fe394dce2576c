"""Malformed and odd files: each problem is named with its line, its value and its cure, several at once, and nothing is written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from local.upload import __main__ as upload
from stacks.settings import load_settings

_LOADED = load_settings(upload.ROOT / "settings" / "dev.yaml")
_DATASET = _LOADED.dataset.model_copy(update={"labels": ("negative", "neutral", "positive"), "max_text_chars": 20_000})
SETTINGS = _LOADED.model_copy(update={"dataset": _DATASET})

GOOD = [
    f"{word} words number {'abcdefghij'[n]},{label}"
    for n in range(10)
    for word, label in (("fine", "positive"), ("bad", "negative"), ("so", "neutral"))
]
"""Rows of a table that can be used, ten for each label."""


def csv(*lines: str, header: str = "text,label", good: bool = True) -> bytes:
    """A table with some lines, the first of them on line 2, before others that are right."""
    extra = header.count(",") - 1
    return ("\n".join([header, *lines, *(line + "," * extra for line in GOOD if good)]) + "\n").encode()


def jsonl(*lines: str | dict[str, object]) -> bytes:
    """JSON lines, the first of them on line 1, before others that are right."""
    good = [{"text": line.partition(",")[0], "label": line.partition(",")[2]} for line in GOOD]
    return ("\n".join(line if isinstance(line, str) else json.dumps(line) for line in [*lines, *good]) + "\n").encode(
        "utf-8", "surrogatepass"
    )


def tsv(*lines: str, header: str = "text\tlabel") -> bytes:
    return ("\n".join([header, *lines, *(line.replace(",", "\t") for line in GOOD)]) + "\n").encode()


LONG = "x" * 20_001
QUOTES = "stands in quotation marks, and each inside is doubled"
DROP = "--on-bad drop"
CONFLICT = "--on-conflict drop, majority or keep-first"
SAVE = "CSV UTF-8"
# Name of the file, its content, and what the report must say.
CASES: dict[str, tuple[str, bytes, list[str]]] = {
    # -- texts
    "empty text": ("t.csv", csv(",positive"), ["1 x texts are empty", "line 2: text is empty", DROP]),
    "blank text": ("t.csv", csv("  ,positive"), ["line 2: text is empty"]),
    "quoted empty text": ("t.csv", csv('"",positive'), ["line 2: text is empty"]),
    "invisible text": ("t.csv", csv("\u200b\u200d,positive"), ["line 2: text is empty (no character in it can be seen)"]),
    "no text in json": ("t.jsonl", jsonl({"label": "positive"}), ["line 1: text must be a string, not null"]),
    "null text": ("t.jsonl", jsonl({"text": None, "label": "positive"}), ["line 1: text must be a string, not null"]),
    "number as text": ("t.jsonl", jsonl({"text": 7, "label": "positive"}), ["line 1: text must be a string, not the number 7"]),
    "list as text": ("t.jsonl", jsonl({"text": ["a"], "label": "positive"}), ["line 1: text must be a string, not a list"]),
    "long text": ("t.csv", csv(LONG + ",positive"), ["line 2: has 20001 characters: 'xxx", "max_text_chars", "--long cut", "--long drop"]),
    "long text in json": ("t.jsonl", jsonl({"text": LONG, "label": "positive"}), ["line 1: has 20001 characters"]),
    "escape character": ("t.csv", csv("a\x1bb,positive"), ["line 2: text has U+001B at position 1, a control character", DROP]),
    "zero character": ("t.csv", csv("a\x00b,positive"), ["line 2: text has U+0000 at position 1"]),
    "delete character": ("t.csv", csv("a\x7fb,positive"), ["line 2: text has U+007F at position 1"]),
    "noncharacter": ("t.csv", csv("a\ufffeb,positive"), ["line 2: text has U+FFFE at position 1, a noncharacter"]),
    "half a surrogate pair": ("t.jsonl", jsonl('{"text": "\\ud800", "label": "positive"}'), ["line 1: text has U+D800", "surrogate pair"]),
    "form feed": ("t.csv", csv("a\x0cb,positive"), ["line 2: text has U+000C"]),
    # -- labels
    "empty label": ("t.csv", csv("good,"), ["1 x labels are empty", "line 2: label = ''", DROP]),
    "blank label": ("t.csv", csv("good,  "), ["line 2: label = '  '"]),
    "no label in json": ("t.jsonl", jsonl({"text": "good"}), ["line 1: label = None"]),
    "misspelt label": (
        "t.csv",
        csv("good,postive"),
        ["label = 'postive', in 1 record", "allowed are negative, neutral, positive (dataset.labels)"],
    ),
    "misspelt label twice": ("t.csv", csv("good,postive", "nice,postive"), ["line 2: label = 'postive', in 2 records"]),
    "several unknown labels": ("t.csv", csv("good,a", "nice,b"), ["2 x labels are unknown", "line 2: label = 'a'", "line 3: label = 'b'"]),
    "list as label": ("t.jsonl", jsonl({"text": "good", "label": ["positive"]}), ["line 1: label = ['positive']: each text has one label"]),
    "object as label": ("t.jsonl", jsonl({"text": "good", "label": {"a": 1}}), ["line 1: label = {'a': 1}: each text has one label"]),
    "number as label": ("t.jsonl", jsonl({"text": "good", "label": 1}), ["label = '1'", "allowed are"]),
    "truth value as label": ("t.jsonl", jsonl({"text": "good", "label": True}), ["label = 'true'"]),
    "long label": ("t.csv", csv("good," + "l" * 101), ["line 2: label = 'lll", "has 101 characters: allowed are 100"]),
    "control character in label": ("t.csv", csv("good,a\x1bb"), ["line 2: label = 'a\\x1bb' has U+001B at position 1"]),
    "a label is missing everywhere": (
        "t.csv",
        csv(*(line for line in GOOD if "neutral" not in line), good=False),
        ["no text with the label 'neutral' (dataset.labels)"],
    ),
    # -- conflicts
    "conflict": (
        "t.csv",
        csv("same,positive", "same,negative"),
        ["line 3: label = 'negative', but line 2 has the same text as 'positive': 'same'", CONFLICT],
    ),
    "conflict in case": ("t.csv", csv("Same thing,positive", "same THING,negative"), ["1 x texts have different labels", "line 3"]),
    "conflict in spaces": ("t.csv", csv("same  thing,positive", " same thing ,neutral"), ["line 3: label = 'neutral'"]),
    "conflict in accents": ("t.csv", csv("Caf\u00e9,positive", "Cafe\u0301,neutral"), ["line 3: label = 'neutral'"]),
    "three labels for one text": ("t.csv", csv("x,positive", "x,negative", "x,neutral"), ["1 x texts have different labels"]),
    "two conflicts": ("t.csv", csv("a,positive", "b,positive", "a,neutral", "b,neutral"), ["2 x texts", "line 4", "line 5"]),
    # -- groups, slices and splits
    "blank group": ("t.csv", csv("good,positive, ", header="text,label,group"), ["line 2: group is empty", "or leave it out"]),
    "control character in group": (
        "t.jsonl",
        jsonl('{"text": "good", "label": "positive", "group": "a\\u0000"}'),
        ["line 1: group has U+0000"],
    ),
    "list as group": (
        "t.jsonl",
        jsonl({"text": "good", "label": "positive", "group": [1]}),
        ["line 1: group must be a string, not a list"],
    ),
    "blank slice": ("t.jsonl", jsonl('{"text": "good", "label": "positive", "slice": "\\u200b"}'), ["line 1: slice is empty"]),
    "object as slice": (
        "t.jsonl",
        jsonl({"text": "good", "label": "positive", "slice": {}}),
        ["line 1: slice must be a string, not an object"],
    ),
    "truth value as slice": (
        "t.jsonl",
        jsonl({"text": "good", "label": "positive", "slice": True}),
        ["line 1: slice must be a string, not true"],
    ),
    # -- votes
    "votes in words": (
        "t.csv",
        csv("good,positive,many", header="text,label,votes"),
        ["line 2: votes = 'many': an object of whole numbers"],
    ),
    "votes as a list": ("t.csv", csv("good,positive,[1]", header="text,label,votes"), ["line 2: votes = '[1]'"]),
    "votes for no label": (
        "t.csv",
        csv('good,positive,"{""good"": 1}"', header="text,label,votes"),
        ["line 2: votes for 'good'", "allowed are negative"],
    ),
    "fewer votes than none": (
        "t.jsonl",
        jsonl({"text": "a", "label": "positive", "votes": {"positive": -1}}),
        ["line 1: votes = {'positive': -1}"],
    ),
    "half a vote": (
        "t.jsonl",
        jsonl({"text": "a", "label": "positive", "votes": {"positive": 0.5}}),
        ["line 1: votes = {'positive': 0.5}"],
    ),
    "a vote that is true": (
        "t.jsonl",
        jsonl({"text": "a", "label": "positive", "votes": {"positive": True}}),
        ["line 1: votes = {'positive': True}"],
    ),
    "votes in quotation marks": (
        "t.jsonl",
        jsonl({"text": "a", "label": "positive", "votes": {"positive": "2"}}),
        ["line 1: votes =", "whole numbers"],
    ),
    "votes against the label": (
        "t.jsonl",
        jsonl({"text": "a", "label": "positive", "votes": {"positive": 1, "negative": 2}}),
        ["line 1: label = 'positive' has 1 votes and 'negative' has 2", "or leave the votes out"],
    ),
    "votes beyond all numbers": (
        "t.jsonl",
        jsonl('{"text": "a", "label": "positive", "votes": {"positive": 1e999}}'),
        ["line 1: has a number beyond"],
    ),
    "votes too deep": ("t.jsonl", jsonl({"text": "fine", "label": "positive", "votes": "[" * 5_000}), ["line 1: votes = "]),
    "votes by label in words": (
        "t.csv",
        csv("good,positive,x,", header="text,label,votes_positive,votes_negative"),
        ["line 2: votes = {'positive': 'x', 'negative': ''}"],
    ),
    "votes by an unknown label": ("t.csv", csv("good,positive,1", header="text,label,votes_good"), ["line 2: votes for 'good'"]),
    # -- records of a table
    "one field too many": (
        "t.csv",
        csv("good,positive,more"),
        ["1 x records cannot be read", "line 2: has 3 fields where the header has 2: put a text with", DROP],
    ),
    "one field too few": (
        "t.csv",
        csv("good,positive", header="text,label,group"),
        ["line 2: has 2 fields where the header has 3: give every column"],
    ),
    "a text with a comma": ("t.csv", csv("fine, good, really,positive"), ["line 2: has 4 fields"]),
    "quotation mark inside": ("t.csv", csv('a 5" screen,positive'), ["line 2: a quotation mark stands inside a field", QUOTES]),
    "quotation mark after a space": (
        "t.csv",
        csv('fine, "good" really,positive'),
        ["' really,positive' follows a closing quotation"],
    ),
    "text after a quotation mark": (
        "t.csv",
        csv('"one" two,positive'),
        ["line 2: ' two,positive' follows a closing quotation mark", QUOTES],
    ),
    "text after a quotation mark, two lines": ("t.csv", csv('"one\ntwo" three,positive'), ["line 2: ' three,positive' follows"]),
    "never closed": ("t.csv", csv('"open,positive'), ["line 2: its quotation mark is never closed", QUOTES]),
    "never closed at the end": ("t.csv", csv() + b'"open,positive', ["line 32: its quotation mark is never closed"]),
    "two malformed records": (
        "t.csv",
        csv('a 5" screen,positive', "good,positive", 'a 6" screen,positive'),
        ["2 x records", "line 2: a quo", "line 4: a quo"],
    ),
    "malformed throughout": (
        "t.csv",
        csv(*['a 5" screen,positive'] * 101),
        ["malformed quotation marks in more than 100 records, to line 102"],
    ),
    "a problem after a text of two lines": ("t.csv", csv('"one\ntwo",positive', "fine,postive"), ["line 4: label = 'postive'"]),
    "a problem in a text of two lines": ("t.csv", csv('"one\r\ntwo",postive'), ["line 2: label = 'postive'"]),
    "old line ends": ("t.csv", b"text,label\rgood,positive\rfine,postive\r", ["line 3: label = 'postive'"]),
    "windows line ends": ("t.csv", b"text,label\r\ngood,positive\r\nfine,postive\r\n", ["line 3: label = 'postive'"]),
    "tabs: one field too many": ("t.tsv", tsv("good\tpositive\tmore"), ["line 2: has 3 fields where the header has 2"]),
    "tabs: one field too few": ("t.tsv", tsv("good"), ["line 2: has 1 field where the header has 2"]),
    "tabs: empty label": ("t.tsv", tsv("good\t"), ["line 2: label = ''"]),
    "semicolons: empty label": ("t.csv", csv("good,").replace(b",", b";"), ["line 2: label = ''"]),
    "bars: misspelt label": ("t.csv", csv("good,postive").replace(b",", b"|"), ["line 2: label = 'postive'"]),
    "named delimiter": ("t.csv", b"sep=;\n" + csv("good,postive").replace(b",", b";"), ["line 3: label = 'postive'"]),
    # -- headers and columns
    "two columns of texts": (
        "t.csv",
        csv("good,positive,x", header="text,label,text"),
        ["has the column 'text' 2 times: keep one of them", "--text 1"],
    ),
    "header only": ("t.csv", b"text,label\n", ["has no record after the column names 'text', 'label'", "--header no"]),
    "blank lines only": ("t.csv", b"\n\n\n", ["is empty"]),
    "nothing": ("t.csv", b"", ["is empty"]),
    "nothing in json": ("t.jsonl", b"", ["has no"]),
    "one column": ("t.csv", b"text\nfine\nbad\n", ["has one column only", "commas, semicolons, tabs or bars"]),
    "no column with labels": (
        "t.csv",
        b"text,when\n" + b"".join(b"some words %d,2026-01-%02d\n" % (n, n) for n in range(1, 30)),
        ["no column that is called label", "--label NAME"],
    ),
    "two columns could be labels": (
        "t.csv",
        b"text,where,what\n" + b"".join(b"some words %d,%s,%s\n" % (n, b"ab"[n % 2 :][:1], b"xyz"[n % 3 :][:1]) for n in range(30)),
        ["several columns that could be the label: 'where', 'what'", "--label NAME"],
    ),
    "no column with texts": (
        "t.csv",
        b"label,n\n" + b"".join(b"%s,%d\n" % (b"ab"[n % 2 :][:1], n) for n in range(30)),
        ["no column with texts", "--text NAME"],
    ),
    "json without texts": ("t.jsonl", b'{"a": 1}\n{"a": 2}\n', ["no column that is called label"]),
    # -- JSON
    "no json": ("t.jsonl", jsonl("not json"), ["1 x records cannot be read", "line 1: is not JSON", DROP]),
    "cut json": ("t.jsonl", jsonl('{"text": "fine"'), ["line 1: is not JSON"]),
    "json list": ("t.jsonl", jsonl("[1]"), ["line 1: is not a JSON object but a list"]),
    "json text": ("t.jsonl", jsonl('"fine"'), ["line 1: is not a JSON object but a string"]),
    "json null": ("t.jsonl", jsonl("null"), ["line 1: is not a JSON object but null"]),
    "json with NaN": ("t.jsonl", jsonl('{"text": "fine", "label": NaN}'), ["line 1: has NaN, which is not JSON"]),
    "a field twice": ("t.jsonl", jsonl('{"text": "fine", "label": "positive", "text": "bad"}'), ["line 1: has the field 'text' twice"]),
    "too deep": ("t.jsonl", b"\n" + b"[" * 50_000 + b"\n" + jsonl(), ["line 2: is nested deeper than the 20 levels"]),
    "two objects on a line": (
        "t.jsonl",
        jsonl('{"text": "a", "label": "positive"} {"text": "b", "label": "positive"}'),
        ["line 1: is not JSON: Extra data"],
    ),
    "python's quotes": ("t.jsonl", jsonl("{'text': 'fine', 'label': 'positive'}"), ["line 1: is not JSON"]),
    "a huge number": ("t.jsonl", jsonl('{"text": "fine", "label": ' + "9" * 5_000 + "}"), ["line 1: is not JSON that can be read"]),
    # -- encodings and kinds of files
    "damaged utf-8": (
        "t.csv",
        csv("sch\u00f6n,positive", "gr\u00fcn,neutral") + b"sch\xf6n so,positive\n",
        ["line 34: is not UTF-8: byte 0xF6 after 'sch'", "'ö'", DROP],
    ),
    "damaged utf-8 in json": (
        "t.jsonl",
        jsonl({"text": "x", "label": "y"}).replace(b"x", "schön".encode()) + b'{"text": "sch\xf6n", "label": "a"}\n',
        ["is not UTF-8: byte 0xF6"],
    ),
    "chinese in GBK": (
        "t.csv",
        "text,label\n距离川沙公路较近,positive\n".encode("gbk") * 3,
        ["neither UTF-8 nor UTF-16", "line 2 would read", "with make): is it ", SAVE],
    ),
    "russian in Windows-1251": (
        "t.csv",
        "text,label\n\u043f\u0440\u0438\u0431\u043b\u0438\u0437\u0438\u0442\u0435\u043b\u044c\u043d\u043e,positive\n".encode("cp1251"),
        ["neither UTF-8 nor UTF-16", "line 2 would read 'ïðèáëèçèòåëüíî'", "with make): is it cp1251 ", SAVE],
    ),
    "polish in Windows-1250": (
        "t.csv",
        csv("nie działa i się zepsuł,positive").decode().encode("cp1250"),
        ["no Western text in Latin-1 or Windows-1252: line 2 would read 'dzia³a', line 2 'zepsu³'.", "cp1250 'działa' and", SAVE],
    ),
    "utf-16 with a problem": ("t.csv", csv("good,postive").decode().encode("utf-16"), ["line 2: label = 'postive'"]),
    "utf-16 without a mark": ("t.csv", csv("good,postive").decode().encode("utf-16-le"), ["line 2: label = 'postive'"]),
    "cut utf-16": ("t.csv", csv("good,postive").decode().encode("utf-16")[:-1], ["begins as UTF-16 and then is something else", SAVE]),
    "utf-32": ("t.csv", csv().decode().encode("utf-32"), ["is UTF-32", SAVE]),
    "latin-1 with a problem": ("t.csv", csv("schön,postive").decode().encode("latin-1"), ["line 2: label = 'postive'"]),
    "utf-8 with a mark and a problem": ("t.csv", b"\xef\xbb\xbf" + csv("good,postive"), ["line 2: label = 'postive'"]),
    "zero bytes": ("t.csv", bytes(range(256)) + b"\x00" * 100, ["has zero bytes all over, so it is no text"]),
    "spreadsheet named csv": ("t.csv", b"PK\x03\x04...", ["is a spreadsheet or another archive", SAVE]),
    "old spreadsheet": ("t.csv", b"\xd0\xcf\x11\xe0...", ["is an old spreadsheet", SAVE]),
    "pdf": ("t.csv", b"%PDF-1.7", ["is a PDF"]),
    "parquet named csv": ("t.csv", b"PAR1....PAR1", ["name it .parquet"]),
    "no parquet": ("t.parquet", b"PAR1....PAR1", ["cannot be read as Parquet"]),
    "spreadsheet": ("t.xlsx", b"PK\x03\x04...", ["is a spreadsheet", SAVE]),
    "json document": ("t.json", b"[]", ["is one JSON document: write one object per line and name it .jsonl"]),
    "text file": ("t.txt", b"fine\n", ["name it .tsv or .csv if it is a table", "read are .csv, .tsv, .jsonl"]),
    "no suffix": ("texts", b"fine\n", ["is of an unknown kind", "read are .csv"]),
    "cut gzip": ("t.csv.gz", gzip.compress(csv(), mtime=0)[:-20], ["is a gzip file that is cut or damaged"]),
    "damaged gzip": ("t.csv.gz", b"\x1f\x8b" + b"x" * 50, ["is a gzip file that is cut or damaged"]),
    "bzip2": ("t.csv", b"BZh91AY", ["bzip2: unpack it"]),
    "gzip with a problem": ("t.csv.gz", gzip.compress(csv("good,postive"), mtime=0), ["line 2: label = 'postive'"]),
    "gzip named csv": ("t.csv", gzip.compress(csv("good,postive"), mtime=0), ["line 2: label = 'postive'"]),
    # -- several at once
    "many kinds": (
        "t.csv",
        csv(
            ",positive",
            "good,",
            "nice,postive",
            "x,positive,more",
            'a 5" screen,positive',
            "a\x1bb,neutral",
            LONG + ",neutral",
            "same,positive",
            "same,neutral",
        ),
        [
            "1 x texts are empty",
            "line 2",
            "1 x labels are empty",
            "line 3",
            "1 x labels are unknown",
            "line 4",
            "2 x records cannot be read",
            "line 5",
            "line 6",
            "1 x texts cannot be stored",
            "line 7",
            "1 x texts are too long",
            "line 8",
            "1 x texts have different labels",
            "line 10",
            "nothing was written",
        ],
    ),
    "text and label of one record": ("t.csv", csv(' ,""'), ["line 2: text is empty", "line 2: label = ''"]),
    "more than are shown": ("t.csv", csv(*[f"a{n}," for n in range(12)]), ["12 x labels are empty", "line 2", "line 6", "and 7 more"]),
    # -- too few texts
    "one text": ("t.csv", b"text,label\ngood,positive\n", ["no text with the label 'negative' and 'neutral'"]),
    "two texts each": ("t.csv", csv(*GOOD[:6], good=False), ["has too few texts", "two labels at least must have 3 separate texts"]),
}


@pytest.fixture(autouse=True)
def _settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "load_settings", lambda _: SETTINGS)


@pytest.mark.parametrize(("name", "content", "said"), CASES.values(), ids=CASES)
def test_every_problem_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, said: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert upload.main(["--texts", str(path), "--output", str(tmp_path / "upload")]) == 2
    report = capsys.readouterr().err
    assert [part for part in said if part not in report] == [], report
    assert str(path) in report
    assert "Traceback" not in report
    assert max(map(len, report.splitlines())) < len(str(tmp_path)) + 330
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_the_sweep_is_as_long_as_it_is_said_to_be() -> None:
    assert len(CASES) >= 100
