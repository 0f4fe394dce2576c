"""A run on a team's own texts: what is held back, who answers, and settings for any size of data."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.text import Text

from contracts.dataset import Row
from contracts.dataset_files import read_rows
from local.demo.budget import FULL, QUICK
from local.demo.build import verdict
from local.demo.own_source import HELD_BACK, LEAST_MINORITY, OwnTexts
from local.demo.summary import Interval, Score, Summary
from local.texts.options import ReadingOptions
from local.texts.own_texts import InvalidTexts, PreparedTexts
from local.texts.report import ReadingReport
from stacks.settings import load_settings
from stacks.settings.guidelines import GuidelinesSettings

ROOT = Path(__file__).resolve().parents[3]
DEV = load_settings(ROOT / "settings" / "dev.yaml")
NUMBERS = itertools.count()


def rows(count: int, *, labels: int = 2, slice_name: str = "all") -> list[Row]:
    return [
        Row(f"r{n}", f"text {n}", f"l{n % labels}", {}, f"g{n:06d}", slice_name, "file:x.csv")
        for n in itertools.islice(NUMBERS, count)
    ]  # fmt: skip


def own(
    train: list[Row], test: list[Row], raters: dict[str, tuple[str, ...]] | None = None, options: ReadingOptions | None = None
) -> OwnTexts:
    labels = tuple(sorted({row.label for row in [*train, *test]}))
    prepared = PreparedTexts(
        {"train": train, "validation": rows(60, labels=len(labels)), "test": test}, labels, {}, ReadingReport((), {}), raters or {}
    )
    return OwnTexts(Path("my texts.csv"), prepared, seed=1, options=options)


def test_held_back_texts_are_neither_trained_on_nor_tested(tmp_path: Path) -> None:
    train, test = rows(400), rows(100)
    source = own(train, test).write(tmp_path)
    learnt = {row.text for split in ("train", "validation", "test") for row in read_rows(tmp_path / split)}
    assert not learnt & set(source.later.texts)
    assert len(source.later.texts) == HELD_BACK * len(train)
    assert not source.later.drifts
    assert set(source.held_out()) == {"my texts"}


def test_every_text_that_is_sent_has_somebody_who_answers(tmp_path: Path) -> None:
    source = own(rows(400), rows(100)).write(tmp_path)
    assert {*source.later.texts, *source.first(1_000)} == set(source.answers)
    assert "held-back labels" in source.people


def test_votes_of_a_file_are_replayed(tmp_path: Path) -> None:
    train, test = rows(40), rows(20)
    prepared = own(train, test)
    every = [row for split in prepared._prepared.splits.values() for row in split]
    voted = own(train, test, {row.text: ("l0", "l1") for row in [*every, *(one for one in rows(0))]})
    assert voted.workers == 0  # the validation texts of this one have none
    whole = PreparedTexts(prepared._prepared.splits, ("l0", "l1"), {}, ReadingReport((), {}), {row.text: ("l0", "l1") for row in every})
    replayed = OwnTexts(Path("x.csv"), whole, seed=1)
    assert replayed.workers == 2
    assert ("review", "workers_per_task", 2) in replayed.budget(FULL).overrides
    assert set(map(tuple, replayed.write(tmp_path).answers.values())) == {("l0", "l1")}


def timed(train: list[Row], test: list[Row], times: dict[str, float]) -> OwnTexts:
    splits = {"train": train, "validation": rows(60), "test": test}
    return OwnTexts(Path("x.csv"), PreparedTexts(splits, ("l0", "l1"), {}, ReadingReport((), {}), times=times), seed=1)


def test_without_a_slice_callers_drift_along_time(tmp_path: Path) -> None:
    train, test = rows(1_200), rows(140)
    ordered = [*test[:70], *train, *test[70:]]
    source = timed(train, test, {row.id: float(at) for at, row in enumerate(ordered)}).write(tmp_path)
    assert (source.later.name, source.later.drifts) == ("the newest texts", True)
    later = {*source.later.texts, *(row.text for row in source.later.held_out)}
    assert later == {row.text for row in ordered[-350:]}  # a quarter of the 1,400 texts
    learnt = {row.text for split in ("train", "validation", "test") for row in read_rows(tmp_path / split)}
    assert not learnt & later


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(lambda _: 7.0, id="one time for all"),
        pytest.param(lambda at: float(at) if at < 10 else None, id="most texts have none"),
        pytest.param(lambda at: float(at >= 1_200 or at < 300), id="all test texts are new"),
    ],
)
def test_times_that_tell_little_are_not_drifted_along(times: Callable[[int], float | None]) -> None:
    train, test = rows(1_200), rows(100)
    known = {row.id: time for at, row in enumerate([*train, *test]) if (time := times(at)) is not None}
    assert timed(train, test, known).newest == set()


def test_callers_drift_to_a_smaller_slice(tmp_path: Path) -> None:
    train = [*rows(900, slice_name="letters"), *rows(LEAST_MINORITY, slice_name="mails"), *rows(20, slice_name="faxes")]
    source = own(train, rows(100, slice_name="letters")).write(tmp_path)
    assert source.later.name == "mails"
    assert source.later.drifts
    learnt = {row.slice for split in ("train", "validation", "test") for row in read_rows(tmp_path / split)}
    assert "mails" not in learnt
    assert len(source.later.texts) + len(source.later.held_out) == LEAST_MINORITY
    assert not set(source.later.texts) & {row.text for row in source.later.held_out}


def test_every_label_keeps_a_training_text(tmp_path: Path) -> None:
    """A training refuses held-out texts of a label that it was not taught."""
    rare = [Row(f"rare{n}", f"rare {n}", f"rare-{n % 30}", {}, f"rare{n}", "all", "f") for n in range(90)]
    source = own([*rows(300), *rare[:30]], [*rows(60), *rare[30:]]).write(tmp_path)
    learnt, tested = ({row.label for row in read_rows(tmp_path / split)} for split in ("train", "test"))
    assert tested <= learnt
    assert {label for text in source.later.texts for label in source.answers[text]} <= learnt


def test_a_slice_that_is_the_whole_test_set_is_no_drift() -> None:
    texts = own(rows(900, slice_name="letters"), rows(LEAST_MINORITY, slice_name="mails"))
    assert texts.minority is None
    texts.budget(FULL).apply(DEV)


def test_a_slice_whose_removal_leaves_a_label_to_the_test_set_only_is_no_drift() -> None:
    odd = [Row(f"m{n}", f"mail {n}", "l0" if n % 2 else "in-mails", {}, f"m{n}", "mails", "f") for n in range(LEAST_MINORITY)]
    test = [*rows(60, slice_name="letters"), Row("t", "a letter", "in-mails", {}, "t", "letters", "f")]
    assert own([*rows(900, slice_name="letters"), *odd], test).minority is None


def test_names_from_a_file_are_no_style_of_the_console(tmp_path: Path) -> None:
    """Brackets in a name of a column, a label or a slice would be read as one, and end the run."""
    train = [*rows(900, slice_name="letters"), *rows(LEAST_MINORITY, slice_name="[/INST]")]
    prepared = PreparedTexts(
        {"train": train, "validation": rows(60), "test": rows(100, slice_name="letters")},
        ("l0", "l1"), {}, ReadingReport((), {}, ignored=("[/INST]",), warnings=("label '[/x]'",)),
    )  # fmt: skip
    source = OwnTexts(Path("[bold]texts[/b].csv"), prepared, seed=1).write(tmp_path)
    shown = "\n".join(Text.from_markup(line).plain for line in [*source.said, source.name, source.later.name])
    assert "ignored columns: [/INST]" in shown
    assert "label '[/x]'" in shown
    assert shown.endswith("\n(/INST)")


def test_a_slice_with_a_label_that_nothing_else_has_is_no_drift() -> None:
    odd = [Row(f"o{n}", f"odd {n}", "only-here", {}, f"o{n}", "mails", "f") for n in range(LEAST_MINORITY)]
    assert own([*rows(900), *odd], rows(100)).minority is None


@pytest.mark.parametrize("train", [60, 700, 4_000])
@pytest.mark.parametrize("labels", [2, 77])
@pytest.mark.parametrize("base", [FULL, QUICK])
def test_the_settings_fit_any_size(train: int, labels: int, base: object) -> None:
    assert isinstance(base, type(FULL))
    budget = own(rows(train, labels=labels), rows(max(20, train // 3), labels=labels)).budget(base)
    assert budget.apply(DEV).review.guidelines == GuidelinesSettings() != DEV.review.guidelines, "they explain other labels"


def test_a_loss_that_few_test_groups_cannot_show_is_allowed() -> None:
    test = rows(300)
    alone, together = (
        {field: value for _, field, value in own(rows(400), part).budget(FULL).overrides}["max_loss_to_champion"]
        for part in (test, [replace(row, group=f"g{number % 20}") for number, row in enumerate(test)])
    )
    assert (alone, together) == (0.1, pytest.approx(2 * (1 - 0.025 ** (1 / 20)), abs=0.005))


def test_a_base_model_that_cannot_be_used_is_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(InvalidTexts, match=r"--base-model: base model folder .* has no config.json"):
        OwnTexts(Path("x.csv"), PreparedTexts({"train": rows(9)}, ("l0", "l1"), {}, ReadingReport((), {})), seed=1, base_model=tmp_path)


def test_texts_that_the_base_model_does_not_know_are_told(tmp_path: Path) -> None:
    words = ["".join(chr(0x4E00 + (7 * n + k) % 5_000) for k in range(30)) for n in range(40)]
    letters = [Row(f"c{n}", word, "l0", {}, f"c{n}", "all", "f") for n, word in enumerate(words)]
    texts = own([*letters, *rows(40)], rows(20))
    assert 0 < texts.unknown < 1
    assert any("does not know" in line for line in own(letters, letters).write(tmp_path).said)


def test_a_run_says_how_much_of_the_texts_its_first_training_reads(tmp_path: Path) -> None:
    long = [replace(row, text=f"{row.text} " + "the phone works well and my old one did not " * 40) for row in rows(2_000)]
    said = "\n".join(own(long, rows(100)).write(tmp_path).said)
    assert "the first training: 64 word pieces of a text are read: 100.0 % of the texts are cut" in said
    assert "an account would read 512" in said
    short = "\n".join(own(rows(400), rows(100)).write(tmp_path / "short").said)
    assert "the first training: 64 word pieces of a text are read, and no text has more" in short
    assert "an account" not in short


@pytest.mark.parametrize(
    ("model", "cut", "train", "words"),
    [
        (0.9, 0.0, 5_000, "the model beats TF-IDF"),
        (0.8, 0.0, 150, "150 training texts are few for 2 labels"),
        (0.8, 0.44, 5_000, "44 % of the test texts are cut"),
        (0.8, 0.0, 5_000, "single words tell these labels apart"),
    ],
)
def test_a_model_that_is_not_better_than_tfidf_is_said_to_be_so(model: float, cut: float, train: int, words: str) -> None:
    def score(value: float) -> Score:
        return Score(Interval(value, value, value), Interval(value, value, value))

    summary = Summary(scores={"champion": score(model), "tfidf": score(0.85)}, evaluation={"truncated": {"texts": cut, "pieces": None}})
    summary.dataset = {"rows": {"train": train}, "labels": ["a", "b"]}
    assert words in verdict(summary)


def test_a_model_whose_lead_may_be_chance_is_not_said_to_beat_tfidf() -> None:
    def score(value: float) -> Score:
        return Score(Interval(value, value, value), Interval(value, value, value))

    summary = Summary(scores={"champion": score(0.86), "tfidf": score(0.85)}, dataset={"rows": {"train": 5_000}, "labels": ["a", "b"]})
    summary.evaluation = {"difference_to_tfidf": {"macro_f1": {"value": 0.01, "low": -0.02, "high": 0.04}}}
    assert "is not shown to beat TF-IDF" in verdict(summary)
    assert "between -0.020 and +0.040" in verdict(summary)
    summary.evaluation = {"difference_to_tfidf": {"macro_f1": {"value": 0.01, "low": 0.001, "high": 0.02}}}
    assert "the model beats TF-IDF" in verdict(summary)


def test_the_command_for_an_account_reads_the_same_way() -> None:
    said = own(rows(40), rows(20), options=ReadingOptions(text="the text", encoding="cp1250", on_conflict="drop")).upload()
    assert "local.upload --texts 'my texts.csv' --seed 1 --text 'the text' --encoding cp1250 --on-conflict drop" in said
    assert own(rows(40), rows(20), options=ReadingOptions(label="-1", time="-")).upload().endswith("--seed 1 --label=-1 --time=-")


@pytest.mark.parametrize(
    ("variables", "options"),
    [
        (["DATA=it's mine.csv", "TEXT=a b", "ON_CONFLICT=drop"], r"--data='it'\''s mine.csv' --text='a b' --on-conflict='drop'"),
        (["DATA=x.csv", "ENCODING=cp1250", "HEADER=no"], "--data='x.csv' --encoding='cp1250' --header='no'"),
        (["TEXT=only with data"], ""),
        (["DATA=x.csv", 'LABEL=a"b'], "--data='x.csv' --label='a\"b'"),
        (["DATA=my$old.csv", "LABEL=US$(shell echo no)", "GROUP=-1"], "--data='my$old.csv' --label='US$(shell echo no)' --group='-1'"),
    ],
)
def test_make_hands_the_file_and_its_reading_on(variables: list[str], options: str) -> None:
    done = subprocess.run(["make", "-n", "-C", str(ROOT), "demo", *variables], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if "-m local.demo" in line)
    assert " ".join(line.split()).removeprefix(".venv/bin/python -m local.demo").strip() == options
