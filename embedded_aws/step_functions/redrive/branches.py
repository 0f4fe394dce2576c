"""How far each branch of a Parallel and each iteration of a Map came, so that a redrive repeats nothing that succeeded.

A frame stands for one branch or iteration: the state that it is in, that state's input, the frames of what that state started in turn, and
in the end its output. Hooks: ``stepfunctions._run_parallel_branches``, ``_run_map_items``, and ``_run_sub_machine``, which is replaced.
"""

from __future__ import annotations

import contextvars
import copy
import functools
from typing import Any

from ministack.services import stepfunctions

Frame = dict[str, Any]
_frame: contextvars.ContextVar[Frame | None] = contextvars.ContextVar("embedded_aws_frame", default=None)
_branches: contextvars.ContextVar[list[int]] = contextvars.ContextVar("embedded_aws_branches", default=[])  # noqa: B039  (never changed)


def install() -> None:
    """Put the hooks in place."""
    stepfunctions._run_parallel_branches = _in_a_frame(stepfunctions._run_parallel_branches)
    stepfunctions._run_map_items = _in_a_frame(stepfunctions._run_map_items)
    stepfunctions._run_sub_machine = _run_sub_machine


def to_resume(execution: dict[str, Any]) -> Frame:
    """A copy of the execution's frames, in which every branch and iteration that did not end continues from its state."""
    frame: Frame = copy.deepcopy(execution.get("_frame") or {})
    _mark(frame)
    return frame


def _mark(frame: Frame) -> None:
    frame["resume"] = True
    for child in frame.get("children", {}).values():
        if "output" not in child:
            _mark(child)


def _in_a_frame(run: Any) -> Any:
    """Each attempt of a Parallel or Map starts its branches anew, but for the one that a redrive continues."""

    @functools.wraps(run)
    def wrapper(state_def: dict[str, Any], raw_input: Any, execution: dict[str, Any], ctx: dict[str, Any]) -> Any:
        frame = _frame.get()
        if frame is None:
            frame = execution.setdefault("_frame", {})
        if not frame.pop("resume", False):
            frame["children"] = {}
        frame.setdefault("children", {})
        frames, branches = _frame.set(frame), _branches.set([id(branch.get("States")) for branch in state_def.get("Branches", [])])
        try:
            return run(state_def, raw_input, execution, ctx)
        finally:
            _frame.reset(frames)
            _branches.reset(branches)

    return wrapper


def _run_sub_machine(states: dict[str, Any], start_at: str, input_data: Any, execution: dict[str, Any], ctx: dict[str, Any]) -> Any:
    """Does what ministack's own function does, but begins at the state that the frame names."""
    parent, known = _frame.get(), _branches.get()
    key = known.index(id(states)) if id(states) in known else ctx.get("Map", {}).get("Item", {}).get("Index", 0)
    frame: Frame = {} if parent is None else parent["children"].setdefault(key, {})
    if "output" in frame:
        return copy.deepcopy(frame["output"])
    resumed = frame.get("resume") and "state" in frame
    name, content = (frame["state"], frame["input"]) if resumed else (start_at, copy.deepcopy(input_data))
    token = _frame.set(frame)
    try:
        while name:
            frame.update(state=name, input=copy.deepcopy(content))
            content, name = _step(states, name, content, execution, ctx)
            frame.pop("resume", None)
    finally:
        _frame.reset(token)
    frame["output"] = copy.deepcopy(content)
    return content


def _step(states: dict[str, Any], name: str, content: Any, execution: dict[str, Any], ctx: dict[str, Any]) -> tuple[Any, str | None]:
    state_def = states.get(name)
    if not state_def:
        raise stepfunctions._ExecutionError("States.Runtime", f"State '{name}' not found")
    ctx["State"] = {"Name": name, "EnteredTime": stepfunctions.now_iso(), "RetryCount": 0}
    return run_state(state_def, content, execution, ctx)


def run_state(state_def: dict[str, Any], content: Any, execution: dict[str, Any], ctx: dict[str, Any]) -> tuple[Any, str | None]:
    """One state: its output, and the name of the next one, None for the last.

    Raises:
        stepfunctions._ExecutionError: it failed.
    """
    kind = state_def.get("Type")
    if kind == "Succeed":
        return stepfunctions._apply_output_path(state_def, stepfunctions._apply_input_path(state_def, content, ctx), ctx), None
    if kind == "Fail":
        raise stepfunctions._ExecutionError(*stepfunctions._fail_state_error(state_def, content, ctx))
    made: tuple[Any, str | None]
    if kind == "Task":
        made = stepfunctions._execute_task(state_def, content, execution, ctx)
    elif kind == "Parallel":
        made = stepfunctions._execute_parallel(state_def, content, execution, ctx)
    elif kind == "Map":
        made = stepfunctions._execute_map(state_def, content, execution, ctx)
    elif kind == "Pass":
        made = stepfunctions._execute_pass(state_def, content, ctx)
    elif kind == "Choice":
        made = stepfunctions._execute_choice(state_def, content, ctx)
    elif kind == "Wait":
        made = stepfunctions._execute_wait(state_def, content, ctx)
    else:
        raise stepfunctions._ExecutionError("States.Runtime", f"Unknown state type: {kind}")
    return made
