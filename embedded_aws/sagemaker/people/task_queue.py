"""Tasks that wait for workers: who may take which one, who holds it, who has answered, when it ends.

One queue serves A2I human loops and Ground Truth labelling jobs; the worker page and the replayed raters both
take tasks with :meth:`TaskQueue.accept` and answer with :meth:`TaskQueue.submit`. Limits are declared seconds, and
real ones: people's time is not scaled with the waits of machines. Source: SageMaker developer guide, "Monitor and Manage
Your Human Loop" and "Delete a Human Loop" (a stopped task stays with the workers that hold it until they answer or their
time is up).
"""

from __future__ import annotations

import contextvars
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from embedded_aws.core import clock
from review_page import tasks
from review_page.answers import Answer, Worker
from review_page.tasks import NO_LONGER_YOURS, TaskRefused, Workload

log = logging.getLogger("embedded_aws")

SWEEP_SECONDS = 0.1


class Ending(StrEnum):
    """Why a task is over."""

    ANSWERED = "answered"
    EXPIRED = "expired"
    STOPPED = "stopped"


def text_sha256(text: str) -> str:
    """Hex; also of a text with half a surrogate pair, which JSON can carry and UTF-8 cannot."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Assignment:
    """A task in one worker's hands until ``deadline`` (epoch seconds)."""

    accepted_at: float
    deadline: float


@dataclass(kw_only=True)
class Task(tasks.Task):
    """One object that ``wanted`` different workers are to answer."""

    source: str
    """ARN of the human loop or labelling job."""
    workteam_arn: str
    input: Mapping[str, Any]
    wanted: int
    time_limit_seconds: float
    lifetime_seconds: float
    finished: Callable[[Task, Ending], None]
    """Called once, in the account and region of the request that made the task."""
    created_at: float = field(default_factory=clock.now)
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    answers: list[Answer] = field(default_factory=list)
    assignments: dict[str, Assignment] = field(default_factory=dict)
    skipped_by: set[str] = field(default_factory=set)
    closing: bool = False

    @property
    def text_sha256(self) -> str | None:
        """Hash of the text that is judged, if the input holds one under ``text``, ``taskObject`` or ``source``."""
        for key in ("text", "taskObject", "source"):
            if isinstance(self.input.get(key), str):
                return text_sha256(self.input[key])
        return None

    @property
    def gone_at(self) -> float:
        """When it is no longer available, in epoch seconds."""
        return self.created_at + clock.for_people(self.lifetime_seconds)

    @property
    def started(self) -> bool:
        """A worker holds it or has answered it."""
        return bool(self.assignments or self.answers)

    def is_offered_to(self, worker_id: str) -> bool:
        if self.closing or any(answer.worker.worker_id == worker_id for answer in self.answers):
            return False
        return len(self.answers) + len(self.assignments) < self.wanted


class TaskQueue:
    """The page's ``TaskStore``, in memory; thread-safe, oldest task first. Teams are named by their ARNs."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self.generation = 0
        """Counts the resets: whoever waits for tasks of an earlier generation waits in vain."""
        self._lock = threading.RLock()
        self._sweeper: threading.Thread | None = None
        self._finishers = ThreadPoolExecutor(4, thread_name_prefix="task-finisher")

    def add(self, task: Task) -> None:
        with self._lock:
            self._tasks[task.task_id] = task
            if self._sweeper is None:
                self._sweeper = threading.Thread(target=self._sweep_forever, name="task-sweeper", daemon=True)
                self._sweeper.start()

    def find(self, task_id: str) -> Task | None:
        return self._tasks.get(task_id)

    def open_tasks(self) -> list[Task]:
        with self._lock:
            return list(self._tasks.values())

    def of_source(self, source: str) -> list[Task]:
        return [task for task in self.open_tasks() if task.source == source]

    def next_for(self, worker: Worker, teams: Collection[str], *, with_skipped: bool = False) -> Task | None:
        """Give the worker the task that they hold, else the oldest one that is open to them."""
        with self._lock:
            self._expire_assignments()
            mine = [task for task in self._tasks.values() if task.workteam_arn in teams]
            held = next((task for task in mine if worker.worker_id in task.assignments), None)
            if held is not None:
                return held
            for task in mine:
                if task.is_offered_to(worker.worker_id) and (with_skipped or worker.worker_id not in task.skipped_by):
                    self.accept(task.task_id, worker)
                    return task
            return None

    def workload(self, worker: Worker, teams: Collection[str]) -> Workload:
        with self._lock:
            mine = [
                task
                for task in self._tasks.values()
                if task.workteam_arn in teams and (task.is_offered_to(worker.worker_id) or worker.worker_id in task.assignments)
            ]
            skipped = sum(worker.worker_id in task.skipped_by for task in mine)
            return Workload(len(mine) - skipped, skipped)

    def accept(self, task_id: str, worker: Worker) -> Assignment:
        """Raises TaskRefused when the task is gone, full, or already answered by this worker."""
        with self._lock:
            task = self._tasks.get(task_id)
            if task is None or not task.is_offered_to(worker.worker_id):
                raise TaskRefused("This task is no longer available.")
            now = clock.now()
            task.skipped_by.discard(worker.worker_id)
            task.assignments[worker.worker_id] = Assignment(now, now + clock.for_people(task.time_limit_seconds))
            return task.assignments[worker.worker_id]

    def held(self, task_id: str, worker: Worker, teams: Collection[str]) -> Task | None:
        """The task if the worker holds it for one of the teams; who has left the task's team gives it back."""
        with self._lock:
            task = self._tasks.get(task_id)
            if task is None or worker.worker_id not in task.assignments:
                return None
            if task.workteam_arn in teams:
                return task
            self.skip(task_id, worker)
            return None

    def submit(self, task_id: str, worker: Worker, content: Mapping[str, Any]) -> None:
        """Store the worker's answer, which fits the task's classifiers; the last one that is wanted ends the task.

        Raises:
            TaskRefused: the worker does not hold the task (time is up, stopped, already answered).
        """
        with self._lock:
            self._expire_assignments()
            task = self._tasks.get(task_id)
            assignment = task.assignments.get(worker.worker_id) if task else None
            if task is None or assignment is None:
                raise TaskRefused(NO_LONGER_YOURS)
            del task.assignments[worker.worker_id]
            task.answers.append(Answer(worker, content, assignment.accepted_at, clock.now()))
            if len(task.answers) >= task.wanted:
                self._end(task, Ending.ANSWERED)
            elif task.closing and not task.assignments:
                self._end(task, Ending.STOPPED)

    def skip(self, task_id: str, worker: Worker) -> None:
        """Give the task back: others see it as before, this worker only when they ask for skipped tasks."""
        with self._lock:
            task = self._tasks.get(task_id)
            if task is None or task.assignments.pop(worker.worker_id, None) is None:
                return
            task.skipped_by.add(worker.worker_id)
            if task.closing and not task.assignments:
                self._end(task, Ending.STOPPED)

    def give_back_all(self, worker: Worker) -> None:
        """Whatever the worker holds is offered to others again: they are no worker any more."""
        with self._lock:
            for task in list(self._tasks.values()):
                if task.assignments.pop(worker.worker_id, None) is not None and task.closing and not task.assignments:
                    self._end(task, Ending.STOPPED)

    def stop(self, task: Task) -> None:
        """No new workers; the task ends once nobody holds it."""
        with self._lock:
            task.closing = True
            if not task.assignments:
                self._end(task, Ending.STOPPED)

    def end(self, task: Task, ending: Ending) -> None:
        """End the task now, with the answers that are there."""
        with self._lock:
            self._end(task, ending)

    def clear(self) -> None:
        with self._lock:
            self._tasks.clear()
            self.generation += 1

    def _end(self, task: Task, ending: Ending) -> None:
        if self._tasks.pop(task.task_id, None) is not None:
            task.assignments.clear()
            self._finishers.submit(self._finish, task, ending)

    @staticmethod
    def _finish(task: Task, ending: Ending) -> None:
        try:
            task.context.copy().run(task.finished, task, ending)
        except Exception:
            log.exception("the end of task %s of %s failed", task.task_id, task.source)

    def _expire_assignments(self) -> None:
        now = clock.now()
        for task in list(self._tasks.values()):
            for worker_id in [key for key, held in task.assignments.items() if held.deadline <= now]:
                del task.assignments[worker_id]
            if task.closing and not task.assignments:
                self._end(task, Ending.STOPPED)

    def _sweep_forever(self) -> None:
        while True:
            time.sleep(SWEEP_SECONDS)
            with self._lock:
                self._expire_assignments()
                now = clock.now()
                for task in list(self._tasks.values()):
                    if task.gone_at <= now:
                        self._end(task, Ending.EXPIRED)


QUEUE = TaskQueue()
"""The one queue of this emulator."""
