"""One task of the hosted review service and everything that may happen to it: pure.

A task wants some answers, each of another person. Whoever takes it has an assignment: first a lease, until its time is up, and then an
answer. While the task is open its answers can be taken back. It ends once enough answers are there and the newest one can no longer be
taken back, or when its time is over. Ending has two states, because the answers are written to other services in between.

All times are epoch milliseconds.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from contracts.amendments import group_digest
from contracts.groups import group_of
from lambdas.common.answers_wanted import AnswerPolicy, AnswerRule, ModelPrior, answers_wanted
from lambdas.common.review import HumanAnswer
from lambdas.review.port import ReviewStatus

RETRY_MS = 60_000
"""After so long somebody else finishes an ending that was begun."""
_EXCERPT = 60
"""Characters."""


class NotPossible(Exception):
    """The task is not in the state that the step needs; nothing has changed."""


class State(StrEnum):
    """``ENDING``: no answer changes any more, and ``output.json`` and the message about the end are on their way."""

    OPEN = "open"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(frozen=True)
class Assignment:
    """The task in one person's hands, or their answer once ``submitted_at`` is set.

    ``name`` is for who leads the team. ``ahead``: the page loads the task while the person works on another one. ``label`` is what the
    answer chose, None when that cannot be said.
    """

    name: str
    accepted_at: int
    until: int
    ahead: bool = False
    submitted_at: int | None = None
    label: str | None = None
    taken_back: bool = False

    @property
    def is_answer(self) -> bool:
        return self.submitted_at is not None


@dataclass(frozen=True)
class Task:
    """What the table keeps of a task, but for its input and the content of its answers.

    ``assignments`` and ``skipped_by`` go by worker id. ``rule`` and ``most`` say how many answers it gets. ``job`` is the bulk
    labelling that asks; no prediction is behind such a task. ``gold`` is what the right answer chooses where it is known (:mod:`.gold`);
    such a task is no review. ``prior`` is what the model said, its label as people see it, where that decides with the answers how many
    people are asked (``adaptive``). It stays if a lead changes the rule. ``about`` is the digest of the text's subject (:func:`about`), by
    which `labels forget` finds the task. ``version`` is that of the record which was read: a write names
    it, and fails if there is a newer one.
    """

    task_id: str
    review_id: str
    team: str
    title: str
    description: str
    created_at: int
    gone_at: int
    time_limit: int
    undo: int
    rule: AnswerRule
    most: int
    state: State = State.OPEN
    assignments: Mapping[str, Assignment] = field(default_factory=dict)
    skipped_by: frozenset[str] = frozenset()
    skips: Mapping[str, int] = field(default_factory=dict)
    ended_at: int | None = None
    status: ReviewStatus | None = None
    failure: str | None = None
    job: str | None = None
    excerpt: str = ""
    gold: str | None = None
    prior: ModelPrior | None = None
    about: str | None = None
    version: int = 0

    @property
    def known_as(self) -> str:
        """What tells it from other tasks in a list: how its text begins, since all tasks of a stage have one title."""
        return self.excerpt or self.title

    @property
    def answers(self) -> dict[str, Assignment]:
        return {worker: one for worker, one in self.assignments.items() if one.is_answer}

    @property
    def leases(self) -> dict[str, Assignment]:
        return {worker: one for worker, one in self.assignments.items() if not one.is_answer}

    @property
    def wanted(self) -> int:
        """How many answers it needs, given those that are there."""
        given = [HumanAnswer(worker, one.label, 0.0) for worker, one in self.answers.items()]
        prior = self.prior if self.rule is AnswerRule.ADAPTIVE else None
        return answers_wanted(given, AnswerPolicy(self.rule, self.most, prior))

    @property
    def free(self) -> int:
        """How many more people may take it."""
        return max(0, self.wanted - len(self.assignments)) if self.state is State.OPEN else 0

    @property
    def settled_at(self) -> int | None:
        """When the last answer that is wanted can no longer be taken back; None while answers are missing."""
        times = [one.submitted_at for one in self.assignments.values() if one.submitted_at is not None]
        return max(times) + self.undo if len(times) >= self.wanted else None

    @property
    def due_at(self) -> int | None:
        """When something must happen to it, whoever comes by; None once it has ended."""
        if self.state is State.ENDED:
            return None
        if self.ended_at is not None:
            return self.ended_at + RETRY_MS
        times = [self.gone_at, *(one.until for one in self.leases.values())]
        return min(times if self.settled_at is None else [*times, self.settled_at])

    def lease_of(self, worker_id: str, now: int) -> Assignment | None:
        """What the person holds now."""
        one = self.assignments.get(worker_id)
        return one if one is not None and self.state is State.OPEN and not one.is_answer and one.until > now else None


def excerpt_of(text: str) -> str:
    """How a text begins, in one line, without characters that nobody sees or that change the direction of others."""
    seen = "".join(" " if unicodedata.category(character)[0] == "C" else character for character in text[: 4 * _EXCERPT])
    line = " ".join(seen.split())
    return line if len(line) <= _EXCERPT else f"{line[:_EXCERPT].rstrip()}..."


def about(subject: str | None) -> str | None:
    """``about`` of a task."""
    return None if subject is None else group_digest(group_of("", subject))


def task_id_of(review_id: str) -> str:
    """The same review always is the same task: 32 hexadecimal digits."""
    return hashlib.sha256(f"review:{review_id}".encode()).hexdigest()[:32]


def take(task: Task, worker_id: str, name: str, now: int, *, ahead: bool = False) -> Task:
    """Lease the task to a person who has not had it yet. Raises NotPossible."""
    if not task.free or worker_id in task.assignments or now >= task.gone_at:
        raise NotPossible
    lease = Assignment(name, now, min(now + task.time_limit, task.gone_at), ahead)
    return replace(_with(task, worker_id, lease), skipped_by=task.skipped_by - {worker_id})


def begin(task: Task, worker_id: str, now: int) -> Task:
    """A task that was held ahead comes into work, and its time begins. Raises NotPossible."""
    lease = _lease(task, worker_id, now)
    return _with(task, worker_id, replace(lease, ahead=False, accepted_at=now, until=min(now + task.time_limit, task.gone_at)))


def put_ahead(task: Task, worker_id: str, now: int) -> Task:
    """A task in work waits behind another one of the same person. Raises NotPossible."""
    return _with(task, worker_id, replace(_lease(task, worker_id, now), ahead=True))


def answer(task: Task, worker_id: str, label: str | None, now: int) -> Task:
    """Raises NotPossible: the person does not hold the task."""
    lease = _lease(task, worker_id, now)
    return _with(task, worker_id, replace(lease, ahead=False, submitted_at=now, label=label, taken_back=False))


def undo(task: Task, worker_id: str, now: int) -> Task:
    """The answer becomes a lease again, with its full time. Raises NotPossible: there is none, or the task has ended."""
    given = task.assignments.get(worker_id)
    if task.state is not State.OPEN or given is None or not given.is_answer or now >= task.gone_at:
        raise NotPossible
    if task.settled_at is not None and now >= task.settled_at:
        raise NotPossible
    again = Assignment(given.name, now, min(now + task.time_limit, task.gone_at), taken_back=True)
    return _with(task, worker_id, again)


def give_back(task: Task, worker_id: str) -> Task:
    """Others may take it again. Raises NotPossible: the person does not hold it."""
    one = task.assignments.get(worker_id)
    if task.state is not State.OPEN or one is None or one.is_answer:
        raise NotPossible
    return replace(task, assignments={key: value for key, value in task.assignments.items() if key != worker_id})


def skip(task: Task, worker_id: str, reason: str) -> Task:
    """Give it back, and count why. Raises NotPossible."""
    back = give_back(task, worker_id)
    return replace(back, skipped_by=task.skipped_by | {worker_id}, skips={**task.skips, reason: task.skips.get(reason, 0) + 1})


def advance(task: Task, now: int) -> Task:
    """What time does to the task: leases run out, answers become final, and a task that is there for too long fails."""
    if task.state is not State.OPEN:
        return task
    late = {worker for worker, one in task.leases.items() if one.until <= now}
    task = replace(task, assignments={key: value for key, value in task.assignments.items() if key not in late}) if late else task
    if task.settled_at is not None and now >= task.settled_at:
        return end(task, ReviewStatus.COMPLETED, None, now)
    if now >= task.gone_at:
        return end(task, ReviewStatus.FAILED, f"Expired: the task expired with {len(task.answers)} of {task.wanted} answers.", now)
    return task


def end(task: Task, status: ReviewStatus, failure: str | None, now: int) -> Task:
    """Nobody may take, answer or undo it from now on. Raises NotPossible: it has ended."""
    if task.state is not State.OPEN:
        raise NotPossible
    return replace(task, state=State.ENDING, assignments=task.answers, ended_at=now, status=status, failure=failure)


def _lease(task: Task, worker_id: str, now: int) -> Assignment:
    lease = task.lease_of(worker_id, now)
    if lease is None:
        raise NotPossible
    return lease


def _with(task: Task, worker_id: str, one: Assignment) -> Task:
    return replace(task, assignments={**task.assignments, worker_id: one})
