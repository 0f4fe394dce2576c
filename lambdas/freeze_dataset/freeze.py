"""A new dataset version from its parent and new human labels: pure, and the same for the same input.

Frozen stays frozen: the parent's test and validation rows are all kept, and nothing that a model was trained on enters
them. A group (one subject, one text) lies on one side only, and always on the same one, since its hash decides. All of
the parent's training rows stay too, so a version alone says what was ever trained on.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lambdas.common.dataset import Dataset, Manifest, ReferenceText, Row, normal_text, render
from lambdas.common.review import ReviewReason
from lambdas.common.text import InvalidText, checked_text

RECENT, RECENT_UNSURE = "recent", "recent-unsure"
"""Slices of rows that came from people after release. Those that the champion was unsure of lie apart: chosen for its own
doubt, they say nothing fair about it."""
LEAST_REFERENCE = 20
"""Fewer served texts say too little of what is normal."""


@dataclass(frozen=True)
class FreezePolicy:
    """``retraining`` of the settings: ``holdout_share`` of the new groups goes to the test set, half as much to validation."""

    min_new_labels: int
    holdout_share: float


@dataclass(frozen=True)
class Trained:
    """Texts (normalised) and groups of training rows."""

    texts: frozenset[str]
    groups: frozenset[str]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Trained:
        kept = list(rows)
        return cls(frozenset(row.normal_text for row in kept), frozenset(row.group for row in kept))


@dataclass(frozen=True)
class ServedText:
    """A text that was answered lately, and whom or what its caller said it is about."""

    text: str
    subject: str | None = None


@dataclass(frozen=True)
class Skipped:
    """Nothing was frozen, and why."""

    reason: str


@dataclass(frozen=True)
class LabelCounts:
    """What became of the new labels; the others add up to ``new``.

    ``frozen``: their texts lie in validation or test already. ``unusable``: there is a newer label for the same text, the
    dataset has no such label, the text may not enter, or its group is held out although the text was trained on.
    """

    new: int
    trained_on: int
    held_out: int
    frozen: int
    unusable: int


@dataclass(frozen=True)
class Frozen:
    """A new version: manifest, file contents by name, what became of the labels, and the size of the reference sample."""

    manifest: Manifest
    files: Mapping[str, bytes]
    labels: LabelCounts
    reference: int


def freeze(
    parent: Dataset, items: Iterable[Mapping[str, Any]], policy: FreezePolicy, served: Iterable[ServedText] = ()
) -> Frozen | Skipped:
    """The next dataset version: all rows of the parent, new labels on the side of their group, and a reference sample.

    Args:
        items: prediction records with a human label.
        served: of the newest traffic; the reference sample is drawn from them.
    """
    fresh = list(new_labels(parent, items))
    if len(fresh) < policy.min_new_labels:
        since = parent.manifest.watermark or "the first dataset"
        return Skipped(f"{len(fresh)} new labels since {since}: at least {policy.min_new_labels} are needed")
    ordered = sorted(fresh, key=lambda item: (str(item["reviewed_at"]), str(item["prediction_id"])))
    # The newest label of a text counts.
    newest = {row.normal_text: row for row in (row_of(item, parent.manifest.labels) for item in ordered) if row is not None}
    placed = place(list(newest.values()), parent, policy.holdout_share)
    if not placed["train"]:
        return Skipped(f"none of the {len(fresh)} new labels is for a text that may be trained on")
    train = merge(parent.splits["train"], placed["train"])
    splits = {
        "train": train,
        "validation": [*parent.splits["validation"], *placed["validation"]],
        "test": [*parent.splits["test"], *placed["test"]],
    }
    watermark = max(str(item["reviewed_at"]) for item in ordered)
    if parent.manifest.watermark is not None:
        watermark = max(watermark, parent.manifest.watermark)
    reference = reference_of(served, Trained.of(train), policy.holdout_share)
    manifest, files = render(splits, parent.manifest.labels, parent=parent.manifest.version, watermark=watermark, reference=reference)
    return Frozen(manifest, files, _count(len(fresh), newest, placed, parent), len(reference))


def new_labels(parent: Dataset, items: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """Items that no version has decided on, each once.

    Those around the watermark are read again, since an index lags: of a text that the parent holds, they had their turn.
    """
    rows = [row for kept in parent.splits.values() for row in kept]
    ids, texts = {row.id for row in rows}, {row.normal_text for row in rows}
    watermark = parent.manifest.watermark
    found: dict[str, Mapping[str, Any]] = {}
    for item in items:
        late = watermark is not None and str(item["reviewed_at"]) <= watermark
        if row_id(item) not in ids and not (late and normal_text(str(item["text"])) in texts):
            found[str(item["prediction_id"])] = item
    return found.values()


def row_id(item: Mapping[str, Any]) -> str:
    return f"prediction:{item['prediction_id']}"


def row_of(item: Mapping[str, Any], labels: tuple[str, ...]) -> Row | None:
    """A prediction record as a dataset row, or None when its label or text is not one to train on."""
    label = str(item["human_label"])
    try:
        text = checked_text("text", item["text"])
    except InvalidText:
        return None
    if label not in labels:
        return None
    return Row(
        id=row_id(item),
        text=text,
        label=label,
        votes={name: int(count) for name, count in sorted(item.get("votes", {}).items()) if name in labels},
        group=group_of(text, item.get("subject")),
        slice=RECENT_UNSURE if item.get("review_reason") == ReviewReason.LOW_CONFIDENCE else RECENT,
        source=str(item.get("label_source") or f"review:{item['prediction_id']}"),
    )


def group_of(text: str, subject: str | None) -> str:
    """What must not be split apart: all texts about one subject, else the text alone. ``local/own_texts.py`` names groups alike."""
    return f"subject:{unicodedata.normalize('NFC', subject)}" if subject else f"text:{_digest(normal_text(text))[:16]}"


def place(rows: Sequence[Row], parent: Dataset, holdout_share: float) -> dict[str, list[Row]]:
    """New rows by split; what is frozen already, or would leak, is in none."""
    frozen, trained = {split: parent.splits[split] for split in ("test", "validation")}, Trained.of(parent.splits["train"])
    frozen_texts = {row.normal_text for split in frozen.values() for row in split}
    sides = {row.group: split for split, kept in frozen.items() for row in kept}
    for row in rows:
        if row.group not in sides and (row.group in trained.groups or row.normal_text in trained.texts):
            sides[row.group] = "train"
    placed: dict[str, list[Row]] = {"train": [], "validation": [], "test": []}
    for row in rows:
        side = sides.get(row.group) or side_of(row.group, holdout_share)
        leaks = side != "train" and row.normal_text in trained.texts
        if row.normal_text not in frozen_texts and not leaks:
            placed[side].append(row)
    return placed


def side_of(group: str, holdout_share: float) -> str:
    """Where a group belongs, by its hash: test, validation (half as likely) or train."""
    position = int(_digest(group)[:8], 16) / 2**32
    if position < holdout_share:
        return "test"
    return "validation" if position < 1.5 * holdout_share else "train"


def merge(old: Iterable[Row], added: Iterable[Row]) -> list[Row]:
    """All training rows: a text with a new label has that one, in the group that it was trained in; only added rows are new."""
    fresh = {row.normal_text: replace(row, new=True) for row in added}
    kept = []
    for row in old:
        newer = fresh.get(row.normal_text)
        if newer is None:
            kept.append(replace(row, new=False))
        elif not row.group.startswith("text:"):
            fresh[row.normal_text] = replace(newer, group=row.group)
    return [*kept, *fresh.values()]


def reference_of(served: Iterable[ServedText], trained: Trained, holdout_share: float) -> list[ReferenceText]:
    """Served texts that no model is trained on: those of held-out groups.

    People are asked about what the champion is unsure of, so texts that just happen to have no label are the easy ones. The
    hash of a group knows nothing of that: what it holds out is a random sample of the traffic, labelled or not.
    """
    texts = [ReferenceText(item.text, group_of(item.text, item.subject)) for item in served]
    kept = [
        item
        for item in texts
        if side_of(item.group, holdout_share) != "train"
        and item.group not in trained.groups
        and normal_text(item.text) not in trained.texts
    ]
    return kept if len(kept) >= LEAST_REFERENCE else []


def _count(new: int, newest: Mapping[str, Row], placed: Mapping[str, Sequence[Row]], parent: Dataset) -> LabelCounts:
    trained_on, held_out = len(placed["train"]), len(placed["validation"]) + len(placed["test"])
    frozen = newest.keys() & {row.normal_text for split in ("validation", "test") for row in parent.splits[split]}
    return LabelCounts(new, trained_on, held_out, len(frozen), new - trained_on - held_out - len(frozen))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
