"""``aws stepfunctions redrive-execution``, and what DescribeExecution, ListExecutions and the status event say of redrives.

Hooks: the ``states`` handler; ``stepfunctions._describe_execution``, ``_list_executions`` and ``_emit_execution_status_event``.
"""

from __future__ import annotations

import contextvars
import copy
import datetime as dt
import functools
import json
import threading
import time
from typing import Any

from ministack import app
from ministack.core import responses
from ministack.services import stepfunctions

from embedded_aws.eventbridge import service_events
from embedded_aws.step_functions.redrive import branches, resume

_DAYS = 14
_MOST_EVENTS = 24_999
_TOKEN_SECONDS = 15 * 60
_MOST_TOKENS = 10
_EVENT_PAYLOAD = 248 * 1_024
"""Characters of an input or output that a status event holds; a longer one is left out. Source: Step Functions developer guide,
"Automating event delivery"."""
_lock = threading.Lock()

Execution = dict[str, Any]


def install() -> None:
    """Put the hooks in place."""
    stepfunctions._describe_execution = _with_redrives(stepfunctions._describe_execution)
    stepfunctions._list_executions = _list_with_redrives(stepfunctions._list_executions)
    stepfunctions._emit_execution_status_event = emit_status
    stock = app.SERVICE_HANDLERS["states"]

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        target = next((value for key, value in headers.items() if key.lower() == "x-amz-target"), "")
        if target.rsplit(".", 1)[-1] != "RedriveExecution":
            return await stock(method, path, headers, body, query)
        try:
            data = json.loads(body or b"{}")
        except ValueError:
            return responses.error_response_json("SerializationException", "Invalid JSON", 400)
        return stepfunctions._finalize_response(redrive(data))

    app.SERVICE_HANDLERS["states"] = handler


def redrive(data: dict[str, Any]) -> Any:
    """Start the execution again from the state that did not succeed; ministack's response."""
    arn, token = data.get("executionArn", ""), data.get("clientToken")
    with _lock:
        old = stepfunctions._executions.get(arn)
        if old is None:
            return responses.error_response_json("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'", 400)
        tokens = {key: given for key, given in old.get("_tokens", {}).items() if given[1] > time.time()}
        if token in tokens:
            return responses.json_response({"redriveDate": tokens[token][0]})
        why_not = refusal(old)
        if why_not:
            return responses.error_response_json("ExecutionNotRedrivable", f"Execution is not redrivable: '{why_not}'", 400)
        new = _redriven(old)
        if token:
            tokens[token] = (new["redriveDate"], time.time() + _TOKEN_SECONDS)
        new["_tokens"] = dict(list(tokens.items())[-_MOST_TOKENS:])
        # A new record: what a thread of the attempt before still does, it does to the old one.
        stepfunctions._executions[arn] = new
    emit_status(new)
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(stepfunctions._run_execution, arn), daemon=True).start()
    return responses.json_response({"redriveDate": new["redriveDate"]})


def _redriven(old: Execution) -> Execution:
    new: Execution = {
        **{key: value for key, value in old.items() if key not in ("error", "cause")},
        "status": "RUNNING",
        "stopDate": None,
        "output": None,
        "redriveCount": old.get("redriveCount", 0) + 1,
        "redriveDate": stepfunctions.now_iso(),
        "events": copy.deepcopy(resume.until_it_ended(old["events"])),
        "_frame": branches.to_resume(old),
    }
    details = {"redriveCount": new["redriveCount"]}
    stepfunctions._add_event(new, "ExecutionRedriven", {"executionRedrivenEventDetails": details})
    return new


def refusal(execution: Execution) -> str | None:
    """Why an execution cannot be redriven; None for one that can."""
    machine = stepfunctions._state_machines.get(execution["stateMachineArn"])
    if machine is None:
        return "State machine is in DELETING status"
    if execution.get("sync") or machine.get("type") == "EXPRESS":
        return "Executions of EXPRESS state machines cannot be redriven"
    if execution["status"] in ("RUNNING", "SUCCEEDED"):
        return f"Execution is {execution['status']} and cannot be redriven"
    if len(execution["events"]) >= _MOST_EVENTS:
        return "Execution history event limit exceeded"
    ended = _moment(execution.get("stopDate"))
    if ended is not None and dt.datetime.now(dt.UTC) - ended > dt.timedelta(days=_DAYS):
        return "Execution redrivable period exceeded"
    return None


def _moment(iso: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(iso) if iso else None


def _described(execution: Execution) -> dict[str, Any]:
    why_not = refusal(execution)
    described: dict[str, Any] = {
        "redriveCount": execution.get("redriveCount", 0),
        "redriveStatus": "NOT_REDRIVABLE" if why_not else "REDRIVABLE",
    }
    if execution.get("redriveDate"):
        described["redriveDate"] = execution["redriveDate"]
    if why_not:
        described["redriveStatusReason"] = why_not
    return described


def _with_redrives(describe: Any) -> Any:
    @functools.wraps(describe)
    def wrapper(data: dict[str, Any]) -> Any:
        status, headers, body = describe(data)
        execution = stepfunctions._executions.get(data.get("executionArn", ""))
        if status != 200 or execution is None:
            return status, headers, body
        return responses.json_response({**json.loads(body), **_described(execution)})

    return wrapper


def _list_with_redrives(list_executions: Any) -> Any:
    @functools.wraps(list_executions)
    def wrapper(data: dict[str, Any]) -> Any:
        status, headers, body = list_executions(data)
        if status != 200:
            return status, headers, body
        listed = json.loads(body)
        for row in listed["executions"]:
            execution = stepfunctions._executions.get(row["executionArn"]) or {}
            row["redriveCount"] = execution.get("redriveCount", 0)
            if execution.get("redriveDate"):
                row["redriveDate"] = execution["redriveDate"]
        wanted = data.get("redriveFilter")
        if wanted:
            listed["executions"] = [row for row in listed["executions"] if (row["redriveCount"] > 0) == (wanted == "REDRIVEN")]
        return responses.json_response(listed)

    return wrapper


def emit_status(execution: Execution) -> None:
    """``Step Functions Execution Status Change``; ministack's own knows no redrives, and no error of a stop or a time-out."""
    if execution.get("sync"):
        return
    given = {"input": execution.get("input"), "output": execution.get("output") if execution["status"] == "SUCCEEDED" else None}
    held = {name: value is None or len(value) <= _EVENT_PAYLOAD for name, value in given.items()}
    redrives = _described(execution)
    detail = {
        **{key: execution.get(key) for key in ("executionArn", "stateMachineArn", "name", "status", "error", "cause")},
        **{name: value if held[name] else None for name, value in given.items()},
        "inputDetails": {"included": held["input"]},
        "outputDetails": {"included": held["output"]} if execution["status"] == "SUCCEEDED" else None,
        **{key: _milliseconds(execution.get(key)) for key in ("startDate", "stopDate", "redriveDate")},
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": redrives["redriveCount"],
        "redriveStatus": redrives["redriveStatus"],
        "redriveStatusReason": redrives.get("redriveStatusReason"),
    }
    service_events.emit("aws.states", "Step Functions Execution Status Change", detail, [execution["executionArn"]])


def _milliseconds(iso: str | None) -> int | None:
    moment = _moment(iso)
    return int(moment.timestamp() * 1_000) if moment else None
