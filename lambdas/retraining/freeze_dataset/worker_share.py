"""A cap on one worker's share of the new labels: pure.

Each labelled text counts as one, divided equally among the people who answered it. So one of three people has a third of a text, and
somebody who answered alone has all of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Capped:
    """Which labels stay, in the order given.

    Attributes:
        kept: names of the labels.
        left_out: how many are not among them.
        over: where the cap cannot hold, the worker with the largest share, with the share of all labels given; else None.
    """

    kept: Sequence[str]
    left_out: int
    over: tuple[str, float] | None = None


def capped(workers: Mapping[str, Sequence[str]], most: float) -> Capped:
    """Leave labels out until no worker has more than ``most`` of those that stay.

    The worker with the largest share goes first, and of this worker's labels those that the fewest people answered. Leaving out a label of
    which the worker has no more than of all labels would not lower the share: then the cap cannot hold, and :attr:`Capped.over` says so.

    Args:
        workers: label -> who answered it. A label that nobody is known for counts for nobody.
        most: above 0, at most 1.
    """
    parts = {name: {worker: given.count(worker) / len(given) for worker in sorted(set(given))} for name, given in workers.items()}
    shares: dict[str, float] = defaultdict(float)
    for part in parts.values():
        for worker, share in part.items():
            shares[worker] += share
    first = max(shares.items(), key=_by_share, default=("", 0.0))
    queues: dict[str, Iterator[str]] = {}
    gone: set[str] = set()
    while shares and len(gone) < len(parts):
        count = len(parts) - len(gone)
        worker, amount = max(shares.items(), key=_by_share)
        if amount <= most * count + _ROUNDING:
            return Capped([name for name in workers if name not in gone], len(gone))
        if worker not in queues:
            own = sorted((name for name, part in parts.items() if worker in part), key=lambda name: (-parts[name][worker], name))
            queues[worker] = iter(own)
        name = next((name for name in queues[worker] if name not in gone), None)
        if name is None or parts[name][worker] <= amount / count + _ROUNDING:
            return Capped(list(workers), 0, (first[0], first[1] / len(parts)))
        gone.add(name)
        for other, share in parts[name].items():
            shares[other] -= share
    return Capped(list(workers), 0)


def _by_share(item: tuple[str, float]) -> tuple[float, str]:
    worker, amount = item
    return round(amount, 6), worker
