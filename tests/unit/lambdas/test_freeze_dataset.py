"""Freezing: the same version for the same input, nothing leaks over the split, nothing frozen moves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.common.dataset import SPLITS, Dataset, Manifest, Row, file_name, parse_rows, render
from lambdas.freeze_dataset.freeze import RECENT, FreezePolicy, Frozen, Skipped, Trained, freeze, side_of

LABELS = ("negative", "neutral", "positive")
POLICY = FreezePolicy(min_new_labels=1, holdout_share=0.3, replay_rows=5)


def row(number: int, split: str = "train", **changes: Any) -> Row:
    values: dict[str, Any] = {
        "id": f"{split}:{number}",
        "text": f"{split} text {number}",
        "label": LABELS[number % 3],
        "votes": {LABELS[number % 3]: 3},
        "group": f"{split}:{number // 2}",
        "slice": "amazon",
        "source": "vader-icwsm-2014",
    }
    return Row(**{**values, **changes})


def dataset(
    train: Iterable[Row] = (), validation: Iterable[Row] = (), test: Iterable[Row] = (), *, watermark: str | None = None
) -> Dataset:
    splits = {
        "train": tuple(train) or tuple(row(n) for n in range(12)),
        "validation": tuple(validation) or tuple(row(n, "validation") for n in range(4)),
        "test": tuple(test) or tuple(row(n, "test") for n in range(6)),
    }
    manifest, files = render(splits, LABELS, parent=None, watermark=watermark)
    return Dataset(manifest, {name: parse_rows(files[file_name(name)], name) for name in SPLITS})


def label(number: int, text: str | None = None, subject: str | None = None, **changes: Any) -> dict[str, Any]:
    item: dict[str, Any] = {
        "prediction_id": f"p{number:04d}",
        "text": text or f"new text {number}",
        "human_label": LABELS[number % 3],
        "votes": {LABELS[number % 3]: 2, "neutral": 1},
        "reviewed_at": f"2026-11-01T00:{number // 60:02d}:{number % 60:02d}+00:00",
        "label_source": f"review:p{number:04d}",
        **changes,
    }
    return item | ({"subject": subject} if subject else {})


def run(items: Iterable[dict[str, Any]], parent: Dataset | None = None, policy: FreezePolicy = POLICY) -> Frozen:
    parent = parent or dataset()
    result = freeze(parent, items, Trained.of(parent.splits["train"]), policy)
    assert isinstance(result, Frozen), result
    return result


def splits_of(frozen: Frozen) -> dict[str, tuple[Row, ...]]:
    return {name: parse_rows(frozen.files[file_name(name)], name) for name in SPLITS}


def test_equal_input_in_another_order_gives_equal_bytes() -> None:
    items = [label(n) for n in range(40)]
    first, second = run(items), run(list(reversed(items)))
    assert first.files == second.files
    assert first.manifest == second.manifest


def test_one_more_label_gives_another_version() -> None:
    assert run([label(n) for n in range(40)]).manifest.version != run([label(n) for n in range(41)]).manifest.version


def test_a_version_names_its_parent_its_rows_and_the_newest_label_inside() -> None:
    parent = dataset()
    manifest = run([label(n) for n in range(40)], parent).manifest
    assert manifest.parent == parent.manifest.version
    assert manifest.watermark == label(39)["reviewed_at"]
    assert manifest.by_source == {"review": 40, "vader-icwsm-2014": 5 + 4 + 6}
    assert Manifest.parse(json.loads(manifest.to_json()), "manifest.json") == manifest


def test_frozen_rows_of_the_parent_all_stay_and_train_is_replayed_up_to_the_limit() -> None:
    parent = dataset()
    splits = splits_of(run([label(n) for n in range(40)], parent))
    for name in ("validation", "test"):
        assert [item for item in splits[name] if item.slice != RECENT] == list(parent.splits[name]), name
    replayed = [item for item in splits["train"] if item.slice != RECENT]
    assert len(replayed) == POLICY.replay_rows
    assert all(item in parent.splits["train"] for item in replayed)


def test_every_new_row_says_where_it_comes_from_and_is_reported_apart() -> None:
    splits = splits_of(run([label(n) for n in range(40)]))
    fresh = [item for rows in splits.values() for item in rows if item.source.startswith("review:")]
    assert len(fresh) == 40
    assert {item.slice for item in fresh} == {RECENT}
    assert {item.id.replace("prediction:", "review:") for item in fresh} == {item.source for item in fresh}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5])
def test_the_hold_out_has_about_the_asked_share(share: float) -> None:
    policy = FreezePolicy(min_new_labels=1, holdout_share=share, replay_rows=0)
    splits = splits_of(run([label(n) for n in range(2_000)], policy=policy))
    held = sum(item.slice == RECENT for item in splits["test"])
    assert held == pytest.approx(2_000 * share, abs=70)  # five standard errors at the most
    assert (held == 0) == (share == 0)


def test_too_few_new_labels_freeze_nothing_and_the_reason_has_the_figures() -> None:
    result = freeze(dataset(watermark="2026-10-01T00:00:00+00:00"), [label(1)], Trained.of([]), FreezePolicy(2, 0.2, 0))
    assert result == Skipped("1 new labels since 2026-10-01T00:00:00+00:00: at least 2 are needed")


def test_labels_that_the_parent_holds_already_are_not_new() -> None:
    first = run([label(n) for n in range(40)])
    parent = Dataset(first.manifest, splits_of(first))
    again = freeze(parent, [label(n) for n in range(40)], Trained.of(parent.splits["train"]), POLICY)
    assert isinstance(again, Skipped)
    assert again.reason.startswith("0 new labels")


def test_the_newest_label_of_a_text_counts_whatever_its_case_and_spacing() -> None:
    policy = FreezePolicy(1, 0.0, 0)
    items = [label(3, "Great  Product"), label(5, "great product "), label(9)]
    kept = {item.normal_text: item for item in splits_of(run(items, policy=policy))["train"]}
    assert kept["great product"].source == "review:p0005"
    assert len(kept) == 2


def test_a_frozen_text_gets_no_second_row_on_any_side() -> None:
    parent = dataset()
    repeated = parent.splits["test"][0].text.upper()
    result = run([label(1, repeated), *(label(n) for n in range(2, 30))], parent)
    everything = [item.normal_text for rows in splits_of(result).values() for item in rows]
    assert everything.count(repeated.lower()) == 1
    assert result.left_out == 1


def test_a_new_label_for_a_training_text_replaces_the_old_row_and_stays_in_train() -> None:
    parent = dataset()
    policy = FreezePolicy(1, 0.5, 100)
    items = [label(n, parent.splits["train"][n].text) for n in range(6)]
    splits = splits_of(run(items, parent, policy))
    sources = {item.normal_text: item.source for item in splits["train"]}
    assert all(sources[item["text"]] == item["label_source"] for item in items)
    assert len(splits["train"]) == 12
    assert not [item for name in ("validation", "test") for item in splits[name] if item.slice == RECENT]


def test_a_text_trained_on_generations_ago_is_never_held_out() -> None:
    old = [row(n, "older") for n in range(30)]
    trained = Trained.of(old)
    result = freeze(dataset(), [label(n, old[n].text) for n in range(30)], trained, FreezePolicy(1, 0.5, 0))
    assert isinstance(result, Frozen)
    assert not [item for name in ("validation", "test") for item in splits_of(result)[name] if item.slice == RECENT]


def test_a_group_that_is_frozen_goes_on_being_frozen() -> None:
    held = row(0, "test", group="subject:kettle")
    splits = splits_of(run([label(n, subject="kettle") for n in range(10)] + [label(20)], dataset(test=[held])))
    assert {item.id for item in splits["test"] if item.group == "subject:kettle"} == {held.id, *(f"prediction:p{n:04d}" for n in range(10))}
    assert not [item for name in ("train", "validation") for item in splits[name] if item.group == "subject:kettle"]


def test_labels_outside_the_dataset_and_empty_texts_are_left_out() -> None:
    result = run([label(1, human_label="mixed"), label(2, text=" "), *(label(n) for n in range(3, 20))])
    assert result.left_out == 2


@pytest.mark.parametrize("holdout", [0.0, 0.2, 0.5])
def test_nothing_is_frozen_when_no_new_label_may_be_trained_on(holdout: float) -> None:
    parent = dataset()
    items = [label(n, parent.splits["test"][n].text) for n in range(6)]
    assert freeze(parent, items, Trained.of([]), FreezePolicy(1, holdout, 5)) == Skipped(
        "none of the 6 new labels is for a text that may be trained on"
    )


TEXTS = st.text(alphabet="aB \u2028é", min_size=1, max_size=4).filter(lambda text: text.strip() != "")
ITEMS = st.lists(st.tuples(TEXTS, st.sampled_from(["", "s1", "s2", "s3", "train:0", "test:0"])), min_size=1, max_size=25)


@given(ITEMS, st.floats(0, 0.5), st.lists(TEXTS, max_size=5, unique=True), st.integers(0, 10))
def test_no_text_and_no_new_group_is_ever_on_two_sides(
    drawn: list[tuple[str, str]], share: float, held_texts: list[str], replayed: int
) -> None:
    distinct = list({" ".join(text.lower().split()): text for text in held_texts}.values())
    half = len(distinct) // 2
    parent = dataset(
        train=[row(100 + n, "train", text=text) for n, text in enumerate(distinct[:half])],
        test=[row(200 + n, "test", text=text, group="subject:s3") for n, text in enumerate(distinct[half:])],
    )
    items = [label(n, text, subject or None) for n, (text, subject) in enumerate(drawn)]
    result = freeze(parent, items, Trained.of(parent.splits["train"]), FreezePolicy(1, share, replayed))
    if isinstance(result, Skipped):
        return
    splits = splits_of(result)
    trained = Trained.of([*parent.splits["train"], *splits["train"]])
    for name in ("validation", "test"):
        fresh = [item for item in splits[name] if item.slice == RECENT]
        assert not trained.texts & {item.normal_text for item in fresh}
    sides: dict[str, set[str]] = {}
    for name, rows in splits.items():
        for item in rows:
            sides.setdefault(item.group, set()).add(name)
    fresh_groups = {item.group for rows in splits.values() for item in rows if item.slice == RECENT}
    assert all(len(sides[group]) == 1 for group in fresh_groups)
    texts = [item.normal_text for rows in splits.values() for item in rows]
    assert len(texts) == len(set(texts))


@given(st.text(max_size=10), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_larger_hold_out_never_lets_a_held_out_group_back_into_training(group: str, one: float, other: float) -> None:
    smaller, larger = sorted((one, other))
    if side_of(group, smaller) == "test":
        assert side_of(group, larger) == "test"
    if side_of(group, larger) == "train":
        assert side_of(group, smaller) == "train"
