"""Splits of dataset rows that are made on this machine, by whole groups."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from contracts.dataset import Row

TEST, VALIDATION = 0.25, 0.15
LEAST_GROUPS = 3
"""A label has this many groups in every split, if it has three times as many."""


def split_by_group(rows: Iterable[Row], *, seed: int, test: float = TEST, validation: float = VALIDATION) -> dict[str, list[Row]]:
    """Split whole groups at random, so that the sentences of one review are all in the same split.

    Args:
        test: share of the groups, 0..1, as ``validation``; the rest is for training.
    """
    items = list(rows)
    groups = sorted({row.group for row in items})
    random.Random(seed).shuffle(groups)  # noqa: S311  (a reproducible split, not a secret)
    first, second = int(test * len(groups)), int((test + validation) * len(groups))
    place = {group: "test" if i < first else "validation" if i < second else "train" for i, group in enumerate(groups)}
    return {name: [row for row in items if place[row.group] == name] for name in ("train", "validation", "test")}


def stratified(labels: Sequence[str], groups: Sequence[str], shares: Mapping[str, float], *, seed: int) -> list[str]:
    """The split of each row, so that every split has about the same mix of labels and no group is split apart.

    The labels with the fewest groups are placed first, since they have the least choice. Each split gets :data:`LEAST_GROUPS` groups of
    a label, or as many as all three can have. Every other group, the largest first, goes where the label lacks the most rows.
    Source: iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011), with groups for examples.

    Args:
        labels, groups: of each row. The result depends on them and not on the order of the rows.
        shares: of the rows; they add up to 1. The first split is the one that a label with too few groups is in.
    """
    content: dict[str, Counter[str]] = defaultdict(Counter)
    for label, group in zip(labels, groups, strict=True):
        content[group][label] += 1
    order = sorted(content)
    random.Random(seed).shuffle(order)  # noqa: S311  (a reproducible split, not a secret)
    sizes = {group: sum(counts.values()) for group, counts in content.items()}
    order.sort(key=lambda group: -sizes[group])
    of_label: dict[str, list[str]] = defaultdict(list)
    for group in order:
        for label in content[group]:
            of_label[label].append(group)
    place: dict[str, str] = {}
    have_groups = {split: Counter[str]() for split in shares}
    have_rows = {split: Counter[str]() for split in shares}

    def put(group: str, split: str) -> None:
        place[group] = split
        have_groups[split].update(content[group].keys())
        have_rows[split].update(content[group])

    for label in sorted(of_label, key=lambda name: (len(of_label[name]), name)):
        rows = sum(content[group][label] for group in of_label[label])
        pending = [group for group in of_label[label] if group not in place]
        for split, least in _least(len(of_label[label]), tuple(shares)).items():
            while pending and have_groups[split][label] < least:
                put(pending.pop(), split)  # the smallest: a large group would upset the shares
        for group in pending:
            put(group, max(shares, key=lambda split: shares[split] * rows - have_rows[split][label]))
    return [place[group] for group in groups]


def _least(groups: int, splits: Sequence[str]) -> dict[str, int]:
    """Split -> number of groups that it gets first, of a label with ``groups`` groups."""
    each = min(LEAST_GROUPS, groups // len(splits))
    return dict.fromkeys(splits, each) if each else dict.fromkeys(splits[:groups], 1)


def shares_without(missing: Iterable[str]) -> dict[str, float]:
    """Shares of train, test and validation when only ``missing`` and train are to be filled."""
    wanted = {"test": TEST, "validation": VALIDATION}
    kept = {split: share for split, share in wanted.items() if split in set(missing)}
    return {"train": 1 - sum(kept.values()), **kept}


def sample(ids: Sequence[str], labels: Sequence[str], most: int, *, seed: int, least: int = 20) -> set[int]:
    """Positions of a sample with the labels' shares; of a rare label up to ``least`` rows stay, and all these fill half of it at most.

    Args:
        ids: of the rows. The sample depends on them and on the seed, not on the order of the rows.
    """
    if len(ids) <= most:
        return set(range(len(ids)))
    of_label: dict[str, list[int]] = defaultdict(list)
    for position in sorted(range(len(ids)), key=lambda at: _draw(ids[at], seed)):
        of_label[labels[position]].append(position)
    least = min(least, max(1, most // (2 * len(of_label))))
    floor = {label: min(len(rows), least) for label, rows in of_label.items()}
    spare = max(most - sum(floor.values()), 0)
    above = max(sum(len(rows) - floor[label] for label, rows in of_label.items()), 1)
    kept = {label: floor[label] + spare * (len(rows) - floor[label]) // above for label, rows in of_label.items()}
    return {position for label, rows in of_label.items() for position in rows[: kept[label]]}


def _draw(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
