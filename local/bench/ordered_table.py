"""A table of review tasks that answers boto3's own requests in this process: its indexes are kept in order, as DynamoDB keeps them.

The embedded AWS sorts a whole index at each query, so with a long queue its time would hide that of the code that is measured.
"""

from __future__ import annotations

import io
import json
import re
import threading
import time
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from boto3.dynamodb.types import TypeSerializer
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from stacks.names import TASK_INDEXES

NAME = "bench-review-tasks"
_KEY = ("pk", "sk")

_WAIT = 0.001
"""Seconds that a thread in :meth:`OrderedTable.one_at_a_time` waits for an answer at least, so that others go on meanwhile."""
_SERIALIZER = TypeSerializer()

Item = dict[str, Any]
"""As DynamoDB's JSON has it: ``{"pk": {"S": "..."}}``."""
Key = tuple[str, str]


class _Body(io.BytesIO):
    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.getvalue()


class OrderedTable:
    """The requests GetItem, BatchGetItem, Query of an index, and TransactWriteItems with Put; one at a time, so a transaction is atomic."""

    def __init__(self) -> None:
        self._items: dict[Key, Item] = {}
        self._indexes: dict[str, dict[str, list[tuple[str, Key]]]] = {name: {} for name in TASK_INDEXES}
        self._lock = threading.Lock()
        self._processor = threading.Lock()
        self._mine = threading.local()
        self._session = boto3.Session("test", "test", region_name="us-east-1")

    def resource(self) -> Any:
        """A boto3 Table resource of its own, as one process of the function has."""
        config = Config(retries={"total_max_attempts": 1})
        resource = self._session.resource("dynamodb", endpoint_url="http://127.0.0.1:9", config=config)
        resource.meta.client.meta.events.register("before-send.dynamodb", self._respond)
        return resource.Table(NAME)

    def put(self, item: Mapping[str, Any]) -> None:
        """Lay an item there without a request, which would take most of the bench's time."""
        with self._lock:
            self._store({name: _SERIALIZER.serialize(value) for name, value in item.items()})

    def start_counting(self) -> None:
        """Of the thread that calls it."""
        self._mine.requests, self._mine.seconds = Counter(), 0.0

    @contextmanager
    def one_at_a_time(self) -> Iterator[None]:
        """Of the threads in here one computes, and the others wait for the table's answers. On an account each has its own processor.

        Threads that share Python's interpreter lock would otherwise measure how they take it from each other. All of them come to
        their next request before any is answered, so they race as closely as they can.
        """
        with self._processor:
            self._mine.shares = True
            yield
            self._mine.shares = False

    @property
    def requests(self) -> Counter[str]:
        """What this thread has asked since, by operation."""
        counted: Counter[str] = self._mine.requests
        return counted

    @property
    def seconds(self) -> float:
        """CPU seconds of this thread that were the table's since."""
        spent: float = self._mine.seconds
        return spent

    def _respond(self, request: Any, **_: Any) -> AWSResponse:
        if getattr(self._mine, "shares", False):
            self._processor.release()
            time.sleep(_WAIT)
            self._processor.acquire()
        began = time.thread_time()
        operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
        arguments = json.loads(request.body)
        with self._lock:
            status, content = getattr(self, f"_{operation}")(arguments)
        body = _Body(json.dumps(content).encode())
        if hasattr(self._mine, "requests"):
            self._mine.requests[operation] += 1
            self._mine.seconds += time.thread_time() - began
        return AWSResponse(request.url, status, {"Content-Type": "application/x-amz-json-1.0"}, body)

    def _GetItem(self, arguments: Mapping[str, Any]) -> tuple[int, Item]:  # noqa: N802  (the operation's name)
        found = self._items.get(_key(arguments["Key"]))
        return 200, {} if found is None else {"Item": found}

    def _BatchGetItem(self, arguments: Mapping[str, Any]) -> tuple[int, Item]:  # noqa: N802  (the operation's name)
        [(name, wanted)] = arguments["RequestItems"].items()
        found = [self._items[key] for key in map(_key, wanted["Keys"]) if key in self._items]
        return 200, {"Responses": {name: found}, "UnprocessedKeys": {}}

    def _Query(self, arguments: Mapping[str, Any]) -> tuple[int, Item]:  # noqa: N802  (the operation's name)
        """A page of ``Limit`` items, counted before the filter."""
        names, values = arguments["ExpressionAttributeNames"], arguments["ExpressionAttributeValues"]
        partition, sort = TASK_INDEXES[arguments["IndexName"]]
        condition = arguments["KeyConditionExpression"]
        [(name, value)] = re.findall(r"(#\w+) = (:\w+)", condition)
        if names[name] != partition:
            raise ValueError(f"not the index's key: {names[name]}")
        entries = self._indexes[arguments["IndexName"]].get(values[value]["S"], [])
        first, end = 0, len(entries)
        for name, least in re.findall(r"(#\w+) (?:>=|BETWEEN) (:\w+)", condition):
            if names[name] != sort:
                raise ValueError(f"not the index's sort key: {names[name]}")
            first = bisect_left(entries, (values[least]["S"],))
        for most in re.findall(r"BETWEEN :\w+ AND (:\w+)", condition):
            end = bisect_left(entries, (values[most]["S"] + "\0",))
        start = arguments.get("ExclusiveStartKey")
        first = first if start is None else bisect_right(entries, (start[sort]["S"], _key(start)))
        page = [self._items[key] for _, key in entries[first : min(end, first + arguments["Limit"])]]
        wanted = arguments.get("FilterExpression", "")
        without = [(names[name], values[value]["S"]) for name, value in re.findall(r"NOT contains\((#\w+), (:\w+)\)", wanted)]
        above = [(names[name], int(values[value]["N"])) for name, value in re.findall(r"(#\w+) > (:\w+)", wanted)]
        shown = [
            one
            for one in page
            if all(member not in one.get(name, {"SS": []})["SS"] for name, member in without)
            and all(int(one[name]["N"]) > least for name, least in above)
        ]
        if "ProjectionExpression" in arguments:
            kept = arguments["ProjectionExpression"].split(", ")
            shown = [{name: one[name] for name in kept if name in one} for one in shown]
        content: Item = {"Items": shown, "Count": len(shown), "ScannedCount": len(page)}
        if len(page) == arguments["Limit"]:
            content["LastEvaluatedKey"] = {name: page[-1][name] for name in (*_KEY, partition, sort)}
        return 200, content

    def _TransactWriteItems(self, arguments: Mapping[str, Any]) -> tuple[int, Item]:  # noqa: N802  (the operation's name)
        puts = [one["Put"] for one in arguments["TransactItems"]]
        codes = ["None" if self._holds(put) else "ConditionalCheckFailed" for put in puts]
        if any(code != "None" for code in codes):
            return 400, {
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "Message": "Transaction cancelled",
                "CancellationReasons": [{"Code": code} for code in codes],
            }
        for put in puts:
            self._store(put["Item"])
        return 200, {}

    def _holds(self, put: Mapping[str, Any]) -> bool:
        there = self._items.get(_key(put["Item"]))
        condition = put["ConditionExpression"]
        if condition == "attribute_not_exists(pk)":
            return there is None
        if condition != "#version = :version":
            raise ValueError(f"a condition that the table of the bench does not know: {condition}")
        return there is not None and there["version"] == put["ExpressionAttributeValues"][":version"]

    def _store(self, item: Item) -> None:
        key = _key(item)
        before = self._items.get(key)
        for index, (partition, sort) in TASK_INDEXES.items():
            if before is not None and partition in before:
                entries = self._indexes[index][before[partition]["S"]]
                del entries[bisect_left(entries, (before[sort]["S"], key))]
            if partition in item:
                insort(self._indexes[index].setdefault(item[partition]["S"], []), (item[sort]["S"], key))
        self._items[key] = item


def _key(item: Mapping[str, Any]) -> Key:
    return item["pk"]["S"], item["sk"]["S"]
