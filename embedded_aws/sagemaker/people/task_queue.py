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
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from embedded_aws.core import clock
from embedded_aws.sagemaker.people.work_record import Given, WorkRecord
from review_page import tasks
from review_page.answers import Answer, Worker
from review_page.tasks import (
    ENDED,
    MOST_LISTED,
    NO_LONGER_YOURS,
    NOT_ANSWERED,
    Answered,
    Lease,
    Overview,
    QueuedTask,
    SkipReason,
    TaskRefused,
    Workload,
    WorkSummary,
)

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

    worker: Worker
    accepted_at: float
    deadline: float
    ahead: bool = False
    """Held beside the one in work."""
    earlier: Mapping[str, Any] | None = None
    """The answer that the worker has taken back."""


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
    skips: Counter[SkipReason] = field(default_factory=Counter)
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
    def given(self) -> list[Given]:
        """Its answers so far."""
        return [Given(self.task_id, self.title, self.workteam_arn, answer) for answer in self.answers]

    @property
    def started(self) -> bool:
        """A worker holds it or has answered it."""
        return bool(self.assignments or self.answers)

    def is_offered_to(self, worker_id: str) -> bool:
        if self.closing or any(answer.worker.worker_id == worker_id for answer in self.answers):
            return False
        return len(self.answers) + len(self.assignments) < self.wanted


class TaskQueue:
    """The page's ``TaskStore`` and ``Lead``, in memory; thread-safe, oldest task first. Teams are named by their ARNs.

    A task ends with its last answer, as it does in A2I and Ground Truth. So an answer can be undone while others still have to answer.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self.generation = 0
        """Counts the resets. A wait for tasks of an earlier generation ends without a task."""
        self._lock = threading.RLock()
        self._record = WorkRecord()
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

    # -- for workers -----------------------------------------------------------------------------------

    def next_for(self, worker: Worker, teams: Collection[str], *, with_skipped: bool = False) -> Lease | None:
        """The worker's task in work: the one that they have, else the one ahead with its full time, else the oldest open one."""
        with self._lock:
            self._expire_assignments()
            held = self._in_hand(worker, teams, ahead=False)
            if held is None and (ahead := self._in_hand(worker, teams, ahead=True)) is not None:
                self._lease(ahead, worker)
                held = ahead
            return self._shown(held or self._take_oldest(worker, teams, with_skipped=with_skipped), worker)

    def ahead_for(self, worker: Worker, teams: Collection[str]) -> Lease | None:
        """The worker's task ahead of the one in work, else the oldest open one; None without one in work."""
        with self._lock:
            self._expire_assignments()
            if self._in_hand(worker, teams, ahead=False) is None:
                return None
            held = self._in_hand(worker, teams, ahead=True)
            return self._shown(held or self._take_oldest(worker, teams, ahead=True), worker)

    def summary(self, worker: Worker, teams: Collection[str], since: float) -> WorkSummary:
        with self._lock:
            mine = [
                task
                for task in self._tasks.values()
                if task.workteam_arn in teams and (task.is_offered_to(worker.worker_id) or worker.worker_id in task.assignments)
            ]
            skipped = sum(worker.worker_id in task.skipped_by for task in mine)
            workload = Workload(len(mine) - skipped, skipped)
            return WorkSummary(workload, self._record.progress(worker, since), self._recent(worker, teams))

    def accept(self, task_id: str, worker: Worker) -> Assignment:
        """Raises TaskRefused when the task is gone, full, or already answered by this worker."""
        with self._lock:
            task = self._tasks.get(task_id)
            if task is None or not task.is_offered_to(worker.worker_id):
                raise TaskRefused("This task is no longer available.")
            return self._lease(task, worker)

    def held(self, task_id: str, worker: Worker, teams: Collection[str]) -> Task | None:
        """The task if the worker holds it for one of the teams; who has left the task's team gives it back."""
        with self._lock:
            self._expire_assignments()
            task = self._tasks.get(task_id)
            if task is None or worker.worker_id not in task.assignments:
                return None
            if task.workteam_arn in teams:
                return task
            self._give_back(task, worker.worker_id)
            return None

    def submit(
        self,
        task_id: str,
        worker: Worker,
        content: Mapping[str, Any],
        teams: Collection[str] | None = None,  # noqa: ARG002  (the next tasks are leased when they are asked for)
        *,
        ahead: bool = False,  # noqa: ARG002  (as above)
    ) -> None:
        """Store the worker's answer, which fits the task's questions; the last one that is wanted ends the task.

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
            answer = Answer(worker, content, assignment.accepted_at, clock.now())
            task.answers.append(answer)
            self._record.answered(Given(task_id, task.title, task.workteam_arn, answer))
            if len(task.answers) >= task.wanted:
                self._end(task, Ending.ANSWERED)
            else:
                self._end_if_closing(task)

    def skip(self, task_id: str, worker: Worker, reason: SkipReason, note: str = "") -> None:
        """Give the task back: others see it as before, this worker only when they ask for skipped tasks. A note goes to the lead."""
        with self._lock:
            task = self._tasks.get(task_id)
            if task is None or worker.worker_id not in task.assignments:
                return
            task.skipped_by.add(worker.worker_id)
            task.skips[reason] += 1
            self._record.skipped(task.workteam_arn, worker)
            if note:
                self._remark(task, worker, f"Skipped ({reason}): {note}")
            self._give_back(task, worker.worker_id)

    def undo(self, task_id: str, worker: Worker, teams: Collection[str]) -> Lease:
        """Take one of the worker's last ten answers back, while others still have to answer the task.

        Raises:
            TaskRefused: the task has ended, or is not among the last ten.
        """
        with self._lock:
            given = next((one for one in self._record.recent(worker, teams) if one.task_id == task_id), None)
            if given is None:
                raise TaskRefused(NOT_ANSWERED)
            task = self._tasks.get(task_id)
            if task is None or task.closing:
                raise TaskRefused(ENDED)
            if (ahead := self._in_hand(worker, teams, ahead=True)) is not None:
                self._give_back(ahead, worker.worker_id)
            if (in_work := self._in_hand(worker, teams, ahead=False)) is not None:
                in_work.assignments[worker.worker_id] = replace(in_work.assignments[worker.worker_id], ahead=True)
            task.answers.remove(given.answer)
            self._record.taken_back(given)
            self._lease(task, worker, earlier=given.answer.content)
            return self._lease_of(task, worker)

    def answered(self, task_id: str, worker: Worker, teams: Collection[str]) -> Mapping[str, Any] | None:
        with self._lock:
            return next((one.answer.content for one in self._record.recent(worker, teams) if one.task_id == task_id), None)

    def _recent(self, worker: Worker, teams: Collection[str]) -> Sequence[Answered]:
        return [
            Answered(one.task_id, one.title, one.answer.submitted_at, "" if one.task_id in self._tasks else ENDED)
            for one in self._record.recent(worker, teams)
        ]

    def flag(self, task_id: str, worker: Worker, note: str) -> None:
        """Show the task to the lead. Raises TaskRefused: the worker neither holds it nor has answered it lately."""
        with self._lock:
            task = self._tasks.get(task_id)
            if task is not None and worker.worker_id in task.assignments:
                self._remark(task, worker, note)
                return
            given = next((one for one in self._record.recent(worker) if one.task_id == task_id), None)
            if given is None:
                raise TaskRefused(NO_LONGER_YOURS)
            self._record.remark(task_id=task_id, title=given.title, team=given.team, by=worker, note=note, disputes=False)

    def give_back(self, worker: Worker) -> None:
        """Whatever the worker holds is offered to others again: they sign out, or are no worker any more."""
        with self._lock:
            for task in list(self._tasks.values()):
                self._give_back(task, worker.worker_id)

    # -- for their lead --------------------------------------------------------------------------------

    def overview(self, teams: Collection[str]) -> Overview:
        with self._lock:
            self._expire_assignments()
            now = clock.now()
            led = [task for task in self._tasks.values() if task.workteam_arn in teams]
            return Overview(
                open=len(led),
                queue=[self._queued(task, now) for task in led[:MOST_LISTED]],
                people=self._record.people(teams, [given for task in led for given in task.given]),
                flags=self._record.remarks(teams, disputes=False),
                disputes=self._record.remarks(teams, disputes=True),
            )

    def release(self, task_id: str, teams: Collection[str]) -> None:
        """Take the task from the person who holds it. Raises TaskRefused: the task has ended, or belongs to another team."""
        with self._lock:
            task = self._tasks.get(task_id)
            if task is None or task.workteam_arn not in teams:
                raise TaskRefused("This task is over, or of another team.")
            for worker_id in list(task.assignments):
                self._give_back(task, worker_id)

    def dispute(self, task_id: str, teams: Collection[str], lead: Worker, note: str) -> None:
        """Keep the lead's note: A2I and Ground Truth ask a fixed number of people. Raises TaskRefused: the task is not known."""
        with self._lock:
            task = self._tasks.get(task_id)
            known = (task.title, task.workteam_arn) if task is not None else self._record.title_of_ended(task_id, teams)
            if known is None or known[1] not in teams:
                raise TaskRefused("There is no such task among those of your teams.")
            self._record.remark(task_id=task_id, title=known[0], team=known[1], by=lead, note=note, disputes=True)

    def close(self, remark_id: str, teams: Collection[str]) -> None:
        """A flag or dispute is settled. Raises TaskRefused."""
        with self._lock:
            self._record.close(remark_id, teams)

    # -- leases, under the lock ------------------------------------------------------------------------

    def _in_hand(self, worker: Worker, teams: Collection[str], *, ahead: bool) -> Task | None:
        for task in self._tasks.values():
            assignment = task.assignments.get(worker.worker_id)
            if assignment is not None and assignment.ahead == ahead and task.workteam_arn in teams:
                return task
        return None

    def _take_oldest(self, worker: Worker, teams: Collection[str], *, with_skipped: bool = False, ahead: bool = False) -> Task | None:
        for task in self._tasks.values():
            offered = task.workteam_arn in teams and task.is_offered_to(worker.worker_id)
            if offered and (with_skipped or worker.worker_id not in task.skipped_by):
                self._lease(task, worker, ahead=ahead)
                return task
        return None

    @staticmethod
    def _lease(task: Task, worker: Worker, *, ahead: bool = False, earlier: Mapping[str, Any] | None = None) -> Assignment:
        now = clock.now()
        task.skipped_by.discard(worker.worker_id)
        task.assignments[worker.worker_id] = Assignment(worker, now, now + clock.for_people(task.time_limit_seconds), ahead, earlier)
        return task.assignments[worker.worker_id]

    def _shown(self, task: Task | None, worker: Worker) -> Lease | None:
        return None if task is None else self._lease_of(task, worker)

    @staticmethod
    def _lease_of(task: Task, worker: Worker) -> Lease:
        assignment = task.assignments[worker.worker_id]
        return Lease(task, assignment.deadline - clock.now(), assignment.earlier)

    def _give_back(self, task: Task, worker_id: str) -> None:
        if task.assignments.pop(worker_id, None) is not None:
            self._end_if_closing(task)

    def _end_if_closing(self, task: Task) -> None:
        if task.closing and not task.assignments:
            self._end(task, Ending.STOPPED)

    def _remark(self, task: Task, by: Worker, note: str) -> None:
        self._record.remark(task_id=task.task_id, title=task.title, team=task.workteam_arn, by=by, note=note, disputes=False)

    @staticmethod
    def _queued(task: Task, now: float) -> QueuedTask:
        holders = [(held.worker.name or held.worker.worker_id, held.deadline - now) for held in task.assignments.values()]
        return QueuedTask(task.task_id, task.title, now - task.created_at, len(task.answers), task.wanted, holders, dict(task.skips))

    # -- how tasks end ---------------------------------------------------------------------------------

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
            self._record = WorkRecord()
            self.generation += 1

    def _end(self, task: Task, ending: Ending) -> None:
        if self._tasks.pop(task.task_id, None) is not None:
            task.assignments.clear()
            self._record.ended(task.task_id, task.title, task.workteam_arn, task.answers)
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
            self._end_if_closing(task)

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
