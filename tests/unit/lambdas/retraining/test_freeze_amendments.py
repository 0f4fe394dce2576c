"""Freezing with amendments: corrections and deletions reach every file, and who sent a text may be more than one person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from dataset_files import rows_of
from freezing import POLICY, Dataset, Frozen, as_parent, dataset, freeze, label, row, run, splits_of

from contracts.amendments import CORRECT, FORGET, Amendment, group_digest
from contracts.dataset import SPLITS
from lambdas.common.split_side import side_of
from lambdas.retraining.freeze_dataset.freeze import FreezePolicy, ServedText, Skipped

LATER = "2026-11-20T00:00:00+00:00"


def correction(target: str, label: str, at: str = LATER) -> Amendment:
    return Amendment(CORRECT, at, "operator-1", target, label, "looked at it")


def deletion(group: str, at: str = LATER) -> Amendment:
    return Amendment(FORGET, at, "operator-1", group_digest(group))


def amended(items: Iterable[dict[str, Any]], parent: Dataset, *amendments: Amendment, served: Iterable[ServedText] = ()) -> Frozen:
    result = freeze(parent, items, POLICY, served, amendments)
    assert isinstance(result, Frozen), result
    return result


def test_a_correction_reaches_its_row_on_every_side_and_the_old_votes_are_not_learnt() -> None:
    parent = replace(dataset(), key_examples=(row(1, "key-examples"),))
    targets = {f"{split}:{number}": "positive" for split, number in (("train", 0), ("test", 1), ("validation", 1), ("key-examples", 1))}
    result = amended([label(n) for n in range(30)], parent, *(correction(name, right) for name, right in targets.items()))
    parts = {**splits_of(result), "key-examples": rows_of(result.files["key-examples/data.jsonl"], "keys")}
    rows = {row.id: row for part in parts.values() for row in part}
    assert {name: rows[name].label for name in targets} == targets
    assert rows["test:1"].votes == {}
    assert rows["test:1"].label_basis == {
        "method": "corrected", "plurality": None, "was": "neutral", "by": "operator-1", "at": LATER, "reason": "looked at it",
        "votes": {"neutral": 3},
    }  # fmt: skip
    assert (rows["train:0"].new, rows["test:1"].new) == (True, False), "a retraining learns it, and nothing held out is learnt"
    assert result.amended == (4, 0)
    assert result.manifest.amended == max(correction(name, right).key for name, right in targets.items())


def test_the_newest_correction_counts_and_a_label_that_the_dataset_lacks_changes_nothing() -> None:
    older, newer = correction("train:0", "positive", "2026-11-19T00:00:00+00:00"), correction("train:0", "neutral")
    result = amended([label(n) for n in range(30)], dataset(), newer, older, correction("train:1", "mixed"))
    rows = {row.id: row for row in splits_of(result)["train"]}
    assert (rows["train:0"].label, rows["train:1"].label) == ("neutral", "neutral")
    assert result.amended == (1, 0)


def test_a_forgotten_person_is_in_no_file_of_the_next_version() -> None:
    about = "subject:ann"
    parent = dataset(
        train=[row(n) for n in range(12)] + [row(90, group=about)],
        test=[row(n, "test") for n in range(6)] + [row(91, "test", group=about)],
    )
    parent = replace(parent, key_examples=(row(1, "key-examples", group=about),))
    served = [ServedText(f"served {n}") for n in range(200)] + [ServedText(f"ann writes {n}", "ann") for n in range(50)]
    items = [label(n) for n in range(30)] + [label(40, "ann once more", "ann")]
    result = amended(items, parent, deletion(about), served=served)
    content = b"".join(result.files.values())
    assert b"ann" not in content
    assert b"train text 90" not in content
    assert "key-examples/data.jsonl" not in result.files
    assert result.amended == (0, 3)


def test_somebody_who_was_forgotten_may_come_back_later() -> None:
    early = label(41, "before", "ann", reviewed_at="2026-11-19T00:00:00+00:00")
    late = label(42, "after", "ann", reviewed_at="2026-11-21T00:00:00+00:00")
    result = amended([*(label(n) for n in range(30)), early, late], dataset(), deletion("subject:ann"))
    texts = {row.text for part in splits_of(result).values() for row in part}
    assert ("before" in texts, "after" in texts) == (False, True)
    again = amended([label(n) for n in range(50, 80)], as_parent(result))
    assert "after" in {row.text for part in splits_of(again).values() for row in part}
    assert again.manifest.amended == result.manifest.amended, "it is not applied again"


def labels_of(frozen: Frozen) -> dict[str, tuple[str, str]]:
    """Side and label of each row, by its id."""
    return {row.id: (split, row.label) for split, rows in splits_of(frozen).items() for row in rows}


def test_a_correction_reaches_a_row_that_is_new_in_this_version_on_every_side() -> None:
    """The record may have its old label still: the correction is recorded first, and the command may end before the record."""
    items = [label(n, human_label="positive", votes={"positive": 2}) for n in range(60)]
    changes = [correction(f"prediction:p{n:04d}", "negative") for n in range(60)]
    result = amended(items, dataset(), *changes)
    found = {name: one for name, one in labels_of(result).items() if name.startswith("prediction:")}
    assert {side for side, _ in found.values()} == set(SPLITS)
    assert {said for _, said in found.values()} == {"negative"}
    assert result.amended == (len(found), 0)


def test_a_correction_that_the_record_holds_already_is_not_counted_again() -> None:
    basis = {"method": "corrected", "plurality": None, "was": "positive", "by": "operator-1", "at": LATER, "reason": "looked at it"}
    items = [label(n, human_label="negative", votes={"positive": 2}, label_basis=basis) for n in range(30)]
    older = [correction(f"prediction:p{n:04d}", "neutral", "2026-11-19T00:00:00+00:00") for n in range(0, 30, 2)]
    result = amended(items, dataset(), *older, *(correction(f"prediction:p{n:04d}", "negative") for n in range(1, 30, 2)))
    assert {said for name, (_, said) in labels_of(result).items() if name.startswith("prediction:")} == {"negative"}
    assert result.amended == (0, 0)


@pytest.mark.parametrize(
    ("reviewed", "corrected", "wanted"),
    [
        ("2026-11-01T00:00:00+00:00", LATER, "negative"),
        ("2026-11-20T01:00:00+02:00", LATER, "negative"),
        ("2026-11-20T00:00:00.500000+00:00", LATER, "positive"),
        ("2026-11-21T00:00:00+00:00", LATER, "positive"),
    ],
)
def test_of_a_new_review_and_a_correction_of_the_row_that_it_replaces_the_newer_one_counts(
    reviewed: str, corrected: str, wanted: str
) -> None:
    again = label(1, "train text 5", human_label="positive", votes={"positive": 2}, reviewed_at=reviewed)
    result = amended([again, *(label(n) for n in range(2, 30))], dataset(), correction("train:5", "negative", corrected))
    assert "train:5" not in labels_of(result)
    assert labels_of(result)["prediction:p0001"] == ("train", wanted)
    assert result.amended == (int(wanted == "negative"), 0)


def test_a_correction_of_a_review_that_was_outdone_by_another_one_of_its_text_is_kept_when_it_is_newer() -> None:
    """Two people sent the same text; the dataset has the newer review's row, and the older review is corrected after both."""
    items = [label(3, "the same text", human_label="positive"), label(8, "The same text", human_label="positive"), label(9)]
    result = freeze(dataset(), items, FreezePolicy(1, 0.0), amendments=[correction("prediction:p0003", "negative")])
    assert isinstance(result, Frozen)
    assert labels_of(result)["prediction:p0008"] == ("train", "negative")
    assert result.amended == (1, 0)


def test_a_correction_that_finds_no_row_is_not_counted() -> None:
    result = amended([label(n) for n in range(30)], dataset(), correction("gone:1", "negative"), correction("train:0", "negative"))
    assert result.amended == (0, 0), "train:0 is negative already"
    assert not {row.id for row in splits_of(result)["train"] if row.new and not row.id.startswith("prediction:")}


def test_a_version_says_which_amendments_it_knows() -> None:
    early, late = correction("train:0", "neutral", "2026-11-19T23:30:00.000+00:00"), deletion("subject:bob")
    first = amended([label(n) for n in range(30)], dataset(), late)
    assert (first.manifest.amended, first.manifest.amended_lately) == (late.key, (late.key,))
    second = amended([label(n) for n in range(30, 60)], as_parent(first), early)
    assert (second.manifest.amended, second.manifest.amended_lately) == (late.key, (early.key, late.key))
    third = amended([label(n) for n in range(60, 90)], as_parent(second))
    assert third.manifest.known == second.manifest.known


def bulk(number: int, source: str, **changes: Any) -> dict[str, Any]:
    return label(number, label_source=source, human_label="neutral", votes={"neutral": 2}, **changes)


def made_of_a_job(texts: int) -> Dataset:
    """What ``label`` leaves as the first version: no watermark, and each text of the job with its label."""
    rows = [
        row(n, split, id=f"label:{n}", text=f"New  Text {n}", label="neutral", votes={"neutral": 2}, source="labeling:job")
        for n, split in ((n, SPLITS[n % 3]) for n in range(texts))
    ]
    return dataset(*([one for one in rows if one.group.startswith(split)] for split in SPLITS))


@pytest.mark.parametrize("source", ["labeling:job", "ground-truth:job-1"])
def test_labels_of_the_job_that_the_first_version_is_made_of_are_not_new(source: str) -> None:
    parent, items = made_of_a_job(60), [bulk(n, source) for n in range(60)]
    skipped = freeze(parent, items, POLICY)
    assert isinstance(skipped, Skipped)
    assert skipped.reason.startswith("0 new labels")
    other = bulk(7, source) | {"human_label": "positive", "votes": {"positive": 2}}
    first = run([*items[:7], other, *items[8:], *(label(n, f"other {n}") for n in range(900, 930))], parent)
    assert (first.labels.new, first.labels.frozen) == (31, 1), "of the job only the label that differs"
    assert first.manifest.watermark == label(929)["reviewed_at"]


def test_they_are_not_new_for_the_version_after_it_either() -> None:
    """Their labels were stored after the review that the next version adds, so its watermark must not be the review's."""
    parent, items = made_of_a_job(60), [bulk(n, "labeling:job", reviewed_at="2026-11-02T00:00:00+00:00") for n in range(60)]
    first = run([*items, *(label(n) for n in range(900, 930))], parent)
    assert first.manifest.watermark == "2026-11-02T00:00:00+00:00"
    again = freeze(as_parent(first), items, POLICY)
    assert isinstance(again, Skipped)
    assert again.reason.startswith("0 new labels")


@pytest.mark.parametrize("forgotten", ["alice", "bob", "cy"])
def test_a_text_that_two_people_sent_goes_with_each_of_them(forgotten: str) -> None:
    """It stays in the group that it was trained in, and the row of the newer review is about somebody else."""
    old, policy = row(0, group="subject:alice"), FreezePolicy(1, 0.0)
    first = freeze(dataset(train=[old, row(2)]), [label(1, old.text, "bob")], policy)
    assert isinstance(first, Frozen)
    second = freeze(as_parent(first), [label(2, old.text, "cy")], policy)
    assert isinstance(second, Frozen)
    [shared] = [one for one in splits_of(second)["train"] if one.text == old.text]
    assert (shared.id, shared.group, shared.other_groups) == ("prediction:p0002", "subject:alice", ("subject:bob", "subject:cy"))
    third = freeze(as_parent(second), [label(3)], policy, amendments=[deletion(f"subject:{forgotten}")])
    assert isinstance(third, Frozen)
    assert old.text not in {one.text for one in splits_of(third)["train"]}
    assert third.amended == (0, 1)


def test_another_text_about_somebody_whose_text_was_trained_on_is_not_held_out() -> None:
    subject = next(name for name in map(str, range(100)) if side_of(f"subject:{name}", 0.5) == "test")
    old = row(0, group="subject:alice")
    first = run([label(1, old.text, subject)], dataset(train=[old]), FreezePolicy(1, 0.5))
    second = run([label(2, "one more", subject)], as_parent(first), FreezePolicy(1, 0.5))
    assert "one more" in {one.text for one in splits_of(second)["train"]}


def test_a_row_about_one_person_has_no_other_groups() -> None:
    old = row(0, group="subject:kettle")
    result = run([label(1, old.text, "kettle"), label(2), label(3, "x", "pan")], dataset(train=[old, row(2)]), FreezePolicy(1, 0.0))
    assert b"other_groups" not in b"".join(result.files.values())
    assert not [one for one in splits_of(result)["train"] if one.other_groups]
