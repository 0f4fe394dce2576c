"""Which waiting texts people are asked about: the most urgent, no more than the budget says, and none is dropped without a word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from review_fakes import FakeStore, prediction

from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewRequest, ReviewState
from lambdas.review.reconcile.budget import InvalidSpending, Spending, places, ranked
from lambdas.review.reconcile.choosing import Choice, Terms, choose, without_budget

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
TODAY, A_DAY = NOON.date(), timedelta(days=1)


def waiting(
    name: str = "p", confidence: float = 0.3, label: str = "negative", hours: float = 1, threshold: float = 0.6
) -> StoredPrediction:
    """Its text has waited for so many hours."""
    made = replace(
        prediction(),
        prediction_id=name,
        confidence=confidence,
        label=label,
        review_threshold=threshold,
        created_at=(NOON - timedelta(hours=hours)).isoformat(timespec="milliseconds"),
        review_state=ReviewState.WAITING,
    )
    return StoredPrediction.parse(made.item())


def order(*texts: StoredPrediction) -> list[str]:
    return [one.prediction_id for one in ranked(texts, NOON, A_DAY)]


@pytest.mark.parametrize(
    ("budget", "spent", "open_reviews", "clock", "free"),
    [
        (100, 0, 0, "12:00", 50),  # half of the day, half of the budget
        (100, 0, 0, "00:00", 0),
        (100, 0, 0, "00:15", 2),
        (100, 0, 0, "23:45", 99),
        (100, 0, 0, "23:59", 100),
        (100, 20, 0, "12:00", 30),
        (100, 50, 0, "12:00", 0),
        (100, 90, 0, "12:00", 0),  # the budget was larger when they were chosen
        (100, 0, 70, "12:00", 30),  # nobody is asked about more than a day's work
        (100, 0, 100, "12:00", 0),  # people are away
        (100, 0, 400, "12:00", 0),
        (1, 0, 0, "00:15", 1),  # the smallest budget is not none
        (1, 1, 0, "23:59", 0),
        (2, 0, 0, "12:00", 1),
    ],
)
def test_the_budget_is_given_out_as_the_day_goes_on(budget: int, spent: int, open_reviews: int, clock: str, free: int) -> None:
    now = datetime.fromisoformat(f"2026-11-30T{clock}:00+00:00")
    assert places(budget, spent, open_reviews, now) == free


@given(st.integers(1, 500), st.lists(st.integers(0, 40), min_size=1, max_size=96))
def test_a_day_never_gets_more_than_its_budget_and_a_free_place_is_not_lost(budget: int, wanted: list[int]) -> None:
    """A run each quarter of an hour, with so many new texts before each. Nobody has anything to do in between."""
    spent = queue = 0
    for run, number in enumerate(wanted, 1):
        queue += number
        chosen = min(
            queue, places(budget, spent, 0, datetime(2026, 11, 30, tzinfo=UTC) + timedelta(minutes=15 * run) - timedelta(seconds=1))
        )
        spent, queue = spent + chosen, queue - chosen
    assert spent <= budget
    assert not queue or spent >= budget * len(wanted) // 96 - 1


def test_a_day_of_utc_counts_whatever_the_clock_shows() -> None:
    elsewhere = datetime.fromisoformat("2026-11-30T01:00:00+01:00")
    assert places(100, 0, 0, elsewhere) == 0
    assert places(100, 0, 0, elsewhere + timedelta(hours=12)) == 50


def test_the_unsure_text_comes_first_then_the_rare_label_then_the_old_one() -> None:
    assert order(waiting("sure", 0.59), waiting("unsure", 0.1), waiting("between", 0.3)) == ["unsure", "between", "sure"]
    assert order(waiting("a"), waiting("b"), waiting("rare", label="neutral"), waiting("c"))[0] == "rare"
    assert order(waiting("new", hours=1), waiting("old", hours=20), waiting("older", hours=23)) == ["older", "old", "new"]


def test_each_of_the_three_can_outweigh_the_others() -> None:
    common = [waiting(f"c{number}", 0.5) for number in range(8)]
    assert order(*common, waiting("unsure", 0.0))[0] == "unsure"
    assert order(*common, waiting("rare", 0.59, "neutral"))[0] == "rare"
    assert order(*common, waiting("rare", 0.59, "neutral"), waiting("last-hour", 0.4, hours=23.9))[0] == "last-hour"


def test_equal_texts_are_in_the_order_of_their_ids_and_any_threshold_ranks() -> None:
    assert order(waiting("b"), waiting("a")) == ["a", "b"]
    assert order() == []
    assert order(waiting("all", 0.9, threshold=1.0), waiting("none", 0.9, threshold=0.0)) == ["all", "none"]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.sampled_from("abc"), st.floats(0, 100)), max_size=20))
def test_no_text_is_lost_or_doubled_by_the_order(given_texts: list[tuple[float, float, str, float]]) -> None:
    texts = [waiting(f"p{number}", *one[:1], one[2], one[3], one[1]) for number, one in enumerate(given_texts)]
    assert sorted(order(*texts)) == sorted(one.prediction_id for one in texts)


def test_what_was_spent_is_of_today() -> None:
    kept = Spending(TODAY, 3).and_also(4)
    assert Spending.parse(kept.format(), TODAY) == Spending(TODAY, 7)
    assert Spending.parse(kept.format(), TODAY + A_DAY) == Spending(TODAY + A_DAY, 0)
    assert Spending.parse("none", TODAY) == Spending(TODAY, 0)


@pytest.mark.parametrize(
    "record", ["", "[]", "3", '{"day": "today", "chosen": 1}', '{"day": "2026-11-30"}', '{"day": "2026-11-30", "chosen": -1}',
               '{"day": "2026-11-30", "chosen": true}', '{"day": "2026-11-30", "chosen": 1.5}'],
)  # fmt: skip
def test_a_record_of_another_form_is_named(record: str) -> None:
    with pytest.raises(InvalidSpending, match="record of the daily budget"):
        Spending.parse(record, date(2026, 11, 30))


class Store(FakeStore):
    def open_reviews(self, state: ReviewState, *, newest_first: bool = False) -> Iterator[StoredPrediction]:
        found = [StoredPrediction.parse(item) for item in self.items.values() if item["review_state"] == state.value]
        yield from sorted(found, key=lambda one: one.created_at, reverse=newest_first)


class Chooser:
    """The store, and what happened in which order."""

    def __init__(self, *texts: StoredPrediction, refused: tuple[str, ...] = ()) -> None:
        self.store, self.refused, self.events = Store(), refused, list[Any]()
        for one in texts:
            self.store.put(one.prediction())

    def send(self, request: ReviewRequest) -> bool:
        self.events.append(request.prediction_id)
        return request.prediction_id not in self.refused

    def run(self, free: int) -> Choice:
        terms = Terms(places=free, longest_wait=A_DAY, given_up="others came first", now=NOON)
        return choose(self.store, terms, spend=self.events.append, send=self.send)

    def states(self) -> dict[str, str]:
        return {name: item["review_state"] for name, item in self.store.items.items()}


def test_the_budget_is_spent_before_anybody_is_asked_and_the_others_wait_on() -> None:
    chooser = Chooser(waiting("a", 0.1), waiting("b", 0.5), waiting("c", 0.2))
    assert chooser.run(2) == Choice(sent=2, waiting=1)
    assert chooser.events == [2, "a", "c"]
    assert chooser.states() == {"a": "requested", "b": "waiting", "c": "requested"}
    assert chooser.store.items["a"]["chosen_at"] == NOON.isoformat()


def test_without_a_free_place_nothing_is_spent() -> None:
    chooser = Chooser(waiting("a"))
    assert chooser.run(0) == Choice(waiting=1)
    assert (chooser.events, chooser.states()) == ([], {"a": "waiting"})


def test_a_text_that_waited_too_long_is_given_up_by_name_and_takes_no_place() -> None:
    chooser = Chooser(waiting("late", 0.0, hours=24.1), waiting("just", 0.59, hours=23.9))
    assert chooser.run(1) == Choice(sent=1, not_chosen=1)
    assert chooser.states() == {"late": "not_chosen", "just": "requested"}
    assert chooser.store.items["late"]["review_outcome"] == "others came first"


def test_a_record_that_cannot_be_asked_about_is_named_and_takes_no_place() -> None:
    chooser = Chooser(waiting("a", 0.0), waiting("b"))
    chooser.store.items["a"]["review_reason"] = "boredom"
    found = chooser.run(1)
    assert (found.sent, [one[:2] for one in found.unusable], chooser.events) == (1, ["a:"], [1, "b"])


def test_a_request_that_the_queue_refuses_is_named_and_the_others_are_sent() -> None:
    chooser = Chooser(waiting("a", 0.1), waiting("b", 0.5), refused=("a",))
    found = chooser.run(2)
    assert (found.sent, found.failed, chooser.states()["a"]) == (1, ["a"], "requested"), "the next run sends it again"


def test_once_there_is_no_budget_any_more_people_are_asked_about_all_of_them() -> None:
    chooser = Chooser(waiting("a"), waiting("b", hours=900))
    assert without_budget(chooser.store.open_reviews(ReviewState.WAITING), chooser.send) == Choice(sent=2)
    assert sorted(chooser.events) == ["a", "b"]
