"""Reading many items by their keys, to the end: a busy table leaves keys unread, and boto3 does not ask for these again.

Source: DynamoDB API reference, BatchGetItem (``UnprocessedKeys``), which asks for growing pauses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

MOST_KEYS = 100
"""Of one BatchGetItem."""
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds before keys are asked for again when none was read: a few tries, since somebody waits for the answer."""


class TableIsBusy(RuntimeError):
    """No key was read, several times in a row."""


def batch_get(
    table: Any, keys: Sequence[Mapping[str, Any]], *, pause: Callable[[float], None] | None = None, **options: Any
) -> Iterator[dict[str, Any]]:
    """The items that are there, each read consistently unless ``options`` say otherwise, in any order.

    Args:
        table: a boto3 Table resource.
        keys: any number, no two alike.
        options: of the request, such as ``ProjectionExpression``.

    Raises:
        TableIsBusy: no key was read, several times in a row.
    """
    for first in range(0, len(keys), MOST_KEYS):
        unread: dict[str, Any] = {table.name: {"Keys": list(keys[first : first + MOST_KEYS]), "ConsistentRead": True, **options}}
        pauses = iter(PAUSES)
        while unread:
            asked = len(unread[table.name]["Keys"])
            page = table.meta.client.batch_get_item(RequestItems=unread)
            yield from page["Responses"].get(table.name, ())
            unread = page.get("UnprocessedKeys", {})
            left = len(unread[table.name]["Keys"]) if unread else 0
            if 0 < left < asked:
                pauses = iter(PAUSES)  # an answer holds 16 MB at most, so what is left may only not have fitted
            elif left:
                _wait(table.name, left, next(pauses, None), pause or time.sleep)


def _wait(table: str, left: int, seconds: float | None, pause: Callable[[float], None]) -> None:
    if seconds is None:
        raise TableIsBusy(f"{left} items of {table} were left unread, {len(PAUSES) + 1} times in a row: its capacity is used up")
    pause(seconds)
