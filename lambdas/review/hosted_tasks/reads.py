"""What one request to the page has read of the table, so that it reads nothing twice: a write that no longer fits is refused anyway."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lambdas.review.hosted_tasks import task as tasks
from lambdas.review.hosted_tasks.desk import Desk
from lambdas.review.hosted_tasks.queue import Page, Read
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.task import NotPossible, State, Task
from review_page.answers import Worker
from review_page.tasks import ENDED, Answered

Held = tuple[Task, Mapping[str, Any]]
"""A task that somebody holds, and what they are shown of it."""
_TRIES = 10
_MOST_KEPT = 10_000
"""Ended tasks that a function's process knows by team and title."""
_KEPT_MS = 60_000
"""For so long it need not read them again. Then it does, because a deletion of what is kept about a person takes tasks away."""


@dataclass(frozen=True)
class Over:
    """What is shown of an ended task in the list of last answers. Only a deletion changes it. ``read_at``: epoch milliseconds."""

    team: str
    title: str
    read_at: int


class Reads:
    """Of one request.

    Args:
        clock: epoch milliseconds.
        over: ended tasks by id, which need not be read again for a minute; the requests of one process share it.
    """

    def __init__(self, table: TaskTable, clock: Callable[[], int], over: MutableMapping[str, Over]) -> None:
        self._table, self._clock, self._over = table, clock, over
        self.desk: Desk | None = None
        self._task: Task | None = None
        """The desk and the task as this request has read or written them last, as far as they may be still so."""
        self._answered: dict[str, Task] = {}
        """Tasks of the last answers, as this request has read them along with the next task."""
        self._pages: dict[str, list[Read]] = {}
        """Of the index, as this request has read them, by team."""

    def desks(self, worker: Worker) -> Iterator[Desk]:
        """The worker's desk: as this request knows it, and read anew at each further try."""
        for number in range(_TRIES):
            if number or self.desk is None or self.desk.worker_id != worker.worker_id:
                self.desk = self._table.desk(worker.worker_id)
            yield self.desk
            self._task = None

    def task(self, task_id: str) -> Task | None:
        return self._task if self._task is not None and self._task.task_id == task_id else self._table.task(task_id)

    def has(self, task: Task) -> None:
        """The request has read this task on its own."""
        self._task = task

    def wrote(self, desk: Desk, answered: Task | None = None) -> None:
        """These are stored now."""
        self.desk, self._task = replace(desk, version=desk.version + 1), None
        if answered is not None:
            self._answered[answered.task_id] = replace(answered, version=answered.version + 1)

    def is_over(self, task: Task) -> None:
        self._over[task.task_id] = Over(task.team, task.known_as, self._clock())

    def held(self, task_id: str, desk: Desk, *, to_begin: bool, given: str | None = None) -> Held | None:
        """Read a task. With one that comes into work the page shows the last answers, so their tasks are read in the same request.

        Args:
            given: the task of an answer that is not written yet. It is read, too: others may have changed it since the request began.
        """
        return self.held_among([task_id], desk, to_begin=to_begin, given=given).get(task_id)

    def held_among(self, task_ids: Sequence[str], desk: Desk, *, to_begin: bool, given: str | None = None) -> Mapping[str, Held]:
        """As :meth:`held`, by id."""
        known = {*self._just_seen_over(desk), *self._answered} - {given}
        others = [one.task_id for one in desk.recent if one.task_id not in known] if to_begin else []
        found, read = self._table.shown_among(list(dict.fromkeys(task_ids)), others)
        if given is not None:
            self._task = read.pop(given, None)
        self._answered.update(read)
        return found

    def page(self, worker: Worker, team: str, since: str, until: str | None) -> Page:
        """Tasks that wait for the person."""
        page = self._table.open_tasks(team, worker.worker_id, self._clock(), since, until)
        self._pages.setdefault(team, []).append(Read(since, until, page))
        return page

    def last_page(self, worker: Worker, team: str, since: str, until: str | None) -> Page:
        """As :meth:`page`, as this request has read them last."""
        for one in reversed(self._pages.get(team, ())):
            found = one.beyond(since, until)
            if found is not None:
                return found
        return self.page(worker, team, since, until)

    def recent(self, desk: Desk, worker: Worker, teams: Collection[str]) -> Sequence[Answered]:
        """The person's last answers, the newest first."""
        if len(self._over) > _MOST_KEPT:
            self._over.clear()
        now, over = self._clock(), self._just_seen_over(desk)
        unread = [one.task_id for one in desk.recent if one.task_id not in over and one.task_id not in self._answered]
        found = {**self._answered, **self._table.tasks(unread)}
        self._over.update({name: Over(task.team, task.known_as, now) for name, task in found.items() if task.state is not State.OPEN})
        shown = []
        for given in desk.recent:
            known, task = over.get(given.task_id), found.get(given.task_id)
            if known is not None and known.team in teams:
                shown.append(Answered(given.task_id, known.title, given.submitted_at / 1_000, ENDED))
            elif known is None and task is not None and task.team in teams:
                shown.append(Answered(given.task_id, task.known_as, given.submitted_at / 1_000, _fixed(task, worker, now)))
        return shown

    def _just_seen_over(self, desk: Desk) -> dict[str, Over]:
        """Tasks of the last answers that this process has seen ended not long ago."""
        now, known = self._clock(), {one.task_id: self._over.get(one.task_id) for one in desk.recent}
        return {name: over for name, over in known.items() if over is not None and now - over.read_at < _KEPT_MS}


def _fixed(task: Task, worker: Worker, now: int) -> str:
    try:
        tasks.undo(task, worker.worker_id, now)
    except NotPossible:
        return ENDED
    return ""
