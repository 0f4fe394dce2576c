"""What the judge knew at one look: the ``evidence`` of a verdict. Fields that a verdict does not have are not known. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Thresholds:
    """The e-value from which on a hypothesis is refuted; None where the verdict does not say."""

    promote: float | None = None
    roll_back: float | None = None

    @classmethod
    def parse(cls, raw: Any) -> Thresholds:
        """From one number for both, or ``{"promote", "roll_back"}``."""
        if isinstance(raw, Mapping):
            return cls(number(raw.get("promote")), number(raw.get("roll_back")))
        return cls(number(raw), number(raw))


@dataclass(frozen=True)
class Evidence:
    """Counts of pairs, the two e-values and what they are compared with.

    Attributes:
        pairs, agreed, differ: pairs that were scored, those with one label, those with two.
        labelled, waiting, undecided, lost: of the differing pairs: judged by people, not yet, without a majority, never.
        better, worse: differing pairs on which people agreed with the challenger alone, and with the champion alone.
        e_promote, e_roll_back: e-values against "loses the margin or more" and against "not worse".
        interval: where the difference lies (challenger minus champion, -1..1).
        labels_needed: how many more labels are expected until a decision.
        missed: reason -> pairs that were not scored.
        guardrails: the judge's own records, as they are.
    """

    pairs: int | None = None
    agreed: int | None = None
    differ: int | None = None
    labelled: int | None = None
    waiting: int | None = None
    undecided: int | None = None
    lost: int | None = None
    better: int | None = None
    worse: int | None = None
    e_promote: float | None = None
    e_roll_back: float | None = None
    thresholds: Thresholds = field(default_factory=Thresholds)
    interval: tuple[float, float] | None = None
    labels_needed: int | None = None
    missed: Mapping[str, int] | None = None
    guardrails: Any = None

    @classmethod
    def parse(cls, raw: Any) -> Evidence:
        """Never fails: a value of another form than the documented one counts as not known."""
        if not isinstance(raw, Mapping):
            return cls()
        counts = {name: _count(raw.get(name)) for name in _COUNTS}
        interval, missed = raw.get("interval"), raw.get("missed")
        ends = [number(end) for end in interval] if isinstance(interval, list) and len(interval) == 2 else [None, None]
        return cls(
            **counts,
            e_promote=number(raw.get("e_promote")),
            e_roll_back=number(raw.get("e_roll_back")),
            thresholds=Thresholds.parse(raw.get("threshold")),
            interval=None if ends[0] is None or ends[1] is None else (ends[0], ends[1]),
            missed={str(key): int(value) for key, value in missed.items() if _count(value)} if isinstance(missed, Mapping) else None,
            guardrails=raw.get("guardrails"),
        )

    @property
    def has_pairs(self) -> bool:
        return self.pairs is not None


_COUNTS = ("pairs", "agreed", "differ", "labelled", "waiting", "undecided", "lost", "better", "worse", "labels_needed")


def number(raw: Any) -> float | None:
    """A finite number; None for anything else."""
    return float(raw) if isinstance(raw, int | float) and not isinstance(raw, bool) and math.isfinite(raw) else None


def _count(raw: Any) -> int | None:
    found = number(raw)
    return None if found is None or found < 0 else round(found)


def nearness(e_value: float | None, threshold: float | None) -> float | None:
    """How far an e-value is on its way to the threshold, 0..1 on the logarithmic scale from 1; None where either is not known."""
    if e_value is None or threshold is None or threshold <= 1:
        return None
    if e_value <= 1:
        return 0.0
    return min(1.0, math.log(e_value) / math.log(threshold))
