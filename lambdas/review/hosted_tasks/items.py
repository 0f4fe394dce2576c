"""Records of the hosted review service as items of the table of review tasks, and back. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lambdas.common.answers_wanted import AnswerRule, ModelPrior
from lambdas.review.hosted_tasks.desk import Desk, Given, Pace
from lambdas.review.hosted_tasks.people import COUNTED
from lambdas.review.hosted_tasks.queue import Passed, place_of, sortable
from lambdas.review.hosted_tasks.task import Assignment, State, Task
from lambdas.review.port import ReviewStatus
from review_page.tasks import Person, Remark

DUE = "due"
"""Partition of the index ``due-tasks``."""


@dataclass(frozen=True)
class Content:
    """The content of one person's answer, and who they are in ``output.json``."""

    task_id: str
    worker_id: str
    identity: Mapping[str, str]
    content: Mapping[str, Any]


def remark_of(item: Mapping[str, Any]) -> Remark:
    at = int(item["waiting_since"].partition("#")[0])
    return Remark(f"{item['pk']}:{item['sk']}", item["pk"], item["title"], item["by"], item["note"], at / 1_000)


def person_of(item: Mapping[str, Any]) -> Person:
    count = {name: int(item.get(name, 0)) for name in COUNTED}
    return Person(
        name=item.get("name") or item["pk"].removeprefix("worker#"),
        answered=count["answered"],
        seconds_per_answer=count["seconds"] / count["answered"] if count["answered"] else None,
        agreed=count["agreed"],
        compared=count["compared"],
        cannot_tell=count["cannot_tell"],
        skipped=count["skipped"],
        gold_right=count["gold_right"],
        gold_answered=count["gold_answered"],
    )


def _set(members: Iterable[str], name: str) -> dict[str, set[str]]:
    """DynamoDB has no empty sets."""
    found = set(members)
    return {name: found} if found else {}


def task_item(task: Task, *, state: State | None = None) -> dict[str, Any]:
    state = state or task.state
    item: dict[str, Any] = {
        "pk": task.task_id,
        "sk": "task",
        "review_id": task.review_id,
        "team": task.team,
        "title": task.title,
        "description": task.description,
        "created_at": task.created_at,
        "gone_at": task.gone_at,
        "time_limit": task.time_limit,
        "undo": task.undo,
        "rule": task.rule.value,
        "most": task.most,
        "state": state.value,
        "assignments": {worker: _assignment_item(one) for worker, one in task.assignments.items()},
        "skips": dict(task.skips),
        "version": task.version + 1,
        **_set(task.assignments, "taken_by"),
        **_set(task.skipped_by, "skipped_by"),
    }
    if task.job is not None:
        item["job"] = task.job
    if task.about is not None:
        item["about"] = task.about
    if task.excerpt:
        item["excerpt"] = task.excerpt
    if task.gold is not None:
        item["gold"] = task.gold
    if task.prior is not None:
        item["prior"] = json.dumps(asdict(task.prior), ensure_ascii=False, allow_nan=False)
    if task.free:
        item |= {"queue": task.team, "waiting_since": place_of(task)}
    if task.due_at is not None and state is not State.ENDED:
        item |= {"due": DUE, "due_at": sortable(task.due_at)}
    ended = {"ended_at": task.ended_at, "status": task.status and task.status.value, "failure": task.failure}
    return item | {name: value for name, value in ended.items() if value is not None}


def _assignment_item(one: Assignment) -> dict[str, Any]:
    values = {
        "name": one.name,
        "accepted_at": one.accepted_at,
        "until": one.until,
        "ahead": one.ahead,
        "submitted_at": one.submitted_at,
        "label": one.label,
        "taken_back": one.taken_back,
    }
    return {name: value for name, value in values.items() if value is not None}


def task_of(item: Mapping[str, Any]) -> Task:
    status = item.get("status")
    return Task(
        task_id=item["pk"],
        review_id=item["review_id"],
        team=item["team"],
        title=item["title"],
        description=item["description"],
        created_at=int(item["created_at"]),
        gone_at=int(item["gone_at"]),
        time_limit=int(item["time_limit"]),
        undo=int(item["undo"]),
        most=int(item["most"]),
        version=int(item["version"]),
        rule=AnswerRule(item["rule"]),
        state=State(item["state"]),
        assignments={worker: _assignment(one) for worker, one in item["assignments"].items()},
        skipped_by=frozenset(item.get("skipped_by", ())),
        skips={reason: int(count) for reason, count in item["skips"].items()},
        ended_at=_optional(item.get("ended_at")),
        status=None if status is None else ReviewStatus(status),
        failure=item.get("failure"),
        job=item.get("job"),
        about=item.get("about"),
        excerpt=item.get("excerpt", ""),
        gold=item.get("gold"),
        prior=ModelPrior(**json.loads(item["prior"])) if "prior" in item else None,
    )


def _assignment(item: Mapping[str, Any]) -> Assignment:
    return Assignment(
        item["name"],
        int(item["accepted_at"]),
        int(item["until"]),
        item["ahead"],
        _optional(item.get("submitted_at")),
        item.get("label"),
        item["taken_back"],
    )


def _optional(value: Any) -> int | None:
    return None if value is None else int(value)


def desk_item(desk: Desk) -> dict[str, Any]:
    held = {"in_work": desk.in_work, "ahead": desk.ahead}
    return {
        "pk": f"worker#{desk.worker_id}",
        "sk": "desk",
        "recent": [{"task_id": one.task_id, "submitted_at": one.submitted_at, "took": one.took} for one in desk.recent],
        "pace": {str(number): [one.answered, one.took] for number, one in desk.pace.items()},
        "version": desk.version + 1,
        **({"passed": {team: asdict(one) for team, one in desk.passed.items()}} if desk.passed else {}),
        **{name: value for name, value in held.items() if value is not None},
    }


def desk_of(item: Mapping[str, Any]) -> Desk:
    return Desk(
        worker_id=item["pk"].removeprefix("worker#"),
        in_work=item.get("in_work"),
        ahead=item.get("ahead"),
        recent=tuple(Given(one["task_id"], int(one["submitted_at"]), int(one["took"])) for one in item["recent"]),
        pace={int(number): Pace(int(answered), int(took)) for number, (answered, took) in item["pace"].items()},
        passed={team: _passed(one) for team, one in item.get("passed", {}).items()},
        version=int(item["version"]),
    )


def _passed(item: Mapping[str, Any]) -> Passed:
    return Passed(item["reviews"], item["bulk"], item["again"], int(item["skipped"]), int(item["counted"]))


def content_item(one: Content) -> dict[str, Any]:
    """The content as JSON: DynamoDB's numbers are no floats."""
    content = json.dumps(one.content, ensure_ascii=False, allow_nan=False)
    return {"pk": one.task_id, "sk": f"answer#{one.worker_id}", "identity": dict(one.identity), "content": content}


def content_of(item: Mapping[str, Any]) -> Content:
    return Content(item["pk"], item["sk"].removeprefix("answer#"), item["identity"], json.loads(item["content"]))
