"""The page's ``TaskStore`` over the table of review tasks.

Every method reads records, decides (:mod:`.task`, :mod:`.desk`) and writes once. If another request has written in between,
the method reads and decides again. What the same request has read or written is not read again, as a write that no longer fits is refused.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from lambdas.common.worker_answer import chosen_label
from lambdas.review.hosted_tasks import desk as desks
from lambdas.review.hosted_tasks import task as tasks
from lambdas.review.hosted_tasks.desk import Desk
from lambdas.review.hosted_tasks.items import Content
from lambdas.review.hosted_tasks.queue import Look, Page, Passed, Read
from lambdas.review.hosted_tasks.suggestions import suggestion_for
from lambdas.review.hosted_tasks.sweeping import move_on
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.task import NotPossible, State, Task
from lambdas.review.port import ReviewStatus
from review_page.answers import Worker
from review_page.fields import TemplateError
from review_page.questions import questions
from review_page.tasks import (
    ENDED,
    NO_LONGER_YOURS,
    NOT_ANSWERED,
    Answered,
    Lease,
    Progress,
    SkipReason,
    TaskRefused,
    Workload,
    WorkSummary,
)
from review_page.tasks import Task as ShownTask

_TRIES = 10
_LOOKS = 10
"""How often one request looks at the index. It looks again when others are quicker."""
_LOSSES = 2
"""The number of tasks that others take first, after which it looks again: most of what it saw is probably taken."""
_READS = 3
"""The number of tasks that one look reads at most. If none of them is free, the index is behind."""
_MOST_KEPT = 10_000
"""Ended tasks that a function's process knows by team and title."""
_KEPT_MS = 60_000
"""For so long it need not read them again. Then it does, because a deletion of what is kept about a person takes tasks away."""

_Held = tuple[Task, Mapping[str, Any]]
"""A task that somebody holds, and what they are shown of it."""


class Busy(Exception):
    """Other people took each of the tasks first. The request can be sent again."""


class _TakenByOthers(Exception):
    """Others have just taken what this look at the index has found."""


class _DeskChanged(Exception):
    """Another request of the same person has changed their desk."""


@dataclass(frozen=True)
class _Answer:
    """What one answer writes besides the desk of whoever gives it: its task, desks of others from which that goes, and its content."""

    task: Task
    others: tuple[Desk, ...]
    content: Content
    at: int
    took: int


@dataclass(frozen=True)
class Over:
    """What is shown of an ended task in the list of last answers. Only a deletion changes it. ``read_at``: epoch milliseconds."""

    team: str
    title: str
    read_at: int


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
        self._table, self._render, self._finish, self._clock, self._chance = table, render, finish, clock, chance
        self._scripts, self._over = scripts, {} if over is None else over
        self._desk: Desk | None = None
        self._task: Task | None = None
        """The desk and the task as this request has read or written them last, as far as they may be still so."""
        self._answered: dict[str, Task] = {}
        """Tasks of the last answers, as this request has read them along with the next task."""
        self._next: tuple[Lease | None] | None = None
        self._ahead: tuple[Lease | None] | None = None
        """What waits for who has just answered, if that was looked up along with the answer; ``(None,)``: nothing."""
        self._pages: dict[str, list[Read]] = {}
        """Of the index, as this request has read them, by team."""

    def next_for(self, worker: Worker, teams: Collection[str], *, with_skipped: bool = False) -> Lease | None:
        if self._next is not None:
            return self._next[0]
        known = self._desk
        for desk in self._desks(worker):
            if desk.in_work is not None:
                held = self._mine(desk, desk.in_work, teams, to_begin=True)
            elif desk.ahead is not None:
                held = self._begun(desk, desk.ahead, teams)
            else:
                try:
                    held = self._take(worker, desk, teams, with_skipped=with_skipped, ahead=False)
                except _DeskChanged:
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
        for desk in self._desks(worker):
            if desk.in_work is None:
                return None
            if desk.ahead is not None:
                held = self._mine(desk, desk.ahead, teams, to_begin=False)
            else:
                try:
                    held = self._take(worker, desk, teams, with_skipped=False, ahead=True)
                except _DeskChanged:
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
        self._task = found[0]
        if found[0].team not in teams:
            self._give_back(task_id, worker)
            return None
        return self._shown(*found)

    def submit(
        self, task_id: str, worker: Worker, content: Mapping[str, Any], teams: Collection[str] | None = None, *, ahead: bool = False
    ) -> None:
        for desk in self._desks(worker):
            answer = self._answering(task_id, worker, content)
            behind = desks.answered(desk, task_id, answer.took, answer.at)
            try:
                if teams is not None and self._stored_with_next(answer, worker, behind, teams, ahead=ahead):
                    return
            except _DeskChanged:
                continue
            if self._stored(self._answering(task_id, worker, content), behind):
                return
        raise Busy

    def _answering(self, task_id: str, worker: Worker, content: Mapping[str, Any]) -> _Answer:
        """What the answer makes of its task, as this request has read that last. Raises TaskRefused."""
        task, now = self._read(task_id), self._clock()
        lease = None if task is None else task.lease_of(worker.worker_id, now)
        if task is None or lease is None:
            raise TaskRefused(NO_LONGER_YOURS)
        given = tasks.advance(tasks.answer(task, worker.worker_id, chosen_label(content), now), now)
        stored = Content(task_id, worker.worker_id, worker.identity, content)
        return _Answer(given, tuple(self._released(task, given, worker)), stored, now, now - lease.accepted_at)

    def _stored(self, answer: _Answer, desk: Desk, *begun: Task) -> bool:
        """Write an answer, the desk of who gives it, and perhaps the task that they have in work then; False: it is as before."""
        if not self._table.commit(answer.task, desk, *answer.others, *begun, content=answer.content):
            return False
        self._gave(answer, desk)
        return True

    def _gave(self, answer: _Answer, desk: Desk) -> None:
        self._written(desk)
        self._answered[answer.task.task_id] = replace(answer.task, version=answer.task.version + 1)
        self._end(answer.task)

    def _stored_with_next(self, answer: _Answer, worker: Worker, desk: Desk, teams: Collection[str], *, ahead: bool) -> bool:
        """Write an answer, and bring the next task into work, in one transaction; ``ahead``: if that was ahead, with the one after it.

        False: nothing is written. Others have taken what this look at the queue has found, or the next task needs more than one step.

        Raises:
            _DeskChanged: the desk or the answered task must be read again.
        """
        if desk.in_work is not None:
            return False
        if desk.ahead is not None:
            return self._stored_with_ahead(answer, worker, desk, desk.ahead, teams, further=ahead)
        for team in sorted(teams):
            look = Look(partial(self._page, worker, team), desk.passed.get(team), with_skipped=False)
            try:
                held = self._first_free(self._candidates(look, oldest_first=True), look, worker, desk, ahead=False, answer=answer)
            except _TakenByOthers:
                return False
            if held is not None:
                self._comes_next(held, worker)
                return True
            desk = desks.passing(desk, team, look.passed)
        if not self._stored(self._answering(answer.task.task_id, worker, answer.content.content), desk):
            raise _DeskChanged
        self._next = (None,)
        return True

    def _stored_with_ahead(self, answer: _Answer, worker: Worker, desk: Desk, ahead: str, teams: Collection[str], *, further: bool) -> bool:
        """As :meth:`_stored_with_next`, for a person with a task ahead; ``further``: lease the one after it, too."""
        look, after = self._looked_ahead(worker, desk, teams) if further else (None, "")
        found = self._shown_with(ahead, desk, to_begin=True, given=answer, also=after)
        if ahead not in found or found[ahead][0].team not in teams:
            return False
        try:
            begun = tasks.begin(found[ahead][0], desk.worker_id, self._clock())
        except NotPossible:
            return False
        answer, behind = self._answering(answer.task.task_id, worker, answer.content.content), replace(desk, in_work=ahead, ahead=None)
        if (
            look is None
            or after not in found
            or not self._stored_with_further(answer, worker, behind, begun, look=look, further=found[after])
        ):
            if not self._stored(answer, behind, begun):
                raise _DeskChanged
            self._ahead = (None,) if further and look is None else None
        self._comes_next((replace(begun, version=begun.version + 1), found[ahead][1]), worker)
        return True

    def _looked_ahead(self, worker: Worker, desk: Desk, teams: Collection[str]) -> tuple[Look | None, str]:
        """The look at the queue that has found a task for the person, and the task's id."""
        for team in sorted(teams):
            look = Look(partial(self._page, worker, team), desk.passed.get(team), with_skipped=False)
            found = next(self._candidates(look, oldest_first=True), None)
            if found is not None:
                return look, found
        return None, ""

    def _stored_with_further(self, answer: _Answer, worker: Worker, desk: Desk, begun: Task, *, look: Look, further: _Held) -> bool:
        """False: others are quicker with the further task, and nothing is written. Raises _DeskChanged."""
        try:
            taken = tasks.take(further[0], worker.worker_id, worker.name, self._clock(), ahead=True)
        except NotPossible:
            return False
        behind = desks.took(desk, further[0], look.passed, ahead=True)
        outdated = self._table.outdated(begun, taken, behind, answer.task, *answer.others, content=answer.content)
        if any(one is not taken for one in outdated):
            raise _DeskChanged
        if outdated:
            return False
        self._gave(answer, behind)
        self._ahead = (self._lease(replace(taken, version=taken.version + 1), further[1], worker),)
        return True

    def _comes_next(self, held: _Held, worker: Worker) -> None:
        """A task that cannot be shown does not; then :meth:`next_for` looks for another one."""
        lease = self._lease(*held, worker)
        self._next = None if lease is None else (lease,)

    def skip(self, task_id: str, worker: Worker, reason: SkipReason, note: str = "") -> None:
        self._give_back(task_id, worker, reason)
        if note:
            task = self._table.task(task_id)
            if task is not None and worker.worker_id in task.skipped_by:
                self._table.flag(task, worker.worker_id, worker.name, f"Skipped ({reason.value}): {note}", self._clock())

    def undo(self, task_id: str, worker: Worker, teams: Collection[str]) -> Lease:
        for desk in self._desks(worker):
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
                self._written(behind)
                lease = self._lease(replace(again, version=again.version + 1), content, worker)
                if lease is not None:
                    return lease
        raise Busy

    def answered(self, task_id: str, worker: Worker, teams: Collection[str]) -> Mapping[str, Any] | None:
        if self._table.desk(worker.worker_id).given(task_id) is None:
            return None
        task, content = self._table.task(task_id), self._table.content(task_id, worker.worker_id)
        return None if task is None or task.team not in teams or content is None else content.content

    def _recent(self, desk: Desk, worker: Worker, teams: Collection[str]) -> Sequence[Answered]:
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
        desk = next(self._desks(worker))
        passed = {team: desk.passed.get(team, Passed()) for team in teams}
        pages = [self._open_to(worker, team, since, until) for team, one in passed.items() for since, until in one.beyond]
        held = {task_id for task_id in (desk.in_work, desk.ahead) if task_id is not None}
        open_to = [one for page in pages for one in page.waiting if one.task_id not in held]
        skipped = sum(one.skipped for one in open_to)
        waiting = len(open_to) - skipped + len(held)
        skipped += sum(one.skipped for one in passed.values())
        workload = Workload(waiting, skipped, any(page.last is not None for page in pages))
        pace = desk.answered_since(int(since * 1_000))
        progress = Progress(pace.answered, pace.took / 1_000 / pace.answered if pace.answered else None)
        return WorkSummary(workload, progress, self._recent(desk, worker, teams))

    def _open_to(self, worker: Worker, team: str, since: str, until: str | None) -> Page:
        """Tasks that wait for the person, as this request has read them last."""
        for one in reversed(self._pages.get(team, ())):
            found = one.beyond(since, until)
            if found is not None:
                return found
        return self._page(worker, team, since, until)

    def _page(self, worker: Worker, team: str, since: str, until: str | None) -> Page:
        page = self._table.open_tasks(team, worker.worker_id, self._clock(), since, until)
        self._pages.setdefault(team, []).append(Read(since, until, page))
        return page

    def _desks(self, worker: Worker) -> Iterator[Desk]:
        """The worker's desk: as this request knows it, and read anew at each further try."""
        for number in range(_TRIES):
            if number or self._desk is None or self._desk.worker_id != worker.worker_id:
                self._desk = self._table.desk(worker.worker_id)
            yield self._desk
            self._task = None

    def _read(self, task_id: str) -> Task | None:
        """A task, as this request knows it."""
        return self._task if self._task is not None and self._task.task_id == task_id else self._table.task(task_id)

    def _written(self, desk: Desk) -> None:
        """The desk is stored now."""
        self._desk, self._task = replace(desk, version=desk.version + 1), None

    def _just_seen_over(self, desk: Desk) -> dict[str, Over]:
        """Tasks of the last answers that this process has seen ended not long ago."""
        now, known = self._clock(), {one.task_id: self._over.get(one.task_id) for one in desk.recent}
        return {name: over for name, over in known.items() if over is not None and now - over.read_at < _KEPT_MS}

    def _shown_next(self, task_id: str, desk: Desk, *, to_begin: bool, given: _Answer | None = None) -> _Held | None:
        """Read a task. With one that comes into work the page shows the last answers, so their tasks are read in the same request.

        Args:
            given: an answer that is not written yet. Its task is read, too: others may have changed it since the request began.
        """
        return self._shown_with(task_id, desk, to_begin=to_begin, given=given).get(task_id)

    def _shown_with(self, task_id: str, desk: Desk, *, to_begin: bool, given: _Answer | None = None, also: str = "") -> Mapping[str, _Held]:
        """As :meth:`_shown_next`, by id; ``also``: one more task that is shown."""
        answered = None if given is None else given.task.task_id
        known = {*self._just_seen_over(desk), *self._answered} - {answered}
        others = [one.task_id for one in desk.recent if one.task_id not in known] if to_begin else []
        found, read = self._table.shown_among([task_id, *([also] if also not in ("", task_id) else [])], others)
        if answered is not None:
            self._task = read.pop(answered, None)
        self._answered.update(read)
        return found

    def _mine(self, desk: Desk, task_id: str, teams: Collection[str], *, to_begin: bool) -> _Held | None:
        """The task if the desk's owner holds it for one of the teams. Otherwise it goes from the desk, and the desk must be read again."""
        found, now = self._shown_next(task_id, desk, to_begin=to_begin), self._clock()
        if found is not None and found[0].team in teams and found[0].lease_of(desk.worker_id, now) is not None:
            return found
        left = desks.without(desk, task_id) if found is None else desks.given_back(desk, found[0])
        try:
            self._table.commit(left, *([] if found is None else [tasks.give_back(found[0], desk.worker_id)]))
        except NotPossible:
            self._table.commit(left)
        return None

    def _begun(self, desk: Desk, task_id: str, teams: Collection[str]) -> _Held | None:
        """The task that was ahead comes into work. None: the desk must be read again."""
        found = self._mine(desk, task_id, teams, to_begin=True)
        if found is None:
            return None
        try:
            begun = tasks.begin(found[0], desk.worker_id, self._clock())
        except NotPossible:
            return None
        behind = replace(desk, in_work=task_id, ahead=None)
        if not self._table.commit(begun, behind):
            return None
        self._written(behind)
        return replace(begun, version=begun.version + 1), found[1]

    def _take(self, worker: Worker, desk: Desk, teams: Collection[str], *, with_skipped: bool, ahead: bool) -> _Held | None:
        """Lease the first task in the order of :meth:`_candidates` that nobody else takes in the same moment; None: nothing waits.

        Raises:
            Busy: others were quicker at each look, so more may wait.
            _DeskChanged: the person's desk must be read again.
        """
        kept = desk
        for team in sorted(teams):
            for number in range(_LOOKS):
                look = Look(partial(self._page, worker, team), desk.passed.get(team), with_skipped=with_skipped)
                try:
                    taken = self._first_free(self._candidates(look, oldest_first=number == 0), look, worker, kept, ahead=ahead)
                except _TakenByOthers:
                    continue
                if taken is not None:
                    return taken
                kept = desks.passing(kept, team, look.passed)
                break
            else:
                raise Busy
        if kept != desk and self._table.commit(kept):  # a long look back goes on at the next request
            self._written(kept)
        return None

    def _candidates(self, look: Look, *, oldest_first: bool) -> Iterator[str]:
        """Ids of tasks, page by page. In a page reviews come before bulk labelling, and each of the two kinds is in a random order:
        all who are too late for one task would otherwise try the same next one. With ``oldest_first`` the page's first one stays first.
        """
        for page in look.pages():
            fixed = page[:1] if oldest_first else []
            others = page[len(fixed) :]
            drawn = sorted(self._chance.sample(others, len(others)), key=lambda one: one.bulk)
            yield from (one.task_id for one in (*fixed, *drawn))

    def _first_free(
        self, candidates: Iterable[str], look: Look, worker: Worker, desk: Desk, *, ahead: bool, answer: _Answer | None = None
    ) -> _Held | None:
        """Lease one of them; None: none of them is free, and there are no more. Raises _TakenByOthers and _DeskChanged.

        Args:
            answer: what is stored along with the lease. If another request has changed what it changes, too, the desk counts as changed.
        """
        losses = 0
        for read, task_id in enumerate(candidates):
            if read == _READS:
                raise _TakenByOthers
            found = self._shown_next(task_id, desk, to_begin=not ahead, given=answer)
            if found is None:
                continue
            try:
                taken = tasks.take(found[0], worker.worker_id, worker.name, self._clock(), ahead=ahead)
            except NotPossible:
                continue
            behind = desks.took(desk, found[0], look.passed, ahead=ahead)
            if answer is not None:
                answer = self._answering(answer.task.task_id, worker, answer.content.content)
            along: tuple[Task | Desk, ...] = () if answer is None else (answer.task, *answer.others)
            outdated = self._table.outdated(taken, behind, *along, content=None if answer is None else answer.content)
            if not outdated:
                self._written(behind) if answer is None else self._gave(answer, behind)
                return replace(taken, version=taken.version + 1), found[1]
            if any(one is not taken for one in outdated):
                raise _DeskChanged
            losses += 1
            if losses == _LOSSES:
                raise _TakenByOthers
        if losses:
            raise _TakenByOthers
        return None

    def _give_back(self, task_id: str, worker: Worker, reason: SkipReason | None = None) -> None:
        for desk in self._desks(worker):
            task = self._table.task(task_id)
            if task is None:
                return
            try:
                back = tasks.skip(task, worker.worker_id, reason.value) if reason else tasks.give_back(task, worker.worker_id)
            except NotPossible:
                return
            behind = desks.skipped(desk, task) if reason else desks.given_back(desk, task)
            if self._table.commit(back, behind):
                self._written(behind)
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

    def _released(self, before: Task, after: Task, worker: Worker) -> list[Desk]:
        """Desks of others from which the task goes when it ends."""
        gone = before.leases.keys() - after.assignments.keys() - {worker.worker_id}
        return [desks.without(self._table.desk(other), before.task_id) for other in gone]

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
            self._over[given.task_id] = Over(given.team, given.known_as, self._clock())
            self._finish(replace(given, version=given.version + 1))


def _fixed(task: Task, worker: Worker, now: int) -> str:
    try:
        tasks.undo(task, worker.worker_id, now)
    except NotPossible:
        return ENDED
    return ""
