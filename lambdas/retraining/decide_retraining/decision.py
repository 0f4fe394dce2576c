"""Whether a trigger starts a retraining, and under which name: pure, so that two triggers start one execution."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from contracts.labels import described, listed
from contracts.phrases import counted

MOST_FAILURES = 3
"""After this many failed executions over the same labels a person must look, because the next one would fail, too."""
MOST_TAKEN = 10
"""Names tried in a row: the list of executions may lag behind the last few starts."""
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
        return f"drift alarm {detail.get('alarmName', '')}: {why}; {counted(new_labels, 'new label')}"
    return counted(new_labels, "new label")


def changed_labels(settings: Sequence[str], dataset: Sequence[str], names: Mapping[str, str] | None = None) -> Decision | None:
    """A refusal, naming the labels, when people are asked for other labels than the current dataset version has.

    Args:
        settings: ``dataset.labels`` as deployed where it pins them: what people can answer.
        dataset: labels of the current dataset version, which are the champion's.
        names: what people see of them.
    """
    added, gone = (sorted(set(one) - set(other)) for one, other in ((settings, dataset), (dataset, settings)))
    if not added and not gone:
        return None
    parts = []
    if added:
        parts.append(f"{listed(added)} in the settings only, so the model never answers it and people's answers for it are left out")
    if gone:
        parts.append(
            f"{listed(described(label, names or {}) for label in gone)} in the dataset only, so the model answers it and people cannot"
        )
    return Decision(
        False,
        f"dataset.labels of the settings are not those of the current dataset version: {'; '.join(parts)}. "
        "Leave dataset.labels out or correct it, and deploy; or upload a first version with these labels and tune from the base model "
        "(docs/operations.md)",
    )


def enough(new_labels: int, least: int, watermark: str | None, unknown: Mapping[str, int] | None = None) -> Decision | None:
    """A refusal, or None when there are labels enough. A drift alarm without labels waits for them.

    Args:
        new_labels: those that the dataset knows.
        unknown: how many more there are for each label that it does not know.
    """
    if new_labels >= least:
        return None
    since = watermark or "the first dataset"
    more = "".join(
        f"; {count} more have the label {label!r}, which the dataset does not know" for label, count in sorted((unknown or {}).items())
    )
    return Decision(False, f"{new_labels} new labels since {since}: a retraining needs {least}; the schedule asks again{more}")


def one_at_a_time(running: str | None) -> Decision | None:
    """A refusal while a retraining runs: the next one shall start from what that one releases, and with the labels since then."""
    return None if running is None else Decision(False, f"execution {running} runs already: the schedule asks again", running)


def name_prefix(watermark: str | None) -> str:
    """What the names of all executions over the same current dataset begin with."""
    return f"labels-{hashlib.sha256((watermark or '').encode()).hexdigest()[:16]}-"


def execution_name(watermark: str | None, attempt: int) -> str:
    """The same for every trigger over the same current dataset, so that the second one finds the first one's execution."""
    return f"{name_prefix(watermark)}{attempt}"


@dataclass(frozen=True)
class History:
    """Earlier executions over the same current dataset: the highest number taken (0: none), those that failed, the one that runs."""

    last: int = 0
    failed: tuple[str, ...] = ()
    running: str | None = None


def number_of(name: str, watermark: str | None) -> int:
    """The number in an execution's name; 0 when it is about another dataset or was started by hand."""
    prefix = name_prefix(watermark)
    number = name.removeprefix(prefix)
    return int(number) if name.startswith(prefix) and number.isdecimal() else 0


def start_once(watermark: str | None, reason: str, history: History, start: Callable[[str], Attempt]) -> Decision:
    """Start one execution for the current dataset unless one runs.

    An execution's name can be used once, so each start takes the next number. Only failures are counted: an execution that was skipped
    found nothing to do, and may find more the next time.

    Args:
        start: starts the execution of that name, or says how the one that has it stands.
    """
    if history.running is not None:
        return Decision(False, f"execution {history.running} runs already", history.running)
    failures = list(history.failed)
    for attempt in range(history.last + 1, history.last + 1 + MOST_TAKEN):
        if len(failures) >= MOST_FAILURES:
            break
        name = execution_name(watermark, attempt)
        outcome = start(name)
        if outcome is Attempt.STARTED:
            return Decision(True, reason, name)
        if outcome is Attempt.RUNNING:
            return Decision(False, f"execution {name} runs already", name)
        if outcome is Attempt.FAILED:
            failures.append(name)
    if len(failures) >= MOST_FAILURES:
        said = f"{len(failures)} executions over these labels failed, the last was {failures[-1]}: read its cause, then redrive it"
        return Decision(False, said, failures[-1])
    return Decision(False, f"{MOST_TAKEN} names after number {history.last} are taken already: the schedule asks again", None)
