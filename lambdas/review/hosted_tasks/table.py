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
from dataclasses import dataclass
from itertools import chain
from typing import Any

from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from contracts.shared_words import DUE_TASKS, OPEN_TASKS
from lambdas.common.batch_get import batch_get
from lambdas.review.hosted_tasks.desk import Desk
from lambdas.review.hosted_tasks.gold import GoldText
from lambdas.review.hosted_tasks.items import (
    DUE,
    Content,
    content_item,
    content_of,
    desk_item,
    desk_of,
    person_of,
    remark_of,
    task_item,
    task_of,
)
from lambdas.review.hosted_tasks.people import COUNTED, Tally, tallies
from lambdas.review.hosted_tasks.queue import Page, Waiting, sortable
from lambdas.review.hosted_tasks.task import State, Task
from review_page.answers import Worker
from review_page.tasks import Person, Remark

RecordKey = tuple[str, str]
"""``pk`` and ``sk`` of a record."""
Record = dict[str, Any]
"""An item of the table."""
Shown = tuple[Task, dict[str, Any]]
"""A task and its input."""
_PAGE = 100
"""Number of open tasks that one query reads at most. People who ask in the same moment need many to choose from."""
_DAY_MS = 86_400_000
_LOST = {"ConditionalCheckFailed", "TransactionConflict"}
"""Reasons for which a transaction is cancelled because somebody else was quicker (DynamoDB API reference, TransactWriteItems)."""


@dataclass(frozen=True)
class Announced:
    """When a team last got a mail that tasks wait."""

    at: int
    version: int


def task_key(task_id: str) -> RecordKey:
    return task_id, "task"


def input_key(task_id: str) -> RecordKey:
    return task_id, "input"


def desk_key(worker_id: str) -> RecordKey:
    return f"worker#{worker_id}", "desk"


class TaskTable:
    """``table`` is a boto3 Table resource. An ended task's items stay for ``retention_days``, and so does a desk after its last answer."""

    def __init__(self, table: Any, retention_days: int) -> None:
        self._table, self._retention_ms = table, retention_days * _DAY_MS
        self._read: dict[RecordKey, Record | None] = {}

    def of_one_request(self) -> TaskTable:
        """The same table; what :meth:`has_read` is given stays with it."""
        return TaskTable(self._table, self._retention_ms // _DAY_MS)

    def has_read(self, keys: Iterable[RecordKey], records: Iterable[Record]) -> None:
        """The request has read these keys, and found these records. Each is used once: who asks again wants to know how it is by then."""
        self._read = {**dict.fromkeys(keys), **{(one["pk"], one["sk"]): one for one in records}}

    def add(self, task: Task, task_input: Mapping[str, Any]) -> bool:
        """Open a task; False when it is or was there."""
        shown = {"pk": task.task_id, "sk": "input", "input": json.dumps(task_input, ensure_ascii=False, allow_nan=False)}
        return self._transact([self._put(task_item(task), None), self._put(shown, None)])

    def commit(self, *records: Task | Desk, content: Content | None = None) -> bool:
        """Write all of them, or none: False when one is no longer as it was read."""
        return not self.outdated(*records, content=content)

    def outdated(self, *records: Task | Desk, content: Content | None = None) -> list[Task | Desk]:
        """Write all of them, or none. Returns those that are no longer as they were read; if that is not known, all of them."""
        refused = self._refused(
            [
                *(self._put(self._item(one), one.version) for one in records),
                *([{"Put": {"TableName": self._table.name, "Item": content_item(content)}}] if content else []),
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
        item = {**task_item(task, state=State.ENDED), "delete_after": gone}
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
        item = self._get(*task_key(task_id))
        return None if item is None else task_of(item)

    def input(self, task_id: str) -> dict[str, Any]:
        """Raises KeyError: there is no such task."""
        item = self._get(*input_key(task_id))
        if item is None:
            raise KeyError(task_id)
        shown: dict[str, Any] = json.loads(item["input"])
        return shown

    def shown(self, task_id: str) -> Shown | None:
        """A task and its input, in one request."""
        return self.shown_among([task_id], ())[0].get(task_id)

    def shown_among(self, task_ids: Sequence[str], others: Collection[str]) -> tuple[dict[str, Shown], dict[str, Task]]:
        """Tasks and their inputs by id, and all of these and the other tasks that are there, in one request."""
        keys = [*map(input_key, task_ids), *map(task_key, dict.fromkeys([*task_ids, *others]))]
        items = {(item["pk"], item["sk"]): item for item in self._batch(keys)}
        inputs = {name: json.loads(items[input_key(name)]["input"]) for name in task_ids if input_key(name) in items}
        found = {pk: task_of(item) for (pk, sk), item in items.items() if sk == "task"}
        return {name: (found[name], shown) for name, shown in inputs.items() if name in found}, found

    def desk(self, worker_id: str) -> Desk:
        """An empty one for somebody who has not been here."""
        item = self._get(*desk_key(worker_id))
        return Desk(worker_id) if item is None else desk_of(item)

    def output(self, task_id: str) -> tuple[dict[str, Any], dict[str, Content]]:
        """What a task's ``output.json`` is made of, in one request: its input, and the answers by worker, also those that were taken back.

        Raises:
            KeyError: there is no such task.
        """
        # "answer#" < "input" < "task": nothing else of a task but its flags and disputes lies in between.
        between = Key("pk").eq(task_id) & Key("sk").between("answer#", "input")
        items = list(self._query(KeyConditionExpression=between, ConsistentRead=True))
        given = [content_of(item) for item in items if item["sk"].startswith("answer#")]
        shown = next((item["input"] for item in items if item["sk"] == "input"), None)
        if shown is None:
            raise KeyError(task_id)
        return json.loads(shown), {one.worker_id: one for one in given}

    def content(self, task_id: str, worker_id: str) -> Content | None:
        item = self._get(task_id, f"answer#{worker_id}")
        return None if item is None else content_of(item)

    def tasks(self, task_ids: Sequence[str]) -> dict[str, Task]:
        """Those that are there, by id."""
        return {item["pk"]: task_of(item) for item in self._batch(list(map(task_key, task_ids)))}

    def about(self, digest: str) -> list[str]:
        """Ids of the tasks about a subject. No index has it, so the whole table is read."""
        wanted = Attr("about").eq(digest) & Attr("sk").eq("task")
        arguments: dict[str, Any] = {"FilterExpression": wanted, "ProjectionExpression": "pk", "ConsistentRead": True}
        found: list[str] = []
        while True:
            page = self._table.scan(**arguments)
            found += [item["pk"] for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return found
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def flag(self, task: Task, worker_id: str, name: str, note: str, now: int) -> None:
        """Once for a task and a person; their second note replaces the first."""
        self._table.put_item(Item=self._remark_item(task, f"flag#{worker_id}", "flags", name, note, now))

    def dispute(self, task: Task, lead: Worker, note: str, now: int, *, asks: Task | None = None) -> bool:
        """Once for a task and a lead; their second note replaces the first.

        Args:
            asks: the task as it is asked about from now on, written in the same transaction. False: it is no longer as it was read.
        """
        item = self._remark_item(task, f"dispute#{lead.worker_id}", "disputes", lead.name or lead.worker_id, note, now)
        put = {"Put": {"TableName": self._table.name, "Item": item}}
        return self._transact([put, *([] if asks is None else [self._put(task_item(asks), asks.version)])])

    def is_disputed(self, task: Task, lead: Worker) -> bool:
        """Whether the lead has a dispute about the task that is not closed."""
        item = self._get(task.task_id, f"dispute#{lead.worker_id}")
        return item is not None and "queue" in item

    def remarks(self, team: str, *, disputes: bool, most: int) -> list[Remark]:
        """Flags or disputes that are not closed, the newest first."""
        key = Key("queue").eq(f"{'disputes' if disputes else 'flags'}#{team}")
        found = self._table.query(IndexName=OPEN_TASKS, KeyConditionExpression=key, ScanIndexForward=False, Limit=most)["Items"]
        return list(map(remark_of, found))

    def close_remark(self, remark_id: str, teams: Collection[str]) -> bool:
        """False: there is none, it is closed, it is of another team, or somebody writes it anew in the same moment."""
        pk, _, sk = remark_id.partition(":")
        item = self._get(pk, sk) if pk and sk.startswith(("flag#", "dispute#")) else None
        if item is None or item.get("queue", "").partition("#")[2] not in teams:
            return False
        closed = {name: value for name, value in item.items() if name not in ("queue", "waiting_since")}
        if "version" not in item:  # of before remarks had one
            self._table.put_item(Item=closed)
            return True
        return self._transact([self._put(closed, int(item["version"]))])

    def people(self, team: str, most: int) -> list[Person]:
        """What people have done for the team, in tasks that have ended."""
        page = self._table.query(IndexName=OPEN_TASKS, KeyConditionExpression=Key("queue").eq(f"people#{team}"), Limit=most)
        return [person_of(item) for item in page["Items"]]

    def queued(self, team: str, most: int) -> Iterator[Task]:
        """The oldest tasks that somebody may take."""
        page = self._table.query(IndexName=OPEN_TASKS, KeyConditionExpression=Key("queue").eq(team), Limit=most)
        yield from map(task_of, page["Items"])

    def soon_due(self, most: int) -> Iterator[Task]:
        """Tasks that have not ended, the most urgent first."""
        page = self._table.query(IndexName=DUE_TASKS, KeyConditionExpression=Key("due").eq(DUE), Limit=most)
        yield from map(task_of, page["Items"])

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

    def open_tasks(self, team: str, worker_id: str, now: int, since: str = "", until: str | None = None) -> Page:
        """Tasks that the person may take, also those that they have skipped, among the next :data:`_PAGE` open ones, in one query.

        They are in the order of the index: reviews before bulk labelling, and the oldest first. The index may be a moment behind the tasks
        themselves. The query returns their places only, as decoding whole tasks would take most of a request's time. A task whose time is
        over only waits for the sweep, so it is not among them.

        Args:
            since: the place at which it begins; "" for the first one.
            until: the last place; None for the end of the index.
        """
        page = self._table.query(
            IndexName=OPEN_TASKS,
            KeyConditionExpression=_between(team, since, until),
            FilterExpression=Attr("gone_at").gt(now) & ~Attr("taken_by").contains(worker_id),
            ProjectionExpression="waiting_since, skipped_by",
            Limit=_PAGE,
        )
        waiting = [Waiting(item["waiting_since"], worker_id in item.get("skipped_by", ())) for item in page["Items"]]
        return Page(waiting, page["LastEvaluatedKey"]["waiting_since"] if "LastEvaluatedKey" in page else None)

    def due(self, now: int) -> Iterator[Task]:
        """Tasks to which something must happen by ``now``, the most urgent first, as the index has them."""
        key = Key("due").eq(DUE) & Key("due_at").lte(sortable(now))
        yield from map(task_of, self._query(IndexName=DUE_TASKS, KeyConditionExpression=key))

    def _get(self, pk: str, sk: str) -> Record | None:
        if (pk, sk) in self._read:
            return self._read.pop((pk, sk))
        item: Record | None = self._table.get_item(Key={"pk": pk, "sk": sk}, ConsistentRead=True).get("Item")
        return item

    def _batch(self, keys: Sequence[RecordKey]) -> Iterator[Record]:
        unread = [{"pk": pk, "sk": sk} for pk, sk in keys if (pk, sk) not in self._read]
        read = [self._read.pop(key) for key in keys if key in self._read]
        return chain((one for one in read if one is not None), batch_get(self._table, unread))

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
            return task_item(record)
        newest = max((one.submitted_at for one in record.recent), default=None)
        item = desk_item(record)
        return item if newest is None else {**item, "delete_after": (newest + self._retention_ms) // 1_000}

    def _remark_item(self, task: Task, sk: str, queue: str, by: str, note: str, now: int) -> dict[str, Any]:  # noqa: PLR0917
        return {
            "pk": task.task_id,
            "sk": sk,
            "queue": f"{queue}#{task.team}",
            "waiting_since": f"{sortable(now)}#{task.task_id}",
            "title": task.known_as,
            "by": by,
            "note": note,
            "version": now,
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


def _between(team: str, since: str, until: str | None) -> Any:
    """Condition of a query on ``open-tasks``."""
    key = Key("queue").eq(team)
    if until is not None:
        return key & Key("waiting_since").between(since or "0", until)
    return key & Key("waiting_since").gte(since) if since else key
