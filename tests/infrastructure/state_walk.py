"""Walks a state machine's definition in this process: real functions, and a clock that every wait and retry moves on.

It knows what the rollout's definition uses: Task with Retry and Catch, Pass, Wait, Choice by StringEquals, Fail, paths, context paths and
``States.Format``. The embedded AWS runs the same definition in tests/app/test_rollout.py.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Function = Callable[[dict[str, Any]], Any]
MOST_STATES = 5_000


class Stopped(Exception):
    """StopExecution came when this state was entered."""


class Killed(Exception):
    """A function's process ended half-way; the Lambda service says ``Runtime.ExitError``."""


@dataclass
class Walk:
    """One execution. ``wait`` is told every second that the machine waits; ``entered`` every state, before it does anything."""

    definition: Mapping[str, Any]
    call: Callable[[str, dict[str, Any]], Any]
    wait: Callable[[float], None]
    entered: Callable[[str], None] = lambda state: None
    name: str = "r-1"
    states: list[str] = field(default_factory=list)

    @property
    def context(self) -> dict[str, Any]:
        return {"Execution": {"Id": f"arn:{self.name}", "Name": self.name}, "StateMachine": {"Id": "arn:machine"}}

    def run(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """``{"status": "SUCCEEDED", "output"}`` or ``{"status": "FAILED", "error", "cause"}``."""
        state, data = self.definition["StartAt"], copy.deepcopy(dict(content))
        for _ in range(MOST_STATES):
            self.states.append(state)
            self.entered(state)
            declared = self.definition["States"][state]
            if declared["Type"] == "Fail":
                cause = self._at(declared["CausePath"], data) if "CausePath" in declared else declared.get("Cause", "")
                return {"status": "FAILED", "error": declared["Error"], "cause": cause}
            try:
                following, data = getattr(self, f"_{declared['Type'].lower()}")(declared, data)
            except _Uncaught as problem:
                return {"status": "FAILED", "error": problem.error, "cause": problem.cause}
            if following is None:
                return {"status": "SUCCEEDED", "output": data}
            state = following
        raise AssertionError(f"the execution does not end; its last states are {self.states[-12:]}")

    # -- states --------------------------------------------------------------------------------------

    def _wait(self, declared: Mapping[str, Any], data: Any) -> tuple[str | None, Any]:
        self.wait(declared["Seconds"])
        return declared["Next"], data

    def _pass(self, declared: Mapping[str, Any], data: Any) -> tuple[str | None, Any]:
        return declared["Next"], self._filled(declared["Parameters"], data)

    def _choice(self, declared: Mapping[str, Any], data: Any) -> tuple[str | None, Any]:
        for choice in declared["Choices"]:
            if self._at(choice["Variable"], data) == choice["StringEquals"]:
                return choice["Next"], data
        return declared["Default"], data

    def _task(self, declared: Mapping[str, Any], data: Any) -> tuple[str | None, Any]:
        event, tries = self._filled(declared["Parameters"], data), [0] * len(declared.get("Retry", []))
        while True:
            try:
                answer = json.loads(json.dumps(self.call(declared["Resource"], copy.deepcopy(event))))
            except Stopped:
                raise
            except Exception as error:
                kind = "Runtime.ExitError" if isinstance(error, Killed) else type(error).__name__
                cause = json.dumps({"errorMessage": str(error), "errorType": kind})
                if self._tried_again(declared, kind, tries):
                    continue
                for catch in declared.get("Catch", []):
                    if _matches(catch, kind):
                        return catch["Next"], _put(data, catch["ResultPath"], {"Error": kind, "Cause": cause})
                raise _Uncaught(kind, cause) from error
            path = declared.get("ResultPath", "$")
            return declared.get("Next"), data if path is None else _put(data, path, answer)

    def _tried_again(self, declared: Mapping[str, Any], error: str, tries: list[int]) -> bool:
        for index, retry in enumerate(declared.get("Retry", [])):
            if _matches(retry, error):
                if tries[index] >= retry["MaxAttempts"]:
                    return False
                self.wait(retry["IntervalSeconds"] * retry["BackoffRate"] ** tries[index])
                tries[index] += 1
                return True
        return False

    # -- payloads ------------------------------------------------------------------------------------

    def _filled(self, parameters: Any, data: Any) -> Any:
        if isinstance(parameters, list):
            return [self._filled(item, data) for item in parameters]
        if not isinstance(parameters, dict):
            return parameters
        return {
            key.removesuffix(".$"): self._value(value, data) if key.endswith(".$") else self._filled(value, data)
            for key, value in parameters.items()
        }

    def _value(self, expression: str, data: Any) -> Any:
        if found := re.fullmatch(r"States\.Format\('([^']*)', (.*)\)", expression):
            return found[1].format(*(self._at(path, data) for path in found[2].split(", ")))
        return self._at(expression, data)

    def _at(self, path: str, data: Any) -> Any:
        found = self.context if path.startswith("$$") else data
        for part in path.lstrip("$").split("."):
            found = found[part] if part else found
        return found


class _Uncaught(Exception):
    def __init__(self, error: str, cause: str) -> None:
        super().__init__(error)
        self.error, self.cause = error, cause


def _matches(handler: Mapping[str, Any], error: str) -> bool:
    """``States.TaskFailed`` is any error but a time-out (Step Functions developer guide, "Handling errors")."""
    return error in handler["ErrorEquals"] or "States.ALL" in handler["ErrorEquals"] or "States.TaskFailed" in handler["ErrorEquals"]


def _put(data: Any, path: str, value: Any) -> Any:
    if path == "$":
        return value
    return {**data, path.removeprefix("$."): value}
