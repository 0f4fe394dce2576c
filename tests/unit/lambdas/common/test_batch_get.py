"""Reading many items by their keys: what a busy table leaves is asked for again, and not for ever."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.common.batch_get import MOST_KEYS, PAUSES, TableIsBusy, batch_get


class BusyTable:
    """Reads so many keys of each request; a boto3 Table, its ``meta`` and its client in one."""

    name = "table"

    def __init__(self, reads: int) -> None:
        self.reads, self.requests = reads, list[dict[str, Any]]()
        self.meta = self.client = self

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        [(name, request)] = RequestItems.items()
        self.requests.append(request)
        read, left = request["Keys"][: self.reads], request["Keys"][self.reads :]
        found = [key for key in read if key["pk"] != "not there"]
        return {"Responses": {name: found}, "UnprocessedKeys": {name: {**request, "Keys": left}} if left else {}}


def keys(count: int) -> list[dict[str, str]]:
    return [{"pk": f"{number}"} for number in range(count)]


def test_all_keys_are_read_a_hundred_at_a_time() -> None:
    table, waited = BusyTable(MOST_KEYS), list[float]()
    found = list(batch_get(table, [*keys(230), {"pk": "not there"}], pause=waited.append, ProjectionExpression="pk"))
    assert (found, waited) == (keys(230), [])
    assert [len(one["Keys"]) for one in table.requests] == [100, 100, 31]
    assert {(one["ConsistentRead"], one["ProjectionExpression"]) for one in table.requests} == {(True, "pk")}


def test_what_was_left_is_asked_for_again() -> None:
    table, waited = BusyTable(4), list[float]()
    assert list(batch_get(table, keys(10), pause=waited.append)) == keys(10)
    assert ([len(one["Keys"]) for one in table.requests], waited) == ([10, 6, 2], [])


def test_a_table_that_reads_nothing_gets_growing_pauses() -> None:
    table, waited = BusyTable(0), list[float]()

    def pause(seconds: float) -> None:
        waited.append(seconds)
        table.reads = 2 if len(waited) % 3 == 0 else 0

    assert list(batch_get(table, keys(3), pause=pause)) == keys(3)
    assert waited == list(PAUSES[:3])


def test_a_table_that_stays_busy_is_an_error_and_no_endless_loop() -> None:
    waited = list[float]()
    with pytest.raises(TableIsBusy, match="3 items of table were left unread, 6 times in a row"):
        list(batch_get(BusyTable(0), keys(3), pause=waited.append))
    assert waited == list(PAUSES)
