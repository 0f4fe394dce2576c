"""The page's ``TaskStore`` over the table of review tasks.

Every method reads records, decides (:mod:`.task`, :mod:`.desk`) and writes once. If another request has written in between,
the method reads and decides again. :mod:`.reads` knows what the same request has read, :mod:`.taking` leases tasks, and
:mod:`.answering` stores answers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, MutableMapping
from dataclasses import replace
from typing import Any

from lambdas.review.hosted_tasks import desk as desks
from lambdas.review.hosted_tasks import task as tasks
from lambdas.review.hosted_tasks.answering import Answering
from lambdas.review.hosted_tasks.desk import Desk
from lambdas.review.hosted_tasks.queue import Passed
from lambdas.review.hosted_tasks.reads import Held, Over, Reads
from lambdas.review.hosted_tasks.suggestions import suggestion_for
from lambdas.review.hosted_tasks.sweeping import move_on
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.taking import Busy, DeskChanged, Taking
from lambdas.review.hosted_tasks.task import NotPossible, State, Task
from lambdas.review.port import ReviewStatus
from review_page.answers import Worker
from review_page.fields import TemplateError
from review_page.questions import questions
from review_page.tasks import ENDED, NO_LONGER_YOURS, NOT_ANSWERED, Lease, Progress, SkipReason, TaskRefused, Workload, WorkSummary
from review_page.tasks import Task as ShownTask


class HostedTasks:
    """Tasks in DynamoDB, for one request to the page: the next one has a store of its own.

    Args:
        render: a task's input -> its HTML. Raises TemplateError.
        finish: brings a task that is ``ending`` to its end.
        clock: epoch milliseconds.
        chance: draws which task a person tries when another one was quicker. Two people must not draw alike.
        scripts: the template's own scripts that may run, as sources of its frame's policy.
        over: ended tasks by id, which need not be read again for a minute; the stores of one process share it.
    """

    def __init__(
        self,
        table: TaskTable,
        render: Callable[[Mapping[str, Any]], str],
        finish: Callable[[Task], None],
        clock: Callable[[], int],
        chance: random.Random,
        *,
        scripts: tuple[str, ...] = (),
        over: MutableMapping[str, Over] | None = None,
    ) -> None:
        self._table, self._render, self._finish, self._clock = table, render, finish, clock
        self._scripts = scripts
        self._reads = Reads(table, clock, {} if over is None else over)
        self._taking = Taking(table, self._reads, clock, chance)
        self._answering = Answering(table, self._reads, self._taking, self._end, clock)
        self._next: tuple[Lease | None] | None = None
        self._ahead: tuple[Lease | None] | None = None
        """What waits for who has just answered, if that was looked up along with the answer; ``(None,)``: nothing."""

    def next_for(self, worker: Worker, teams: Collection[str], *, with_skipped: bool = False) -> Lease | None:
        if self._next is not None:
            return self._next[0]
        known = self._reads.desk
        for desk in self._reads.desks(worker):
            if desk.in_work is not None:
                held = self._taking.mine(desk, desk.in_work, teams, to_begin=True)
            elif desk.ahead is not None:
                held = self._taking.begun(desk, desk.ahead, teams)
            else:
                try:
                    held = self._taking.take(worker, desk, teams, with_skipped=with_skipped, ahead=False)
                except DeskChanged:
                    continue
                if held is None and desk is known:
                    continue  # another request of the person may have taken the last task since the desk was read
                if held is None:
                    return None
            lease = None if held is None else self._lease(*held, worker)
            if lease is not None:
                return lease
        raise Busy

    def ahead_for(self, worker: Worker, teams: Collection[str]) -> Lease | None:
        if self._ahead is not None:
            return self._ahead[0]
        for desk in self._reads.desks(worker):
            if desk.in_work is None:
                return None
            if desk.ahead is not None:
                held = self._taking.mine(desk, desk.ahead, teams, to_begin=False)
            else:
                try:
                    held = self._taking.take(worker, desk, teams, with_skipped=False, ahead=True)
                except DeskChanged:
                    continue
                if held is None:
                    return None
            lease = None if held is None else self._lease(*held, worker)
            if lease is not None:
                return lease
        raise Busy

    def held(self, task_id: str, worker: Worker, teams: Collection[str]) -> ShownTask | None:
        found = self._table.shown(task_id)
        if found is None or found[0].lease_of(worker.worker_id, self._clock()) is None:
            return None
        self._reads.has(found[0])
        if found[0].team not in teams:
            self._give_back(task_id, worker)
            return None
        return self._shown(*found)

    def submit(
        self, task_id: str, worker: Worker, content: Mapping[str, Any], teams: Collection[str] | None = None, *, ahead: bool = False
    ) -> None:
        for desk in self._reads.desks(worker):
            stored = self._answering.store(desk, task_id, worker, content, teams, ahead=ahead)
            if stored is not None:
                self._next, self._ahead = self._found(stored.next, worker), self._found(stored.ahead, worker, as_nothing=True)
                return
        raise Busy

    def _found(self, held: tuple[Held | None] | None, worker: Worker, *, as_nothing: bool = False) -> tuple[Lease | None] | None:
        """What was leased along with an answer. What cannot be shown is looked for anew, or counts ``as_nothing``."""
        if held is None or held[0] is None:
            return None if held is None else (None,)
        lease = self._lease(*held[0], worker)
        return None if lease is None and not as_nothing else (lease,)

    def skip(self, task_id: str, worker: Worker, reason: SkipReason, note: str = "") -> None:
        self._give_back(task_id, worker, reason)
        if note:
            task = self._table.task(task_id)
            if task is not None and worker.worker_id in task.skipped_by:
                self._table.flag(task, worker.worker_id, worker.name, f"Skipped ({reason.value}): {note}", self._clock())

    def undo(self, task_id: str, worker: Worker, teams: Collection[str]) -> Lease:
        for desk in self._reads.desks(worker):
            given, found = desk.given(task_id), self._table.shown(task_id)
            if given is None or found is None or found[0].team not in teams:
                raise TaskRefused(NOT_ANSWERED)
            task, content = found
            try:
                again = tasks.undo(task, worker.worker_id, self._clock())
            except NotPossible:
                raise TaskRefused(ENDED) from None
            reordered = self._reordered(desk, worker)
            behind = desks.taken_back(desk, given, [one for one in reordered if one.task_id == desk.ahead])
            if self._table.commit(again, behind, *reordered):
                self._reads.wrote(behind)
                lease = self._lease(replace(again, version=again.version + 1), content, worker)
                if lease is not None:
                    return lease
        raise Busy

    def answered(self, task_id: str, worker: Worker, teams: Collection[str]) -> Mapping[str, Any] | None:
        if self._table.desk(worker.worker_id).given(task_id) is None:
            return None
        task, content = self._table.task(task_id), self._table.content(task_id, worker.worker_id)
        return None if task is None or task.team not in teams or content is None else content.content

    def flag(self, task_id: str, worker: Worker, note: str) -> None:
        task, desk = self._table.task(task_id), self._table.desk(worker.worker_id)
        if task is None or (task_id not in (desk.in_work, desk.ahead) and desk.given(task_id) is None):
            raise TaskRefused(NO_LONGER_YOURS)
        self._table.flag(task, worker.worker_id, worker.name, note, self._clock())

    def give_back(self, worker: Worker) -> None:
        desk = self._table.desk(worker.worker_id)
        for task_id in (desk.ahead, desk.in_work):
            if task_id is not None:
                self._give_back(task_id, worker)

    def summary(self, worker: Worker, teams: Collection[str], since: float) -> WorkSummary:
        """Counts one page of the index for each team, from where the person has passed everything. To count all, it would have to read all.

        The look that has found the next task has mostly read that page.
        """
        desk = next(self._reads.desks(worker))
        passed = {team: desk.passed.get(team, Passed()) for team in teams}
        pages = [self._reads.last_page(worker, team, since, until) for team, one in passed.items() for since, until in one.beyond]
        held = {task_id for task_id in (desk.in_work, desk.ahead) if task_id is not None}
        open_to = [one for page in pages for one in page.waiting if one.task_id not in held]
        skipped = sum(one.skipped for one in open_to)
        waiting = len(open_to) - skipped + len(held)
        skipped += sum(one.skipped for one in passed.values())
        workload = Workload(waiting, skipped, any(page.last is not None for page in pages))
        pace = desk.answered_since(int(since * 1_000))
        progress = Progress(pace.answered, pace.took / 1_000 / pace.answered if pace.answered else None)
        return WorkSummary(workload, progress, self._reads.recent(desk, worker, teams))

    def _give_back(self, task_id: str, worker: Worker, reason: SkipReason | None = None) -> None:
        for desk in self._reads.desks(worker):
            task = self._table.task(task_id)
            if task is None:
                return
            try:
                back = tasks.skip(task, worker.worker_id, reason.value) if reason else tasks.give_back(task, worker.worker_id)
            except NotPossible:
                return
            behind = desks.skipped(desk, task) if reason else desks.given_back(desk, task)
            if self._table.commit(back, behind):
                self._reads.wrote(behind)
                return
        raise Busy

    def _reordered(self, desk: Desk, worker: Worker) -> list[Task]:
        """What an undo changes of the tasks that the worker holds: the one in work goes ahead, the one ahead to the others."""
        if desk.in_work is None:
            return []
        now, name = self._clock(), worker.worker_id
        wanted: list[tuple[str | None, Callable[[Task], Task]]] = [
            (desk.in_work, lambda task: tasks.put_ahead(task, name, now)),
            (desk.ahead, lambda task: tasks.give_back(task, name)),
        ]
        changed: list[Task] = []
        for task_id, change in wanted:
            task = None if task_id is None else self._table.task(task_id)
            if task is not None:
                try:
                    changed.append(change(task))
                except NotPossible:
                    continue
        return changed

    def _lease(self, task: Task, content: Mapping[str, Any], worker: Worker) -> Lease | None:
        """None: the task cannot be shown, so it fails; others would fare no better."""
        shown, now = self._shown(task, content), self._clock()
        held = task.assignments[worker.worker_id]
        if shown is None:
            return None
        earlier = self._table.content(task.task_id, worker.worker_id) if held.taken_back else None
        suggestion = suggestion_for(content, task.task_id, worker.worker_id) or {}
        return Lease(shown, (held.until - now) / 1_000, None if earlier is None else earlier.content, suggestion)

    def _shown(self, task: Task, content: Mapping[str, Any]) -> ShownTask | None:
        try:
            html = self._render(content)
            asked = questions(html)
        except TemplateError as error:
            self._fail(task, f"ValidationError: {error}")
            return None
        return ShownTask(
            title=task.title,
            description=task.description,
            questions=asked,
            render=lambda: html,
            scripts=self._scripts,
            task_id=task.task_id,
        )

    def _fail(self, task: Task, failure: str) -> None:
        now = self._clock()
        move_on(self._table, task.task_id, lambda read: tasks.end(read, ReviewStatus.FAILED, failure, now), self._finish)

    def _end(self, given: Task) -> None:
        if given.state is State.ENDING:
            self._reads.is_over(given)
            self._finish(replace(given, version=given.version + 1))
