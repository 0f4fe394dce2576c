"""A team's own texts: what is read from which file, which columns are chosen, and what the options change."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from contracts.groups import group_of
from local.texts import encodings
from local.texts.files import open_records
from local.texts.moments import moment
from local.texts.options import ReadingOptions
from local.texts.own_texts import PreparedTexts, prepare
from local.texts.problems import InvalidTexts, Problems, UnreadableFile
from local.texts.records import Reader, Text

LABELS = ("negative", "neutral", "positive")
AUTO = ReadingOptions()


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, options: ReadingOptions = AUTO) -> list[Text]:
    """The texts of one file, before labels are known and splits are made."""
    problems = Problems()
    found = Reader(options, 1_000, problems).read(path)
    assert not problems, "\n".join(problems.lines(path))
    return found


def prepared(path: Path, options: ReadingOptions = AUTO, labels: Sequence[str] | None = None) -> PreparedTexts:
    return prepare(path, options, labels=labels, longest=1_000, seed=1)


def many(labels: Iterable[str] = LABELS, each: int = 20) -> list[dict[str, Any]]:
    """Records of different texts, the same number for each label."""
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    return [
        {"text": f"{label} says {words[n % 10]} and {words[n // 10 % 10]} and {words[n // 100]}", "label": label}
        for n in range(each)
        for label in labels
    ]


def lines(records: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(json.dumps(record) for record in records)


def test_csv_and_json_lines_give_the_same_texts(tmp_path: Path) -> None:
    table = write(
        tmp_path / "t.csv",
        'text,label,group,slice,votes\n"good, really",positive,d1,,"{""positive"": 2, ""neutral"": 1}"\nbad,negative,,web,\n',
    )
    objects = write(
        tmp_path / "t.jsonl",
        '{"text": "good, really", "label": "positive", "group": "d1", "votes": {"positive": 2, "neutral": 1}}\n\n'
        '{"text": "bad", "label": "negative", "slice": "web"}\n',
    )
    first, second = read(table), read(objects)
    assert [(text.text, text.label, text.votes, text.slice) for text in first] == [
        ("good, really", "positive", {"positive": 2, "neutral": 1}, "all"), ("bad", "negative", {}, "web"),
    ]  # fmt: skip
    for one, other in zip(first, second, strict=True):
        assert (one.digest, one.text, one.label, one.votes, one.group, one.slice) == (
            other.digest, other.text, other.label, other.votes, other.group, other.slice,
        )  # fmt: skip


def test_groups_are_those_that_a_retraining_gives_new_labels(tmp_path: Path) -> None:
    """So that what a caller later says about ``d1``, or this text again, is not held out after it was trained on."""
    texts = read(write(tmp_path / "t.csv", "text,label,group\nGood  stuff,positive,d1\nBad stuff,negative,\nMore,negative,\n"))
    assert [text.group for text in texts[:2]] == [group_of("whatever it says", "d1"), group_of("bad  stuff", None)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_is_read_as_it_stands(tmp_path: Path, end: str) -> None:
    """Line ends of every system, a byte order mark, quoted commas, line breaks and quotation marks, and separators of Unicode."""
    rows = ["\ufefftext,label", '"a ""5"""" screen, good', 'and more",positive', "", "line\u2028separator\u0085,negative", "Café,neutral"]
    texts = read(write(tmp_path / "t.CSV", end.join(rows)))
    assert [text.text for text in texts] == [f'a "5"" screen, good{end}and more', "line\u2028separator\u0085", "Café"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_a_table_is_the_same_however_it_is_cut_into_blocks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int) -> None:
    content = 'text,label\r\n"a ""5"" screen,\r\nnew",x\r\n\r\nplain,y\r\n"open,x\r\nfine,"y"\r\na"b,x\r\nlast,"z"'
    path = write(tmp_path / "t.csv", content)
    whole = [(line, record if isinstance(record, dict) else None) for line, record in open_records(path).records]
    monkeypatch.setattr("local.texts.encodings._BLOCK", size)
    monkeypatch.setattr("local.texts.encodings.read.__defaults__", (size,))
    assert [(line, record if isinstance(record, dict) else None) for line, record in open_records(path).records] == whole
    assert [line for line, _ in whole] == [2, 5, 6, 7, 8, 9]


def test_json_lines_end_at_a_line_feed_only(tmp_path: Path) -> None:
    rows = ['{"text": "one\u2028two\u0085three",\r "label": "positive"}', '{"text": "next", "label": "negative"}\r']
    assert [text.text for text in read(write(tmp_path / "t.jsonl", "\n".join(rows)))] == ["one\u2028two\u0085three", "next"]


@pytest.mark.parametrize(
    ("codec", "words"),
    [
        ("utf-8", "UTF-8"),
        ("utf-8-sig", "UTF-8 with a byte order mark"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16 without a byte order mark"),
        ("utf-16-be", "UTF-16 without a byte order mark"),
        ("latin-1", "Latin-1"),
        ("cp1252", "Windows-1252"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_encodings_are_recognised_and_said(tmp_path: Path, codec: str, words: str, packed: bool) -> None:
    text = "schöne Grüße" + (" für 5 €" if codec == "cp1252" else "")
    data = f"text,label\n{text},positive\n{text} auch,negative\n".encode(codec)
    path = write(tmp_path / ("t.csv.gz" if packed else "t.csv"), gzip.compress(data) if packed else data)
    assert [one.text for one in read(path)] == [text, f"{text} auch"]
    assert open_records(path).encoding == words


def test_a_file_that_changes_while_it_is_read_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "text,label\nfine,positive\n".encode("utf-16"))
    found = encodings.encoding_of(path)
    write(path, "text,label\nfine,positive\n")
    with pytest.raises(UnreadableFile, match="is not UTF-16 any more: it was changed while it was read"):
        list(encodings.blocks(path, found))


@pytest.mark.parametrize(("delimiter", "words"), [(",", "commas"), (";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_delimiters_are_guessed_and_said(tmp_path: Path, delimiter: str, words: str, suffix: str) -> None:
    others = "".join(sign for sign in ",;|" if sign != delimiter)
    path = write(
        tmp_path / f"t.{suffix}", f"Review{delimiter}Sentiment\nfine {others} words{delimiter}pos\nbad{others} words{delimiter}neg\n"
    )
    assert [(text.text, text.label) for text in read(path)] == [(f"fine {others} words", "pos"), (f"bad{others} words", "neg")]
    assert open_records(path).delimiter == words


def test_quotation_marks_of_a_file_with_tabs_are_characters_unless_they_quote(tmp_path: Path) -> None:
    plain = 'ham\tHe said "hello\nham\t"Good" he said\nspam\t"quoted ""well"""\n'
    assert [text.text for text in read(write(tmp_path / "plain.tsv", plain))] == ['He said "hello', '"Good" he said', 'quoted "well"']
    quoted = 'label\ttext\nham\t"two\nlines"\nspam\t"a\ttab"\n'
    assert [text.text for text in read(write(tmp_path / "quoted.tsv", quoted))] == ["two\nlines", "a\ttab"]


def test_apostrophes_that_quote_are_recognised(tmp_path: Path) -> None:
    rows = "".join(f"{'Wirtschaft' if n % 2 else 'Sport'};'Der \"Rechner\" {n} kam; so ''gut'' wie nie.'\n" for n in range(8))
    texts = read(write(tmp_path / "t.csv", rows))
    assert (texts[0].text, texts[0].label) == ("Der \"Rechner\" 0 kam; so 'gut' wie nie.", "Sport")


def test_parquet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    duckdb.sql("SELECT * FROM (VALUES ('fine', 1, {'1': 2, '0': 1}), ('bad', 0, NULL)) AS t(text, label, votes)").write_parquet(str(path))
    assert [(text.text, text.label, text.votes) for text in read(path)] == [("fine", "1", {"1": 2, "0": 1}), ("bad", "0", {})]


LONG = "these are many words that are long"
COLUMNS = {
    "usual names": ("text,label", ["good words,a", "bad words,b"], "text", "label"),
    "other names": ("id,Review Text,star-rating", ["1,good words,5", "2,bad words,1"], "Review Text", "star-rating"),
    "unknown names": ("v1,v2", [f"ham,{LONG}", f"spam,also {LONG}"] * 3, "v2", "v1"),
    "no names": (f"ham,{LONG} and more", [f"ham,{LONG}", f"spam,also {LONG}"] * 3, "column 2", "column 1"),
    "two labels by name": ("text,category,sentiment", ["good words,x,a", "bad words,y,b"], "text", "category"),
    "a score of numbers": ("text,score,label", ["good words,1,a", "bad words,2,b"], "text", "label"),
    "a text column of numbers": ("text,body,label", ["1,good words,a", "2,bad words,b"], "body", "label"),
    "a label column of texts": ("review,label,class", [f"good words {n},about {n},{'ab'[n % 2]}" for n in range(300)], "review", "class"),
}


@pytest.mark.parametrize(("header", "rows", "text", "label"), COLUMNS.values(), ids=COLUMNS)
def test_columns_are_guessed_by_name_and_content(tmp_path: Path, header: str, rows: list[str], text: str, label: str) -> None:
    reader = Reader(AUTO, 1_000, Problems())
    reader.read(write(tmp_path / "t.csv", "\n".join([header, *rows])))
    assert (reader.columns[0].text, reader.columns[0].label) == ((text,), label)
    assert set(reader.columns[0].guessed) == {"text", "label"}


@pytest.mark.parametrize(
    ("first", "rest", "header"),
    [
        ("How are you all,question", ["Fine words,statement", "Where is it,question"] * 3, False),
        ("0.93,good words here", ["0.71,bad words here", "0.52,more words here"] * 3, False),
        ("text,kind", ["good words,a", "text,kind", "bad words,b"] * 3, True),
    ],
)
def test_a_record_is_not_taken_for_the_names_of_columns(tmp_path: Path, first: str, rest: list[str], header: bool) -> None:
    """A label that is called as a column may be, a number among numbers; two tables in one file have their names twice."""
    assert open_records(write(tmp_path / "t.csv", "\n".join([first, *rest]))).header == header


def test_columns_are_those_that_the_user_names(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "label,title,body,kind,who\nx,Hello,good words,pos,d1\ny,Bye,bad words,neg,d2\n")
    texts = read(path, ReadingOptions(text="title+body", label="kind", group="who", slice="1"))
    assert [(one.text, one.label, one.group, one.slice) for one in texts] == [
        ("Hello\ngood words", "pos", "subject:d1", "x"), ("Bye\nbad words", "neg", "subject:d2", "y"),
    ]  # fmt: skip
    reader = Reader(ReadingOptions(text="headline"), 1_000, problems := Problems())
    reader.read(path)
    assert "has no column 'headline' (--text): its columns are 'label', 'title', 'body', 'kind', 'who'" in "".join(problems.lines(path))


def test_votes_may_stand_in_columns_of_their_own(tmp_path: Path) -> None:
    table = "text,label,votes_a,votes_b\nfine words,a,2,1\nbad words,b,,3\n"
    assert [text.votes for text in read(write(tmp_path / "t.csv", table))] == [{"a": 2, "b": 1}, {"b": 3}]
    named = write(tmp_path / "n.csv", table.replace("votes_", ""))
    assert [text.votes for text in read(named, ReadingOptions(votes="a,b"))] == [{"a": 2, "b": 1}, {"b": 3}]


def test_a_column_of_numbers_that_is_called_votes_is_none(tmp_path: Path) -> None:
    assert [text.votes for text in read(write(tmp_path / "t.csv", "text,label,votes\nfine,a,12\nbad,b,7\n"))] == [{}, {}]


def test_labels_are_told_as_they_stand_and_have_ids(tmp_path: Path) -> None:
    names = ["Sci/Tech", "5 stars", "-1", "好评", "positive"]
    made = prepared(write(tmp_path / "t.jsonl", lines(many(names))))
    assert set(made.label_names.values()) == {"Sci/Tech", "5 stars", "-1", "好评"}
    assert made.label_names["sci-tech"] == "Sci/Tech"
    assert {row.label for rows in made.splits.values() for row in rows} == set(made.labels)


def test_labels_are_in_an_order_that_people_expect(tmp_path: Path) -> None:
    made = prepared(write(tmp_path / "t.jsonl", lines(many(["10", "2", "1", "b", "A"]))))
    assert [made.label_names.get(label, label) for label in made.labels] == ["1", "2", "10", "A", "b"]


def test_pinned_labels_are_met_by_their_ids_and_by_their_names(tmp_path: Path) -> None:
    made = prepared(write(tmp_path / "t.jsonl", lines(many(["Sci/Tech", " world "]))), labels=("sci-tech", "world"))
    assert (made.labels, made.label_names) == (("sci-tech", "world"), {"sci-tech": "Sci/Tech"})


def test_labels_that_a_first_version_had_are_met_again_by_the_same_names(tmp_path: Path) -> None:
    """Also where an id depends on the other names."""
    path = write(tmp_path / "t.jsonl", lines(many(["C", "C++", "好评", "label"])))
    first = prepared(path)
    again = prepared(path, labels=first.labels)
    assert (again.labels, again.label_names, again.splits) == (first.labels, first.label_names, first.splits)


def test_no_pinned_labels_are_those_of_the_file(tmp_path: Path) -> None:
    assert prepared(write(tmp_path / "t.jsonl", lines(many())), labels=()).labels == LABELS


def test_labels_that_may_be_one_are_named(tmp_path: Path) -> None:
    made = prepared(
        write(
            tmp_path / "t.jsonl",
            lines(
                [{"text": f"{n} {one['text']}", "label": one["label"]} for n, one in enumerate(many(["Good", "good", "1", "1.0", "nan"]))]
            ),
        )
    )
    said = "\n".join(made.report.warnings)
    assert "'1' and '1.0', 'Good' and 'good'; make them one" in said
    assert "'nan' may mean that the label is missing" in said


def test_repeated_texts_are_left_out_and_counted(tmp_path: Path) -> None:
    records = [
        *many(),
        {"text": "Again", "label": "positive"},
        {"text": "again ", "label": "positive"},
        {"text": "AGAIN", "label": "positive"},
    ]
    made = prepared(write(tmp_path / "t.jsonl", lines(records)))
    assert [row.text for rows in made.splits.values() for row in rows if row.text.lower().strip() == "again"] == ["Again"]
    assert made.report.left_out == {"repeated texts": 2}


def test_an_accent_in_two_forms_is_one_text_and_one_group(tmp_path: Path) -> None:
    records = [
        *many(),
        {"text": "Cafe\u0301", "label": "positive", "group": "Mu\u0308ller"},
        {"text": "Café", "label": "positive", "group": "Müller"},
    ]
    made = prepared(write(tmp_path / "t.jsonl", lines(records)))
    assert [(row.text, row.group) for rows in made.splits.values() for row in rows if "caf" in row.text.lower()] == [
        ("Café", "subject:Müller")
    ]


CONFLICT = [{"text": "same", "label": label} for label in ("positive", "negative", "negative")]


@pytest.mark.parametrize(
    ("on_conflict", "kept", "left_out"), [("drop", [], 3), ("majority", ["negative"], 2), ("keep-first", ["positive"], 2)]
)
def test_a_conflict_is_decided_as_declared_and_counted(tmp_path: Path, on_conflict: str, kept: list[str], left_out: int) -> None:
    made = prepared(write(tmp_path / "t.jsonl", lines([*many(), *CONFLICT])), ReadingOptions(on_conflict=on_conflict))
    assert [row.label for rows in made.splits.values() for row in rows if row.text == "same"] == kept
    assert made.report.left_out == {f"records of texts with different labels (--on-conflict {on_conflict})": left_out}


def test_without_a_majority_none_of_the_texts_stays(tmp_path: Path) -> None:
    made = prepared(write(tmp_path / "t.jsonl", lines([*many(), *CONFLICT[:2]])), ReadingOptions(on_conflict="majority"))
    assert not [row for rows in made.splits.values() for row in rows if row.text == "same"]


@pytest.mark.parametrize(("long", "kept"), [("cut", ["word " * 199 + "word"]), ("drop", [])])
def test_long_texts_are_cut_or_left_out_as_declared_and_counted(tmp_path: Path, long: str, kept: list[str]) -> None:
    made = prepared(write(tmp_path / "t.jsonl", lines([*many(), {"text": "word " * 300, "label": "positive"}])), ReadingOptions(long=long))
    assert [row.text for rows in made.splits.values() for row in rows if row.text.startswith("word")] == kept
    assert [*made.report.left_out.values(), *made.report.changed.values()] == [1]


def test_bad_records_are_left_out_as_declared_and_counted_by_kind(tmp_path: Path) -> None:
    bad = ["not json", '{"text": "", "label": "positive"}', '{"text": "x"}', '{"text": "a\\u0000", "label": "positive"}']
    path = write(tmp_path / "t.jsonl", lines(many()) + "\n" + "\n".join(bad))
    made = prepared(path, ReadingOptions(on_bad="drop"))
    assert sum(made.report.rows.values()) == 60
    assert made.report.left_out == {"records cannot be read": 1, "texts are empty": 1, "labels are empty": 1, "texts cannot be stored": 1}


def test_a_refused_file_says_with_which_options_it_can_be_used(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", lines([*many(), *CONFLICT, {"text": "x" * 1_001, "label": "positive"}]))
    with pytest.raises(InvalidTexts) as caught:
        prepared(path)
    assert caught.value.go_on == {"long": "cut", "on_conflict": "drop"}
    assert str(caught.value).endswith(": --long cut --on-conflict drop, or LONG=cut ON_CONFLICT=drop with make")
    assert sum(prepared(path, ReadingOptions(long="cut", on_conflict="drop")).report.rows.values()) == 61
    with pytest.raises(InvalidTexts) as caught:
        prepared(path, labels=("positive", "negative"))
    assert caught.value.go_on == {}, "unknown labels have to be corrected"


def test_near_duplicates_are_on_one_side_unless_they_are_kept(tmp_path: Path) -> None:
    spelled = (
        "Order {} is really far too late!",
        "order {} is REALLY far too late",
        "order is really ({}) far too late...",
        "Order is really, {} far too late",
    )
    near = [{"text": text.format(n), "label": "positive"} for n in range(3) for text in spelled]
    path = write(tmp_path / "t.jsonl", lines([*many(), *near]))
    sides = {name: {split for split, rows in made.splits.items() for row in rows if "late" in row.text.lower()} for name, made in (
        ("join", prepared(path)), ("keep", prepared(path, ReadingOptions(near_duplicates="keep"))),
    )}  # fmt: skip
    assert (len(sides["join"]), len(sides["keep"])) == (1, 3)
    made = prepared(path)
    assert len({row.group for rows in made.splits.values() for row in rows if "late" in row.text.lower()}) == 1
    assert "11 texts nearly the same as another (--near-duplicates): all on the side of the other" in made.report.warnings


def test_given_splits_stay_as_they_are_and_leaks_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    records = [{**record, "group": f"g{n}"} for n, record in enumerate(many())]
    leak = {"text": "In both", "label": "positive", "group": "g0"}
    write(folder / "train.jsonl", lines([*records[:30], leak]))
    write(folder / "dev.csv", "text,label\n" + "\n".join(f"{record['text']},{record['label']}" for record in records[30:45]))
    write(folder / "test.jsonl", lines([*records[45:], {**leak, "text": "in both"}]))
    write(folder / "README.md", "about it")
    made = prepared(folder)
    assert made.report.rows == {"train": 30, "validation": 15, "test": 16}
    assert "in both" in [row.text for row in made.splits["test"]], "the held-out one of two equal texts stays"
    said = "\n".join(made.report.lines())
    assert "left out: 1 repeated texts that stand in another split, too" in said
    assert "1 group in more than one given split, for example 'g0': held-out scores may be too good" in said
    assert "files in the folder that were not read: README.md" in said


def test_a_column_of_splits_is_respected_and_what_is_missing_is_drawn_from_training(tmp_path: Path) -> None:
    records = [{**record, "split": "Training" if n < 40 else "test"} for n, record in enumerate(many())]
    made = prepared(write(tmp_path / "t.jsonl", lines(records)))
    assert {row.text for row in made.splits["test"]} == {record["text"] for record in records[40:]}
    assert 0 < len(made.splits["validation"]) < len(made.splits["train"])
    assert any("validation: drawn from the training texts" in warning for warning in made.report.warnings)


def test_the_order_of_the_records_changes_nothing(tmp_path: Path) -> None:
    records = [{**record, "group": f"g{n // 4}"} for n, record in enumerate(many())]
    first, second = (prepared(write(tmp_path / "t.jsonl", lines(some))) for some in (records, records[::-1]))
    assert {name: {row.id for row in rows} for name, rows in first.splits.items()} == {
        name: {row.id for row in rows} for name, rows in second.splits.items()
    }


def test_a_large_file_is_sampled_with_each_labels_share(tmp_path: Path) -> None:
    records = [*many(each=300), *many(["rare"], each=9)]
    made = prepared(write(tmp_path / "t.jsonl", lines(records)), ReadingOptions(most_rows=200))
    rows = [row for rows in made.splits.values() for row in rows]
    assert len(made.splits["train"]) <= 205
    assert sum(row.label == "rare" for row in rows) == 9, "a rare label stays whole"
    assert any(warning.startswith(f"a sample is used: {len(rows)} of 909 texts") for warning in made.report.warnings)
    assert made.splits == prepared(tmp_path / "t.jsonl", ReadingOptions(most_rows=200)).splits


def test_labels_that_cannot_be_learnt_or_judged_are_named_with_what_they_need(tmp_path: Path) -> None:
    records = [*many(each=300), {"text": "alone", "label": "single"}, *many(["few"], each=12)]
    said = "\n".join(prepared(write(tmp_path / "t.jsonl", lines(records))).report.warnings)
    assert "1 label not in every split: 'single' (no validation and no test text)" in said
    assert "1 of 5 labels with too few test texts to judge: 'few' 3 (±" in said
    assert "from 60 separate test texts, which is about 240 in all, a recall of 80% is known to ±10%" in said


def test_single_votes_are_made_of_the_counts_in_a_random_order(tmp_path: Path) -> None:
    records = [
        {**record, "votes": {record["label"]: 6, "neutral": 4}} if n % 2 else record for n, record in enumerate(many(["a", "neutral"]))
    ]
    made = prepared(write(tmp_path / "t.jsonl", lines(records)))
    voted = [row for rows in made.splits.values() for row in rows if row.votes]
    assert set(made.raters) == {row.text for row in voted} != set()
    for row in voted:
        assert {label: made.raters[row.text].count(label) for label in row.votes} == row.votes
    assert len({made.raters[row.text][0] for row in voted if row.label == "a"}) == (2 if any(row.label == "a" for row in voted) else 0)


def test_key_examples_are_checked_and_are_in_no_split(tmp_path: Path) -> None:
    keys = write(tmp_path / "keys.csv", "sentence,class\nNever wrong,positive\nnegative says one and one and one,negative\n")
    path = write(tmp_path / "t.jsonl", lines(many()))
    made = prepared(path, ReadingOptions(key_examples=keys))
    assert [(row.text, row.label) for row in made.key_examples] == [
        ("Never wrong", "positive"),
        ("negative says one and one and one", "negative"),
    ]
    assert not {row.text for rows in made.splits.values() for row in rows} & {row.text for row in made.key_examples}
    assert made.report.left_out == {"texts that are key examples": 1}
    write(keys, "text,label\nNever wrong,postive\n,neutral\n")
    with pytest.raises(InvalidTexts, match=r"(?s)keys.csv line 3: text is empty.*keys.csv line 2: label = 'postive'"):
        prepared(path, ReadingOptions(key_examples=keys))


def test_the_report_is_plain_data(tmp_path: Path) -> None:
    report = prepared(
        write(tmp_path / "t.csv", "Review,Stars,when\n" + "\n".join(f"{one['text']},{one['label']},x" for one in many()))
    ).report
    content = json.loads(json.dumps(report.as_json()))
    assert content["files"] == [{"name": "t.csv", "encoding": "UTF-8", "delimiter": "commas", "header": True, "records": 60}]
    assert content["columns"] == {"text": ["Review"], "label": ["Stars"]}
    assert content["ignored"] == ["when"]
    assert max(map(len, report.lines())) < 400


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2023-12-31", "2024-01-01"),
        ("2024-01-01T09:00:00+02:00", "2024-01-01T08:00:00Z"),
        (1_700_000_000, 1_700_000_001),
        ("2019", "2020"),
        ("31.12.2023", "1.1.2024"),
        ("01.01.2024 9:30", "01.01.2024 10:05:30"),
        ("2023/12/31", "2024/1/1 08:00"),
        ("Sun, 31 Dec 2023 23:59:00 GMT", "Mon, 1 Jan 2024 00:30:00 +0000"),
    ],
)
def test_a_time_column_is_found_by_its_name_and_ordered_by_what_it_means(tmp_path: Path, older: Any, newer: Any) -> None:
    records = [{**record, "created_at": newer if at % 2 else older} for at, record in enumerate(many())]
    first, second = read(write(tmp_path / "t.jsonl", lines(records)))[:2]
    assert first.time is not None
    assert second.time is not None
    assert first.time < second.time


def test_a_time_that_cannot_be_read_is_named_where_the_user_said_the_column(tmp_path: Path) -> None:
    records = [{**record, "written": "2024-05-31"} for record in many()]
    records[4]["written"], records[5]["written"] = "last week", ""
    path = write(tmp_path / "t.jsonl", lines(records))
    with pytest.raises(InvalidTexts, match=r"line 5: written = 'last week'.*2024-05-31T12:00:00Z"):
        prepared(path, ReadingOptions(time="written"))
    found = prepared(path, ReadingOptions(time="written", on_bad="drop"))
    assert sum(len(part) for part in found.splits.values()) == len(records) - 1
    assert len(found.times) == len(records) - 2


@pytest.mark.parametrize("value", ["5/6/2024", "31.13.2024", "30.02.2024", "version 3.4.2024", "1.2.3.2024"])
def test_a_date_that_can_be_read_in_two_ways_or_is_none_is_refused(value: str) -> None:
    assert moment(value) is None


def test_a_column_called_date_without_dates_is_no_time(tmp_path: Path) -> None:
    records = [{**record, "date": "spring" if at % 2 else "autumn"} for at, record in enumerate(many())]
    assert {text.time for text in read(write(tmp_path / "t.jsonl", lines(records)))} == {None}
