"""An answer is stored, and in the same transaction the next task comes into the person's hands, so that no request is needed for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lambdas.common.worker_answer import chosen_label
from lambdas.review.hosted_tasks import desk as desks
from lambdas.review.hosted_tasks import task as tasks
from lambdas.review.hosted_tasks.desk import Desk
from lambdas.review.hosted_tasks.items import Content
from lambdas.review.hosted_tasks.queue import Look
from lambdas.review.hosted_tasks.reads import Held, Reads
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.taking import Along, DeskChanged, TakenByOthers, Taking
from lambdas.review.hosted_tasks.task import NotPossible, Task
from review_page.answers import Worker
from review_page.tasks import NO_LONGER_YOURS, TaskRefused


@dataclass(frozen=True)
class _Answer(Along):
    """What one answer writes besides the desk of whoever gives it."""

    at: int
    took: int


@dataclass(frozen=True)
class Stored:
    """``next`` and ``ahead``: what was leased along with the answer; ``(None,)``: nothing waits; None: it was not looked up."""

    next: tuple[Held | None] | None = None
    ahead: tuple[Held | None] | None = None


class Answering:
    """Of one request.

    Args:
        end: brings a task that is ``ending`` to its end.
        clock: epoch milliseconds.
    """

    def __init__(self, table: TaskTable, reads: Reads, taking: Taking, end: Callable[[Task], None], clock: Callable[[], int]) -> None:
        self._table, self._reads, self._taking, self._end, self._clock = table, reads, taking, end, clock

    def store(
        self, desk: Desk, task_id: str, worker: Worker, content: Mapping[str, Any], teams: Collection[str] | None, *, ahead: bool
    ) -> Stored | None:
        """Store the answer, and with teams bring the next task into work; ``ahead``: with the one after it.

        None: nothing is stored, and the desk must be read again.

        Raises:
            TaskRefused: the worker does not hold the task.
        """
        answer = self._answer(task_id, worker, content)
        behind = desks.answered(desk, task_id, answer.took, answer.at)
        try:
            stored = None if teams is None else self._with_next(answer, worker, behind, teams, ahead=ahead)
        except DeskChanged:
            return None
        if stored is not None:
            return stored
        return Stored() if self._alone(self._answer(task_id, worker, content), behind) else None

    def _answer(self, task_id: str, worker: Worker, content: Mapping[str, Any]) -> _Answer:
        """What the answer makes of its task, as this request has read that last. Raises TaskRefused."""
        task, now = self._reads.task(task_id), self._clock()
        lease = None if task is None else task.lease_of(worker.worker_id, now)
        if task is None or lease is None:
            raise TaskRefused(NO_LONGER_YOURS)
        given = tasks.advance(tasks.answer(task, worker.worker_id, chosen_label(content), now), now)
        stored = Content(task_id, worker.worker_id, worker.identity, content)
        return _Answer(given, tuple(self._released(task, given, worker)), stored, now, now - lease.accepted_at)

    def _again(self, answer: _Answer, worker: Worker) -> _Answer:
        """The same answer to its task as it has been read meanwhile."""
        return self._answer(answer.task.task_id, worker, answer.content.content)

    def _released(self, before: Task, after: Task, worker: Worker) -> list[Desk]:
        """Desks of others from which the task goes when it ends."""
        gone = before.leases.keys() - after.assignments.keys() - {worker.worker_id}
        return [desks.without(self._table.desk(other), before.task_id) for other in gone]

    def _alone(self, answer: _Answer, desk: Desk, *begun: Task) -> bool:
        """Write an answer, the desk of who gives it, and perhaps the task that they have in work then; False: it is as before."""
        if not self._table.commit(answer.task, desk, *answer.others, *begun, content=answer.content):
            return False
        self._reads.wrote(desk, answer.task)
        self._end(answer.task)
        return True

    def _with_next(self, answer: _Answer, worker: Worker, desk: Desk, teams: Collection[str], *, ahead: bool) -> Stored | None:
        """Write an answer, and bring the next task into work, in one transaction; ``ahead``: if that was ahead, with the one after it.

        None: nothing is written. Others have taken what this look at the queue has found, or the next task needs more than one step.

        Raises:
            DeskChanged: the desk or the answered task must be read again.
        """
        if desk.in_work is not None:
            return None
        if desk.ahead is not None:
            return self._with_ahead(answer, worker, desk, desk.ahead, teams, further=ahead)

        def along() -> _Answer:
            nonlocal answer
            answer = self._again(answer, worker)
            return answer

        for team in sorted(teams):
            look = self._taking.look(worker, desk, team)
            candidates = self._taking.candidates(look, oldest_first=True)
            try:
                held = self._taking.first_free(candidates, look, worker, desk, ahead=False, given=answer.task.task_id, along=along)
            except TakenByOthers:
                return None
            if held is not None:
                self._end(answer.task)
                return Stored((held,))
            desk = desks.passing(desk, team, look.passed)
        if not self._alone(self._again(answer, worker), desk):
            raise DeskChanged
        return Stored((None,))

    def _with_ahead(
        self, answer: _Answer, worker: Worker, desk: Desk, ahead: str, teams: Collection[str], *, further: bool
    ) -> Stored | None:
        """As :meth:`_with_next`, for a person with a task ahead; ``further``: lease the one after it, too."""
        look, after = self._looked_ahead(worker, desk, teams) if further else (None, "")
        found = self._reads.held_among([ahead, *([after] if after else [])], desk, to_begin=True, given=answer.task.task_id)
        if ahead not in found or found[ahead][0].team not in teams:
            return None
        try:
            begun = tasks.begin(found[ahead][0], desk.worker_id, self._clock())
        except NotPossible:
            return None
        answer, behind = self._again(answer, worker), replace(desk, in_work=ahead, ahead=None)
        next_one = replace(begun, version=begun.version + 1), found[ahead][1]
        if look is not None and after in found:
            one_more = self._with_further(answer, worker, behind, begun, look=look, further=found[after])
            if one_more is not None:
                return Stored((next_one,), (one_more,))
        if not self._alone(answer, behind, begun):
            raise DeskChanged
        return Stored((next_one,), (None,) if further and look is None else None)

    def _looked_ahead(self, worker: Worker, desk: Desk, teams: Collection[str]) -> tuple[Look | None, str]:
        """The look at the queue that has found a task for the person, and the task's id."""
        for team in sorted(teams):
            look = self._taking.look(worker, desk, team)
            found = next(self._taking.candidates(look, oldest_first=True), None)
            if found is not None:
                return look, found
        return None, ""

    def _with_further(self, answer: _Answer, worker: Worker, desk: Desk, begun: Task, *, look: Look, further: Held) -> Held | None:
        """None: others are quicker with the further task, and nothing is written. Raises DeskChanged."""
        try:
            taken = tasks.take(further[0], worker.worker_id, worker.name, self._clock(), ahead=True)
        except NotPossible:
            return None
        behind = desks.took(desk, further[0], look.passed, ahead=True)
        outdated = self._table.outdated(begun, taken, behind, answer.task, *answer.others, content=answer.content)
        if any(one is not taken for one in outdated):
            raise DeskChanged
        if outdated:
            return None
        self._reads.wrote(behind, answer.task)
        self._end(answer.task)
        return replace(taken, version=taken.version + 1), further[1]
