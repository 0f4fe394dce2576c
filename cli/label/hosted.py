"""Labelling on the app's own page: one task for each text, in the table of review tasks. The table is all that a job's state is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from cli.label.job import Standing, failed_line, labelled_line
from cli.label.texts import Wanted
from contracts.groups import text_digest
from lambdas.common.answers_wanted import AnswerRule
from lambdas.common.consolidation import Plurality
from lambdas.common.labels import Labels
from lambdas.common.review import HumanAnswer
from lambdas.labeling.consolidate_annotations.annotations import consolidated_content
from lambdas.review.hosted import Terms
from lambdas.review.hosted_tasks.gold import GoldText, draw, gold_id
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.task import State, Task, about, excerpt_of, task_id_of

_AT_ONCE = 8
_MOST_ATTEMPTS = 20


@dataclass
class HostedJob:
    """The tasks of one job.

    A text's task follows from the job's name, the set of labels and the text. So a longer file asks about new texts only.

    A task that ended without any answer is asked again by the next :meth:`ask`.

    Gold tasks are mixed in, at most one for each gold text. They have ids of their own, so they are in no line and no figure of the job;
    what people answer to them is counted for these people (:mod:`lambdas.review.hosted_tasks.gold`).

    Args:
        terms: ``gold_share`` is the number of gold tasks for each text, on the average.
        name: of the job.
        clock: epoch seconds.
        gold: texts whose label is known.
    """

    table: TaskTable
    terms: Terms
    labels: Labels
    name: str
    wanted: Sequence[Wanted]
    clock: Callable[[], float]
    gold: Sequence[GoldText] = ()
    _ids: dict[str, str] = field(default_factory=dict)
    """Key of a text -> its newest task."""
    _lines: dict[str, dict[str, Any]] = field(default_factory=dict)
    _answers: dict[str, int] = field(default_factory=dict)

    def ask(self, progress: Callable[[int], None]) -> int:
        waiting = {one.key: one for one in self.wanted}
        missing: list[tuple[str, Wanted]] = []
        for attempt in range(1, _MOST_ATTEMPTS + 1):
            ids = {key: task_id_of(self._review_id(key, attempt)) for key in waiting}
            found = self.table.tasks(list(ids.values()))
            missing += [(self._review_id(key, attempt), one) for key, one in waiting.items() if ids[key] not in found]
            self._ids |= ids
            waiting = {key: one for key, one in waiting.items() if ids[key] in found and _is_lost(found[ids[key]])}
        progress(len(self.wanted) - len(missing))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(lambda one: self._open(*one), missing):
                progress(1)
        return len(missing)

    def look(self) -> Standing:
        open_texts = [one for one in self.wanted if one.key not in self._lines]
        found = self.table.tasks([self._ids[one.key] for one in open_texts])
        for one in open_texts:
            task = found.get(self._ids[one.key])
            if task is not None:
                self._answers[one.key] = len(task.answers)
            if task is not None and task.state is State.ENDED:
                self._lines[one.key] = self._line(one, task)
        done = len(self._lines)
        return Standing(dict(self._lines), done, sum(self._answers.values()), running=done < len(self.wanted))

    @cached_property
    def gold_tasks(self) -> dict[str, GoldText]:
        """Key of a text -> the gold text that is asked about together with it. A text that people shall label is no gold text."""
        own = {one.key for one in self.wanted}
        known = [one for one in self.gold if one.label in self.labels.ids and text_digest(one.text) not in own]
        found: dict[GoldText, str] = {}
        for one in self.wanted:
            drawn = draw(self._review_id(one.key, 1), self.terms.gold_share, known)
            if drawn is not None:
                found.setdefault(drawn, one.key)
        return {key: drawn for drawn, key in found.items()}

    def _review_id(self, key: str, attempt: int) -> str:
        labels = hashlib.sha256("\0".join(sorted(self.labels.ids)).encode()).hexdigest()[:8]
        return f"labeling-{self.name}-{labels}-{key}-{attempt}"

    def _open(self, review_id: str, one: Wanted) -> None:
        self.table.add(replace(self._task(review_id, one.text), about=about(one.subject)), {"text": one.text, **self.labels.task_fields()})
        drawn = self.gold_tasks.get(one.key)
        if drawn is not None:
            names = dict(zip(self.labels.ids, self.labels.shown, strict=True))
            task = self._task(gold_id(self._review_id(text_digest(drawn.text), 1)), drawn.text)
            known = replace(task, gold=names[drawn.label], rule=AnswerRule.FIXED)
            self.table.add(known, {"text": drawn.text, **self.labels.task_fields()})

    def _task(self, review_id: str, text: str) -> Task:
        now, terms = int(self.clock() * 1_000), self.terms
        return Task(
            task_id=task_id_of(review_id),
            review_id=review_id,
            team=terms.team,
            title=terms.title,
            description=terms.description,
            created_at=now,
            gone_at=now + terms.availability_seconds * 1_000,
            time_limit=terms.time_limit_seconds * 1_000,
            undo=terms.undo_seconds * 1_000,
            rule=terms.rule,
            most=terms.most,
            job=self.name,
            excerpt=excerpt_of(text),
        )

    def _line(self, one: Wanted, task: Task) -> dict[str, Any]:
        """As Ground Truth does it: the answers that are there give the label, also when the time was over before the last one."""
        at = datetime.fromtimestamp((task.ended_at or 0) / 1_000, UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")
        answers = list(_answers(task, self.labels))
        if not answers:
            return failed_line(one.text, task.failure or "The task ended without an answer.", self.name, at)
        return labelled_line(one.text, consolidated_content(answers, Plurality(self.labels.ids)), self.name, at, one.subject)


def _is_lost(task: Task) -> bool:
    return task.state is State.ENDED and not task.answers


def _answers(task: Task, labels: Labels) -> Iterator[HumanAnswer]:
    """In the order in which they came. The page has taken only what the task offered, so *cannot tell* was offered where it is there."""
    offered = labels.offering(cannot_tell=True)
    given: Mapping[str, Any] = task.answers
    for worker, one in sorted(given.items(), key=lambda item: (item[1].submitted_at, item[0])):
        yield HumanAnswer(worker, offered.id_of(one.label), (one.submitted_at - one.accepted_at) / 1_000)
