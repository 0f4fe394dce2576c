"""One tuning or retraining as its execution's history tells it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cli.execution_history import ENDS, document_of, message_of, time_of
from cli.exit_codes import OF_OUTCOME, ExitCode

PARTS = ("tuning", "retraining")
STARTED_BY = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"
"""Field of the input of a tuning that a retraining started."""
REFUSALS = ("InvalidInput", "NoDataset", "NoBaseModel")
_DOING = {
    "Plan": "checking the request",
    "Tune": "training",
    "TuneFromParents": "training, from earlier tunings",
    "Select": "choosing the best models",
    "EvaluateEach": "evaluating the best models",
    "Evaluate": "evaluating the best models",
    "CheckGates": "checking the gates",
    "Register": "registering the models that passed",
}
_DOING_IN_RETRAINING = {
    "Plan": "checking what serves",
    "Freeze": "making a dataset version of the new labels",
    "Tune": "tuning, an execution of its own",
    "Rollout": "rolling the best model out: `release watch` follows it",
}


@dataclass(frozen=True)
class Tuning:
    """A tuning or retraining so far. ``status`` is the execution's; ``tuning_job`` is None before there is one.

    ``candidates`` are those of the last step that named any, the best first.
    """

    id: str
    part: str
    status: str = "RUNNING"
    started: datetime | None = None
    ended: datetime | None = None
    input: Mapping[str, Any] = field(default_factory=dict)
    state: str = ""
    tuning_job: str | None = None
    candidates: tuple[Mapping[str, Any], ...] = ()
    output: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    cause: str = ""
    last_event: int = 0

    def after(self, events: Iterable[Mapping[str, Any]]) -> Tuning:
        """The same some events later; events in their order, each once."""
        tuning = self
        for event in events:
            tuning = replace(_after(tuning, event), last_event=int(event["id"]))
        return tuning

    @property
    def runs(self) -> bool:
        return self.status == "RUNNING"

    @property
    def doing(self) -> str:
        known = _DOING if self.part == "tuning" else _DOING_IN_RETRAINING
        return known.get(self.state, self.state)

    @property
    def outcome(self) -> str:
        """``running``, ``tuned``, ``skipped``, the outcome of a retraining's rollout, or why there is no model.

        The last are ``gates_refused``, ``refused`` (the input cannot be used), ``stopped`` and ``failed``.
        """
        if self.runs:
            return "running"
        if self.status == "ABORTED":
            return "stopped"
        if self.status == "SUCCEEDED":
            if "skipped" in self.output:
                return "skipped"
            rollout = self.output.get("rollout")
            return str(rollout["outcome"]) if isinstance(rollout, Mapping) and "outcome" in rollout else "tuned"
        inner = str(document_of(self.cause).get("Error", ""))
        if "GatesRefused" in (self.error, inner):
            return "gates_refused"
        return "refused" if self.error in REFUSALS else "failed"

    @property
    def why(self) -> str:
        """The reason of the outcome; empty while it runs, and where models passed."""
        if self.status == "SUCCEEDED":
            rollout = self.output.get("rollout")
            found = self.output.get("skipped") or (rollout.get("reason") if isinstance(rollout, Mapping) else "")
            return str(found or "")
        return message_of(self.cause) if self.cause else self.error

    @property
    def packages(self) -> list[dict[str, Any]]:
        """The model packages that were registered, the best first."""
        found = self.output.get("packages")
        return [one if isinstance(one, dict) else {"model_package_arn": one} for one in found] if isinstance(found, list) else []

    @property
    def exit_code(self) -> ExitCode:
        return OF_OUTCOME.get(self.outcome, ExitCode.FAILED)


def _after(tuning: Tuning, event: Mapping[str, Any]) -> Tuning:
    kind, at = str(event["type"]), time_of(event)
    if kind == "ExecutionStarted":
        return replace(tuning, started=at, input=document_of(event["executionStartedEventDetails"].get("input")))
    if kind == "ExecutionRedriven":
        return replace(tuning, status="RUNNING", ended=None, error="", cause="", output={})
    if kind in ENDS:
        status, details = ENDS[kind]
        said = event.get(details, {})
        output = document_of(said.get("output"))
        return replace(tuning, status=status, ended=at, output=output, error=said.get("error") or "", cause=said.get("cause") or "")
    if kind.endswith("StateEntered"):
        return replace(tuning, state=event["stateEnteredEventDetails"]["name"])
    if kind.endswith("StateExited"):
        said = document_of(event["stateExitedEventDetails"].get("output"))
        job, candidates = tuning.tuning_job or said.get("tuning_job_name"), said.get("candidates")
        chosen = tuple(candidates) if isinstance(candidates, list) else tuning.candidates
        return replace(tuning, tuning_job=str(job) if job else None, candidates=chosen)
    return tuning
