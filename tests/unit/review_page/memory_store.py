"""The page's two ports in their smallest form: a store of tasks for one answer each, and workers who are signed in by a header."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from review_page.answers import Worker
from review_page.http import PageError, PageRequest, PageResponse, html_response, redirect
from review_page.questions import Classifier
from review_page.tasks import NO_LONGER_YOURS, Task, TaskRefused, Workload

CATEGORY = Classifier("category", ("negative", "positive"))


@dataclass(kw_only=True)
class StoredTask(Task):
    team: str = "readers"
    holder: str = ""
    skipped_by: set[str] = field(default_factory=set)
    answer: Mapping[str, Any] | None = None


def task(text: str, **changes: Any) -> StoredTask:
    values = {"title": "Judge a text", "description": "Choose the label.", "classifiers": [CATEGORY], "render": lambda: f"<p>{text}</p>"}
    return StoredTask(**{**values, **changes})


class MemoryStore:
    """``TaskStore``, without time limits."""

    def __init__(self, *tasks: StoredTask) -> None:
        self.tasks = {one.task_id: one for one in tasks}

    def _open(self, worker: Worker, teams: Collection[str]) -> list[StoredTask]:
        free = ("", worker.worker_id)
        return [one for one in self.tasks.values() if one.team in teams and one.answer is None and one.holder in free]

    def next_for(self, worker: Worker, teams: Collection[str], *, with_skipped: bool = False) -> Task | None:
        name = worker.worker_id
        found = sorted(self._open(worker, teams), key=lambda one: one.holder != name)
        wanted = [one for one in found if one.holder == name or with_skipped or name not in one.skipped_by]
        if not wanted:
            return None
        wanted[0].holder = name
        wanted[0].skipped_by.discard(name)
        return wanted[0]

    def held(self, task_id: str, worker: Worker, teams: Collection[str]) -> Task | None:
        found = self.tasks.get(task_id)
        if found is not None and found.team not in teams:
            self.skip(task_id, worker)
        return found if found is not None and found.holder == worker.worker_id else None

    def submit(self, task_id: str, worker: Worker, content: Mapping[str, Any]) -> None:
        found = self.tasks.get(task_id)
        if found is None or found.holder != worker.worker_id:
            raise TaskRefused(NO_LONGER_YOURS)
        found.answer, found.holder = content, ""

    def skip(self, task_id: str, worker: Worker) -> None:
        found = self.tasks.get(task_id)
        if found is not None and found.holder == worker.worker_id:
            found.holder = ""
            found.skipped_by.add(worker.worker_id)

    def workload(self, worker: Worker, teams: Collection[str]) -> Workload:
        found = self._open(worker, teams)
        skipped = sum(worker.worker_id in one.skipped_by for one in found)
        return Workload(len(found) - skipped, skipped)


@dataclass
class MemorySession:
    worker: Worker
    username: str
    csrf: str = "secret"
    answered: int = 0
    team_names: set[str] = field(default_factory=lambda: {"readers"})

    def teams(self) -> Collection[str]:
        return self.team_names

    def count_answer(self) -> None:
        self.answered += 1


class HeaderSignIn:
    """``SignIn``: the header ``user`` names who is signed in."""

    def __init__(self, *names: str) -> None:
        self.sessions = {name: MemorySession(Worker(name, {"sub": name}), name) for name in names}

    def open_route(self, request: PageRequest) -> PageResponse | None:
        if request.path != "/worker/sign-in":
            return None
        if request.form().get("token") != "right":
            raise PageError(403, "The form is out of date.")
        return redirect("/worker")

    def session_of(self, request: PageRequest) -> MemorySession | None:
        return self.sessions.get(request.headers.get("user", ""))

    def ask(self) -> PageResponse:
        return html_response("Sign in, please")

    def end(self, request: PageRequest) -> PageResponse:
        del self.sessions[request.headers["user"]]
        return redirect("/worker")
