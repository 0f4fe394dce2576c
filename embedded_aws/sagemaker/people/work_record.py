"""What people have done at the queue: their answers, skips and flags. For their own pace, for undoing, and for who leads them.

In memory and bounded: a person's last thousand answers, the last two thousand tasks that have ended, five hundred remarks.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from embedded_aws.core import clock
from review_page.answers import Answer, Worker
from review_page.questions import CANNOT_TELL
from review_page.tasks import MOST_LISTED, MOST_RECENT, Person, Progress, Remark, TaskRefused

_MOST_ANSWERS = 1_000
_MOST_ENDED = 2_000
_MOST_REMARKS = 500


@dataclass(frozen=True)
class Given:
    """One answer, and the task that it is to."""

    task_id: str
    title: str
    team: str
    answer: Answer


@dataclass(frozen=True)
class _Remark:
    team: str
    disputes: bool
    shown: Remark


@dataclass
class WorkRecord:
    """Not thread-safe: the queue's lock guards it."""

    _given: dict[str, deque[Given]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=_MOST_ANSWERS)))
    _ended: OrderedDict[str, list[Given]] = field(default_factory=OrderedDict)
    _skips: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of skips, by team and worker id."""
    _remarks: dict[str, _Remark] = field(default_factory=dict)
    _names: dict[str, str] = field(default_factory=dict)

    def answered(self, given: Given) -> None:
        self._know(given.answer.worker)
        self._given[given.answer.worker.worker_id].append(given)

    def taken_back(self, given: Given) -> None:
        self._given[given.answer.worker.worker_id].remove(given)

    def skipped(self, team: str, worker: Worker) -> None:
        self._know(worker)
        self._skips[team, worker.worker_id] += 1

    def ended(self, task_id: str, title: str, team: str, answers: Iterable[Answer]) -> None:
        self._ended[task_id] = [Given(task_id, title, team, answer) for answer in answers]
        while len(self._ended) > _MOST_ENDED:
            self._ended.popitem(last=False)

    def recent(self, worker: Worker, teams: Collection[str] | None = None) -> list[Given]:
        """The worker's last answers, the newest first; without ``teams`` those for any."""
        mine = reversed(self._given.get(worker.worker_id, ()))
        return [given for given in mine if teams is None or given.team in teams][:MOST_RECENT]

    def progress(self, worker: Worker, since: float) -> Progress:
        seconds = [
            given.answer.submitted_at - given.answer.accepted_at
            for given in self._given.get(worker.worker_id, ())
            if given.answer.submitted_at >= since
        ]
        return Progress(len(seconds), _mean(seconds))

    # -- for the lead ----------------------------------------------------------------------------------

    def people(self, teams: Collection[str], still_open: Iterable[Given]) -> list[Person]:
        """Everybody who has answered or skipped for the teams; ``still_open``: answers to tasks that have not ended."""
        by_task: dict[str, list[Given]] = defaultdict(list)
        for given in [*(one for ended in self._ended.values() for one in ended), *still_open]:
            if given.team in teams:
                by_task[given.task_id].append(given)
        agreed, compared = Counter[str](), Counter[str]()
        for answers in by_task.values():
            for worker_id, same in _with_the_most(answers).items():
                compared[worker_id] += 1
                agreed[worker_id] += same
        mine: dict[str, list[Answer]] = defaultdict(list)
        for given in (one for answers in by_task.values() for one in answers):
            mine[given.answer.worker.worker_id].append(given.answer)
        skips = Counter[str]()
        for (team, worker_id), count in self._skips.items():
            skips[worker_id] += count if team in teams else 0
        people = [
            Person(
                name=self._names.get(worker_id) or worker_id,
                answered=len(mine[worker_id]),
                seconds_per_answer=_mean([one.submitted_at - one.accepted_at for one in mine[worker_id]]),
                agreed=agreed[worker_id],
                compared=compared[worker_id],
                cannot_tell=sum(_cannot_tell(one.content) for one in mine[worker_id]),
                skipped=skips[worker_id],
            )
            for worker_id in {*mine, *(key for key, count in skips.items() if count)}
        ]
        return sorted(people, key=lambda one: (-one.answered, one.name))[:MOST_LISTED]

    def title_of_ended(self, task_id: str, teams: Collection[str]) -> tuple[str, str] | None:
        """(title, team) of a task that has ended, if it was one of the teams' and is remembered."""
        given = next(iter(self._ended.get(task_id, ())), None)
        return (given.title, given.team) if given is not None and given.team in teams else None

    def remark(self, *, task_id: str, title: str, team: str, by: Worker, note: str, disputes: bool) -> None:
        remark = Remark(uuid.uuid4().hex, task_id, title, by.name or by.worker_id, note, clock.now())
        while len(self._remarks) >= _MOST_REMARKS:
            del self._remarks[next(iter(self._remarks))]
        self._remarks[remark.remark_id] = _Remark(team, disputes, remark)

    def remarks(self, teams: Collection[str], *, disputes: bool) -> list[Remark]:
        found = [one.shown for one in self._remarks.values() if one.team in teams and one.disputes == disputes]
        return found[::-1][:MOST_LISTED]

    def close(self, remark_id: str, teams: Collection[str]) -> None:
        """Raises TaskRefused."""
        found = self._remarks.get(remark_id)
        if found is None or found.team not in teams:
            raise TaskRefused("There is no such flag or dispute, or it is closed.")
        del self._remarks[remark_id]

    def _know(self, worker: Worker) -> None:
        self._names[worker.worker_id] = worker.name


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _with_the_most(answers: Sequence[Given]) -> dict[str, bool]:
    """Worker id -> whether they say what most say; without a single most frequent answer, or with one answer alone, nobody is compared."""
    said = {given.answer.worker.worker_id: json.dumps(given.answer.content, sort_keys=True, default=str) for given in answers}
    ranked = Counter(said.values()).most_common(2)
    if len(said) < 2 or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return {}
    return {worker_id: one == ranked[0][0] for worker_id, one in said.items()}


def _cannot_tell(content: Mapping[str, Any]) -> bool:
    return any(isinstance(value, dict) and value.get("label") == CANNOT_TELL for value in content.values())
