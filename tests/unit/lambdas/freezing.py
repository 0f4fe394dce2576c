"""A dataset version in memory, labels that people gave, and the freezing of both as the function does it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_files import render, rows_of

from contracts.amendments import Amendment, Amendments
from contracts.dataset import SPLITS, Manifest, Row
from contracts.dataset_files import file_name
from lambdas.common.predictions import StoredPrediction
from lambdas.retraining.freeze_dataset import freeze as freezing
from lambdas.retraining.freeze_dataset.freeze import FreezePolicy, LabelCounts, ServedText, Skipped
from lambdas.retraining.freeze_dataset.row_files import RowFile, Version

LABELS = ("negative", "neutral", "positive")
POLICY = FreezePolicy(min_new_labels=1, holdout_share=0.3)


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


@dataclass(frozen=True)
class Dataset:
    """A version's rows in memory."""

    manifest: Manifest
    splits: Mapping[str, tuple[Row, ...]]
    key_examples: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Frozen:
    """What was frozen, with the files' contents."""

    manifest: Manifest
    files: Mapping[str, bytes]
    labels: LabelCounts
    reference: int
    amended: tuple[int, int] = (0, 0)
    """Rows corrected, rows forgotten."""


def dataset(
    train: Iterable[Row] = (), validation: Iterable[Row] = (), test: Iterable[Row] = (), *, watermark: str | None = None
) -> Dataset:
    splits = {
        "train": tuple(train) or tuple(row(n) for n in range(12)),
        "validation": tuple(validation) or tuple(row(n, "validation") for n in range(4)),
        "test": tuple(test) or tuple(row(n, "test") for n in range(6)),
    }
    manifest, files = render(splits, LABELS, parent=None, watermark=watermark)
    return Dataset(manifest, {name: rows_of(files[file_name(name)], name) for name in SPLITS})


def freeze(
    parent: Dataset,
    items: Iterable[dict[str, Any]],
    policy: FreezePolicy,
    served: Iterable[ServedText] = (),
    amendments: Iterable[Amendment] = (),
) -> Frozen | Skipped:
    """As the function does it, with the parent's rows on disk."""
    with tempfile.TemporaryDirectory() as name:
        folder, splits = Path(name), {}
        for split, rows in parent.splits.items():
            path = folder / f"parent-{split}.jsonl"
            path.write_text("".join(one.to_json() + "\n" for one in rows), encoding="utf-8")
            splits[split] = RowFile.of(path, split)
        (folder / "made").mkdir()
        keys = None
        for one in parent.key_examples:
            keys = keys or RowFile(folder / "keys.jsonl")
            keys.append(one)
        version = Version(parent.manifest, splits, keys)
        found = freezing.freeze(version, map(StoredPrediction.parse, items), policy, folder / "made", served, Amendments.of(amendments))
        version.remove()
        if isinstance(found, Skipped):
            return found
        return Frozen(found.manifest, {name: path.read_bytes() for name, path in found.files.items()}, found.labels, found.reference,
                      (found.corrected, found.forgotten))  # fmt: skip


def label(number: int, text: str | None = None, subject: str | None = None, **changes: Any) -> dict[str, Any]:
    item: dict[str, Any] = {
        "prediction_id": f"p{number:04d}",
        "text": text or f"new text {number}",
        "created_at": "2026-10-31T00:00:00+00:00",
        "expires_at": 1_900_000_000,
        "review_state": "reviewed",
        "attempt": 1,
        "human_label": LABELS[number % 3],
        "votes": {LABELS[number % 3]: 2, "neutral": 1},
        "reviewed_at": f"2026-11-01T00:{number // 60:02d}:{number % 60:02d}+00:00",
        "label_source": f"review:p{number:04d}",
        **changes,
    }
    return item | ({"subject": subject} if subject else {})


def run(
    items: Iterable[dict[str, Any]], parent: Dataset | None = None, policy: FreezePolicy = POLICY, served: Iterable[ServedText] = ()
) -> Frozen:
    result = freeze(parent or dataset(), items, policy, served)
    assert isinstance(result, Frozen), result
    return result


def as_parent(frozen: Frozen) -> Dataset:
    return Dataset(frozen.manifest, splits_of(frozen))


def splits_of(frozen: Frozen) -> dict[str, tuple[Row, ...]]:
    return {name: rows_of(frozen.files[file_name(name)], name) for name in SPLITS}
