"""The first split of a dataset, and samples."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contracts.dataset import Row
from local.texts.splitting import LEAST_GROUPS, sample, shares_without, split_by_group, stratified

SHARES = shares_without(["validation", "test"])


def rows(groups: list[int]) -> list[Row]:
    return [Row(f"{i}", f"text {i}", "positive", {"positive": 1}, f"g{group}", "amazon", "s") for i, group in enumerate(groups)]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=120), st.integers(0, 5))
def test_no_group_is_on_two_sides_and_no_row_is_lost(groups: list[int], seed: int) -> None:
    splits = split_by_group(rows(groups), seed=seed)
    sides = {name: {row.group for row in part} for name, part in splits.items()}
    assert sum(len(part) for part in splits.values()) == len(groups)
    assert not (sides["train"] & sides["test"] or sides["train"] & sides["validation"] or sides["validation"] & sides["test"])


@given(
    st.lists(st.tuples(st.sampled_from(["often", "often", "often", "seldom", "rare"]), st.integers(1, 4)), max_size=60), st.integers(0, 3)
)
def test_a_stratified_split_gives_every_label_to_every_split_that_it_can(drawn: list[tuple[str, int]], seed: int) -> None:
    """Groups of up to four rows, each with one label."""
    labels = [label for label, size in drawn for _ in range(size)]
    groups = [f"g{n}" for n, (_, size) in enumerate(drawn) for _ in range(size)]
    found = set(zip(labels, groups, stratified(labels, groups, SHARES, seed=seed), strict=True))
    assert len(found) == len(drawn), "a group is in one split"
    for label in set(labels):
        for split in SHARES:
            of_split = sum(one == label and place == split for one, _, place in found)
            assert of_split >= min(LEAST_GROUPS, sum(one == label for one, _, _ in found) // 3)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20)), max_size=80))
def test_a_stratified_split_keeps_groups_of_several_labels_whole(rows: list[tuple[str, int]]) -> None:
    groups = [str(group) for _, group in rows]
    places = stratified([label for label, _ in rows], groups, SHARES, seed=1)
    assert len(set(zip(groups, places, strict=True))) == len(set(groups))


@given(st.permutations(range(40)))
def test_a_stratified_split_does_not_depend_on_the_order_of_the_rows(order: list[int]) -> None:
    labels, groups = ["ab"[n % 2] for n in range(40)], [f"g{n // 3}" for n in range(40)]
    first = stratified(labels, groups, SHARES, seed=1)
    second = stratified([labels[n] for n in order], [groups[n] for n in order], SHARES, seed=1)
    assert [first[n] for n in order] == second


def test_a_stratified_split_has_the_shares_of_each_label() -> None:
    labels = ["a"] * 1_000 + ["b"] * 100 + ["c"] * 10
    places = stratified(labels, [f"g{n}" for n in range(len(labels))], SHARES, seed=1)
    counts = {
        label: [sum(one == label and place == split for one, place in zip(labels, places, strict=True)) for split in SHARES]
        for label in "abc"
    }
    assert counts == {"a": [600, 250, 150], "b": [60, 25, 15], "c": [4, 3, 3]}


def test_a_label_with_too_few_groups_is_trained_on_first() -> None:
    places = stratified(["a"] * 30 + ["one"] + ["two"] * 2, [f"g{n}" for n in range(33)], SHARES, seed=1)
    assert (places[30], sorted(places[31:])) == ("train", ["test", "train"])


@given(st.lists(st.sampled_from("aaaab"), min_size=1, max_size=300), st.integers(10, 100))
def test_a_sample_is_no_larger_than_asked_and_keeps_rare_labels(labels: list[str], most: int) -> None:
    chosen = sample([f"r{n}" for n in range(len(labels))], labels, most, seed=1, least=5)
    assert len(chosen) <= most
    least = min(5, most // (2 * len(set(labels))))  # what stays of rare labels fills half of the sample at most
    for label in set(labels):
        assert sum(labels[n] == label for n in chosen) >= min(least, labels.count(label))
