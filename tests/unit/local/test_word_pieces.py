"""What is said of a team's texts before anything is trained: how much of them will be read, and what the base model does not know."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from local.texts.word_pieces import MOST_COUNTED, WordPieces, lines, word_pieces
from local.upload.__main__ import main

WORDS = "the phone works well and my old one did not "


def test_lengths_are_those_that_the_model_reads() -> None:
    found = word_pieces(["good", "bad phone", WORDS * 30], None)
    assert found.lengths.tolist() == [3, 4, 302], "with the two marks that begin and end a text"
    assert (found.texts, found.unknown, found.positions) == (3, 0.0, 512)
    assert found.unread(302) == (0.0, 0.0)
    assert found.unread(102) == pytest.approx((1 / 3, 200 / 309))
    assert found.read(4) == 11


def test_only_some_of_many_texts_are_counted_and_the_budget_is_that_of_all() -> None:
    few, many = word_pieces([WORDS * 50] * 900, None), word_pieces([WORDS * 50] * 9_000, None)
    assert len(many.lengths) == MOST_COUNTED
    assert f"{MOST_COUNTED:,} of 9,000 texts counted" in many.said()
    assert many.read(512) == 9_000 * 502
    assert few.chosen("cpu") == 512
    assert many.chosen("cpu") == 64, "9,000 texts are beyond what a processor may read in an epoch"
    assert many.chosen("cuda") == 512


@pytest.mark.parametrize(
    ("max_length", "said"),
    [
        ("auto", "tuning.max_length auto: 384 word pieces of a text are read, and no text has more"),
        (64, "tuning.max_length 64: 64 word pieces of a text are read: 50.0 % of the texts are cut"),
        (64, "auto would read 384"),
        (2_000, "tuning.max_length 2000 will be refused: the base model reads at most 512"),
    ],
)
def test_the_setting_is_judged_and_auto_is_proposed(max_length: int, said: str) -> None:
    assert said in "\n".join(lines(word_pieces(["good", WORDS * 30] * 20, None), max_length, 0.3))  # type: ignore[arg-type]  # "auto" or a number


def test_a_short_setting_that_cuts_nothing_is_no_reason_to_propose_another() -> None:
    assert "auto would" not in "\n".join(lines(word_pieces(["good", "bad"], None), 32, 0.3))


def test_a_language_that_training_would_refuse_is_named_before_the_upload() -> None:
    texts = ["".join(chr(0x4E00 + (7 * n + k) % 5_000) for k in range(30)) for n in range(40)]
    found = word_pieces(texts, None)
    assert any("training stops above 30 % (tuning.max_unknown_share)" in line for line in lines(found, "auto", 0.3))
    assert not any("training stops" in line for line in lines(found, "auto", 1.0))


def test_an_upload_says_how_much_of_the_texts_a_training_will_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [(f"{label} number {n} " + WORDS * (80 if n % 4 == 0 else 0), label) for n in range(40) for label in ("up", "down")]
    path = tmp_path / "texts.jsonl"
    path.write_text("\n".join(json.dumps({"text": text, "label": label}) for text, label in words), encoding="utf-8")
    assert main(["--texts", str(path), "--output", str(tmp_path / "upload")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "word pieces of a text: 5 in the median" in said
    assert re.search(r"tuning.max_length auto: 512 word pieces of a text are read: [1-9][0-9.]* % of the texts are cut", said)


def test_shares_of_no_piece_are_nothing() -> None:
    assert WordPieces(np.array([2], dtype=np.int32), 1, 1.0, 512).unread(64) == (0.0, 0.0)
