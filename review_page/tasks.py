"""Tasks as the page shows them, and where it takes them from: :class:`TaskStore` for workers, :class:`Lead` for their leads."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from review_page.answers import Worker
from review_page.questions import Questions

MOST_RECENT = 10
"""Number of a worker's last answers that are shown and can be undone."""
MOST_LISTED = 200
"""Most rows of a list on the lead's page."""
NO_LONGER_YOURS = "This task is no longer yours. Its time was up, it was stopped, or you have answered it. Go on with the next one."
ENDED = "This task has ended, so your answer can no longer be undone."
NOT_ANSWERED = "This is none of your last ten answers, and only those can be undone."


class TaskRefused(Exception):
    """The worker may not do this with the task (any more); the text says why, for the worker to read."""


class SkipReason(StrEnum):
    """Why a worker gives a task back. Stores count them by these values."""

    UNCLEAR = "unclear"
    """The worker does not understand the text or the question."""
    LANGUAGE = "language"
    """The worker does not read the text's language."""
    EXPERTISE = "expertise"
    """The text needs knowledge that the worker does not have."""
    CONTENT = "content"
    """The worker does not want to read this text."""
    BROKEN = "broken"
    """The task is shown wrongly, or its text is missing."""
    OTHER = "other"
    """None of these: see the note, which may be empty."""


@dataclass(kw_only=True)
class Task:
    """One object that people are to judge."""

    title: str
    description: str
    questions: Questions
    """What an answer must hold."""
    render: Callable[[], str]
    """The task's HTML, made when a worker opens it (pre-signed URLs in it must be fresh). Raises TemplateError."""
    scripts: tuple[str, ...] = ()
    """The template's own scripts that may run in the task's frame, as sources of its policy (:func:`~.template_scripts.script_sources`)."""
    task_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    """32 hexadecimal digits."""


@dataclass(frozen=True)
class Lease:
    """A task in one worker's hands."""

    task: Task
    seconds_left: float
    """Real seconds until others may take the task."""
    earlier: Mapping[str, Any] | None = None
    """The answer that the worker has taken back with ``undo``: the page shows it again."""
    suggestion: Mapping[str, str] = field(default_factory=dict)
    """Classifier's name -> category that the page shows as the model's suggestion; empty: none. The store draws for which leases there is
    one (so that anchoring can be measured), says the same each time for the same worker and task, and writes down with the answer whether
    it was shown."""


@dataclass(frozen=True)
class Workload:
    """What a worker still has before them: tasks to take, and tasks that they have skipped. ``more``: not all were counted."""

    waiting: int
    skipped: int
    more: bool = False


@dataclass(frozen=True)
class Answered:
    """One answer that a worker has submitted. ``title`` tells its task from others, like :class:`QueuedTask`'s."""

    task_id: str
    title: str
    submitted_at: float
    """Epoch seconds."""
    fixed: str = ""
    """Why it cannot be undone (any more), for the worker to read; empty: it can."""


@dataclass(frozen=True)
class Progress:
    """A worker's own pace."""

    answered: int
    seconds_per_answer: float | None
    """Mean time from the lease's start to the answer; None without an answer."""


@dataclass(frozen=True)
class WorkSummary:
    """What is left for a worker (tasks that they hold count as waiting), and their own pace.

    ``recent``: their last ten answers, the newest first; also of tasks that have ended.
    """

    workload: Workload
    progress: Progress
    recent: Sequence[Answered]


class TaskStore(Protocol):
    """Tasks that wait for workers. ``teams`` are the ids of the teams that the worker is a member of now.

    A worker holds at most two tasks at a time, until their time is up: one in work, and one ahead of it, which the page loads meanwhile.
    Every method may be called by several workers at once, and by one worker in several windows.
    """

    def next_for(self, worker: Worker, teams: Collection[str], *, with_skipped: bool = False) -> Lease | None:
        """The task in work: the one that the worker has in work, else the one ahead, else the oldest one that is open to them.

        A task that comes from ahead into work begins its full time now. None: there is no task.

        Args:
            with_skipped: also offer what this worker has skipped.
        """

    def ahead_for(self, worker: Worker, teams: Collection[str]) -> Lease | None:
        """The task ahead: the one that they hold ahead, else lease them the oldest open one. None: there is none, or none in work."""

    def held(self, task_id: str, worker: Worker, teams: Collection[str]) -> Task | None:
        """The task if the worker holds it (in work or ahead), for one of the teams. Who is not in its team any more gives it back."""

    def submit(
        self, task_id: str, worker: Worker, content: Mapping[str, Any], teams: Collection[str] | None = None, *, ahead: bool = False
    ) -> None:
        """Store the worker's answer, which fits the task's questions, and end the lease.

        Whoever names the worker's teams asks for :meth:`next_for` next, and with ``ahead`` for :meth:`ahead_for` after it. So the store
        may lease these tasks in the same step.

        Once. When the answer got lost on its way back, the browser sends the task and its answer again. The page then finds it by
        :meth:`answered`, and accepts it without calling this method; another answer is refused.

        Raises:
            TaskRefused: the worker does not hold the task.
        """

    def skip(self, task_id: str, worker: Worker, reason: SkipReason, note: str = "") -> None:
        """Give the task back: others see it as before, this worker only when they ask for skipped tasks. Nothing if they do not hold it.

        The skip is counted with the task, by reason, for the lead.
        """

    def undo(self, task_id: str, worker: Worker, teams: Collection[str]) -> Lease:
        """Take one of the last ten answers back: it is gone from the task, which the worker has in work again, with ``earlier``.

        What they had in work is then ahead; what they had ahead goes back to the others, without a skip.

        Raises:
            TaskRefused: the task has ended, is not among the last ten, or is of another team.
        """

    def answered(self, task_id: str, worker: Worker, teams: Collection[str]) -> Mapping[str, Any] | None:
        """The worker's answer to the task, if it is among their last ten."""

    def flag(self, task_id: str, worker: Worker, note: str) -> None:
        """Show the task to the lead, with the worker's note. The worker keeps it.

        Raises:
            TaskRefused: the worker neither holds it nor has it among their last ten answers.
        """

    def give_back(self, worker: Worker) -> None:
        """Whatever the worker holds is offered to others again, without a skip: they sign out, or are no worker any more."""

    def summary(self, worker: Worker, teams: Collection[str], since: float) -> WorkSummary:
        """What the page shows beside a task.

        Args:
            since: epoch seconds from which answers count as progress: the page's midnight, at most 36 hours ago. Undone ones do not count.
        """


@dataclass(frozen=True)
class QueuedTask:
    """An open task as its lead sees it; times in real seconds. ``title``: its title, or better how its text begins."""

    task_id: str
    title: str
    age: float
    answers: int
    wanted: int
    holders: Sequence[tuple[str, float]]
    """Who holds it, by name, and for how long still."""
    skips: Mapping[SkipReason, int]


@dataclass(frozen=True)
class Person:
    """One worker's work as their lead sees it."""

    name: str
    answered: int
    seconds_per_answer: float | None
    agreed: int
    compared: int
    """Of ``compared`` answers, to tasks that others have answered too, ``agreed`` are what most have answered."""
    cannot_tell: int
    skipped: int
    gold_right: int = 0
    gold_answered: int = 0
    """Of ``gold_answered`` answers to tasks whose answer is known, ``gold_right`` are right."""


@dataclass(frozen=True)
class Remark:
    """A flag of a worker, or a dispute that the lead has opened."""

    remark_id: str
    task_id: str
    title: str
    by: str
    """Whose it is, by name."""
    note: str
    made_at: float
    """Epoch seconds."""


@dataclass(frozen=True)
class Overview:
    """Everything on the lead's page. Lists have at most MOST_LISTED rows."""

    open: int
    """Tasks that have not ended."""
    queue: Sequence[QueuedTask]
    """The oldest first."""
    people: Sequence[Person]
    flags: Sequence[Remark]
    disputes: Sequence[Remark]
    """Of both those that are not closed, the newest first."""


class Lead(Protocol):
    """What who leads a team sees and does. ``teams`` are the ids of the teams that the person leads now; of others they learn nothing."""

    def overview(self, teams: Collection[str]) -> Overview: ...

    def release(self, task_id: str, teams: Collection[str]) -> None:
        """Take the task from its holder; no skip is counted. Raises TaskRefused: the task has ended, or belongs to another team."""

    def dispute(self, task_id: str, teams: Collection[str], lead: Worker, note: str) -> None:
        """Say that the answers to a task must be looked at again. Open tasks, and ended ones that have a flag or are in a list.

        What follows is the store's: the hosted one adjudicates, A2I (whose number of answers is fixed) keeps the note.

        Raises:
            TaskRefused: the task is unknown, or of another team.
        """

    def close(self, remark_id: str, teams: Collection[str]) -> None:
        """A flag or dispute is settled. Raises TaskRefused: the remark is unknown, closed, or belongs to another team."""
