"""The record of the bets against the review promise: what a day adds, what it keeps, and what is no record."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from contracts.review_promise import Evidence, Promise, evidence
from lambdas.monitoring.watch_promise.audits import Audit
from lambdas.monitoring.watch_promise.bets import MOST_BETS, Bets, Champion, InvalidBets, begun, last_final_day

PROMISE = Promise(0.1, 0.95)
DAY = date(2026, 11, 20)
NEW = Bets(PROMISE, DAY)


def audit(version: str, wrong: bool = False, *, answered: int = 1, as_champion: bool = True) -> Audit:
    """``answered``: the day of November."""
    return Audit(version, wrong, as_champion, f"2026-11-{answered:02d}T10:00:00+00:00")


def after(*days: list[Audit], begin: Bets = NEW) -> Bets:
    for number, audits in enumerate(days, 1):
        begin = begin.with_day(DAY + timedelta(days=number), audits)
    return begin


def test_each_model_version_has_its_own_bet_as_champion_and_challenger_alike() -> None:
    found = after(
        [audit("a", True), audit("b", as_champion=False)], [], [audit("a"), audit("a", True), audit("b", True, as_champion=False)]
    )
    assert (found.champion, found.day) == (Champion("a", "2026-11-01T10:00:00+00:00"), DAY + timedelta(days=3))
    assert found.of == {"a": evidence([True, False, True], PROMISE), "b": evidence([False, True], PROMISE)}
    assert found.champions == found.of["a"]


def test_without_an_audited_answer_of_a_champion_there_is_none() -> None:
    found = after([audit("b", as_champion=False)])
    assert (found.champion, found.champions, list(found.of)) == (None, None, ["b"])


def test_the_champion_is_the_model_that_answered_last_and_a_late_label_does_not_bring_the_last_one_back() -> None:
    found = after([audit("a", answered=1)], [audit("b", answered=5)], [audit("a", True, answered=4)])
    assert found.champion == Champion("b", "2026-11-05T10:00:00+00:00")
    assert found.of["a"] == evidence([False, True], PROMISE)


def test_a_champion_that_comes_back_goes_on_with_its_bet() -> None:
    found = after([audit("a", True, answered=1)], [audit("b", answered=5)], [audit("a", True, answered=8)])
    assert found.champion == Champion("a", "2026-11-08T10:00:00+00:00")
    assert found.champions == evidence([True, True], PROMISE)


def version(number: int) -> str:
    """As long as the name of a training job may be."""
    return f"{number:063d}"


def test_a_record_keeps_the_champion_and_the_bets_with_the_newest_labels_and_fits_into_a_parameter() -> None:
    million = Evidence(1_000_000, 1_000_000, -1.2345678901234567e-05, 1_000_000)
    found = after([audit(version(0))], *([audit(version(number), True, as_champion=False)] for number in range(1, 60)))
    assert [int(one) for one in found.of] == [0, *range(61 - MOST_BETS, 60)]
    assert Bets.parse(found.format()) == found
    assert len(replace(found, of=dict.fromkeys(found.of, million)).format()) <= 4_096
    again = after([audit(version(59), as_champion=False)], [audit(version(1), True, as_champion=False)], begin=found)
    assert list(again.of)[-2:] == [version(59), version(1)]
    assert (again.of[version(59)], again.of[version(1)]) == (evidence([True, False], PROMISE), evidence([True], PROMISE))


RECORD = after([audit("a", True)], [audit("b", as_champion=False)])


def test_a_record_is_read_as_it_was_written() -> None:
    assert Bets.parse(RECORD.format()) == RECORD
    assert Bets.parse(NEW.format()) == NEW
    assert Bets.parse("none") is None


@pytest.mark.parametrize(
    ("record", "named"),
    [
        ("", "Expecting value"),
        ("[]", "mapping"),
        ("{}", "missing"),
        ("[" * 100_000, "recursion"),
        ({"more": 1}, "more"),
        ({"max_error": 0.9}, "max_error 0.9"),
        ({"max_error": "0.1"}, "str"),
        ({"confidence": None}, "NoneType"),
        ({"day": "yesterday"}, "yesterday"),
        ({"day": 1}, "argument"),
        ({"champion": {"model_version": "c", "answered_at": "2026-11-01T10:00:00+00:00"}}, "champion 'c' has no bet"),
        ({"champion": {"model_version": "a", "answered_at": "2026-11-01T10:00:00"}}, "answered_at '2026-11-01T10:00:00'"),
        ({"champion": {"model_version": "a"}}, "answered_at"),
        ({"champion": {"model_version": [], "answered_at": ""}}, "model_version"),
        ({"champion": "a"}, "mapping"),
        ({"bets": None}, "NoneType"),
        ({"bets": ["a"]}, "get"),
        ({"bets": [{"labels": 0}]}, "model_version None"),
        ({"bets": [{"model_version": "a", "labels": 10**400, "wrong": 0, "log_strength": 0.0, "refuted_after": None}]}, "too large"),
        ({"bets": [{"model_version": "a", "labels": 1, "wrong": 2, "log_strength": 0.0, "refuted_after": None}]}, "wrong 2"),
    ],
)
def test_what_is_no_record_is_refused(record: str | dict[str, Any], named: str) -> None:
    text = record if isinstance(record, str) else json.dumps({**json.loads(RECORD.format()), **record})
    with pytest.raises(InvalidBets, match=named):
        Bets.parse(text)


def test_two_bets_of_one_model_version_are_no_record() -> None:
    document = json.loads(RECORD.format())
    with pytest.raises(InvalidBets, match="'a' twice"):
        Bets.parse(json.dumps({**document, "bets": [document["bets"][0]] * 2}))


@pytest.mark.parametrize(
    ("record", "promise", "today", "reason"),
    [
        (RECORD.format(), PROMISE, RECORD.day, None),
        ("none", PROMISE, RECORD.day, "no record yet"),
        ("?", PROMISE, RECORD.day, "Expecting value"),
        (RECORD.format(), Promise(0.2, 0.95), RECORD.day, "another promise: .*0.1"),
        (RECORD.format(), Promise(0.1, 0.9), RECORD.day, "another promise"),
        (RECORD.format(), PROMISE, RECORD.day - timedelta(days=1), "2026-11-22 is counted, which is not over"),
    ],
)
def test_new_bets_begin_only_for_a_reason(record: str, promise: Promise, today: date, reason: str | None) -> None:
    found, why = begun(record, promise, today, 10)
    if reason is None:
        assert (found, why) == (RECORD, None)
    else:
        assert found == Bets(promise, today - timedelta(days=11))
        assert re.search(reason, why or "")


@pytest.mark.parametrize(("now", "day"), [("2026-11-30T00:59:59+00:00", "2026-11-28"), ("2026-11-30T01:00:00+00:00", "2026-11-29")])
def test_a_day_is_final_an_hour_after_its_end(now: str, day: str) -> None:
    assert last_final_day(datetime.fromisoformat(now)) == date.fromisoformat(day)
