"""Continues a redriven execution from the state that did not end, with the definition, results and variables of the first attempt.

Hooks: ``stepfunctions._run_execution`` and ``_apply_state_assign`` (the variables of JSONata).
"""

from __future__ import annotations

import functools
import json
import logging
from typing import Any

from ministack.services import stepfunctions

from embedded_aws.step_functions.redrive.branches import run_state

log = logging.getLogger("embedded_aws")

ENDS = ("ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut", "ExecutionSucceeded")


def install() -> None:
    """Put the hooks in place."""
    stepfunctions._run_execution = _resuming(stepfunctions._run_execution)
    stepfunctions._apply_state_assign = _keeping_variables(stepfunctions._apply_state_assign)


def _resuming(run_execution: Any) -> Any:
    @functools.wraps(run_execution)
    def wrapper(execution_arn: str) -> None:
        execution = stepfunctions._executions.get(execution_arn)
        if execution is not None and execution.get("redriveCount"):
            _resume(execution)
            return
        if execution is not None:
            machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) or {}
            execution["_definition"] = machine.get("definition")
        run_execution(execution_arn)

    return wrapper


def _keeping_variables(assign: Any) -> Any:
    @functools.wraps(assign)
    def wrapper(state_def: dict[str, Any], raw_input: Any, ctx: dict[str, Any], **results: Any) -> Any:
        done = assign(state_def, raw_input, ctx, **results)
        execution = stepfunctions._executions.get(((ctx or {}).get("Execution") or {}).get("Id", ""))
        if execution is not None:
            execution["_variables"] = ctx.get("variables")
        return done

    return wrapper


def until_it_ended(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The history up to the event that ended the last attempt; what a stopped task still said later is not part of it."""
    last = max((index for index, event in enumerate(events) if event["type"] in ENDS), default=len(events) - 1)
    return list(events[: last + 1])


def where_it_stopped(events: list[dict[str, Any]], definition: dict[str, Any]) -> tuple[str | None, Any, bool]:
    """The state from which an execution continues (None: its last one has ended), that state's input, and whether it was entered before."""
    for event in reversed(events):
        details = event.get("stateEnteredEventDetails")
        if details:
            return details["name"], json.loads(details["input"]), True
        details = event.get("stateExitedEventDetails")
        if details:
            return definition["States"][details["name"]].get("Next"), json.loads(details["output"]), False
    return definition.get("StartAt"), json.loads(events[0]["executionStartedEventDetails"]["input"]), False


def _resume(execution: dict[str, Any]) -> None:
    try:
        definition = json.loads(execution["_definition"])
        name, content, is_entered = where_it_stopped(execution["events"], definition)
        if not is_entered or definition["States"].get(name, {}).get("Type") not in ("Map", "Parallel"):
            execution["_frame"] = {}  # those of a state that has ended
        content = _run(execution, definition, name, content, is_entered=is_entered)
        if execution["status"] == "RUNNING":
            output = json.dumps(content)
            execution.update(status="SUCCEEDED", output=output, stopDate=stepfunctions.now_iso())
            stepfunctions._add_event(execution, "ExecutionSucceeded", {"executionSucceededEventDetails": {"output": output}})
            stepfunctions._emit_execution_status_event(execution)
    except stepfunctions._ExecutionError as error:
        stepfunctions._fail_execution(execution, error.error, error.cause)
    except Exception as error:
        log.exception("the redriven execution %s failed by a fault of the embedded AWS", execution["executionArn"])
        stepfunctions._fail_execution(execution, "States.Runtime", str(error))


def _run(execution: dict[str, Any], definition: dict[str, Any], name: str | None, content: Any, *, is_entered: bool) -> Any:
    """The states from ``name`` on; returns the last one's output. A state that was entered before is not entered again."""
    ctx = _context(execution, definition)
    while name and execution["status"] == "RUNNING":
        state_def = definition["States"].get(name)
        if not state_def:
            raise stepfunctions._ExecutionError("States.Runtime", f"State '{name}' not found in definition")
        ctx["State"] = {"Name": name, "EnteredTime": stepfunctions.now_iso(), "RetryCount": 0}
        kind = state_def.get("Type")
        if not is_entered:
            entered = {"name": name, "input": json.dumps(content)}
            stepfunctions._add_event(execution, f"{kind}StateEntered", {"stateEnteredEventDetails": entered})
        content, following = run_state(state_def, content, execution, ctx)
        exited = {"name": name, "output": json.dumps(content)}
        stepfunctions._add_event(execution, f"{kind}StateExited", {"stateExitedEventDetails": exited})
        name, is_entered = following, False
    return content


def _context(execution: dict[str, Any], definition: dict[str, Any]) -> dict[str, Any]:
    return {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": {
            "Id": execution["executionArn"],
            "Input": json.loads(execution["input"]),
            "Name": execution["name"],
            "StartTime": execution["startDate"],
            "RedriveCount": execution["redriveCount"],
            "RedriveTime": execution["redriveDate"],
        },
        "StateMachine": {"Id": execution["stateMachineArn"], "Name": execution["stateMachineArn"].rsplit(":", 1)[-1]},
        "variables": execution.get("_variables") or {},
    }
