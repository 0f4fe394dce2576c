"""What one ended task says of the people who had it: answers, pace, and whether they say what most say. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from contracts.labels import CANNOT_TELL
from lambdas.review.hosted_tasks.task import Task

MOST_SKIPPERS = 20
"""So many people who skipped a task are counted; a transaction has room for a hundred writes."""


@dataclass(frozen=True)
class Tally:
    """Numbers that are added to those of a person. ``seconds`` is the time of all answers; ``name`` is None where it is not known."""

    name: str | None = None
    answered: int = 0
    seconds: int = 0
    compared: int = 0
    agreed: int = 0
    cannot_tell: int = 0
    skipped: int = 0
    gold_answered: int = 0
    gold_right: int = 0


COUNTED = ("answered", "seconds", "compared", "agreed", "cannot_tell", "skipped", "gold_answered", "gold_right")


def tallies(task: Task) -> dict[str, Tally]:
    """By worker id.

    Nobody is compared with the others where one person answered alone, or where no single answer is the most frequent one. Answers to a
    gold task are compared with what is known instead.
    """
    is_gold = task.gold is not None
    same = {} if is_gold else _with_the_most({worker: one.label for worker, one in task.answers.items() if one.label is not None})
    found = {
        worker: Tally(
            name=one.name,
            answered=1,
            seconds=round(((one.submitted_at or one.accepted_at) - one.accepted_at) / 1_000),
            compared=worker in same,
            agreed=same.get(worker, False),
            cannot_tell=one.label == CANNOT_TELL,
            gold_answered=is_gold,
            gold_right=is_gold and one.label == task.gold,
        )
        for worker, one in task.answers.items()
    }
    skippers = sorted(task.skipped_by - found.keys())[:MOST_SKIPPERS]
    return found | {worker: Tally(skipped=1) for worker in skippers}


def _with_the_most(said: Mapping[str, str]) -> dict[str, bool]:
    ranked = Counter(said.values()).most_common(2)
    if len(said) < 2 or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return {}
    return {worker: label == ranked[0][0] for worker, label in said.items()}
