"""Whether a trigger starts a retraining, and under which name: pure, so that two triggers start one execution."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MOST_FAILURES = 3
"""After as many failed executions over the same labels a person must look: a fourth would fail alike."""
MOST_ATTEMPTS = 50
ALARM_EVENT = "CloudWatch Alarm State Change"


class Attempt(StrEnum):
    """How the start of an execution ended."""

    STARTED = "started"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


@dataclass(frozen=True)
class Decision:
    """``started``, and the reason in words either way."""

    started: bool
    reason: str
    execution: str | None = None


def trigger_reason(event: Mapping[str, Any], new_labels: int) -> str:
    """Why a retraining is asked for: the drift alarm, or labels enough."""
    if event.get("detail-type") == ALARM_EVENT:
        detail = event.get("detail", {})
        why = detail.get("state", {}).get("reason", "no reason given")
        return f"drift alarm {detail.get('alarmName', '')}: {why}; {new_labels} new labels"
    return f"{new_labels} new labels"


def enough(new_labels: int, least: int, watermark: str | None) -> Decision | None:
    """A refusal, or None when there are labels enough. A drift alarm without labels waits for them."""
    if new_labels >= least:
        return None
    since = watermark or "the first dataset"
    return Decision(False, f"{new_labels} new labels since {since}: a retraining needs {least}; the schedule asks again")


def one_at_a_time(running: str | None) -> Decision | None:
    """A refusal while a retraining runs: the next one shall start from what that one releases, and with the labels since then."""
    return None if running is None else Decision(False, f"execution {running} runs already: the schedule asks again", running)


def execution_name(watermark: str | None, attempt: int) -> str:
    """The same for every trigger over the same current dataset, so that the second one finds the first one's execution."""
    digest = hashlib.sha256((watermark or "").encode()).hexdigest()[:16]
    return f"labels-{digest}-{attempt}"


def start_once(watermark: str | None, reason: str, start: Callable[[str], Attempt]) -> Decision:
    """Start one execution for the current dataset unless one runs.

    An execution's name can be used once, so a finished one (it found nothing to do) or a failed one makes room for the
    next number; failures are counted.

    Args:
        start: starts the execution of that name, or says how the one that has it stands.
    """
    failures = 0
    for attempt in range(1, MOST_ATTEMPTS + 1):
        name = execution_name(watermark, attempt)
        outcome = start(name)
        if outcome is Attempt.STARTED:
            return Decision(True, reason, name)
        if outcome is Attempt.RUNNING:
            return Decision(False, f"execution {name} runs already", name)
        failures += outcome is Attempt.FAILED
        if failures >= MOST_FAILURES:
            return Decision(
                False, f"{failures} executions over these labels failed, the last was {name}: read its cause, then redrive it", name
            )
    return Decision(False, f"{MOST_ATTEMPTS} executions over these labels found nothing to do: look at the labels", None)
