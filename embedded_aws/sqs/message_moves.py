"""Message move tasks: ``aws sqs start-message-move-task``, ``list-message-move-tasks``, ``cancel-message-move-task``; and
``list-dead-letter-source-queues``, which tells where a task without a destination moves messages to.

A task moves what is visible in a dead-letter queue to one destination, or each message to the queue that it came from. A moved message is
a new one: new id, new time, no receipts. Who starts a task must be allowed to take messages out of the one queue and to put them
into the others (:func:`needed`). Sources: SQS API reference, "StartMessageMoveTask"; developer guide, "Configuring queue permissions for
dead-letter queue redrive". AWS publishes no list of the failure reasons and messages: they are those that other emulators recorded.

Hooks: ``sqs._HANDLERS``, ``_queues``, ``_queues_lock``, ``_queue_by_arn``, ``_act_send_message``, ``_Err``.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

from ministack.services import sqs

from embedded_aws.core import background
from embedded_aws.core.api import Records, Request, Response
from embedded_aws.core.clock import now
from embedded_aws.iam.requests import Call, Check

TASKS = Records("message-move-task")
ACTIVE = ("RUNNING", "CANCELLING")
_RATE = (1, 500)
_LISTED = (1, 10)
_OF_THE_SOURCE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")


def install() -> None:
    """Add the operations."""
    operations = {
        "StartMessageMoveTask": start,
        "ListMessageMoveTasks": list_tasks,
        "CancelMessageMoveTask": cancel,
        "ListDeadLetterSourceQueues": list_sources,
    }
    sqs._HANDLERS.update(operations)


def start(request: Request, _url: str) -> Response:
    """Start a task.

    Raises:
        sqs._Err: a queue does not exist, the source is no dead-letter queue, the types differ, or a task runs there already.
    """
    source = _queue(request, "SourceArn")
    rate = request.get("MaxNumberOfMessagesPerSecond")
    if rate is not None:
        _between("MaxNumberOfMessagesPerSecond", rate, _RATE)
    arn = request["SourceArn"]
    if not sources_of(arn):
        raise sqs._Err("InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue.")
    if request.get("DestinationArn"):
        destination = _queue(request, "DestinationArn")
        if destination is source:
            raise sqs._Err("InvalidParameterValue", "Source queue arn and destination queue arn cannot be the same.")
        if bool(destination["is_fifo"]) != bool(source["is_fifo"]):
            raise sqs._Err("InvalidParameterValue", "The source queue and destination queue must be of the same queue type.")
    identifier = str(uuid.uuid4())
    record = {
        "TaskHandle": base64.b64encode(json.dumps({"taskId": identifier, "sourceArn": arn}).encode()).decode(),
        "Status": "RUNNING",
        **{key: request[key] for key in ("SourceArn", "DestinationArn", "MaxNumberOfMessagesPerSecond") if request.get(key)},
        "ApproximateNumberOfMessagesMoved": 0,
        "ApproximateNumberOfMessagesToMove": len(_visible(source)),
        "StartedTimestamp": int(now() * 1000),
        "_order": time.monotonic_ns(),
    }
    with TASKS.lock:
        if any(task["SourceArn"] == arn and task["Status"] in ACTIVE for _, task in TASKS.items()):
            raise sqs._Err(
                "InvalidParameterValue",
                "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
            )
        TASKS.add(identifier, record)
    background.start(lambda: _run(record, source), f"message-move-{identifier}")
    return {"TaskHandle": record["TaskHandle"]}


def list_tasks(request: Request, _url: str) -> Response:
    """The newest tasks of one source; a handle is shown while its task runs."""
    _queue(request, "SourceArn")
    most = request.get("MaxResults", 1)
    _between("MaxResults", most, _LISTED)
    found = [task for _, task in TASKS.items() if task["SourceArn"] == request["SourceArn"]]
    found.sort(key=lambda task: task["_order"], reverse=True)
    hidden = {task["_order"]: () if task["Status"] == "RUNNING" else ("TaskHandle",) for task in found}
    return {
        "Results": [
            {key: value for key, value in task.items() if not key.startswith("_") and key not in hidden[task["_order"]]}
            for task in found[: int(most)]
        ]
    }


def cancel(request: Request, _url: str) -> Response:
    """Stop a running task; what it has moved stays moved."""
    handle = request.get("TaskHandle", "")
    task = next((task for _, task in TASKS.items() if task["TaskHandle"] == handle), None)
    if task is None:
        raise sqs._Err("ResourceNotFoundException", "Task does not exist.", 404)
    if task["Status"] != "RUNNING":
        raise sqs._Err("InvalidParameterValue", "Only active tasks can be cancelled.")
    task["Status"] = "CANCELLING"
    return {"ApproximateNumberOfMessagesMoved": task["ApproximateNumberOfMessagesMoved"]}


def list_sources(request: Request, url: str) -> Response:
    """URLs of the queues whose messages end in this one."""
    queue = sqs._get_q(request.get("QueueUrl", url), "sqs:ListDeadLetterSourceQueues")
    names = [arn.rsplit(":", 1)[-1] for arn in sources_of(queue["attributes"]["QueueArn"])]
    return {"queueUrls": [sqs._queue_url(name) for name in names]}


def needed(call: Call) -> Iterator[Check]:
    """What the caller of a move-task operation must be allowed besides the operation itself."""
    source = source_arn(call)
    if source is None:
        return
    for action in _OF_THE_SOURCE:
        yield Check(action, source)
    if call.operation == "StartMessageMoveTask":
        destination = call.body.get("DestinationArn")
        for queue in [str(destination)] if destination else sources_of(source):
            yield Check("sqs:SendMessage", queue)


def source_arn(call: Call) -> str | None:
    """The dead-letter queue of a move-task operation; None for another operation, or for a handle that nobody gave out."""
    if call.operation == "CancelMessageMoveTask":
        try:
            return str(json.loads(base64.b64decode(str(call.body.get("TaskHandle", ""))))["sourceArn"])
        except (ValueError, KeyError, TypeError):
            return None
    if call.operation in ("StartMessageMoveTask", "ListMessageMoveTasks") and call.body.get("SourceArn"):
        return str(call.body["SourceArn"])
    return None


def sources_of(arn: str) -> list[str]:
    """ARNs of the queues whose redrive policy names this queue."""
    found = []
    for queue in list(sqs._queues.values()):
        policy = queue["attributes"].get("RedrivePolicy")
        if policy and json.loads(policy).get("deadLetterTargetArn") == arn:
            found.append(str(queue["attributes"]["QueueArn"]))
    return found


def _queue(request: Request, field: str) -> dict[str, Any]:
    arn = str(request.get(field) or "")
    if not arn:
        raise sqs._Err("MissingParameter", f"The request must contain the parameter {field}.")
    if not arn.startswith("arn:aws") or arn.count(":") != 5:
        raise sqs._Err(
            "InvalidParameterValue",
            f"You must use this format to specify the {field}: arn:<partition>:<service>:<region>:<account-id>:<resource-id>",
        )
    queue: dict[str, Any] | None = sqs._queue_by_arn(arn)
    if queue is None:
        raise sqs._Err("ResourceNotFoundException", f"The resource that you specified for the {field} parameter doesn't exist.", 404)
    return queue


def _between(field: str, value: Any, bounds: tuple[int, int]) -> None:
    if not isinstance(value, int) or not bounds[0] <= value <= bounds[1]:
        raise sqs._Err(
            "InvalidParameterValue",
            f"Value {value} for parameter {field} is invalid. Reason: Must be between {bounds[0]} and {bounds[1]}, if provided.",
        )


def _visible(queue: dict[str, Any]) -> list[dict[str, Any]]:
    at = now()
    return [message for message in queue["messages"] if message["visible_at"] <= at]


def _run(task: dict[str, Any], source: dict[str, Any]) -> None:
    pause = 1.0 / task["MaxNumberOfMessagesPerSecond"] if "MaxNumberOfMessagesPerSecond" in task else 0.0
    while task["Status"] == "RUNNING" and task["ApproximateNumberOfMessagesMoved"] < task["ApproximateNumberOfMessagesToMove"]:
        message = _take(source)
        if message is None:
            break
        try:
            _send(message, task.get("DestinationArn") or message.get("sys", {}).get("DeadLetterQueueSourceArn"))
        except sqs._Err as error:
            with sqs._queues_lock:
                source["messages"].insert(0, message)
            task.update(Status="FAILED", FailureReason=error.code)
            return
        task["ApproximateNumberOfMessagesMoved"] += 1
        if pause:
            time.sleep(pause)
    task["Status"] = "CANCELLED" if task["Status"] == "CANCELLING" else "COMPLETED"


def _take(source: dict[str, Any]) -> dict[str, Any] | None:
    with sqs._queues_lock:
        waiting = _visible(source)
        if not waiting:
            return None
        source["messages"] = [message for message in source["messages"] if message is not waiting[0]]
        return waiting[0]


def _send(message: dict[str, Any], destination: str | None) -> None:
    """Raises sqs._Err: the message never came from a queue, or that queue does not exist any more, or refuses the message."""
    queue = sqs._queue_by_arn(destination) if destination else None
    if queue is None:
        reason = "AWS.SimpleQueueService.NonExistentQueue" if destination else "CouldNotDetermineMessageSource"
        raise sqs._Err(reason, "the message cannot be moved")
    request = {
        "MessageBody": message["body"],
        "MessageAttributes": message.get("message_attributes") or {},
        **({"MessageGroupId": message["group_id"]} if message.get("group_id") else {}),
        **({"MessageDeduplicationId": message["dedup_id"]} if message.get("dedup_id") and queue["is_fifo"] else {}),
    }
    sqs._act_send_message(request, sqs._queue_url(destination.rsplit(":", 1)[-1]) if destination else "")
