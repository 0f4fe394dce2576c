"""A new dataset version from its parent and new human labels: pure, and the same for the same input.

Frozen stays frozen: the parent's test and validation rows are all kept, and nothing that a model was trained on enters
them. A group (one subject, one text) lies on one side only, and always on the same one, since its hash decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lambdas.common.dataset import Dataset, Manifest, Row, render

RECENT = "recent"
"""Slice of every row that came from people after release: evaluation reports them apart."""


@dataclass(frozen=True)
class FreezePolicy:
    """``retraining`` of the settings.

    ``holdout_share`` of the new groups goes to the test set and half as much to validation; at most ``replay_rows`` of
    the parent's training rows go on being trained on, so that the model does not forget them.
    """

    min_new_labels: int
    holdout_share: float
    replay_rows: int


@dataclass(frozen=True)
class Trained:
    """Texts (normalised) and groups that some earlier version had in its training rows, replayed since or not."""

    texts: frozenset[str]
    groups: frozenset[str]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Trained:
        kept = list(rows)
        return cls(frozenset(row.normal_text for row in kept), frozenset(row.group for row in kept))


@dataclass(frozen=True)
class Skipped:
    """Nothing was frozen, and why."""

    reason: str


@dataclass(frozen=True)
class Frozen:
    """A new version: manifest, file contents by name, and how many new labels are inside or had to be left out."""

    manifest: Manifest
    files: Mapping[str, bytes]
    used: int
    left_out: int


def freeze(parent: Dataset, items: Iterable[Mapping[str, Any]], trained: Trained, policy: FreezePolicy) -> Frozen | Skipped:
    """The next dataset version: the parent's held-out rows, new labels on the side of their group, old training rows replayed.

    Args:
        items: prediction records with a human label.
        trained: of all earlier versions, the parent included.
    """
    known = {row.id for rows in parent.splits.values() for row in rows}
    fresh = {f"{item['prediction_id']}": item for item in items if row_id(item) not in known}
    if len(fresh) < policy.min_new_labels:
        since = parent.manifest.watermark or "the first dataset"
        return Skipped(f"{len(fresh)} new labels since {since}: at least {policy.min_new_labels} are needed")
    ordered = sorted(fresh.values(), key=lambda item: (str(item["reviewed_at"]), str(item["prediction_id"])))
    # The newest label of a text counts.
    newest = {row.normal_text: row for row in (row_of(item, parent.manifest.labels) for item in ordered) if row is not None}
    placed = place(list(newest.values()), parent, trained, policy.holdout_share)
    if not placed["train"]:
        return Skipped(f"none of the {len(fresh)} new labels is for a text that may be trained on")
    splits = {
        "train": [*replay(parent.splits["train"], set(newest), policy.replay_rows), *placed["train"]],
        "validation": [*parent.splits["validation"], *placed["validation"]],
        "test": [*parent.splits["test"], *placed["test"]],
    }
    watermark = max(str(item["reviewed_at"]) for item in ordered)
    if parent.manifest.watermark is not None:
        watermark = max(watermark, parent.manifest.watermark)
    manifest, files = render(splits, parent.manifest.labels, parent=parent.manifest.version, watermark=watermark)
    used = sum(len(rows) for rows in placed.values())
    return Frozen(manifest, files, used=used, left_out=len(fresh) - used)


def row_id(item: Mapping[str, Any]) -> str:
    return f"prediction:{item['prediction_id']}"


def row_of(item: Mapping[str, Any], labels: tuple[str, ...]) -> Row | None:
    """A prediction record as a dataset row, or None when its label or text is not one to train on."""
    label, text = str(item["human_label"]), str(item["text"])
    if label not in labels or not text.strip():
        return None
    votes = {name: int(count) for name, count in sorted(item.get("votes", {}).items()) if name in labels}
    row = Row(
        id=row_id(item),
        text=text,
        label=label,
        votes=votes,
        group="",
        slice=RECENT,
        source=str(item.get("label_source") or f"review:{item['prediction_id']}"),
    )
    subject = item.get("subject")
    group = f"subject:{subject}" if subject else f"text:{_digest(row.normal_text)[:16]}"
    return Row(**{**vars(row), "group": group})


def place(rows: list[Row], parent: Dataset, trained: Trained, holdout_share: float) -> dict[str, list[Row]]:
    """New rows by split; what is frozen already, or would leak, is in none."""
    frozen = {split: parent.splits[split] for split in ("test", "validation")}
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


def replay(rows: Iterable[Row], replaced: set[str], most: int) -> list[Row]:
    """At most ``most`` earlier training rows in the order of their hash; a text with a new label is left to it."""
    candidates = [row for row in rows if row.normal_text not in replaced]
    return sorted(candidates, key=lambda row: _digest(row.to_json()))[:most]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
