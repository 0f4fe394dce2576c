"""The hosted review service around a table: a clock that stands still, a template of one question, and whatever leaves the service."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lambdas.common.answers_wanted import AnswerRule
from lambdas.common.labels import Labels
from lambdas.common.review import ReviewReason, ReviewRequest
from lambdas.review.hosted import HostedStarter, Terms
from lambdas.review.hosted_tasks.ending import Ports, finish
from lambdas.review.hosted_tasks.store import HostedTasks
from lambdas.review.hosted_tasks.sweeping import sweep
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.task import Task, task_id_of
from lambdas.review.port import ReviewEnded
from review_page.answers import Worker

TEAM = "reviewers"
LABELS = Labels(("negative", "positive"), ("Bad", "Good"))
TERMS = Terms(TEAM, "Choose", "Read it.", AnswerRule.TWO_THEN_THIRD, 3, 3_600, 86_400, 60)
_IDS = itertools.count(1)


def person(name: str) -> Worker:
    return Worker(name, {"identityProviderType": "Cognito", "issuer": "pool", "sub": name}, name)


def choice(name: str) -> dict[str, Any]:
    return {"category": {"label": name}}


def html(task_input: Mapping[str, Any]) -> str:
    categories = json.dumps(task_input["labels"]).replace('"', "&quot;")
    return f'<crowd-classifier name="category" categories="{categories}">{task_input["text"]}</crowd-classifier>'


@dataclass
class Service:
    """``files``: key -> body. ``sent`` has every message, also those that came twice."""

    table: Any
    terms: Terms = TERMS
    now: int = 1_800_000_000_000
    files: dict[str, bytes] = field(default_factory=dict)
    sent: list[ReviewEnded] = field(default_factory=list)
    render: Callable[[Mapping[str, Any]], str] = html

    def __post_init__(self) -> None:
        self.tasks = TaskTable(self.table, 30)
        self.ports = Ports(self.tasks, self.write, self.send)
        self.chance = random.Random(1)  # noqa: S311  (no secret)

    @property
    def store(self) -> HostedTasks:
        """That of another request to the page, each time."""
        return HostedTasks(self.tasks, self.render, self.finish, lambda: self.now, self.chance)

    def write(self, key: str, body: bytes) -> None:
        assert self.files.setdefault(key, body) == body, "a second try writes the same bytes"

    def send(self, ended: ReviewEnded) -> None:
        self.sent.append(ended)

    def finish(self, task: Task) -> None:
        finish(task, self.ports, self.now)

    def ask(
        self,
        text: str = "fine",
        prediction_id: str | None = None,
        reason: ReviewReason = ReviewReason.LOW_CONFIDENCE,
        said: str = "negative",
    ) -> str:
        """Starts a review of a text of which the model said ``said``; returns the task's id."""
        request = ReviewRequest(prediction_id or f"p{next(_IDS)}", text, said, 0.5, reason)
        HostedStarter(self.tasks, self.terms, LABELS, lambda: self.now / 1_000).start(request)
        return task_id_of(request.review_id)

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * 1_000)

    def sweep(self) -> tuple[int, int]:
        return sweep(self.tasks, self.now, self.finish)

    def next(self, name: str, **options: bool) -> str | None:
        lease = self.store.next_for(person(name), [TEAM], **options)
        return None if lease is None else lease.task.task_id

    def answer(self, name: str, label: str = "Good") -> str:
        """The person's next task gets an answer; returns its id."""
        task_id = self.next(name)
        assert task_id is not None
        self.store.submit(task_id, person(name), choice(label))
        return task_id

    def read(self, task_id: str) -> Task:
        found = self.tasks.task(task_id)
        assert found is not None
        return found


def changed(service: Service, **terms: Any) -> Service:
    """Reviews that are asked for from now on have these terms."""
    service.terms = type(TERMS)(**{**vars(TERMS), **terms})
    return service
