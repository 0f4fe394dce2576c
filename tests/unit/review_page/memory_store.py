"""The page's ports in their smallest form: a store of tasks for one answer each, and workers who are signed in by a header."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from review_page.answers import Worker
from review_page.fields import Classifier
from review_page.http import PageError, PageRequest, PageResponse, html_response, redirect
from review_page.questions import Questions
from review_page.tasks import (
    ENDED,
    MOST_RECENT,
    NO_LONGER_YOURS,
    NOT_ANSWERED,
    Answered,
    Lease,
    Overview,
    Person,
    Progress,
    QueuedTask,
    Remark,
    SkipReason,
    Task,
    TaskRefused,
    Workload,
    WorkSummary,
)

CATEGORY = Classifier("category", ("negative", "positive"))


@dataclass(kw_only=True)
class StoredTask(Task):
    team: str = "readers"
    holder: str = ""
    ahead: bool = False
    skipped_by: set[str] = field(default_factory=set)
    skips: list[tuple[SkipReason, str]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    answer: Mapping[str, Any] | None = None
    earlier: Mapping[str, Any] | None = None
    answered_by: str = ""
    answered_at: float = 0
    ended: bool = False
    suggestion: Mapping[str, str] = field(default_factory=dict)

    @property
    def reasons(self) -> list[SkipReason]:
        return [reason for reason, _ in self.skips]


def task(text: str, **changes: Any) -> StoredTask:
    values = {
        "title": "Judge a text",
        "description": "Choose the label.",
        "questions": Questions((CATEGORY,)),
        "render": lambda: f"<p>{text}</p>",
    }
    return StoredTask(**{**values, **changes})


class MemoryStore:
    """``TaskStore``, without time limits: a task takes one answer, which can be undone until the test says that the task has ended.

    ``more``: it says of its tasks that more wait, as of a queue that is not counted to its end.
    """

    def __init__(self, *tasks: StoredTask) -> None:
        self.tasks, self.more = {one.task_id: one for one in tasks}, False

    def _open(self, worker: Worker, teams: Collection[str]) -> list[StoredTask]:
        free = ("", worker.worker_id)
        return [one for one in self.tasks.values() if one.team in teams and one.answer is None and one.holder in free]

    def _lease(self, worker: Worker, teams: Collection[str], *, with_skipped: bool, ahead: bool) -> Lease | None:
        name = worker.worker_id
        found = self._open(worker, teams)
        mine = [one for one in found if one.holder == name and one.ahead == ahead]
        mine += [one for one in found if one.holder == name and not ahead]
        mine += [one for one in found if not one.holder and (with_skipped or name not in one.skipped_by)]
        if not mine:
            return None
        taken = mine[0]
        taken.holder, taken.ahead = name, ahead
        taken.skipped_by.discard(name)
        return Lease(taken, 3_600.0, taken.earlier, taken.suggestion)

    def next_for(self, worker: Worker, teams: Collection[str], *, with_skipped: bool = False) -> Lease | None:
        return self._lease(worker, teams, with_skipped=with_skipped, ahead=False)

    def ahead_for(self, worker: Worker, teams: Collection[str]) -> Lease | None:
        if not any(one.holder == worker.worker_id and not one.ahead for one in self.tasks.values()):
            return None
        return self._lease(worker, teams, with_skipped=False, ahead=True)

    def held(self, task_id: str, worker: Worker, teams: Collection[str]) -> Task | None:
        found = self.tasks.get(task_id)
        if found is not None and found.team not in teams and found.holder == worker.worker_id:
            found.holder = ""
        return found if found is not None and found.holder == worker.worker_id else None

    def submit(
        self, task_id: str, worker: Worker, content: Mapping[str, Any], teams: Collection[str] | None = None, *, ahead: bool = False
    ) -> None:
        found = self.tasks.get(task_id)
        if found is None or found.holder != worker.worker_id:
            raise TaskRefused(NO_LONGER_YOURS)
        found.answer, found.holder, found.answered_by, found.answered_at = content, "", worker.worker_id, time.time()

    def skip(self, task_id: str, worker: Worker, reason: SkipReason, note: str = "") -> None:
        found = self.tasks.get(task_id)
        if found is not None and found.holder == worker.worker_id:
            found.holder = ""
            found.skipped_by.add(worker.worker_id)
            found.skips.append((reason, note))

    def _answered(self, worker: Worker) -> list[StoredTask]:
        mine = [one for one in self.tasks.values() if one.answered_by == worker.worker_id]
        return sorted(mine, key=lambda one: -one.answered_at)

    def answered(self, task_id: str, worker: Worker, teams: Collection[str]) -> Mapping[str, Any] | None:
        listed = task_id in {one.task_id for one in self._recent(worker, teams)}
        return self.tasks[task_id].answer if listed else None

    def _recent(self, worker: Worker, teams: Collection[str]) -> Sequence[Answered]:
        mine = [one for one in self._answered(worker) if one.team in teams][:MOST_RECENT]
        return [Answered(one.task_id, one.title, one.answered_at, ENDED if one.ended else "") for one in mine]

    def undo(self, task_id: str, worker: Worker, teams: Collection[str]) -> Lease:
        found = self.tasks.get(task_id)
        if found is None or task_id not in {one.task_id for one in self._recent(worker, teams)}:
            raise TaskRefused(NOT_ANSWERED)
        if found.ended:
            raise TaskRefused(ENDED)
        for one in self.tasks.values():
            if one.holder == worker.worker_id:
                one.holder, one.ahead = ("", False) if one.ahead else (one.holder, True)
        found.earlier, found.answer, found.answered_by = found.answer, None, ""
        found.holder, found.ahead = worker.worker_id, False
        return Lease(found, 3_600.0, found.earlier)

    def flag(self, task_id: str, worker: Worker, note: str) -> None:
        found = self.tasks.get(task_id)
        if found is None or worker.worker_id not in (found.holder, found.answered_by):
            raise TaskRefused(NO_LONGER_YOURS)
        found.flags.append(note)

    def give_back(self, worker: Worker) -> None:
        for one in self.tasks.values():
            one.holder = "" if one.holder == worker.worker_id else one.holder

    def summary(self, worker: Worker, teams: Collection[str], since: float) -> WorkSummary:
        found = self._open(worker, teams)
        skipped = sum(worker.worker_id in one.skipped_by for one in found)
        count = sum(one.answered_at >= since for one in self._answered(worker))
        progress = Progress(count, 4.0 if count else None)
        return WorkSummary(Workload(len(found) - skipped, skipped, self.more), progress, self._recent(worker, teams))


@dataclass
class MemorySession:
    worker: Worker
    username: str
    csrf: str = "secret"
    team_names: set[str] = field(default_factory=lambda: {"readers"})
    led: set[str] = field(default_factory=set)

    def teams(self) -> Collection[str]:
        return self.team_names

    def leads(self) -> Collection[str]:
        return self.led


class MemoryLead:
    """``Lead`` over a :class:`MemoryStore`, for the team ``readers``."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.disputes: list[Remark] = []

    def _task(self, task_id: str, teams: Collection[str]) -> StoredTask:
        found = self._store.tasks.get(task_id)
        if found is None or found.team not in teams:
            raise TaskRefused("There is no such task among those of your teams.")
        return found

    def overview(self, teams: Collection[str]) -> Overview:
        mine = [one for one in self._store.tasks.values() if one.team in teams]
        waiting = [one for one in mine if one.answer is None]
        queue = [
            QueuedTask(
                one.task_id, one.title, 7_200.0, 0, 1, [(one.holder, 3_000.0)] if one.holder else [], {why: 1 for why, _ in one.skips}
            )
            for one in waiting
        ]
        names = sorted({one.answered_by for one in mine if one.answered_by})
        people = [Person(name, sum(one.answered_by == name for one in mine), 4.0, 3, 4, 1, 2, 9, 10) for name in names]
        flags = [
            Remark(f"{one.task_id}-{n}", one.task_id, one.title, "ann", note, 1.7e9) for one in mine for n, note in enumerate(one.flags)
        ]
        return Overview(len(waiting), queue, people, flags, self.disputes if "readers" in teams else [])

    def release(self, task_id: str, teams: Collection[str]) -> None:
        self._task(task_id, teams).holder = ""

    def dispute(self, task_id: str, teams: Collection[str], lead: Worker, note: str) -> None:
        found = self._task(task_id, teams)
        self.disputes.append(Remark(f"dispute-{task_id}", task_id, found.title, lead.worker_id, note, 1.7e9))

    def close(self, remark_id: str, teams: Collection[str]) -> None:
        found = [one for one in self.disputes if one.remark_id == remark_id]
        task_id, _, number = remark_id.partition("-")
        if found:
            self.disputes.remove(found[0])
        elif number.isdigit() and self._task(task_id, teams).flags:
            del self._task(task_id, teams).flags[int(number)]
        else:
            raise TaskRefused("There is no such flag or dispute.")


class HeaderSignIn:
    """``SignIn``: the header ``user``, or the cookie of that name, says who is signed in."""

    def __init__(self, *names: str) -> None:
        self.sessions = {name: MemorySession(Worker(name, {"sub": name}), name) for name in names}

    def open_route(self, request: PageRequest) -> PageResponse | None:
        if request.path != "/worker/sign-in":
            return None
        if request.form().get("token") != "right":
            raise PageError(403, "The form is out of date.")
        return redirect("/worker")

    def session_of(self, request: PageRequest) -> MemorySession | None:
        return self.sessions.get(request.headers.get("user") or request.cookie("user") or "")

    def ask(self, _: PageRequest) -> PageResponse:
        return html_response("Sign in, please")

    def end(self, request: PageRequest) -> PageResponse:
        self.sessions.pop(request.headers.get("user") or request.cookie("user") or "", None)
        return redirect("/worker")
