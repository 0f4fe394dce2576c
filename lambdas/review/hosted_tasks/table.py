"""The table of review tasks in DynamoDB: what is read, and the one way in which it is written.

Items, by ``pk`` and ``sk``:

====================== ==================== ================================================================================
``<task id>``          ``task``             a :class:`~.task.Task`; in both indexes
``<task id>``          ``input``            what people are shown; written once
``<task id>``          ``answer#<worker>``  the content of one answer; stays when it is taken back, to be shown again
``<task id>``          ``flag#<worker>``    what somebody says about the task; in ``open-tasks`` under ``flags#<team>``
``<task id>``          ``dispute#<worker>`` what the lead says must be looked at again; in ``open-tasks`` under ``disputes#<team>``
``worker#<worker>``    ``team#<team>``      what the person has done (:mod:`.people`); in ``open-tasks`` under ``people#<team>``
``worker#<worker>``    ``desk``             a :class:`~.desk.Desk`
``gold#<team>``        ``texts``            the texts whose label is known (:mod:`.gold`), as JSON
``notice#<team>``      ``sent``             when the team last got a mail that tasks wait (:mod:`lambdas.review.announce_tasks`)
====================== ==================== ================================================================================

Index ``open-tasks`` has the tasks that somebody may take, by team and age. Index ``due-tasks`` has every task that has not ended, by the
time at which something must happen to it. Each write is one transaction in which every record must still have the version that was read,
so what was decided from these records still holds.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any

from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from contracts.shared_words import DUE_TASKS, OPEN_TASKS
from lambdas.common.answers_wanted import AnswerRule, ModelPrior
from lambdas.review.hosted_tasks.desk import Desk, Given, Pace
from lambdas.review.hosted_tasks.gold import GoldText
from lambdas.review.hosted_tasks.people import COUNTED, Tally, tallies
from lambdas.review.hosted_tasks.task import Assignment, State, Task
from lambdas.review.port import ReviewStatus
from review_page.answers import Worker
from review_page.tasks import Person, Remark

_PAGE = 100
"""Number of open tasks that one query reads at most. People who ask in the same moment need many to choose from."""
_DUE = "due"
_AFTER_REVIEWS = "9"
"""Begins the place of a bulk labelling's task in ``open-tasks``. Times have 15 digits, and begin with 0 until the year 5138."""
_MOST_KEYS = 100
"""Of one BatchGetItem (DynamoDB API reference)."""
_DAY_MS = 86_400_000
_LOST = {"ConditionalCheckFailed", "TransactionConflict"}
"""Reasons for which a transaction is cancelled because somebody else was quicker (DynamoDB API reference, TransactWriteItems)."""


@dataclass(frozen=True)
class Content:
    """The content of one person's answer, and who they are in ``output.json``."""

    task_id: str
    worker_id: str
    identity: Mapping[str, str]
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Announced:
    """When a team last got a mail that tasks wait."""

    at: int
    version: int


@dataclass(frozen=True)
class Waiting:
    """An open task as the index names it. ``bulk``: a bulk labelling asks for it, so reviews go before it."""

    task_id: str
    bulk: bool


class TaskTable:
    """``table`` is a boto3 Table resource. An ended task's items stay for ``retention_days``, and so does a desk after its last answer."""

    def __init__(self, table: Any, retention_days: int) -> None:
        self._table, self._retention_ms = table, retention_days * _DAY_MS

    def add(self, task: Task, task_input: Mapping[str, Any]) -> bool:
        """Open a task; False when it is or was there."""
        shown = {"pk": task.task_id, "sk": "input", "input": json.dumps(task_input, ensure_ascii=False, allow_nan=False)}
        return self._transact([self._put(_task_item(task), None), self._put(shown, None)])

    def commit(self, *records: Task | Desk, content: Content | None = None) -> bool:
        """Write all of them, or none: False when one is no longer as it was read."""
        return not self.outdated(*records, content=content)

    def outdated(self, *records: Task | Desk, content: Content | None = None) -> list[Task | Desk]:
        """Write all of them, or none. Returns those that are no longer as they were read; if that is not known, all of them."""
        refused = self._refused(
            [
                *(self._put(self._item(one), one.version) for one in records),
                *([{"Put": {"TableName": self._table.name, "Item": _content_item(content)}}] if content else []),
            ]
        )
        return [one for number, one in enumerate(records) if number in refused]

    def close(self, task: Task, workers: Iterable[str], now: int) -> bool:
        """``ending`` -> ``ended``: TTL deletes the task's items in time, and what people have done is counted, once.

        False when somebody else was quicker.

        Args:
            workers: whoever has an answer there, also one that was taken back.
        """
        gone = (now + self._retention_ms) // 1_000
        item = {**_task_item(task, state=State.ENDED), "delete_after": gone}
        others = [{"pk": task.task_id, "sk": name} for name in ("input", *(f"answer#{worker}" for worker in workers))]
        return self._transact(
            [
                self._put(item, task.version),
                *(
                    {
                        "Update": {
                            "TableName": self._table.name,
                            "Key": key,
                            "UpdateExpression": "SET delete_after = :gone",
                            "ExpressionAttributeValues": {":gone": gone},
                        }
                    }
                    for key in others
                ),
                *(self._count(task, worker, tally, gone) for worker, tally in tallies(task).items()),
            ]
        )

    def task(self, task_id: str) -> Task | None:
        item = self._get(task_id, "task")
        return None if item is None else _task(item)

    def input(self, task_id: str) -> dict[str, Any]:
        """Raises KeyError: there is no such task."""
        item = self._get(task_id, "input")
        if item is None:
            raise KeyError(task_id)
        shown: dict[str, Any] = json.loads(item["input"])
        return shown

    def desk(self, worker_id: str) -> Desk:
        """An empty one for somebody who has not been here."""
        item = self._get(f"worker#{worker_id}", "desk")
        return Desk(worker_id) if item is None else _desk(item)

    def contents(self, task_id: str) -> dict[str, Content]:
        """By worker, also those that were taken back."""
        page = self._table.query(KeyConditionExpression=Key("pk").eq(task_id) & Key("sk").begins_with("answer#"), ConsistentRead=True)
        return {one.worker_id: one for one in map(_content, page["Items"])}

    def content(self, task_id: str, worker_id: str) -> Content | None:
        item = self._get(task_id, f"answer#{worker_id}")
        return None if item is None else _content(item)

    def recent(self, worker_id: str, task_ids: Sequence[str]) -> dict[str, tuple[Task, Content]]:
        """Tasks with the person's answers, by task; without those that are deleted."""
        items = list(self._batch([{"pk": task_id, "sk": name} for task_id in task_ids for name in ("task", f"answer#{worker_id}")]))
        tasks = {item["pk"]: _task(item) for item in items if item["sk"] == "task"}
        contents = {item["pk"]: _content(item) for item in items if item["sk"] != "task"}
        return {task_id: (tasks[task_id], contents[task_id]) for task_id in task_ids if task_id in tasks and task_id in contents}

    def tasks(self, task_ids: Sequence[str]) -> dict[str, Task]:
        """Those that are there, by id."""
        return {item["pk"]: _task(item) for item in self._batch([{"pk": task_id, "sk": "task"} for task_id in task_ids])}

    def flag(self, task: Task, worker_id: str, name: str, note: str, now: int) -> None:
        """Once for a task and a person; their second note replaces the first."""
        self._table.put_item(Item=self._remark_item(task, f"flag#{worker_id}", "flags", name, note, now))

    def dispute(self, task: Task, lead: Worker, note: str, now: int) -> None:
        """Once for a task and a lead; their second note replaces the first."""
        self._table.put_item(Item=self._remark_item(task, f"dispute#{lead.worker_id}", "disputes", lead.name or lead.worker_id, note, now))

    def remarks(self, team: str, *, disputes: bool, most: int) -> list[Remark]:
        """Flags or disputes that are not closed, the newest first."""
        key = Key("queue").eq(f"{'disputes' if disputes else 'flags'}#{team}")
        found = self._table.query(IndexName=OPEN_TASKS, KeyConditionExpression=key, ScanIndexForward=False, Limit=most)["Items"]
        return [
            Remark(f"{one['pk']}:{one['sk']}", one["pk"], one["title"], one["by"], one["note"], _time_of(one["waiting_since"]) / 1_000)
            for one in found
        ]

    def close_remark(self, remark_id: str, teams: Collection[str]) -> bool:
        """False: there is none, it is closed, or it is of another team."""
        pk, _, sk = remark_id.partition(":")
        item = self._get(pk, sk) if pk and sk.startswith(("flag#", "dispute#")) else None
        if item is None or item.get("queue", "").partition("#")[2] not in teams:
            return False
        self._table.put_item(Item={name: value for name, value in item.items() if name not in ("queue", "waiting_since")})
        return True

    def people(self, team: str, most: int) -> list[Person]:
        """What people have done for the team, in tasks that have ended."""
        page = self._table.query(IndexName=OPEN_TASKS, KeyConditionExpression=Key("queue").eq(f"people#{team}"), Limit=most)
        return [_person(item) for item in page["Items"]]

    def queued(self, team: str, most: int) -> Iterator[Task]:
        """The oldest tasks that somebody may take."""
        page = self._table.query(IndexName=OPEN_TASKS, KeyConditionExpression=Key("queue").eq(team), Limit=most)
        yield from map(_task, page["Items"])

    def soon_due(self, most: int) -> Iterator[Task]:
        """Tasks that have not ended, the most urgent first."""
        page = self._table.query(IndexName=DUE_TASKS, KeyConditionExpression=Key("due").eq(_DUE), Limit=most)
        yield from map(_task, page["Items"])

    def gold(self, team: str) -> list[GoldText]:
        item = self._get(f"gold#{team}", "texts")
        return [] if item is None else [GoldText(text, label) for text, label in json.loads(item["texts"])]

    def put_gold(self, team: str, texts: Sequence[GoldText]) -> None:
        """Replaces what is there. Tasks that are open stay as they are."""
        given = json.dumps([(one.text, one.label) for one in texts], ensure_ascii=False, allow_nan=False)
        self._table.put_item(Item={"pk": f"gold#{team}", "sk": "texts", "texts": given})

    def announced(self, team: str) -> Announced | None:
        item = self._get(f"notice#{team}", "sent")
        return None if item is None else Announced(int(item["sent_at"]), int(item["version"]))

    def announce(self, team: str, last: Announced | None, now: int) -> bool:
        """Record a mail that was sent after ``last``. False: another run has recorded one in between."""
        version = 0 if last is None else last.version
        return self._transact([self._put({"pk": f"notice#{team}", "sk": "sent", "sent_at": now, "version": version + 1}, version)])

    def open_tasks(self, team: str, worker_id: str, now: int, *, with_skipped: bool) -> Iterator[list[Waiting]]:
        """Pages of tasks that the person may take: reviews before bulk labelling, and the oldest first. No page is empty.

        That is the order of the index, which may be a moment behind the tasks themselves. A query returns the ids only, as decoding whole
        tasks would take most of a request's time. A task whose time is over only waits for the sweep, so it is not among them.
        """
        may_take = Attr("gone_at").gt(now) & ~Attr("taken_by").contains(worker_id)
        if not with_skipped:
            may_take &= ~Attr("skipped_by").contains(worker_id)
        pages = self._pages(
            IndexName=OPEN_TASKS,
            KeyConditionExpression=Key("queue").eq(team),
            FilterExpression=may_take,
            ProjectionExpression="pk, job",
            Limit=_PAGE,
        )
        for items in pages:
            if items:
                yield [Waiting(item["pk"], "job" in item) for item in items]

    def counted(self, team: str, worker_id: str, most: int) -> tuple[int, int]:
        """Of the ``most`` oldest open tasks: those that the person may take, and those among the rest that they have skipped."""
        page = self._table.query(IndexName=OPEN_TASKS, KeyConditionExpression=Key("queue").eq(team), Limit=most)
        open_to = [item for item in page["Items"] if worker_id not in item.get("taken_by", ())]
        skipped = sum(worker_id in item.get("skipped_by", ()) for item in open_to)
        return len(open_to) - skipped, skipped

    def due(self, now: int) -> Iterator[Task]:
        """Tasks to which something must happen by ``now``, the most urgent first, as the index has them."""
        key = Key("due").eq(_DUE) & Key("due_at").lte(_sortable(now))
        yield from map(_task, self._query(IndexName=DUE_TASKS, KeyConditionExpression=key))

    def _get(self, pk: str, sk: str) -> dict[str, Any] | None:
        item: dict[str, Any] | None = self._table.get_item(Key={"pk": pk, "sk": sk}, ConsistentRead=True).get("Item")
        return item

    def _batch(self, keys: Sequence[Mapping[str, str]]) -> Iterator[dict[str, Any]]:
        for first in range(0, len(keys), _MOST_KEYS):
            unread: dict[str, Any] = {self._table.name: {"Keys": list(keys[first : first + _MOST_KEYS]), "ConsistentRead": True}}
            while unread:
                page = self._table.meta.client.batch_get_item(RequestItems=unread)
                yield from page["Responses"].get(self._table.name, ())
                unread = page.get("UnprocessedKeys", {})

    def _query(self, **arguments: Any) -> Iterator[dict[str, Any]]:
        return chain.from_iterable(self._pages(**arguments))

    def _pages(self, **arguments: Any) -> Iterator[list[dict[str, Any]]]:
        while True:
            page = self._table.query(**arguments)
            yield page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _item(self, record: Task | Desk) -> dict[str, Any]:
        if isinstance(record, Task):
            return _task_item(record)
        newest = max((one.submitted_at for one in record.recent), default=None)
        item = _desk_item(record)
        return item if newest is None else {**item, "delete_after": (newest + self._retention_ms) // 1_000}

    def _remark_item(self, task: Task, sk: str, queue: str, by: str, note: str, now: int) -> dict[str, Any]:  # noqa: PLR0917
        return {
            "pk": task.task_id,
            "sk": sk,
            "queue": f"{queue}#{task.team}",
            "waiting_since": f"{_sortable(now)}#{task.task_id}",
            "title": task.known_as,
            "by": by,
            "note": note,
            "delete_after": (now + self._retention_ms) // 1_000,
        }

    def _count(self, task: Task, worker_id: str, tally: Tally, gone: int) -> dict[str, Any]:
        """Add to what the person has done; their name is the newest that is known."""
        values: dict[str, Any] = {"queue": f"people#{task.team}", "waiting_since": worker_id, "delete_after": gone}
        if tally.name is not None:
            values["name"] = tally.name
        added = {name: int(getattr(tally, name)) for name in COUNTED}
        every = {**values, **added}
        expression = f"SET {', '.join(f'#{name} = :{name}' for name in values)} ADD {', '.join(f'#{name} :{name}' for name in added)}"
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": {"pk": f"worker#{worker_id}", "sk": f"team#{task.team}"},
                "UpdateExpression": expression,
                "ExpressionAttributeNames": {f"#{name}": name for name in every},
                "ExpressionAttributeValues": {f":{name}": value for name, value in every.items()},
            }
        }

    def _put(self, item: Mapping[str, Any], version: int | None) -> dict[str, Any]:
        """``version`` None: the item must be new. Version 0 is a record that was never written."""
        put: dict[str, Any] = {"TableName": self._table.name, "Item": dict(item)}
        if not version:
            put["ConditionExpression"] = "attribute_not_exists(pk)"
        else:
            put |= {
                "ConditionExpression": "#version = :version",
                "ExpressionAttributeNames": {"#version": "version"},
                "ExpressionAttributeValues": {":version": version},
            }
        return {"Put": put}

    def _transact(self, writes: Sequence[Mapping[str, Any]]) -> bool:
        return not self._refused(writes)

    def _refused(self, writes: Sequence[Mapping[str, Any]]) -> set[int]:
        """Write all, or none. Returns the positions at which somebody else was quicker; if that is not known, all positions."""
        try:
            self._table.meta.client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            codes = [one["Code"] for one in error.response.get("CancellationReasons", ())]
            lost = {number for number, code in enumerate(codes) if code in _LOST}
            if lost and {code for code in codes if code != "None"} <= _LOST:
                return lost
            if error.response["Error"]["Code"] == "TransactionInProgressException":
                return set(range(len(writes)))
            raise
        return set()


def _sortable(time: int) -> str:
    return f"{time:015d}"


def _time_of(waiting_since: str) -> int:
    return int(waiting_since.partition("#")[0])


def _person(item: Mapping[str, Any]) -> Person:
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


def _task_item(task: Task, *, state: State | None = None) -> dict[str, Any]:
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
    if task.excerpt:
        item["excerpt"] = task.excerpt
    if task.gold is not None:
        item["gold"] = task.gold
    if task.prior is not None:
        item["prior"] = json.dumps(asdict(task.prior), ensure_ascii=False, allow_nan=False)
    if task.free:
        # Reviews have a deadline, so they go before the texts of a bulk labelling.
        place = f"{_AFTER_REVIEWS if task.job is not None else ''}{_sortable(task.created_at)}"
        item |= {"queue": task.team, "waiting_since": f"{place}#{task.task_id}"}
    if task.due_at is not None and state is not State.ENDED:
        item |= {"due": _DUE, "due_at": _sortable(task.due_at)}
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


def _task(item: Mapping[str, Any]) -> Task:
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


def _desk_item(desk: Desk) -> dict[str, Any]:
    held = {"in_work": desk.in_work, "ahead": desk.ahead}
    return {
        "pk": f"worker#{desk.worker_id}",
        "sk": "desk",
        "recent": [{"task_id": one.task_id, "submitted_at": one.submitted_at, "took": one.took} for one in desk.recent],
        "pace": {str(number): [one.answered, one.took] for number, one in desk.pace.items()},
        "version": desk.version + 1,
        **{name: value for name, value in held.items() if value is not None},
    }


def _desk(item: Mapping[str, Any]) -> Desk:
    return Desk(
        worker_id=item["pk"].removeprefix("worker#"),
        in_work=item.get("in_work"),
        ahead=item.get("ahead"),
        recent=tuple(Given(one["task_id"], int(one["submitted_at"]), int(one["took"])) for one in item["recent"]),
        pace={int(number): Pace(int(answered), int(took)) for number, (answered, took) in item["pace"].items()},
        version=int(item["version"]),
    )


def _content_item(one: Content) -> dict[str, Any]:
    """The content as JSON: DynamoDB's numbers are no floats."""
    content = json.dumps(one.content, ensure_ascii=False, allow_nan=False)
    return {"pk": one.task_id, "sk": f"answer#{one.worker_id}", "identity": dict(one.identity), "content": content}


def _content(item: Mapping[str, Any]) -> Content:
    return Content(item["pk"], item["sk"].removeprefix("answer#"), item["identity"], json.loads(item["content"]))
