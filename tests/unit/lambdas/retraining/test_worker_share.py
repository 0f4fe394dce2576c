"""How much of a dataset version one worker may have given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.retraining.freeze_dataset.worker_share import capped

EAGER = {f"l{number:02d}": ("eager",) if number < 8 else ("a", "b") for number in range(12)}
"""One worker answered 8 of 12 texts alone."""


def share(workers: dict[str, tuple[str, ...]], worker: str) -> float:
    return sum(given.count(worker) / len(given) for given in workers.values() if given) / len(workers)


def test_a_share_within_the_cap_leaves_everything() -> None:
    assert capped(EAGER, 0.67).kept == list(EAGER)


def test_only_as_many_labels_are_left_out_as_the_cap_needs() -> None:
    result = capped(EAGER, 0.5)
    kept = {name: EAGER[name] for name in result.kept}
    assert (result.left_out, share(kept, "eager"), result.over) == (4, 0.5, None)
    assert [name for name in kept if kept[name] == ("a", "b")] == ["l08", "l09", "l10", "l11"]


@pytest.mark.parametrize(
    ("workers", "most", "over"),
    [
        ({"l1": ("only",), "l2": ("only",)}, 0.5, ("only", 1.0)),
        ({"l1": ("a", "b"), "l2": ("a", "b")}, 0.4, ("b", 0.5)),
        ({f"l{number:02d}": ("ann" if number < 50 else "bob",) for number in range(100)}, 0.4, ("bob", 0.5)),
        ({f"l{number:02d}": ("ann" if number < 60 else "bob",) for number in range(100)}, 0.4, ("ann", 0.6)),
    ],
)
def test_a_cap_that_so_few_people_cannot_keep_is_said(workers: dict[str, tuple[str, ...]], most: float, over: tuple[str, float]) -> None:
    result = capped(workers, most)
    assert (result.kept, result.left_out) == (list(workers), 0)
    assert result.over == (over[0], pytest.approx(over[1]))


def test_labels_that_nobody_is_known_for_count_for_nobody() -> None:
    assert capped({"l1": (), "l2": ("a",)}, 0.5).left_out == 0
    assert capped({}, 0.5).left_out == 0


texts = st.dictionaries(st.text("xyz", min_size=1, max_size=4), st.lists(st.sampled_from("abcd"), max_size=3).map(tuple), max_size=20)


@given(texts, st.floats(0.05, 1.0))
def test_the_cap_holds_or_it_is_said_that_it_cannot(workers: dict[str, tuple[str, ...]], most: float) -> None:
    result = capped(workers, most)
    kept = {name: workers[name] for name in result.kept}
    assert len(kept) + result.left_out == len(workers)
    if result.over is not None:
        assert result.over[1] == pytest.approx(max(share(workers, worker) for worker in "abcd")), "of the labels as they were given"
    assert capped(dict(sorted(workers.items())), most).left_out == result.left_out
    if result.over is None and kept:
        assert all(share(kept, worker) <= most + 1e-6 for worker in "abcd")
