"""Freezing: the same version for the same input, nothing leaks over the split, nothing frozen moves."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from dataset_files import rows_of
from freezing import POLICY, Frozen, as_parent, dataset, freeze, label, row, run, splits_of
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.dataset import SPLITS, Manifest
from contracts.dataset_files import file_name
from contracts.groups import group_of
from contracts.shared_words import RECENT, RECENT_UNSURE
from contracts.text import normal_text
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewReason
from lambdas.common.split_side import side_of
from lambdas.retraining.freeze_dataset import freeze as freezing
from lambdas.retraining.freeze_dataset.freeze import LEAST_REFERENCE, FreezePolicy, LabelCounts, ServedText, Skipped
from lambdas.retraining.freeze_dataset.row_files import RowFile, Version


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
    assert manifest.by_source == {"review": 40, "vader-icwsm-2014": 12 + 4 + 6}
    assert Manifest.parse(manifest.to_json(), "manifest.json") == manifest


def test_all_rows_of_the_parent_stay_as_they_are() -> None:
    parent = dataset()
    splits = splits_of(run([label(n) for n in range(40)], parent))
    for name in SPLITS:
        assert [item for item in splits[name] if item.slice != RECENT] == list(parent.splits[name]), name


def test_the_training_rows_that_a_version_adds_are_new_in_it_and_in_no_later_one() -> None:
    first = run([label(n) for n in range(40)])
    second = run([label(n) for n in range(40, 80)], as_parent(first))
    for version, added in ((first, range(40)), (second, range(40, 80))):
        splits = splits_of(version)
        ids = {f"prediction:p{n:04d}" for n in added}
        assert {item.id for item in splits["train"] if item.new} == {item.id for item in splits["train"]} & ids != set()
        assert not [item for name in ("validation", "test") for item in splits[name] if item.new]
    assert b'"new": true' in first.files[file_name("train")]
    assert b'"new": false' not in b"".join(first.files.values())


def test_every_new_row_says_where_it_comes_from_and_is_reported_apart() -> None:
    splits = splits_of(run([label(n) for n in range(40)]))
    fresh = [item for rows in splits.values() for item in rows if item.source.startswith("review:")]
    assert len(fresh) == 40
    assert {item.slice for item in fresh} == {RECENT}
    assert {item.id.replace("prediction:", "review:") for item in fresh} == {item.source for item in fresh}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5])
def test_the_hold_out_has_about_the_asked_share(share: float) -> None:
    policy = FreezePolicy(min_new_labels=1, holdout_share=share)
    splits = splits_of(run([label(n) for n in range(800)], policy=policy))
    held = sum(item.slice == RECENT for item in splits["test"])
    assert held == pytest.approx(800 * share, abs=70)  # five standard errors at the most
    assert (held == 0) == (share == 0)


def test_too_few_new_labels_freeze_nothing_and_the_reason_has_the_figures() -> None:
    result = freeze(dataset(watermark="2026-10-01T00:00:00+00:00"), [label(1)], FreezePolicy(2, 0.2))
    assert result == Skipped("1 new labels since 2026-10-01T00:00:00+00:00: at least 2 are needed")


def test_labels_that_the_parent_holds_already_are_not_new() -> None:
    again = freeze(as_parent(run([label(n) for n in range(40)])), [label(n) for n in range(40)], POLICY)
    assert isinstance(again, Skipped)
    assert again.reason.startswith("0 new labels")


def test_key_examples_stay_as_they_are_and_are_not_trained_on() -> None:
    keys = (row(1, "key", text="Never  wrong"), row(2, "key"))
    parent = replace(dataset(), key_examples=keys)
    frozen = run([label(1, "never wrong"), label(2), label(3)], parent, FreezePolicy(1, 0.0))
    assert rows_of(frozen.files["key-examples/data.jsonl"], "keys") == keys
    assert "key-examples/data.jsonl" in frozen.manifest.files
    assert not [item for item in splits_of(frozen)["train"] if normal_text(item.text) == "never wrong"]
    assert (frozen.labels.trained_on, frozen.labels.frozen) == (2, 1)
    assert "key-examples/data.jsonl" not in run([label(2)]).manifest.files


def test_the_newest_label_of_a_text_counts_whatever_its_case_and_spacing() -> None:
    policy = FreezePolicy(1, 0.0)
    items = [label(3, "Great  Product"), label(5, "great product "), label(9)]
    kept = {normal_text(item.text): item for item in splits_of(run(items, policy=policy))["train"] if item.new}
    assert kept["great product"].source == "review:p0005"
    assert len(kept) == 2


def test_a_frozen_text_gets_no_second_row_on_any_side() -> None:
    parent = dataset()
    repeated = parent.splits["test"][0].text.upper()
    result = run([label(1, repeated), *(label(n) for n in range(2, 30))], parent)
    everything = [normal_text(item.text) for rows in splits_of(result).values() for item in rows]
    assert everything.count(repeated.lower()) == 1
    assert result.labels.frozen == 1


def test_what_became_of_each_label_is_counted() -> None:
    parent = dataset()
    frozen = [label(n, parent.splits["test"][n].text) for n in range(3)] + [label(3, parent.splits["validation"][0].text)]
    unusable = [label(4, human_label="mixed"), label(5, " "), label(6, "said twice")]
    result = run([*frozen, *unusable, label(7, "said twice"), *(label(n) for n in range(8, 50))], parent)
    fresh = {name: sum(item.id.startswith("prediction:") for item in rows) for name, rows in splits_of(result).items()}
    assert result.labels == LabelCounts(
        new=50, trained_on=fresh["train"], held_out=fresh["validation"] + fresh["test"], frozen=4, unusable=3
    )
    assert fresh["train"] + fresh["validation"] + fresh["test"] == 43


def test_a_row_says_how_its_label_was_found_and_votes_for_another_label_are_not_learnt() -> None:
    basis = {"method": "dawid-skene", "plurality": "neutral", "certainty": 0.8}
    answers = [{"worker_id": f"w{n}", "label": "neutral"} for n in range(3)]
    told = label(1, human_label="positive", votes={"positive": 1, "neutral": 2}, label_basis=basis, answers=answers)
    agreed = label(2, human_label="neutral", votes={"neutral": 3}, label_basis={"method": "plurality", "plurality": "neutral"})
    rows = {row.id: row for part in splits_of(run([told, agreed, *(label(n) for n in range(3, 30))])).values() for row in part}
    one, other = rows["prediction:p0001"], rows["prediction:p0002"]
    assert (one.label, one.votes, one.label_basis) == ("positive", {}, {**basis, "votes": {"positive": 1, "neutral": 2}})
    assert (other.votes, other.label_basis) == ({"neutral": 3}, {"method": "plurality", "plurality": "neutral"})
    assert rows["prediction:p0003"].label_basis is None


def test_labels_over_one_worker_s_share_are_left_out_and_counted() -> None:
    alone, together = [{"worker_id": "eager", "label": "neutral"}], [{"worker_id": f"w{n}", "label": "neutral"} for n in range(3)]
    items = [label(n, answers=alone if n < 30 else together) for n in range(40)]
    result = run(items, policy=FreezePolicy(1, 0.3, max_worker_share=0.5))
    assert (result.labels.new, result.labels.over_worker_share, result.labels.unusable) == (40, 20, 0)
    assert sum(row.id.startswith("prediction:") for part in splits_of(result).values() for row in part) == 20
    refused = freeze(dataset(), items[:30], FreezePolicy(1, 0.3, max_worker_share=0.5))
    assert isinstance(refused, Skipped)
    assert "worker eager gave 100% of the new labels, and retraining.max_worker_share is 0.5" in refused.reason


def test_a_new_label_for_a_training_text_replaces_the_old_row_and_stays_in_train() -> None:
    parent = dataset()
    policy = FreezePolicy(1, 0.5)
    items = [label(n, parent.splits["train"][n].text) for n in range(6)]
    splits = splits_of(run(items, parent, policy))
    sources = {normal_text(item.text): item.source for item in splits["train"]}
    assert all(sources[item["text"]] == item["label_source"] for item in items)
    assert len(splits["train"]) == 12
    assert not [item for name in ("validation", "test") for item in splits[name] if item.slice == RECENT]


def test_a_text_trained_on_generations_ago_is_never_held_out() -> None:
    policy = FreezePolicy(1, 0.0)
    version = run([label(n) for n in range(30)], policy=policy)
    for generation in (100, 200):
        version = run([label(generation + n) for n in range(5)], as_parent(version), policy)
    again = run([label(300 + n, f"new text {n}") for n in range(30)], as_parent(version), FreezePolicy(1, 0.5))
    assert not [item for name in ("validation", "test") for item in splits_of(again)[name] if item.slice == RECENT]
    assert {item.source for item in splits_of(again)["train"] if item.new} == {f"review:p{300 + n:04d}" for n in range(30)}


def test_a_label_that_was_given_beside_the_models_is_trained_on_and_never_held_out() -> None:
    answers = [{"worker_id": "ann", "label": "neutral", "suggestion_shown": True}, {"worker_id": "bob", "label": "neutral"}]
    items = [label(n, answers=answers) for n in range(40)]
    result = run(items, policy=FreezePolicy(1, 0.3))
    splits = splits_of(result)
    assert not [item for name in ("validation", "test") for item in splits[name] if item.slice == RECENT]
    trained = [item for item in splits["train"] if item.slice == RECENT]
    assert trained and {(item.label_basis or {})["suggested"] for item in trained} == {1}
    assert (result.labels.trained_on, result.labels.held_out, result.labels.unusable) == (len(trained), 0, 40 - len(trained))


def test_a_label_that_the_model_had_a_part_in_is_trained_on_and_never_held_out() -> None:
    result = run([label(n, model_prior=0.7) for n in range(40)], policy=FreezePolicy(1, 0.3))
    splits = splits_of(result)
    assert not [item for name in ("validation", "test") for item in splits[name] if item.slice == RECENT]
    trained = [item for item in splits["train"] if item.slice == RECENT]
    assert trained and {(item.label_basis or {})["model_prior"] for item in trained} == {0.7}
    assert (result.labels.held_out, result.labels.unusable) == (0, 40 - len(trained))


@pytest.mark.parametrize("adaptive", [True, False])
def test_with_such_labels_a_group_that_is_held_out_against_its_hash_gets_no_new_row(adaptive: bool) -> None:
    """Its labels without the model's part are those that the model was sure of: alone they would make the test set easier."""
    subjects = [f"s{n}" for n in range(40)]
    parent = dataset(test=[row(n, "test", group=f"subject:{subject}") for n, subject in enumerate(subjects)])
    sure = [label(n, subject=subject) for n, subject in enumerate(subjects)]
    result = run([*sure, label(900, model_prior=0.7 if adaptive else None)], parent, FreezePolicy(1, 0.3))
    held = {item.group for item in splits_of(result)["test"] if item.slice == RECENT and item.group.startswith("subject:")}
    wanted = {f"subject:{subject}" for subject in subjects}
    assert held == ({group for group in wanted if side_of(group, 0.3) != "train"} if adaptive else wanted)
    assert len(held) > 0


def test_a_group_that_is_frozen_goes_on_being_frozen() -> None:
    held = row(0, "test", group="subject:kettle")
    splits = splits_of(run([label(n, subject="kettle") for n in range(10)] + [label(20)], dataset(test=[held])))
    assert {item.id for item in splits["test"] if item.group == "subject:kettle"} == {held.id, *(f"prediction:p{n:04d}" for n in range(10))}
    assert not [item for name in ("train", "validation") for item in splits[name] if item.group == "subject:kettle"]


def test_labels_outside_the_dataset_and_empty_texts_are_left_out() -> None:
    result = run([label(1, human_label="mixed"), label(2, text=" "), *(label(n) for n in range(3, 20))])
    assert result.labels.unusable == 2


@pytest.mark.parametrize("holdout", [0.0, 0.2, 0.5])
def test_nothing_is_frozen_when_no_new_label_may_be_trained_on(holdout: float) -> None:
    parent = dataset()
    items = [label(n, parent.splits["test"][n].text) for n in range(6)]
    assert freeze(parent, items, FreezePolicy(1, holdout)) == Skipped("none of the 6 new labels is for a text that may be trained on")


def test_what_models_chose_is_a_slice_of_its_own_which_compares_no_model_with_another() -> None:
    chosen = {"low_confidence": True, "pair": True, "audit_sample": False, "audit_unsure": False, None: False}
    assert {*chosen} == {*ReviewReason, None}
    reasons = list(chosen)
    items = [label(n, **({"review_reason": reason} if (reason := reasons[n % 5]) else {})) for n in range(60)]
    slices = {item.id: item.slice for rows in splits_of(run(items)).values() for item in rows}
    for number in range(60):
        reason = reasons[number % 5]
        assert slices[f"prediction:p{number:04d}"] == (RECENT_UNSURE if chosen[reason] else RECENT), reason


def test_a_text_that_gets_a_label_with_another_subject_stays_in_the_group_it_was_trained_in() -> None:
    """Else a later text about the first subject could be held out, though the model was trained on one about it."""
    old, policy = row(0, group="subject:kettle"), FreezePolicy(1, 0.5)
    first = run([label(1, old.text, "pan")], dataset(train=[old]), policy)
    (kept,) = splits_of(first)["train"]
    assert (kept.source, kept.group, kept.new) == ("review:p0001", "subject:kettle", True)
    second = splits_of(run([label(2, "one more", "kettle")], as_parent(first), policy))
    assert {item.text for item in second["train"]} == {old.text, "one more"}


def test_a_text_without_a_group_of_its_own_joins_the_subject_that_it_is_now_about() -> None:
    old = row(0, group=group_of("train text 0", None))
    (kept,) = splits_of(run([label(1, old.text, "pan")], dataset(train=[old])))["train"]
    assert kept.group == "subject:pan"


def test_a_label_that_was_read_again_does_not_undo_the_newer_one() -> None:
    """The index lags, so labels around the watermark are read twice."""
    items = [label(3, "the same text"), label(8, "the same text")]
    first = run([*items, label(9)], policy=FreezePolicy(1, 0.0))
    second = run([*items, label(9), label(20)], as_parent(first), FreezePolicy(1, 0.0))
    assert {item.source for item in splits_of(second)["train"] if normal_text(item.text) == "the same text"} == {"review:p0008"}
    assert second.labels.new == 1


def test_a_label_that_the_index_had_not_yet_is_taken_by_the_next_version() -> None:
    first = run([label(9)], policy=FreezePolicy(1, 0.0))
    second = run([label(5), label(9), label(20)], as_parent(first), FreezePolicy(1, 0.0))
    assert {item.source for item in splits_of(second)["train"] if item.new} == {"review:p0005", "review:p0020"}


def test_labels_that_the_dataset_does_not_know_are_named_in_the_reason() -> None:
    items = [label(n, human_label="mixed") for n in range(5)] + [label(9, human_label="angry")]
    skipped = freeze(dataset(), items, POLICY)
    assert skipped == Skipped(
        "none of the 6 new labels is for a text that may be trained on; "
        "5 have the label 'mixed', 1 have the label 'angry', but the dataset's "
        "labels are negative, neutral, positive: new labels need a new first dataset version that has them "
        "(docs/operations.md)"
    )


def test_texts_are_never_all_in_memory(tmp_path: Path) -> None:
    """Twenty megabytes of texts; what is held of a row is its place."""
    rows = RowFile(tmp_path / "train.jsonl")
    for number in range(1_000):
        rows.append(row(number, text=f"{number} {'x' * 20_000}"))
    splits = {"train": rows, "validation": RowFile(tmp_path / "validation.jsonl"), "test": RowFile(tmp_path / "test.jsonl")}
    (tmp_path / "made").mkdir()
    manifest = dataset().manifest
    tracemalloc.start()
    result = freezing.freeze(Version(manifest, splits), (StoredPrediction.parse(label(n)) for n in range(50)), POLICY, tmp_path / "made")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(result, freezing.Frozen)
    assert result.files[file_name("train")].stat().st_size > 20_000_000
    assert peak < 2_000_000


# -- the reference sample ----------------------------------------------------------------------------


TWENTY = [label(n) for n in range(20)]


def reference_of(frozen: Frozen) -> list[dict[str, str]]:
    return [json.loads(line) for line in frozen.files["reference/data.jsonl"].decode().split("\n")[:-1]]


def test_the_reference_is_the_held_out_share_of_the_traffic_whatever_people_were_asked() -> None:
    served = [ServedText(f"new text {n}") for n in range(1_000)]
    asked = [label(n, review_reason="low_confidence") for n in range(0, 1_000, 2)]
    found = run(asked, policy=FreezePolicy(1, 0.2), served=served)
    texts = [int(item["text"].rpartition(" ")[2]) for item in reference_of(found)]
    assert len(texts) == found.reference == pytest.approx(300, abs=70)
    assert sum(number % 2 == 0 for number in texts) / len(texts) == pytest.approx(0.5, abs=0.1), "labelled as often as all traffic"
    trained = {item.text for item in splits_of(found)["train"]}
    assert not trained & {item["text"] for item in reference_of(found)}


def test_texts_about_one_subject_are_a_group_of_the_reference() -> None:
    served = [ServedText(f"text {n}", f"s{n % 50}") for n in range(200)]
    groups = {item["group"] for item in reference_of(run(TWENTY, policy=FreezePolicy(1, 0.5), served=served))}
    assert groups == {f"subject:s{n}" for n in range(50) if side_of(f"subject:s{n}", 0.5) != "train"}


def test_a_version_with_a_reference_is_another_one_and_the_order_of_traffic_does_not_matter() -> None:
    served = [ServedText(f"text {n}") for n in range(100)]
    policy = FreezePolicy(1, 0.5)
    first, second = (run(TWENTY, policy=policy, served=texts) for texts in (served, served[::-1]))
    assert first.files == second.files
    assert first.manifest.version != run(TWENTY, policy=policy).manifest.version
    assert "reference/data.jsonl" in first.manifest.files
    assert set(first.manifest.rows) == set(SPLITS)


@pytest.mark.parametrize(("texts", "share"), [(15, 0.5), (1_000, 0.0)])
def test_too_few_texts_make_no_reference(texts: int, share: float) -> None:
    result = run(TWENTY, policy=FreezePolicy(1, share), served=[ServedText(f"text {n}") for n in range(texts)])
    assert (result.reference, set(result.files)) == (0, {file_name(split) for split in SPLITS})


TEXTS = st.text(alphabet="aB \u2028é", min_size=1, max_size=4).filter(lambda text: text.strip() != "")
ITEMS = st.lists(st.tuples(TEXTS, st.sampled_from(["", "s1", "s2", "s3", "train:0", "test:0"])), min_size=1, max_size=25)


@settings(max_examples=40)  # one takes 40 ms
@given(ITEMS, st.floats(0, 0.5), st.lists(TEXTS, max_size=5, unique=True))
def test_no_text_and_no_new_group_is_ever_on_two_sides(drawn: list[tuple[str, str]], share: float, held_texts: list[str]) -> None:
    distinct = list({" ".join(text.lower().split()): text for text in held_texts}.values())
    half = len(distinct) // 2
    parent = dataset(
        train=[row(100 + n, "train", text=text) for n, text in enumerate(distinct[:half])],
        test=[row(200 + n, "test", text=text, group="subject:s3") for n, text in enumerate(distinct[half:])],
    )
    items = [label(n, text, subject or None) for n, (text, subject) in enumerate(drawn)]
    served = [ServedText(text, subject or None) for text, subject in drawn] * LEAST_REFERENCE
    result = freeze(parent, items, FreezePolicy(1, share), served)
    if isinstance(result, Skipped):
        return
    splits = splits_of(result)
    trained = {normal_text(item.text) for item in splits["train"]}
    groups = {item.group for item in splits["train"]}
    assert {normal_text(item.text) for item in parent.splits["train"]} <= trained
    for line in result.files.get("reference/data.jsonl", b"").decode().split("\n")[:-1]:
        reference = json.loads(line)
        assert " ".join(reference["text"].lower().split()) not in trained
        assert reference["group"] not in groups
    for name in ("validation", "test"):
        fresh = [item for item in splits[name] if item.slice == RECENT]
        assert not trained & {normal_text(item.text) for item in fresh}
    sides: dict[str, set[str]] = {}
    for name, rows in splits.items():
        for item in rows:
            sides.setdefault(item.group, set()).add(name)
    fresh_groups = {item.group for rows in splits.values() for item in rows if item.slice == RECENT}
    assert all(len(sides[group]) == 1 for group in fresh_groups)
    texts = [normal_text(item.text) for rows in splits.values() for item in rows]
    assert len(texts) == len(set(texts))


@given(st.text(max_size=10), st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_larger_hold_out_never_lets_a_held_out_group_back_into_training(group: str, one: float, other: float) -> None:
    smaller, larger = sorted((one, other))
    if side_of(group, smaller) == "test":
        assert side_of(group, larger) == "test"
    if side_of(group, larger) == "train":
        assert side_of(group, smaller) == "train"


def test_an_accent_in_two_forms_is_one_text_and_one_group() -> None:
    """A frozen test text that comes again in the other form is not trained on, and texts about one subject stay together."""
    composed, decomposed = "Das Café", "Das Cafe\u0301"
    parent = dataset(test=[row(0, "test", text=composed)])
    result = run([label(1, decomposed), label(2), label(3), label(4)], parent, FreezePolicy(1, 0.0))
    assert result.labels.frozen == 1
    assert composed not in {item.text for item in splits_of(result)["train"]}
    assert group_of("a", "Café") == group_of("b", "Cafe\u0301")
    assert group_of(composed, None) == group_of(decomposed, None)
    both = run([label(1, composed), label(2, decomposed)], policy=FreezePolicy(1, 0.0))
    assert (both.labels.trained_on, both.labels.unusable) == (1, 1), "of one text the newest label counts"


@pytest.mark.parametrize("text", ["a\x00", "\ufffe", "\u200b"])
def test_a_text_that_may_not_enter_is_left_out_and_the_rest_goes_on(text: str) -> None:
    result = run([label(1, text), label(2)], policy=FreezePolicy(1, 0.0))
    assert (result.labels.trained_on, result.labels.unusable) == (1, 1)
