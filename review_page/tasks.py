"""Tasks as the page shows them, and the store that the page takes them from."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from review_page.answers import Worker
from review_page.questions import Classifier


class TaskRefused(Exception):
    """The worker may not take or answer the task (any more); the text says why, for the worker to read."""


NO_LONGER_YOURS = "This task is no longer yours: its time was up, it was stopped, or you have answered it."


@dataclass(kw_only=True)
class Task:
    """One object that people are to judge."""

    title: str
    description: str
    classifiers: Sequence[Classifier]
    """What an answer must hold."""
    render: Callable[[], str]
    """The task's HTML, made when a worker opens it (pre-signed URLs in it must be fresh). Raises TemplateError."""
    task_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """32 hexadecimal digits."""


@dataclass(frozen=True)
class Workload:
    """What a worker still has before them: tasks to take, and tasks that they have skipped."""

    waiting: int
    skipped: int


class TaskStore(Protocol):
    """Tasks that wait for workers. ``teams`` are the ids of the teams that the worker is a member of now.

    A worker holds at most one task at a time, until its time is up. Every method may be called by several workers at once.
    """

    def next_for(self, worker: Worker, teams: Collection[str], *, with_skipped: bool = False) -> Task | None:
        """Give the worker the task that they hold, else lease them the oldest one that is open to them; None if there is none.

        Args:
            with_skipped: also offer what this worker has skipped.
        """

    def held(self, task_id: str, worker: Worker, teams: Collection[str]) -> Task | None:
        """The task if the worker holds it, for one of the teams. Who is not in the task's team any more gives it back."""

    def submit(self, task_id: str, worker: Worker, content: Mapping[str, Any]) -> None:
        """Store the worker's answer, which fits the task's classifiers, and end the lease.

        Raises:
            TaskRefused: the worker does not hold the task.
        """

    def skip(self, task_id: str, worker: Worker) -> None:
        """Give the task back: others see it as before, this worker only when they ask for skipped tasks. Nothing if they do not hold it."""

    def workload(self, worker: Worker, teams: Collection[str]) -> Workload:
        """How much is left for the worker; a task that they hold counts as waiting."""
