"""A2I human loops: start, describe, list, stop, delete; the answers' file and the event at the end.

Source: Amazon A2I runtime API reference; developer guide, "Monitor and Manage Your Human Loop", "Delete a Human Loop",
"Use Amazon CloudWatch Events in Amazon Augmented AI". A loop whose availability runs out before every answer is there
ends as Failed with the documented failure code ``Expired``; answers that had come by then are written all the same
(what AWS does with such partial answers is not documented).
"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Sequence
from typing import Any

from embedded_aws.core import background
from embedded_aws.core.api import (
    ApiError,
    HttpRequest,
    HttpResponse,
    Records,
    Request,
    paginate,
    route,
    to_json,
    validate,
    validation_error,
)
from embedded_aws.eventbridge import service_events
from embedded_aws.sagemaker.people import flow_definitions, template_scripts
from embedded_aws.sagemaker.people.flow_definitions import find_by_arn, output_of
from embedded_aws.sagemaker.people.human_task_ui import read_access, template_of
from embedded_aws.sagemaker.people.task_queue import QUEUE, Ending, Task
from embedded_aws.sagemaker.service_output import OutputRefused
from review_page.answers import Answer, answer_document, timestamp
from review_page.fields import TemplateError
from review_page.questions import questions
from review_page.templates import render

HUMAN_LOOPS = Records("human-loop")
A2I = "sagemaker-a2i-runtime"
EVENT = "SageMaker A2I HumanLoop Status Change"
MAX_INPUT_BYTES = 3_145_728
DEFAULT_LIFETIME_SECONDS = 864_000
"""Ten days: what a task of a private workforce gets without TaskAvailabilityLifetimeInSeconds."""
FINAL = ("Completed", "Failed", "Stopped")
_POLL_SECONDS = 0.1


def need_loop(name: str) -> Request:
    """Raises ApiError (ResourceNotFoundException)."""
    loop = HUMAN_LOOPS.find(name)
    if loop is None:
        raise ApiError("ResourceNotFoundException", f"Human loop {name} does not exist.", 404)
    return loop


def answer(body: Any) -> HttpResponse:
    return 200, {"Content-Type": "application/json"}, to_json(body)


# -- start -----------------------------------------------------------------------------------------


@route("sagemaker", "POST", "/human-loops")
def start_human_loop(http: HttpRequest) -> HttpResponse:
    request = http.json()
    validate(A2I, "StartHumanLoop", request)
    flow = find_by_arn(request["FlowDefinitionArn"])
    if flow is None or flow["FlowDefinitionStatus"] != "Active":
        status = flow["FlowDefinitionStatus"] if flow else "not there"
        raise validation_error(f"The flow definition {request['FlowDefinitionArn']} is {status}; it must be Active.")
    content = request["HumanLoopInput"]["InputContent"]
    task_input = _parse_input(content)
    name = request["HumanLoopName"]
    with HUMAN_LOOPS.lock:
        existing = HUMAN_LOOPS.find(name)
        if existing is not None:
            if (existing["InputContent"], existing["FlowDefinitionArn"]) != (content, flow["FlowDefinitionArn"]):
                raise ApiError(
                    "ConflictException",
                    f"A human loop with the name {name} and different input data exists. "
                    "You cannot start two human loops with the same name and different input data.",
                    409,
                )
            return answer({"HumanLoopArn": existing["HumanLoopArn"]})
        loop = {
            "HumanLoopName": name,
            "HumanLoopArn": HUMAN_LOOPS.arn(name),
            "FlowDefinitionArn": flow["FlowDefinitionArn"],
            "HumanLoopStatus": "InProgress",
            "CreationTime": dt.datetime.now(dt.UTC),
            "InputContent": content,
        }
        HUMAN_LOOPS.add(name, loop)
    try:
        _ask(loop, flow, task_input)
    except Exception:
        # The caller sees the error; its next attempt under this name must not find a loop that nobody is asked about.
        HUMAN_LOOPS.remove(name)
        raise
    return answer({"HumanLoopArn": loop["HumanLoopArn"]})


def _parse_input(content: str) -> dict[str, Any]:
    if len(content.encode()) > MAX_INPUT_BYTES:
        raise validation_error(f"InputContent has {len(content.encode())} bytes; at most {MAX_INPUT_BYTES} are allowed.")
    try:
        parsed = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise validation_error(f"InputContent is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise validation_error("InputContent must be a JSON object.")
    return parsed


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _ask(loop: Request, flow: Request, task_input: dict[str, Any]) -> None:
    config = flow["HumanLoopConfig"]
    try:
        template = template_of(config["HumanTaskUiArn"])

        def page() -> str:
            return render(template, task_input, read_access(output_of(flow).session))

        found, scripts = questions(page()), template_scripts.sources(template)
    except (TemplateError, ApiError) as error:
        reason = error.message if isinstance(error, ApiError) else str(error)
        background.start(lambda: finish(loop, "Failed", code="ValidationError", reason=reason), f"fail-{loop['HumanLoopName']}")
        return
    QUEUE.add(
        Task(
            source=loop["HumanLoopArn"],
            title=config["TaskTitle"],
            description=config["TaskDescription"],
            workteam_arn=config["WorkteamArn"],
            input=task_input,
            wanted=config["TaskCount"],
            time_limit_seconds=config["TaskTimeLimitInSeconds"],
            lifetime_seconds=config.get("TaskAvailabilityLifetimeInSeconds", DEFAULT_LIFETIME_SECONDS),
            questions=found,
            render=page,
            scripts=scripts,
            finished=lambda task, ending: _task_finished(loop, task, ending),
        )
    )


# -- end -------------------------------------------------------------------------------------------


def _task_finished(loop: Request, task: Task, ending: Ending) -> None:
    if loop["HumanLoopStatus"] in FINAL:
        return
    override = loop.pop("_ending", None)
    if override is not None:
        finish(loop, override["status"], task.answers, code=override.get("failureCode"), reason=override.get("failureReason"))
    elif ending is Ending.ANSWERED:
        finish(loop, "Completed", task.answers)
    elif ending is Ending.STOPPED:
        finish(loop, "Stopped", task.answers)
    else:
        reason = f"The task expired with {len(task.answers)} of {task.wanted} answers."
        finish(loop, "Failed", task.answers, code="Expired", reason=reason)


def finish(loop: Request, status: str, answers: Sequence[Answer] = (), *, code: str | None = None, reason: str | None = None) -> None:
    """Write ``output.json``, set the final status, send the event. A loop that cannot be written, for whatever reason, ends as Failed."""
    if answers or status == "Completed":
        try:
            loop["HumanLoopOutput"] = {"OutputS3Uri": _write(loop, answers)}
        except (OutputRefused, ApiError) as error:
            status, code, reason = "Failed", "ValidationError", str(error)
        except Exception as error:
            background.log.exception("the answers of human loop %s cannot be written", loop["HumanLoopName"])
            status, code, reason = "Failed", "InternalError", f"The answers cannot be written: {type(error).__name__}: {error}"
    if status == "Failed":
        loop |= {"FailureCode": code or "InternalError", "FailureReason": (reason or "unknown")[:1024]}
    loop["HumanLoopStatus"] = status
    emit(loop)


def _write(loop: Request, answers: Sequence[Answer]) -> str:
    flow = find_by_arn(loop["FlowDefinitionArn"])
    if flow is None:
        raise OutputRefused(f"The flow definition {loop['FlowDefinitionArn']} is gone")
    document = {
        "flowDefinitionArn": loop["FlowDefinitionArn"],
        "humanAnswers": [answer_document(item) for item in answers],
        "humanLoopName": loop["HumanLoopName"],
        "inputContent": json.loads(loop["InputContent"]),
    }
    path = loop["CreationTime"].strftime("%Y/%m/%d/%H/%M/%S")
    root = f"{flow['OutputConfig']['S3OutputPath'].rstrip('/')}/{flow['FlowDefinitionName']}"
    uri = f"{root}/{path}/{loop['HumanLoopName']}/output.json"
    output_of(flow).write(uri, json.dumps(document, ensure_ascii=False))
    return uri


def event_detail(loop: Request) -> dict[str, Any]:
    """``detail`` of the EventBridge event."""
    output = loop.get("HumanLoopOutput")
    return {
        "creationTime": timestamp(loop["CreationTime"].timestamp()),
        "failureCode": loop.get("FailureCode"),
        "failureReason": loop.get("FailureReason"),
        "flowDefinitionArn": loop["FlowDefinitionArn"],
        "humanLoopArn": loop["HumanLoopArn"],
        "humanLoopName": loop["HumanLoopName"],
        "humanLoopOutput": {"outputS3Uri": output["OutputS3Uri"]} if output else None,
        "humanLoopStatus": loop["HumanLoopStatus"],
    }


def emit(loop: Request, **changed: Any) -> None:
    """Send the loop's event; ``changed`` replaces fields of its detail (a late event of another state, for tests)."""
    service_events.emit("aws.sagemaker", EVENT, {**event_detail(loop), **changed}, [loop["HumanLoopArn"]])


# -- describe, list, stop, delete ------------------------------------------------------------------


@route("sagemaker", "GET", "/human-loops/([^/]+)")
def describe_human_loop(http: HttpRequest) -> HttpResponse:
    loop = need_loop(http.match[0])
    keys = (
        "CreationTime", "FailureReason", "FailureCode", "HumanLoopStatus", "HumanLoopName", "HumanLoopArn", "FlowDefinitionArn",
        "HumanLoopOutput",
    )  # fmt: skip
    return answer({key: loop[key] for key in keys if key in loop})


@route("sagemaker", "GET", "/human-loops")
def list_human_loops(http: HttpRequest) -> HttpResponse:
    query = {key: values[0] if isinstance(values, list) else values for key, values in http.query.items()}
    flow_arn = query.get("FlowDefinitionArn", "")
    if find_by_arn(flow_arn) is None:
        raise ApiError("ResourceNotFoundException", f"Flow definition {flow_arn} does not exist.", 404)
    after, before = (_time(query.get(key)) for key in ("CreationTimeAfter", "CreationTimeBefore"))
    loops = [loop for _, loop in HUMAN_LOOPS.items() if loop["FlowDefinitionArn"] == flow_arn]
    loops = [loop for loop in loops if (not after or loop["CreationTime"] > after) and (not before or loop["CreationTime"] < before)]
    loops.sort(key=lambda loop: loop["CreationTime"], reverse=query.get("SortOrder") != "Ascending")
    keys = ("HumanLoopName", "HumanLoopStatus", "CreationTime", "FailureReason", "FlowDefinitionArn")
    return answer(paginate([{key: loop[key] for key in keys if key in loop} for loop in loops], query, "HumanLoopSummaries"))


def _time(text: str | None) -> dt.datetime | None:
    if not text:
        return None
    try:
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    except ValueError:
        raise validation_error(f"{text} is not an ISO 8601 time.") from None


@route("sagemaker", "POST", "/human-loops/stop")
def stop_human_loop(http: HttpRequest) -> HttpResponse:
    request = http.json()
    validate(A2I, "StopHumanLoop", request)
    loop = need_loop(request["HumanLoopName"])
    if loop["HumanLoopStatus"] in FINAL:
        raise validation_error(f"The human loop {loop['HumanLoopName']} is {loop['HumanLoopStatus']}; only one in progress can be stopped.")
    loop["HumanLoopStatus"] = "Stopping"
    for task in QUEUE.of_source(loop["HumanLoopArn"]):
        QUEUE.stop(task)
    return answer({})


@route("sagemaker", "DELETE", "/human-loops/([^/]+)")
def delete_human_loop(http: HttpRequest) -> HttpResponse:
    loop = need_loop(http.match[0])
    if loop["HumanLoopStatus"] not in FINAL:
        raise validation_error(f"The human loop {loop['HumanLoopName']} is {loop['HumanLoopStatus']}: stop it before deleting it.")
    HUMAN_LOOPS.remove(loop["HumanLoopName"])
    return answer({})


def _end_loops_of(flow_arn: str) -> None:
    """Loops that no worker has started are stopped, the others finish first; then their records go. Files of answers stay."""
    while _stop_unstarted(flow_arn):
        time.sleep(_POLL_SECONDS)
    for name, loop in HUMAN_LOOPS.items():
        if loop["FlowDefinitionArn"] == flow_arn:
            HUMAN_LOOPS.remove(name)


flow_definitions.on_delete.append(_end_loops_of)


def _stop_unstarted(flow_arn: str) -> int:
    """Stop the flow's loops that no worker has started; returns how many of its loops are not over yet."""
    active = [loop for _, loop in HUMAN_LOOPS.items() if loop["FlowDefinitionArn"] == flow_arn and loop["HumanLoopStatus"] not in FINAL]
    for loop in active:
        for task in QUEUE.of_source(loop["HumanLoopArn"]):
            if not task.started:
                QUEUE.stop(task)
    return len(active)


def end_now(name: str, status: str, failure: dict[str, Any] | None = None) -> None:
    """For fault tests: end a loop in progress at once as ``status``, with the answers that are there (maybe none).

    Raises:
        ApiError: the loop is unknown or over, or the status is not a final one.
    """
    loop = need_loop(name)
    if status not in FINAL:
        raise validation_error(f"status must be one of {', '.join(FINAL)}, not {status!r}.")
    tasks = QUEUE.of_source(loop["HumanLoopArn"])
    if loop["HumanLoopStatus"] in FINAL or not tasks:
        raise validation_error(f"The human loop {name} is {loop['HumanLoopStatus']}.")
    loop["_ending"] = {"status": status, **(failure or {})}
    QUEUE.end(tasks[0], Ending.STOPPED)
