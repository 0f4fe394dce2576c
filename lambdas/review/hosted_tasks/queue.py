"""A person's way through the queue of a team, in the order of the index ``open-tasks``. Pure.

Who is ahead of the other reviewers has answered the oldest entries, and these stay in the index until others answer them, too. So the
person's desk keeps the key up to which they have passed everything, and a look begins there.

A key cannot say that nothing before it will ever be for the person. A task with enough leases is not in the index; it comes back under its
old key when a lease ends or two answers differ. A new task may have a smaller key than others, and the index may be behind. So no rule
says when a key is set back for others. Instead each look also reads one page of what was passed, and goes on there the next time.
Whatever has come back is found after about as many tasks as pages were passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from lambdas.review.hosted_tasks.task import State, Task

BULK = "9"
"""Begins the place of a bulk labelling's task. Times have 15 digits, and begin with 0 until the year 5138."""
MOST_BACK = 5
"""Pages of what was passed that one look reads at most, if nothing else is found. Otherwise it is one page."""


def sortable(time: int) -> str:
    """Texts of times are in the order of the times."""
    return f"{time:015d}"


def place_of(task: Task) -> str:
    """Its key in the index, always the same one. Reviews have a deadline, so they go before the texts of a bulk labelling."""
    return f"{BULK if task.job is not None else ''}{sortable(task.created_at)}#{task.task_id}"


@dataclass(frozen=True)
class Waiting:
    """An open task as the index names it."""

    place: str
    skipped: bool = False
    """By the person who asks."""

    @property
    def task_id(self) -> str:
        return self.place.partition("#")[2]

    @property
    def bulk(self) -> bool:
        return self.place >= BULK


@dataclass(frozen=True)
class Page:
    """What the person may take of one query's entries; ``last`` is the place of the last entry that was read, None at the index's end."""

    waiting: list[Waiting]
    last: str | None


@dataclass(frozen=True)
class Read:
    """A page, and the places from which to which it was asked for; ``until`` None: to the index's end."""

    since: str
    until: str | None
    page: Page

    def beyond(self, since: str, until: str | None) -> Page | None:
        """What it says of the entries between two places; None when a query of its own would say much more."""
        if self.since > since or self.until not in (None, until):
            return None
        last = self.page.last
        if last is not None and until is not None and last >= until:
            last = None
        waiting = [one for one in self.page.waiting if one.place >= since and (until is None or one.place < until)]
        much = last is None or 2 * len(waiting) >= len(self.page.waiting)
        return Page(waiting, last) if much and (last is None or last >= since) else None


@dataclass(frozen=True)
class Passed:
    """Entries of the index that held nothing for the person: reviews before ``reviews``, and texts of bulk labelling before ``bulk``.

    ``again`` is where the next look back begins. Of the passed entries, the person had skipped ``skipped`` at the last whole look back;
    ``counted`` are those of the one that is under way.
    """

    reviews: str = ""
    bulk: str = BULK
    again: str = ""
    skipped: int = 0
    counted: int = 0

    def has(self, place: str) -> bool:
        return place < self.reviews or BULK <= place < self.bulk

    @property
    def end(self) -> str:
        return self.bulk if self.bulk > BULK else self.reviews

    @property
    def beyond(self) -> list[tuple[str, str | None]]:
        """From where to where (None: the end) the index has other entries than these."""
        return [(self.reviews, None)] if self.bulk == BULK else [(self.reviews, BULK), (self.bulk, None)]

    def up_to(self, place: str) -> Passed:
        return replace(self, bulk=place) if place >= BULK else replace(self, reviews=place)


def given_back(passed: Passed | None, task: Task) -> Passed | None:
    """The person may take the task again."""
    place = place_of(task)
    return passed if passed is None or task.state is not State.OPEN or not passed.has(place) else passed.up_to(place)


def skipped(passed: Passed | None, task: Task, more: int) -> Passed | None:
    """``more`` is 1 when the person has skipped the task, and -1 when they take it after all."""
    return passed if passed is None or not passed.has(place_of(task)) else replace(passed, skipped=max(0, passed.skipped + more))


class Look:
    """One look of a person at the queue.

    Args:
        read: (from, to) -> a page; from "" is the queue's begin, to None its end.
        passed: as the person's desk has it; None: nothing.
        with_skipped: also find what the person has skipped, from the queue's begin.

    ``passed`` is what the desk has to keep once the task that was found last is taken.
    """

    def __init__(self, read: Callable[[str, str | None], Page], passed: Passed | None, *, with_skipped: bool) -> None:
        self.passed = passed
        self._read, self._with_skipped = read, with_skipped
        self._began: str | None = None
        self._whole = False

    def pages(self) -> Iterator[list[Waiting]]:
        """What the person may take, page by page. No page is empty."""
        if self._with_skipped:
            yield from self._onward("", None, passing=False)
            return
        if self.passed is not None:
            self._began = self.passed.again
            yield from self._back()
        for since, until in [("", None)] if self.passed is None else self.passed.beyond:
            yield from self._onward(since, until, passing=True)
        for _ in range(MOST_BACK - 1):
            if self._began is None or self._whole or self.passed is None:
                return
            yield from self._back()

    def _onward(self, since: str, until: str | None, *, passing: bool) -> Iterator[list[Waiting]]:
        """Pages up to the end. Entries before the first one that the person may take are passed, once they are more than a page."""
        while True:
            page = self._read(since, until)
            free = [one for one in page.waiting if self._with_skipped or not one.skipped]
            to = free[0].place if free else page.last and _after(page.last)
            if passing and to and (self.passed is not None or not free):
                passed = (self.passed or Passed()).up_to(to)
                behind = sum(one.skipped and passed.has(one.place) for one in page.waiting)
                self.passed = replace(passed, skipped=passed.skipped + behind)
            if free:
                passing = False
                yield free
            if page.last is None:
                return
            since = _after(page.last)

    def _back(self) -> Iterator[list[Waiting]]:
        """One page of what was passed. The next look back goes on behind it, or at the first task that was found, if one is taken now."""
        passed, began = self.passed or Passed(), self._began or ""
        page = self._read(passed.again, None)
        behind = [one for one in page.waiting if passed.has(one.place)]
        found = [one for one in behind if not one.skipped]
        if found:
            before = sum(one.skipped for one in behind if one.place < found[0].place)
            self.passed = replace(passed, again=found[0].place, counted=passed.counted + before)
            yield found
        counted = passed.counted + sum(one.skipped for one in behind)
        if page.last is not None and page.last < passed.end:
            self._whole = passed.again < began <= page.last
            self.passed = replace(passed, again="", counted=0) if self._whole else replace(passed, again=_after(page.last), counted=counted)
            return
        self._whole = not began or passed.again < began
        free = [one for one in page.waiting if not one.skipped]
        if passed.again or found or not free:
            self.passed = replace(passed, again="", skipped=counted, counted=0)
        else:  # one page from the begin shows all that was passed and what comes next
            self.passed = None
            yield free


def _after(place: str) -> str:
    """Between it and the next place, as no place begins with another one and a blank."""
    return f"{place} "
