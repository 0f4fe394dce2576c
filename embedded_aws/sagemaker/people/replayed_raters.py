"""Replayed raters: workers that answer open tasks with recorded human votes, and nothing else.

They are off until votes are loaded (``POST /_embedded/raters``). A text's recorded votes are drawn without
replacement, in an order that depends on the seed and the text alone, so a run can be repeated; the k-th of a task's
replayed raters takes the k-th drawn vote, under a worker id of its own. A text without recorded votes, a vote that is
not among the task's categories, and answers beyond the recorded votes are left to people.
"""

from __future__ import annotations

import hashlib
import random
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from embedded_aws.core import background, clock
from embedded_aws.sagemaker.people.task_queue import QUEUE, Task, text_sha256
from review_page.answers import Worker
from review_page.tasks import TaskRefused

POLL_SECONDS = 0.05
_SHA256 = re.compile("[0-9a-f]{64}")


def text_key(text_or_hash: str) -> str:
    """SHA-256 (hex) of a text; a hash stays as it is."""
    return text_or_hash if _SHA256.fullmatch(text_or_hash) else text_sha256(text_or_hash)


def rater(number: int) -> Worker:
    """The ``number``-th (from 1) replayed rater. Its identity says what it is: no person, no Cognito user."""
    name = f"replayed-rater-{number}"
    return Worker(
        worker_id=hashlib.sha256(name.encode()).hexdigest()[:16],
        identity={"identityProviderType": "ReplayedRater", "issuer": "embedded-aws:replayed-raters", "sub": name},
    )


def draw(votes: Sequence[str], key: str, seed: int) -> list[str]:
    """The recorded votes of a text in the order in which its raters take them."""
    return random.Random(f"{seed}:{key}").sample(list(votes), len(votes))  # noqa: S311  (a repeatable draw, no secret)


@dataclass
class _Pending:
    due: float
    task_id: str
    worker: Worker
    content: Mapping[str, object]


@dataclass
class ReplayedRaters:
    """The pool: recorded votes by text hash, and one thread that takes and answers tasks through the queue."""

    votes: dict[str, list[str]] = field(default_factory=dict)
    delay_seconds: float = 0.0
    seed: int = 0
    answered: int = 0
    _taken: dict[str, int] = field(default_factory=dict)
    _pending: list[_Pending] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _thread: threading.Thread | None = None

    def load(self, votes: Mapping[str, Sequence[str]], *, delay_seconds: float, seed: int, replace: bool) -> None:
        """Add recorded votes (text or its SHA-256 -> votes). ``delay_seconds``: declared time from taking to answering."""
        with self._lock:
            if replace:
                self.votes.clear()
            self.votes.update({text_key(text): list(given) for text, given in votes.items()})
            self.delay_seconds, self.seed = delay_seconds, seed
            if self._thread is None:
                self._thread = background.start(self._run, "replayed-raters")

    def clear(self) -> None:
        with self._lock:
            self.votes.clear()
            self._taken.clear()
            self._pending.clear()
            self.answered = 0

    def _run(self) -> None:
        while True:
            time.sleep(POLL_SECONDS)
            with self._lock:
                if self.votes:
                    for task in QUEUE.open_tasks():
                        self._take(task)
                self._answer_due()

    def _take(self, task: Task) -> None:
        key = task.text_sha256
        votes = self.votes.get(key) if key else None
        if not key or not votes or len(task.questions.classifiers) != 1:
            return
        classifier = task.questions.classifiers[0]
        drawn = draw(votes, key, self.seed)
        number = self._taken.get(task.task_id, 0)
        while number < min(task.wanted, len(drawn)):
            vote, worker = drawn[number], rater(number + 1)
            number += 1
            if vote not in classifier.categories:
                continue
            try:
                QUEUE.accept(task.task_id, worker)
            except TaskRefused:
                return
            self._taken[task.task_id] = number
            due = clock.now() + clock.scaled(self.delay_seconds)
            self._pending.append(_Pending(due, task.task_id, worker, {classifier.name: {"label": vote}}))

    def _answer_due(self) -> None:
        now = clock.now()
        due = [item for item in self._pending if item.due <= now]
        self._pending = [item for item in self._pending if item.due > now]
        for item in due:
            try:
                QUEUE.submit(item.task_id, item.worker, item.content)
                self.answered += 1
            except TaskRefused:
                background.log.warning("a replayed rater's answer to task %s came too late", item.task_id)


RATERS = ReplayedRaters()
"""The one pool of this emulator."""
