"""How a person takes tasks: the first one in the order of the queue that nobody else takes in the same moment."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from lambdas.review.hosted_tasks import desk as desks
from lambdas.review.hosted_tasks import task as tasks
from lambdas.review.hosted_tasks.desk import Desk
from lambdas.review.hosted_tasks.items import Content
from lambdas.review.hosted_tasks.queue import Look
from lambdas.review.hosted_tasks.reads import Held, Reads
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.task import NotPossible, Task
from review_page.answers import Worker

_LOOKS = 10
"""How often one request looks at the index. It looks again when others are quicker."""
_LOSSES = 2
"""The number of tasks that others take first, after which it looks again: most of what it saw is probably taken."""
_READS = 3
"""The number of tasks that one look reads at most. If none of them is free, the index is behind."""


class Busy(Exception):
    """Other people took each of the tasks first. The request can be sent again."""


class TakenByOthers(Exception):
    """Others have just taken what this look at the index has found."""


class DeskChanged(Exception):
    """Another request of the same person has changed their desk."""


@dataclass(frozen=True)
class Along:
    """What is stored along with a lease, in one transaction: an answer's task, desks of others from which that goes, and its content."""

    task: Task
    others: tuple[Desk, ...]
    content: Content


class Taking:
    """Of one request.

    Args:
        clock: epoch milliseconds.
        chance: draws which task a person tries when another one was quicker. Two people must not draw alike.
    """

    def __init__(self, table: TaskTable, reads: Reads, clock: Callable[[], int], chance: random.Random) -> None:
        self._table, self._reads, self._clock, self._chance = table, reads, clock, chance

    def look(self, worker: Worker, desk: Desk, team: str, *, with_skipped: bool = False) -> Look:
        return Look(partial(self._reads.page, worker, team), desk.passed.get(team), with_skipped=with_skipped)

    def take(self, worker: Worker, desk: Desk, teams: Collection[str], *, with_skipped: bool, ahead: bool) -> Held | None:
        """Lease the first task in the order of :meth:`candidates` that nobody else takes in the same moment; None: nothing waits.

        Raises:
            Busy: others were quicker at each look, so more may wait.
            DeskChanged: the person's desk must be read again.
        """
        kept = desk
        for team in sorted(teams):
            for number in range(_LOOKS):
                look = self.look(worker, desk, team, with_skipped=with_skipped)
                try:
                    taken = self.first_free(self.candidates(look, oldest_first=number == 0), look, worker, kept, ahead=ahead)
                except TakenByOthers:
                    continue
                if taken is not None:
                    return taken
                kept = desks.passing(kept, team, look.passed)
                break
            else:
                raise Busy
        if kept != desk and self._table.commit(kept):  # a long look back goes on at the next request
            self._reads.wrote(kept)
        return None

    def candidates(self, look: Look, *, oldest_first: bool) -> Iterator[str]:
        """Ids of tasks, page by page. In a page reviews come before bulk labelling, and each of the two kinds is in a random order:
        all who are too late for one task would otherwise try the same next one. With ``oldest_first`` the page's first one stays first.
        """
        for page in look.pages():
            fixed = page[:1] if oldest_first else []
            others = page[len(fixed) :]
            drawn = sorted(self._chance.sample(others, len(others)), key=lambda one: one.bulk)
            yield from (one.task_id for one in (*fixed, *drawn))

    def first_free(
        self,
        candidates: Iterable[str],
        look: Look,
        worker: Worker,
        desk: Desk,
        *,
        ahead: bool,
        given: str | None = None,
        along: Callable[[], Along] | None = None,
    ) -> Held | None:
        """Lease one of them; None: none of them is free, and there are no more. Raises TakenByOthers and DeskChanged.

        Args:
            given: the task of an answer that is stored along with the lease.
            along: what that stores, made of the task as this request has read it last. If another request has changed one of its records,
                the desk counts as changed.
        """
        losses = 0
        for read, task_id in enumerate(candidates):
            if read == _READS:
                raise TakenByOthers
            found = self._reads.held(task_id, desk, to_begin=not ahead, given=given)
            if found is None:
                continue
            try:
                taken = tasks.take(found[0], worker.worker_id, worker.name, self._clock(), ahead=ahead)
            except NotPossible:
                continue
            behind, also = desks.took(desk, found[0], look.passed, ahead=ahead), along() if along is not None else None
            others: tuple[Task | Desk, ...] = () if also is None else (also.task, *also.others)
            outdated = self._table.outdated(taken, behind, *others, content=None if also is None else also.content)
            if not outdated:
                self._reads.wrote(behind, None if also is None else also.task)
                return replace(taken, version=taken.version + 1), found[1]
            if any(one is not taken for one in outdated):
                raise DeskChanged
            losses += 1
            if losses == _LOSSES:
                raise TakenByOthers
        if losses:
            raise TakenByOthers
        return None

    def mine(self, desk: Desk, task_id: str, teams: Collection[str], *, to_begin: bool) -> Held | None:
        """The task if the desk's owner holds it for one of the teams. Otherwise it goes from the desk, and the desk must be read again."""
        found, now = self._reads.held(task_id, desk, to_begin=to_begin), self._clock()
        if found is not None and found[0].team in teams and found[0].lease_of(desk.worker_id, now) is not None:
            return found
        left = desks.without(desk, task_id) if found is None else desks.given_back(desk, found[0])
        try:
            self._table.commit(left, *([] if found is None else [tasks.give_back(found[0], desk.worker_id)]))
        except NotPossible:
            self._table.commit(left)
        return None

    def begun(self, desk: Desk, task_id: str, teams: Collection[str]) -> Held | None:
        """The task that was ahead comes into work. None: the desk must be read again."""
        found = self.mine(desk, task_id, teams, to_begin=True)
        if found is None:
            return None
        try:
            begun = tasks.begin(found[0], desk.worker_id, self._clock())
        except NotPossible:
            return None
        behind = replace(desk, in_work=task_id, ahead=None)
        if not self._table.commit(begun, behind):
            return None
        self._reads.wrote(behind)
        return replace(begun, version=begun.version + 1), found[1]
