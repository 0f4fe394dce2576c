"""One rollout as its execution's history tells it, and nothing else: what was asked, every weight, every decision, the end. Pure.

The history is what GetExecutionHistory answers. Histories of earlier versions of the app are read as well: what they lack is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cli.execution_history import ENDS, document_of, message_of, time_of
from cli.exit_codes import OF_OUTCOME, ExitCode
from cli.release import states
from cli.release.evidence import Evidence, number
from lambdas.rollout.progress import WeightChange

LOOKS = ("Judge", "Ask", "Watch")
"""The states whose every end is a look."""
REFUSALS = ("InvalidRollout", "AnotherRolloutRuns")
"""Errors of the first step: nothing was begun."""


@dataclass(frozen=True)
class Decision:
    """A verdict: by the judge (``look`` counts from 1) or, with ``look`` None, by an error or a person.

    ``share`` is the challenger's share of the traffic at that time, 0..1; None before there was one.
    """

    at: datetime
    decision: str
    reason: str
    share: float | None = None
    look: int | None = None
    evidence: Evidence = field(default_factory=Evidence)
    raw_evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def margin(self) -> float | None:
        """The loss that had to be refuted, 0..1; None where the verdict does not say."""
        return number(self.raw_evidence.get("margin"))


@dataclass(frozen=True)
class Rollout:
    """A rollout so far. ``status`` is the execution's: RUNNING, SUCCEEDED, FAILED, ABORTED or TIMED_OUT."""

    id: str
    started: datetime | None = None
    ended: datetime | None = None
    status: str = "RUNNING"
    input: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)
    decisions: tuple[Decision, ...] = ()
    weights: tuple[WeightChange, ...] = ()
    state: str = ""
    output: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    cause: str = ""
    last_event: int = 0

    @classmethod
    def read(cls, rollout_id: str, events: Iterable[Mapping[str, Any]]) -> Rollout:
        return cls(rollout_id).after(events)

    def after(self, events: Iterable[Mapping[str, Any]]) -> Rollout:
        """The same rollout some events later; events in their order, each once."""
        rollout = self
        for event in events:
            rollout = replace(_after(rollout, event), last_event=int(event["id"]))
        return rollout

    # -- what was asked ----------------------------------------------------------------------------

    @property
    def kind(self) -> str:
        """A ``Kind`` of ``plan_rollout``, such as ``experiment``; empty before it is planned."""
        return str(self.plan.get("kind", ""))

    @property
    def champion(self) -> str | None:
        """ARN of the model package that serves before."""
        return self._package("champion", 0)

    @property
    def challenger(self) -> str | None:
        """ARN of the new model package; None where there is none."""
        found = self._package("challenger", 1)
        return None if found == self.champion else found

    def _package(self, name: str, place: int) -> str | None:
        target = str(self.plan.get("target", "")).split(",")
        found = self.input.get(name) or (target[place] if len(target) == 2 else None)
        return str(found) if found and found != "none" else None

    @property
    def reason(self) -> str:
        """Why it was started."""
        return str(self.plan.get("reason") or self.input.get("reason") or "")

    @property
    def policy(self) -> str | None:
        return self._asked("policy")

    @property
    def approval(self) -> str | None:
        return self._asked("approval")

    def _asked(self, name: str) -> str | None:
        found = self.progress.get(name) or self.input.get(name)
        return str(found) if found else None

    @property
    def deadline(self) -> datetime | None:
        """When it is decided at the latest."""
        return moment(self.progress.get("deadline"))

    # -- how it stands -----------------------------------------------------------------------------

    @property
    def runs(self) -> bool:
        return self.status == "RUNNING"

    @property
    def share(self) -> float | None:
        """The challenger's live share of the traffic, 0..1."""
        return self.weights[-1].challenger if self.weights else None

    @property
    def looks(self) -> tuple[Decision, ...]:
        return tuple(one for one in self.decisions if one.look is not None)

    @property
    def evidence(self) -> Evidence:
        """Of the last look."""
        return self.looks[-1].evidence if self.looks else Evidence()

    @property
    def doing(self) -> str:
        """What the state machine is at, in words."""
        return states.doing(self.state)

    @property
    def outcome(self) -> str:
        """``running``, an :class:`Outcome`, ``stopped``, ``refused`` or ``failed``."""
        if self.runs:
            return "running"
        if self.status == "SUCCEEDED":
            return str(self.output.get("outcome", "released"))
        if self.status == "ABORTED":
            return "stopped"
        return "refused" if self.error in REFUSALS else "failed"

    @property
    def why(self) -> str:
        """The reason of the outcome; empty while it runs."""
        if self.status == "SUCCEEDED":
            return str(self.output.get("reason", ""))
        if self.status == "TIMED_OUT":
            return self.cause or "the execution took longer than the state machine allows"
        said = message_of(self.cause)
        return said if self.error in ("", *REFUSALS) else f"{self.error}: {said}"

    @property
    def exit_code(self) -> ExitCode:
        return OF_OUTCOME.get(self.outcome, ExitCode.FAILED)


def _after(rollout: Rollout, event: Mapping[str, Any]) -> Rollout:
    kind, at = str(event["type"]), time_of(event)
    if kind == "ExecutionStarted":
        return replace(rollout, started=at, input=document_of(event["executionStartedEventDetails"].get("input")))
    if kind == "ExecutionRedriven":
        return replace(rollout, status="RUNNING", ended=None, error="", cause="", output={})
    if kind in ENDS:
        status, details = ENDS[kind]
        said = event.get(details, {})
        return replace(
            rollout,
            status=status,
            ended=at,
            output=document_of(said.get("output")),
            error=said.get("error") or "",
            cause=said.get("cause") or "",
        )
    if kind.endswith("StateEntered"):
        return replace(rollout, state=event["stateEnteredEventDetails"]["name"])
    if kind.endswith("StateExited"):
        details = event["stateExitedEventDetails"]
        return _exited(rollout, details["name"], document_of(details.get("output")), at)
    return rollout


def _exited(rollout: Rollout, state: str, output: Mapping[str, Any], at: datetime) -> Rollout:
    progress = output.get("progress")
    verdict = output.get("verdict")
    new = replace(
        rollout,
        plan=output["plan"] if isinstance(output.get("plan"), Mapping) else rollout.plan,
        progress=progress if isinstance(progress, Mapping) else rollout.progress,
        weights=_weights(output if "outcome" in output else progress) or rollout.weights,
    )
    if not isinstance(verdict, Mapping) or "decision" not in verdict:
        return new
    decision, reason = str(verdict["decision"]), str(verdict.get("reason", ""))
    last = rollout.decisions[-1] if rollout.decisions else None
    is_look = state in LOOKS
    if not is_look and last is not None and (last.decision, last.reason) == (decision, reason):
        return new
    raw = verdict.get("evidence")
    made = Decision(
        at,
        decision,
        reason,
        share=rollout.share,
        look=len(rollout.looks) + 1 if is_look else None,
        evidence=Evidence.parse(raw),
        raw_evidence=raw if isinstance(raw, Mapping) else {},
    )
    return replace(new, decisions=(*rollout.decisions, made))


def _weights(raw: Any) -> tuple[WeightChange, ...]:
    changes = raw.get("weights") if isinstance(raw, Mapping) else None
    if not isinstance(changes, list):
        return ()
    return tuple(WeightChange(one["at"], float(one["champion"]), float(one["challenger"])) for one in changes)


def moment(raw: Any) -> datetime | None:
    """A time of boto3, or ISO 8601."""
    if isinstance(raw, datetime) or raw is None:
        return raw
    try:
        return datetime.fromisoformat(str(raw))
    except ValueError:
        return None
