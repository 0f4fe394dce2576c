"""Which encoding a file has: recognised where the words show it, refused where a guess would garble them, named by the user."""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from cli.label.texts import read_texts
from local.texts.codec_names import CODECS, UnknownEncoding, codec_of
from local.texts.encodings import encoding_of
from local.texts.files import open_records
from local.texts.options import ReadingOptions, add_reading, reading
from local.texts.own_texts import prepare
from local.texts.problems import InvalidTexts, UnreadableFile

SENTENCES = json.loads(Path(__file__).with_name("code_page_sentences.json").read_text(encoding="utf-8"))
"""Of people who write about what they bought: by language, and by language and an encoding that is not Western."""
WESTERN: dict[str, list[str]] = SENTENCES["western"]
GARBLED: list[dict[str, Any]] = SENTENCES["garbled"]
UNSURE = {
    "Telefon přestal fungovat po týdnu a prodejce neodpovídá.",
    "Odlična kvaliteta, sve preporuke za kupnju.",
    "Une œuvre magnifique, reçue en trois jours.",
}
"""Alone these are words that a Western language might have."""


def table(sentences: list[str]) -> str:
    """Sixty labelled rows, each different."""
    rows = (f'"{n} {sentences[n % len(sentences)]}",{"good" if n % 2 else "bad"}' for n in range(60))
    return "\n".join(["text,label", *rows]) + "\n"


def written(tmp_path: Path, content: str, codec: str, name: str = "t.csv") -> Path:
    path = tmp_path / name
    data = content.encode(codec)
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize("sentences", WESTERN.values(), ids=WESTERN)
def test_western_texts_are_recognised(tmp_path: Path, sentences: list[str]) -> None:
    for text in (table(sentences), *(f"text\n{one}\n" for one in sentences)):
        if not text.isascii():
            found = encoding_of(written(tmp_path, text, "cp1252"))
            assert found.words in {"Latin-1", "Windows-1252"}, text
            assert text.encode("cp1252").decode(found.codec) == text


@pytest.mark.parametrize("case", GARBLED, ids=[f"{one['language']}-{one['codec']}" for one in GARBLED])
def test_what_would_be_garbled_is_refused_with_its_words_and_read_when_it_is_named(tmp_path: Path, case: dict[str, Any]) -> None:
    codec, sentences = case["codec"], case["sentences"]
    path = written(tmp_path, table(sentences), codec)
    with pytest.raises(
        InvalidTexts, match=r"t\.csv is neither UTF-8 nor UTF-16, and no Western text in Latin-1 or Windows-1252: line \d+ w"
    ):
        prepare(path, ReadingOptions(), labels=None, longest=1_000, seed=1)
    for one in sentences:
        if one not in UNSURE:
            with pytest.raises(UnreadableFile, match=r"line 2 would read '.*name its encoding with --encoding"):
                encoding_of(written(tmp_path, f"text,label\n{one},good\n", codec, "one.csv"))
    options = ReadingOptions(encoding=codec_of(codec), near_duplicates="keep")
    made = prepare(path, options, labels=None, longest=1_000, seed=1)
    assert {row.text.partition(" ")[2] for rows in made.splits.values() for row in rows} == set(sentences)
    assert made.report.files[0].encoding == f"{codec_of(codec)} (--encoding)"


def test_cyrillic_words_beside_a_column_of_addresses_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"https://shop.example/products/{n:06d}/reviews?sort=newest&page=1,Верните деньги {n},bad\n" for n in range(60))
    with pytest.raises(UnreadableFile, match=r"'Âåðíèòå', line 2 'äåíüãè'.*cp1251 'Верните' and 'деньги'"):
        encoding_of(written(tmp_path, f"url,text,label\n{rows}", "cp1251"))


@pytest.mark.parametrize(
    ("codec", "word", "read_as"),
    [("cp1250", "zepsuł", "zepsu³"), ("cp1254", "kald\u0131m", "kaldým"), ("cp1257", "žēl", "þçl"), ("cp1250", "minőség", "minõség")],
)
def test_the_refusal_shows_what_the_word_would_be(tmp_path: Path, codec: str, word: str, read_as: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        encoding_of(written(tmp_path, f"text,label\nfine,good\n{word},bad\n", codec))
    assert f"line 3 would read '{read_as}'" in str(caught.value)
    assert f"{codec} '{word}'" in str(caught.value)


def test_a_few_odd_words_refuse_no_western_file(tmp_path: Path) -> None:
    words = [f"some {start}ü{end} words" for start in "bdfghklmnr" for end in "bdfghklmnr"]
    content = "text\n" + "\n".join([*words, "Škoda", "Dvorak"]) + "\n"
    assert encoding_of(written(tmp_path, content, "cp1252")).words == "Windows-1252"


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.jsonl"])
def test_every_reader_of_texts_takes_the_encoding(tmp_path: Path, name: str) -> None:
    texts = ["zażółć gęślą jaźń", "świetna jakość"]
    mark = "\t" if name == "t.tsv" else ","
    lines = [json.dumps({"text": one, "label": "x"}, ensure_ascii=False) for one in texts]
    content = "\n".join(lines if name == "t.jsonl" else [f"text{mark}label", *(f"{one}{mark}x" for one in texts)])
    path = written(tmp_path, content, "cp1250", name)
    assert [record["text"] for record in open_records(path, encoding="cp1250").sample] == texts
    found = read_texts(path, {}, header="auto", longest=100, encoding="cp1250")
    assert [one.text for one in found.wanted] == texts
    assert found.read_as.startswith("cp1250 (--encoding)")


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_recognised_encodings_may_be_named_too(tmp_path: Path, codec: str) -> None:
    path = written(tmp_path, "\ufefftext,label\nschön,x\n" if codec == "utf-16-le" else "text,label\nschön,x\n", codec)
    assert open_records(path, encoding=codec_of(codec)).sample == ({"text": "schön", "label": "x"},)


def test_a_file_of_utf_8_is_not_read_as_what_it_is_not(tmp_path: Path) -> None:
    """Such as the key examples of texts in another encoding."""
    path = written(tmp_path, "text,label\nschön,x\n", "utf-8")
    with pytest.raises(UnreadableFile, match="is UTF-8, and not cp1250: leave --encoding out"):
        encoding_of(path, "cp1250")
    assert encoding_of(written(tmp_path, "text,label\nfine,x\n", "utf-8"), "cp1250").codec == "cp1250"
    with pytest.raises(UnreadableFile, match=r"is not utf-16 \(--encoding\)"):
        encoding_of(path, "utf-16")


def test_bytes_that_the_named_encoding_does_not_have_are_refused_by_record(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("text,label\nświetna,x\n".encode("cp1250") + b"bad \x81,x\n")
    _, (line, record) = open_records(path, encoding="cp1250").records
    assert (line, str(record)) == (3, "is not cp1250: byte 0x81 after 'bad '")


def test_an_encoding_is_named_in_any_spelling_and_an_unknown_one_is_refused_with_the_list() -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_reading(parser)
    assert reading(parser.parse_args(["--encoding", "Windows-1250"])).encoding == "cp1250"
    for name in ("cp125", "rot13", "base64", "idna", ""):
        with pytest.raises(
            UnknownEncoding, match=f"'{name}' is no encoding that Python reads; it reads ascii, big5, .*cp1250, .*utf_8_sig"
        ):
            codec_of(name)
        with pytest.raises(argparse.ArgumentError, match="it reads ascii, big5"):
            parser.parse_args(["--encoding", name])
    assert len({codec_of(codec) for codec in CODECS}) == len(CODECS)
