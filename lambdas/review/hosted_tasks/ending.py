"""The end of a task leaves the service: ``output.json``, as A2I writes it, and the one message about it. Each step can be repeated."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from lambdas.common.labels import Labels
from lambdas.review.hosted_tasks.items import Content
from lambdas.review.hosted_tasks.suggestions import suggestion_for
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.task import State, Task
from lambdas.review.output import answers
from lambdas.review.port import ReviewEnded, ReviewStatus
from review_page.answers import Answer, Worker, answer_document

OUTPUT_PREFIX = "hosted"
"""Of the review bucket."""


@dataclass(frozen=True)
class Ports:
    """The edges. ``write_output`` takes key and body."""

    table: TaskTable
    write_output: Callable[[str, bytes], None]
    send: Callable[[ReviewEnded], None]


def finish(task: Task, ports: Ports, now: int) -> None:
    """Bring a task that is ``ending`` to its end. Nobody is told of a bulk labelling's task: whoever started the job reads the tasks. A
    gold task leaves nothing but counts of the people who answered it.

    Whoever is killed in between leaves it ``ending``, and the sweep begins again: the file has the same key and the same bytes, and a
    second message changes nothing (``lambdas/review/collect_review``).
    """
    if task.state is not State.ENDING:
        return
    shown, contents = ports.table.output(task.task_id)
    if task.gold is not None:
        ports.table.close(task, contents, now)
        return
    document = output_document(task, shown, contents)
    if task.answers or task.status is ReviewStatus.COMPLETED:
        ports.write_output(output_key(task), json.dumps(document, ensure_ascii=False, allow_nan=False).encode())
    if task.job is None:
        ports.send(_ended(task, document))
    ports.table.close(task, contents, now)


def output_key(task: Task) -> str:
    """``hosted/2026/11/23/10/00/00/<review id>/output.json``: by the second in which the review was asked for, as A2I does it."""
    return f"{OUTPUT_PREFIX}/{_time(task.created_at):%Y/%m/%d/%H/%M/%S}/{task.review_id}/output.json"


def output_document(task: Task, task_input: Mapping[str, Any], contents: Mapping[str, Content]) -> dict[str, Any]:
    """``output.json``: the answers in the order in which they came. It has A2I's fields but ``flowDefinitionArn``, as there is no flow."""
    given = sorted(task.answers.items(), key=lambda one: (one[1].submitted_at, one[0]))
    return {
        "humanAnswers": [
            answer_document(
                Answer(
                    Worker(worker, contents[worker].identity),
                    contents[worker].content,
                    one.accepted_at / 1_000,
                    (one.submitted_at or 0) / 1_000,
                    suggestion_for(task_input, task.task_id, worker),
                )
            )
            for worker, one in given
        ],
        "humanLoopName": task.review_id,
        "inputContent": dict(task_input),
    }


def _ended(task: Task, document: Mapping[str, Any]) -> ReviewEnded:
    """The answers as they are read from the file, so both say the same, and the model's answer as theirs by the id of its label."""
    if task.status is None or task.ended_at is None:
        raise ValueError(f"task {task.task_id} has not ended")
    given = answers(document) if task.status is ReviewStatus.COMPLETED else None
    prior, labels = task.prior, Labels.of_task(document["inputContent"])
    if prior is not None and labels is not None:
        prior = replace(prior, label=labels.id_of(prior.label) or prior.label)
    return ReviewEnded(task.review_id, task.status, _time(task.ended_at).isoformat(), given, task.failure, prior)


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1_000, UTC)
