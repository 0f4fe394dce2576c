"""``AWS/SQS`` metrics, which stock ministack never publishes: one value of each per queue and declared minute.

A queue is published for six hours after something used it. Counts are those of the minute before. A message that its queue's redrive
policy moves to a dead-letter queue counts as visible there, not as sent; its age there counts from the move. Ages are real seconds,
like visibility timeouts and retention, which are not scaled either. Source: SQS developer guide, "Available CloudWatch metrics for
Amazon SQS".

Hooks: ``sqs._collect_msgs`` (every receipt), the handlers of ReceiveMessage, DeleteMessage and DeleteMessageBatch,
``_delete_messages_for_esm``, and ``cloudwatch._store_datum``. Whatever puts a message into a queue, it is noticed before its receipt.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
import math
import threading
import time
from typing import Any

from ministack.core import responses
from ministack.services import cloudwatch, sqs

from embedded_aws.core import clock

NAMESPACE = "AWS/SQS"
_MINUTE = 60.0
_ACTIVE_SECONDS = 6 * 3_600.0
_MOST_CAUGHT_UP = 5
"""Minutes that a late look makes up for."""
_POISONOUS_RECEIPTS = 3
"""A message that was received this often is no longer what a standard queue's age tells of."""
_COUNTERS = {
    "NumberOfMessagesSent": "Count",
    "NumberOfMessagesReceived": "Count",
    "NumberOfMessagesDeleted": "Count",
    "NumberOfEmptyReceives": "Count",
}
_lock = threading.Lock()

Queue = dict[str, Any]


def install() -> None:
    """Put the hooks in place and start the thread that publishes."""
    sqs._collect_msgs = _counting_receipts(sqs._collect_msgs)
    sqs._receive_messages_for_esm = _counting_empty_polls(sqs._receive_messages_for_esm)
    sqs._delete_messages_for_esm = _counting_deletions_of_pollers(sqs._delete_messages_for_esm)
    for action, counted in (("ReceiveMessage", _empty), ("DeleteMessage", _one_deleted), ("DeleteMessageBatch", _some_deleted)):
        sqs._HANDLERS[action] = _counting(sqs._HANDLERS[action], counted)
    threading.Thread(target=_run, name="queue-metrics", daemon=True).start()


# -- counting --------------------------------------------------------------------------------------


def _state(queue: Queue) -> dict[str, Any]:
    """The queue's counters of the running minute; they live and die with the queue."""
    made: dict[str, Any] = queue.setdefault("_embedded_metrics", {**dict.fromkeys(_COUNTERS, 0), "sizes": [], "used": clock.now()})
    return made


def _count(queue: Queue, metric: str, number: int) -> None:
    with _lock:
        state = _state(queue)
        state[metric] += number
        state["used"] = clock.now()


def _notice_arrivals(queue: Queue) -> None:
    """Mark messages that are new in this queue. One without a mark was sent here; one with another queue's mark was moved."""
    arn, at = queue["attributes"].get("QueueArn", ""), clock.now()
    with _lock:
        state = _state(queue)
        for message in list(queue["messages"]):
            seen_in, _ = message.get("_embedded_seen", (None, at))
            if seen_in == arn:
                continue
            if seen_in is None:
                state["NumberOfMessagesSent"] += 1
                state["sizes"].append(len(str(message.get("body", "")).encode()))
            message["_embedded_seen"] = (arn, message.get("sent_at", at) if seen_in is None else at)
            state["used"] = at


def _counting_receipts(collect: Any) -> Any:
    @functools.wraps(collect)
    def wrapper(queue: Queue, *args: Any) -> Any:
        _notice_arrivals(queue)
        received = collect(queue, *args)
        if received:
            _count(queue, "NumberOfMessagesReceived", len(received))
        return received

    return wrapper


def _counting_empty_polls(receive: Any) -> Any:
    @functools.wraps(receive)
    def wrapper(queue_url: str, max_number: int) -> Any:
        received = receive(queue_url, max_number)
        if not received:
            _count(sqs._get_q(queue_url), "NumberOfEmptyReceives", 1)
        return received

    return wrapper


def _counting_deletions_of_pollers(delete: Any) -> Any:
    @functools.wraps(delete)
    def wrapper(queue_url: str, receipt_handles: set[str]) -> None:
        delete(queue_url, receipt_handles)
        if receipt_handles:
            _count(sqs._get_q(queue_url), "NumberOfMessagesDeleted", len(receipt_handles))

    return wrapper


def _empty(answer: dict[str, Any]) -> tuple[str, int]:
    return "NumberOfEmptyReceives", int(not answer.get("Messages"))


def _one_deleted(_: dict[str, Any]) -> tuple[str, int]:
    return "NumberOfMessagesDeleted", 1


def _some_deleted(answer: dict[str, Any]) -> tuple[str, int]:
    return "NumberOfMessagesDeleted", len(answer.get("Successful", []))


def _counting(handle: Any, counted: Any) -> Any:
    @functools.wraps(handle)
    async def wrapper(data: dict[str, Any], url: str) -> Any:
        answer = handle(data, url)
        if inspect.isawaitable(answer):
            answer = await answer
        metric, number = counted(answer)
        if number:
            _count(sqs._get_q(data.get("QueueUrl", url)), metric, number)
        return answer

    return wrapper


# -- publishing ------------------------------------------------------------------------------------


def _run() -> None:
    minute = clock.scaled(_MINUTE)
    told = math.floor(clock.now() / minute)
    while True:
        time.sleep(max(0.0, (told + 1) * minute - clock.now()))
        current = math.floor(clock.now() / minute)
        starts = [number * minute for number in range(max(told + 1, current - _MOST_CAUGHT_UP), current + 1)]
        told = max(told, current)
        for (account, region, _), queue in list(sqs._queues._data.items()):
            contextvars.copy_context().run(_publish, account, region, queue, starts)


def _publish(account: str, region: str, queue: Queue, starts: list[float]) -> None:
    """One value per minute that began: the gauges as they are now, and what was counted in the last one that ended."""
    responses.set_request_account_id(account)
    responses.set_request_region(region)
    _notice_arrivals(queue)
    sqs._refresh_counts(queue)
    with _lock:
        state = _state(queue)
        if queue["messages"]:
            state["used"] = clock.now()
        if clock.now() > state["used"] + clock.scaled(_ACTIVE_SECONDS):
            return
        counted = {name: state[name] for name in _COUNTERS}
        sizes = state["sizes"]
        state.update({**dict.fromkeys(_COUNTERS, 0), "sizes": []})
    attributes = queue["attributes"]
    gauges = {
        "ApproximateNumberOfMessagesVisible": (attributes["ApproximateNumberOfMessages"], "Count"),
        "ApproximateNumberOfMessagesNotVisible": (attributes["ApproximateNumberOfMessagesNotVisible"], "Count"),
        "ApproximateNumberOfMessagesDelayed": (attributes["ApproximateNumberOfMessagesDelayed"], "Count"),
        "ApproximateAgeOfOldestMessage": (_oldest(queue), "Seconds"),
    }
    dimensions = {"QueueName": attributes["QueueArn"].rsplit(":", 1)[-1]}
    for index, start in enumerate(starts):
        for name, (value, unit) in gauges.items():
            _store(name, dimensions, start, unit, float(value))
        last = index == len(starts) - 1
        for name, unit in _COUNTERS.items():
            _store(name, dimensions, start, unit, float(counted[name]) if last else 0.0)
    for size in sizes:
        _store("SentMessageSize", dimensions, starts[-1], "Bytes", float(size))


def _store(name: str, dimensions: dict[str, str], at: float, unit: str, value: float) -> None:
    cloudwatch._store_datum(NAMESPACE, name, dimensions, at, unit, value, None, None, None)


def _oldest(queue: Queue) -> float:
    """Seconds that the oldest message has been in this queue; 0 for an empty one."""
    waiting = [message for message in list(queue["messages"]) if "_embedded_seen" in message]
    fresh = [message for message in waiting if message.get("receive_count", 0) < _POISONOUS_RECEIPTS]
    if queue.get("is_fifo") or not fresh:
        fresh = waiting
    return max((clock.now() - message["_embedded_seen"][1] for message in fresh), default=0.0)
