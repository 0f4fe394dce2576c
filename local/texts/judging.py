"""How many held-out texts a class needs before its recall says anything."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from contracts.dataset import SPLITS, Row
from contracts.phrases import counted
from local.texts.splitting import TEST

HALF_WIDTH = 0.10
RECALL = 0.8
_Z = 1.959964
_NAMED = 5


def interval_half_width(recall: float, groups: int) -> float:
    """Half the width of Wilson's 95 % interval of a recall that rests on ``groups`` independent texts."""
    spread = math.sqrt(recall * (1 - recall) / groups + _Z**2 / (4 * groups**2))
    return _Z * spread / (1 + _Z**2 / groups)


def groups_to_judge() -> int:
    """Test groups of a class from which a recall of 80 % is known to ten points: 95 % interval, Wilson (1927)."""
    return next(n for n in range(1, 10_000) if interval_half_width(RECALL, n) <= HALF_WIDTH)


def warnings_of(splits: Mapping[str, Sequence[Row]], labels: Sequence[str], names: Mapping[str, str], *, drawn: bool) -> list[str]:
    """What should be known of labels with few groups of texts.

    Args:
        drawn: the test set was drawn here, so more texts would give it its share of them.
    """
    groups = {split: Counter(label for label, _ in {(row.label, row.group) for row in rows}) for split, rows in splits.items()}
    said = []
    absent = {label: [split for split in SPLITS if not groups[split][label]] for label in labels}
    rare = {label: missing for label, missing in absent.items() if missing}
    if rare:
        named = [f"{names.get(label, label)!r} (no {' and no '.join(missing)} text)" for label, missing in rare.items()]
        said.append(
            f"{counted(len(rare), 'label')} not in every split: {_first(named)}; 3 separate texts of a label are needed, 9 are better"
        )
    needed = groups_to_judge()
    few = sorted(
        ((groups["test"][label], label) for label in labels if 0 < groups["test"][label] < needed), key=lambda item: (item[0], item[1])
    )
    if few:
        named = [f"{names.get(label, label)!r} {count} (±{interval_half_width(RECALL, count):.0%})" for count, label in few]
        more = f", which is about {round(needed / TEST)} in all" if drawn else ""
        said.append(
            f"{len(few)} of {counted(len(labels), 'label')} with too few test texts to judge: {_first(named)}; "
            f"from {needed} separate test texts{more}, a recall of {RECALL:.0%} is known to ±{HALF_WIDTH:.0%} (95 % interval)"
        )
    return said


def _first(named: Sequence[str]) -> str:
    return ", ".join(named[:_NAMED]) + (f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else "")
