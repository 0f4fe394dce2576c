"""The desk of one person: the tasks that they hold, their last answers, and how fast they answer. Pure.

All times are epoch milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lambdas.review.hosted_tasks import queue
from lambdas.review.hosted_tasks.queue import Passed
from lambdas.review.hosted_tasks.task import Task

MOST_RECENT = 10
"""Number of answers that a person can see again, and take back while their task is open. ``review_page.tasks`` has the same number."""
_SPAN = 15 * 60_000
_KEPT_SPANS = 37 * 4
"""A day of the page is at most 36 hours old, and its midnight lies on a quarter of an hour in every time zone."""


@dataclass(frozen=True)
class Given:
    """One answer. ``took`` is the time from the lease to the answer."""

    task_id: str
    submitted_at: int
    took: int


@dataclass(frozen=True)
class Pace:
    """Answers of one quarter of an hour."""

    answered: int = 0
    took: int = 0


@dataclass(frozen=True)
class Desk:
    """``recent``: the newest answer first. ``pace`` goes by the number of the quarter since 1970, ``passed`` by team."""

    worker_id: str
    in_work: str | None = None
    ahead: str | None = None
    recent: tuple[Given, ...] = ()
    pace: Mapping[int, Pace] = field(default_factory=dict)
    passed: Mapping[str, Passed] = field(default_factory=dict)
    version: int = 0

    def answered_since(self, since: int) -> Pace:
        spans = [one for number, one in self.pace.items() if (number + 1) * _SPAN > since]
        return Pace(sum(one.answered for one in spans), sum(one.took for one in spans))

    def given(self, task_id: str) -> Given | None:
        return next((one for one in self.recent if one.task_id == task_id), None)


def without(desk: Desk, task_id: str) -> Desk:
    """The person no longer holds the task."""
    return replace(desk, in_work=None if desk.in_work == task_id else desk.in_work, ahead=None if desk.ahead == task_id else desk.ahead)


def took(desk: Desk, task: Task, passed: Passed | None, *, ahead: bool) -> Desk:
    """The person holds the task now. ``passed`` is what the look at the queue passed that found it."""
    if desk.worker_id in task.skipped_by:
        passed = queue.skipped(passed, task, -1)
    desk = passing(desk, task.team, passed)
    return replace(desk, ahead=task.task_id) if ahead else replace(desk, in_work=task.task_id)


def given_back(desk: Desk, task: Task) -> Desk:
    """The person no longer holds the task, and may take it again."""
    return passing(without(desk, task.task_id), task.team, queue.given_back(desk.passed.get(task.team), task))


def skipped(desk: Desk, task: Task) -> Desk:
    """The person no longer holds the task, and takes it again only if they ask for what they have skipped."""
    return passing(without(desk, task.task_id), task.team, queue.skipped(desk.passed.get(task.team), task, 1))


def passing(desk: Desk, team: str, passed: Passed | None) -> Desk:
    others = {name: one for name, one in desk.passed.items() if name != team}
    return replace(desk, passed=others if passed is None else {**others, team: passed})


def answered(desk: Desk, task_id: str, took: int, now: int) -> Desk:
    desk = without(desk, task_id)
    recent = (Given(task_id, now, took), *(one for one in desk.recent if one.task_id != task_id))[:MOST_RECENT]
    kept = {number: one for number, one in desk.pace.items() if number > now // _SPAN - _KEPT_SPANS}
    return replace(desk, recent=recent, pace=_counted(kept, now, 1, took))


def taken_back(desk: Desk, given: Given, others: Sequence[Task] = ()) -> Desk:
    """The answer counts no more, and its task is in work; the one that was in work, if any, is ahead. ``others`` are given back."""
    recent = tuple(one for one in desk.recent if one.task_id != given.task_id)
    pace = _counted(desk.pace, given.submitted_at, -1, -given.took)
    for task in others:
        desk = given_back(desk, task)
    return replace(desk, in_work=given.task_id, ahead=desk.in_work or desk.ahead, recent=recent, pace=pace)


def _counted(pace: Mapping[int, Pace], at: int, answers: int, took: int) -> dict[int, Pace]:
    number = at // _SPAN
    before = pace.get(number, Pace())
    return {**pace, number: Pace(max(0, before.answered + answers), max(0, before.took + took))}
