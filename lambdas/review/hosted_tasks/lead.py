"""The page's ``Lead`` over the table of review tasks: what waits, who does how much, flags and disputes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import islice

from lambdas.common.answers_wanted import MOST_ANSWERS, AnswerRule
from lambdas.review.hosted_tasks import task as tasks
from lambdas.review.hosted_tasks.sweeping import move_on
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.task import State, Task
from review_page.answers import Worker
from review_page.tasks import MOST_LISTED, Overview, QueuedTask, SkipReason, TaskRefused

NOT_THEIRS = "There is no such task among those of your teams."
_OVER = "This task is over, or of another team."
_CLOSED = "There is no such flag or dispute, or it is closed."
_MANY = "Many people are working on this task at this moment. Please try again."
_TRIES = 5


class HostedLead:
    """What who leads a team sees and does.

    Args:
        finish: brings a task that is ``ending`` to its end.
        clock: epoch milliseconds.
    """

    def __init__(self, table: TaskTable, finish: Callable[[Task], None], clock: Callable[[], int]) -> None:
        self._table, self._finish, self._clock = table, finish, clock

    def overview(self, teams: Collection[str]) -> Overview:
        """Of tasks the oldest :data:`MOST_LISTED`, and those that people hold; counting all of a long queue would read them all.

        Of people, the answers to tasks that have ended.
        """
        now = self._clock()
        queue = sorted(self._waiting(teams), key=lambda one: (one.job is not None, one.created_at))[:MOST_LISTED]
        people = sorted((one for team in teams for one in self._table.people(team, MOST_LISTED)), key=lambda one: (-one.answered, one.name))
        flags = [one for team in teams for one in self._table.remarks(team, disputes=False, most=MOST_LISTED)]
        disputes = [one for team in teams for one in self._table.remarks(team, disputes=True, most=MOST_LISTED)]
        return Overview(len(queue), [_queued(task, now) for task in queue], people[:MOST_LISTED], flags, disputes)

    def release(self, task_id: str, teams: Collection[str]) -> None:
        task = self._table.task(task_id)
        if task is None or task.team not in teams or task.state is not State.OPEN:
            raise TaskRefused(_OVER)

        def released(read: Task) -> Task:
            for worker in read.leases:
                read = tasks.give_back(read, worker)
            return read

        self._move(task_id, released)

    def dispute(self, task_id: str, teams: Collection[str], lead: Worker, note: str) -> None:
        """An open task is also shown to one more person than have it, up to nine. The note stays until the dispute is closed.

        Who says it again changes the note alone: a browser repeats what it has heard nothing of.
        """
        for _ in range(_TRIES):
            task = self._table.task(task_id)
            if task is None or task.team not in teams:
                raise TaskRefused(NOT_THEIRS)
            asks = None if self._table.is_disputed(task, lead) else _one_more(task)
            if self._table.dispute(task, lead, note, self._clock(), asks=asks):
                return
        raise TaskRefused(_MANY)

    def close(self, remark_id: str, teams: Collection[str]) -> None:
        if not self._table.close_remark(remark_id, teams):
            raise TaskRefused(_CLOSED)

    def _move(self, task_id: str, change: Callable[[Task], Task]) -> None:
        if not move_on(self._table, task_id, change, self._finish):
            raise TaskRefused(_MANY)

    def _waiting(self, teams: Collection[str]) -> Collection[Task]:
        """Those that somebody may take, by age, and those that are due soon: people hold these, or have answered them."""
        found = {task.task_id: task for team in teams for task in islice(self._table.queued(team, MOST_LISTED), MOST_LISTED)}
        for task in self._table.soon_due(MOST_LISTED):
            if task.team in teams and task.state is State.OPEN:
                found.setdefault(task.task_id, task)
        return list(found.values())


def _one_more(task: Task) -> Task | None:
    """The task for one more person than have it; None: it has ended, or enough people have it."""
    if task.state is not State.OPEN or len(task.assignments) >= MOST_ANSWERS:
        return None
    return replace(task, rule=AnswerRule.FIXED, most=min(MOST_ANSWERS, max(task.wanted, len(task.assignments)) + 1))


def _queued(task: Task, now: int) -> QueuedTask:
    return QueuedTask(
        task_id=task.task_id,
        title=task.known_as,
        age=max(0, now - task.created_at) / 1_000,
        answers=len(task.answers),
        wanted=task.wanted,
        holders=[(one.name, max(0, one.until - now) / 1_000) for one in task.leases.values()],
        skips={SkipReason(reason): count for reason, count in task.skips.items()},
    )
