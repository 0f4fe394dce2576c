"""What pairs say: which ones are read, their scores, the interval, and how many labels more are expected to decide."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.common.pairs import DifferingPair, Pairs, PairState, Slot
from lambdas.rollout.judge_rollout.pairs_read import PairsRead, Tally

W, U, X, D, S = PairState.WAITING, PairState.UNDECIDED, PairState.EXPIRED, PairState.DEAD_LETTERED, PairState.SWAYED


def pair(said: str | PairState, number: int = 0, slot: int = 0) -> DifferingPair:
    """The champion says a, the challenger b; ``said`` is people's label, or what became of the review."""
    state, label = (said, None) if isinstance(said, PairState) else (PairState.LABELLED, said)
    at = f"2026-11-24T10:00:{slot}{number}.000+00:00"
    return DifferingPair(f"p{slot}-{number}", at, "champion", "a", "b", 0.9, 0.6, state, label)


def slots(*found: tuple[int, list[str | PairState]]) -> Pairs:
    """(pairs that agree, what people said of the others) of each ten seconds."""
    return Pairs(
        tuple(
            Slot(f"2026-11-24T10:00:{at}0", agreed, tuple(pair(said, number, at) for number, said in enumerate(differ)), {"champion": 3})
            for at, (agreed, differ) in enumerate(found)
        ),
        {"late": 1},
        asked=3,
    )


@pytest.mark.parametrize(
    ("pairs", "tally"),
    [
        (slots(), Tally()),
        (slots((5, [])), Tally(even=5)),
        (slots((5, ["a", "b", "b"])), Tally(better=2, worse=1, even=5)),
        (slots((5, ["c"])), Tally(even=6)),  # people chose a third label
        (slots((5, [U])), Tally(even=6)),  # no label has a majority
        (slots((5, [X, D, S])), Tally(even=5, lost=3)),
        (slots((5, ["a"]), (7, ["b", W]), (9, ["b"])), Tally(worse=1, even=5)),  # up to the slot of the first that waits
        (slots((5, [W, "b"])), Tally()),
        (slots((5, [X]), (1, [W])), Tally(even=5, lost=1)),
    ],
)
def test_pairs_are_read_by_whole_slots_up_to_the_first_that_waits(pairs: Pairs, tally: Tally) -> None:
    assert PairsRead.of(pairs).tally == tally


def test_one_task_that_nobody_answers_holds_up_nothing() -> None:
    """Texts come in the order of the slots; the first pair waits for ever."""
    later = [(16, ["b"])] * 6
    read = PairsRead.of(slots((16, [W]), *later))
    assert (read.tally, read.waiting) == (Tally(), 1)
    assert read.against_a_loss(0.05) == read.telling(0.05, 0.05) == Tally(better=6, even=7 * 16, lost=1)
    answered = PairsRead.of(slots((16, ["b"]), *later))
    assert 0 < read.against_a_loss(0.05).against_loss(0.05) < answered.tally.against_loss(0.05)
    assert read.as_json(0.05, 0.05)["e_promote"] > 1


def test_pairs_that_came_just_now_do_not_weaken_what_was_known_before() -> None:
    read = PairsRead.of(slots((16, ["b", "b"]), (3, [W, W, W]), (2, [W, W])))
    assert read.telling(0.05, 0.05) is read.against_a_loss(0.05) is read.tally
    assert read.tally == Tally(better=2, even=16)


def test_each_claim_is_asked_at_the_place_where_it_is_refuted_most() -> None:
    """A task that nobody answers lies between a good beginning and a loss."""
    read = PairsRead.of(slots((400, ["b"] * 12 + ["a"] * 11), (10, [W]), (500, ["a"] * 21)))
    assert read.against_a_loss(0.05) == Tally(12, 11, 400)
    assert read.for_a_loss() == read.telling(0.05, 0.05) == Tally(12, 32, 910, lost=1)
    figures = read.as_json(0.05, 0.05)
    assert figures["e_promote"] > 20 < figures["e_roll_back"]
    assert (figures["better"], figures["worse"], figures["labels_needed"]) == (12, 32, 0)
    assert figures["interval"][0] <= figures["interval"][1] < 0


@given(st.lists(st.tuples(st.integers(0, 60), st.lists(st.sampled_from(["a", "b", W]), max_size=12)), max_size=8))
def test_the_told_interval_is_no_empty_one_and_says_what_is_decided(found: list[tuple[int, list[str | PairState]]]) -> None:
    figures = PairsRead.of(slots(*found)).as_json(0.05, 0.05)
    low, high = figures["interval"]
    assert low <= high
    if figures["e_promote"] < 20:
        assert low <= -0.05 + 1e-4
    if figures["e_roll_back"] < 20:
        assert high >= -1e-4


ANSWERS = ["a", "b", "c", U, X, D]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.lists(st.sampled_from([*ANSWERS, W, W, "a", "b"]), max_size=4)), max_size=8),
    st.sampled_from([0.02, 0.05, 0.1]),
    st.randoms(use_true_random=False),
)
def test_the_evidence_was_at_least_that_whatever_people_say_later(
    found: list[tuple[int, list[str | PairState]]], margin: float, chance: random.Random
) -> None:
    """So the bets' promise holds: their evidence at all places in the order of the texts rarely ever reaches the threshold by chance."""
    told = PairsRead.of(slots(*found))
    later = [(agreed, [chance.choice(ANSWERS) if one is W else one for one in differ]) for agreed, differ in found]
    places = [PairsRead.of(slots(*later[:end])).tally for end in range(len(later) + 1)]
    assert told.against_a_loss(margin).against_loss(margin) <= max(one.against_loss(margin) for one in places) + 1e-9
    assert told.for_a_loss().against_no_loss() <= max(one.against_no_loss() for one in places) + 1e-9


def test_every_pair_is_counted_by_what_became_of_it() -> None:
    read = PairsRead.of(slots((5, ["a", U]), (7, ["b", W, W]), (9, [X, D])))
    assert (read.pairs, read.agreed, read.differ) == (28, 21, 7)
    assert (read.labelled, read.waiting, read.undecided, read.lost, read.missed) == (2, 2, 1, 2, {"late": 1})
    assert (read.asked, read.as_json(0.05, 0.05)["asked"]) == (3, 3)
    assert read.doubts == pytest.approx([0.3] * 7)
    assert read.calls["2026-11-24T10:00:10"] == {"champion": 3}


def test_what_nobody_answers_speaks_against_either_decision() -> None:
    known, lost = Tally(better=10, worse=5, even=200), Tally(better=10, worse=5, even=200, lost=6)
    assert lost.against_loss(0.05) == pytest.approx(Tally(better=10, worse=11, even=200).against_loss(0.05))
    assert lost.against_no_loss() == pytest.approx(Tally(better=16, worse=5, even=200).against_no_loss())
    assert lost.against_loss(0.05) < known.against_loss(0.05)
    assert lost.against_no_loss() < known.against_no_loss()


@pytest.mark.parametrize("tally", [Tally(), Tally(12, 11, 400), Tally(3, 18, 120), Tally(40, 5, 300), Tally(0, 0, 60), Tally(5, 5, 60, 9)])
def test_the_interval_and_the_evidence_say_the_same(tally: Tally) -> None:
    low, high = tally.interval(0.05)
    assert -1 <= low <= high <= 1
    assert (low > -0.05) == (tally.against_loss(0.05) >= math.log(20))
    assert (high < 0) == (tally.against_no_loss() >= math.log(20))


def test_the_interval_closes_around_the_difference() -> None:
    wide, narrow = (Tally(6 * size, 4 * size, 90 * size).interval(0.05) for size in (1, 40))
    assert wide[0] < narrow[0] < 0.02 < narrow[1] < wide[1]
    assert narrow[1] - narrow[0] < 0.05


@pytest.mark.parametrize(
    ("tally", "margin", "low", "high"),
    [
        (Tally(), 0.05, 25, 60),
        (Tally(4, 4, 60), 0.05, 5, 45),
        (Tally(30, 30, 400), 0.005, 300, 10_000),
        (Tally(12, 11, 400), 0.05, 0, 0),  # decided
        (Tally(3, 18, 120), 0.05, 0, 0),
    ],
)
def test_the_labels_still_needed_are_expected_from_what_was_read(tally: Tally, margin: float, low: int, high: int) -> None:
    differ = tally.better + tally.worse
    needed = PairsRead(tally, agreed=tally.even, differ=differ, labelled=differ).labels_needed(margin, 0.05)
    assert needed is not None
    assert low <= needed <= high


def test_no_number_of_labels_is_told_where_pairs_like_these_would_not_decide() -> None:
    read = PairsRead(Tally(4_000, 4_050, 12_000), agreed=12_000, differ=8_050, labelled=8_050)
    assert read.labels_needed(0.005, 0.0001) is None
