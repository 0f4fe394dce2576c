"""Triggers of a retraining: enough labels, one execution however many ask, and no endless failing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.decide_retraining.decision import (
    MOST_ATTEMPTS,
    MOST_FAILURES,
    Attempt,
    enough,
    execution_name,
    one_at_a_time,
    start_once,
    trigger_reason,
)

WATERMARK = "2026-11-01T10:00:00+00:00"


class Machine:
    """Executions by name, as Step Functions keeps them: a name can be used once."""

    def __init__(self, **ended: Attempt) -> None:
        self.executions: dict[str, Attempt] = dict(ended)
        self.started: list[str] = []

    def start(self, name: str) -> Attempt:
        if name in self.executions:
            return self.executions[name]
        self.executions[name] = Attempt.RUNNING
        self.started.append(name)
        return Attempt.STARTED


def machine(*outcomes: Attempt) -> Machine:
    return Machine(**{execution_name(WATERMARK, number): outcome for number, outcome in enumerate(outcomes, 1)})


def test_two_triggers_over_the_same_labels_start_one_execution() -> None:
    steps = machine()
    first, second = (start_once(WATERMARK, "200 new labels", steps.start) for _ in range(2))
    assert (first.started, second.started) == (True, False)
    assert steps.started == [first.execution] == [second.execution]
    assert "runs already" in second.reason


def test_the_next_dataset_has_its_own_executions() -> None:
    steps = machine()
    start_once(WATERMARK, "r", steps.start)
    assert start_once("2026-11-02T10:00:00+00:00", "r", steps.start).started
    assert len(set(steps.started)) == 2


@pytest.mark.parametrize(
    ("before", "started", "reason"),
    [
        ([Attempt.FINISHED], True, "200 new labels"),
        ([Attempt.FAILED], True, "200 new labels"),
        ([Attempt.FAILED, Attempt.RUNNING], False, "runs already"),
        ([Attempt.FAILED, Attempt.FINISHED, Attempt.FAILED], True, "200 new labels"),
        ([Attempt.FAILED] * MOST_FAILURES, False, "redrive"),
        ([Attempt.FINISHED, *[Attempt.FAILED] * MOST_FAILURES], False, "redrive"),
        ([Attempt.FINISHED] * MOST_ATTEMPTS, False, "found nothing to do"),
    ],
)
def test_what_earlier_executions_mean_for_the_next(before: list[Attempt], started: bool, reason: str) -> None:
    decision = start_once(WATERMARK, "200 new labels", machine(*before).start)
    assert decision.started is started
    assert reason in decision.reason


@given(st.one_of(st.none(), st.text(max_size=40)), st.integers(1, MOST_ATTEMPTS))
def test_an_execution_name_is_one_that_step_functions_takes(watermark: str | None, attempt: int) -> None:
    assert re.fullmatch(r"labels-[0-9a-f]{16}-\d{1,2}", execution_name(watermark, attempt))


@pytest.mark.parametrize(("labels", "refused"), [(199, True), (200, False), (201, False)])
def test_labels_are_enough_from_the_limit_on(labels: int, refused: bool) -> None:
    decision = enough(labels, 200, WATERMARK)
    assert (decision is not None) is refused
    if decision is not None:
        assert decision.reason == f"199 new labels since {WATERMARK}: a retraining needs 200; the schedule asks again"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"detail-type": "Scheduled Event"}, "250 new labels"),
        ({}, "250 new labels"),
        (
            {"detail-type": "CloudWatch Alarm State Change", "detail": {"alarmName": "a-drift", "state": {"reason": "score 1.4 > 1"}}},
            "drift alarm a-drift: score 1.4 > 1; 250 new labels",
        ),
    ],
)
def test_the_reason_says_who_asked(event: dict[str, Any], reason: str) -> None:
    assert trigger_reason(event, 250) == reason


def test_a_retraining_under_way_is_waited_for() -> None:
    assert one_at_a_time(None) is None
    refused = one_at_a_time("labels-1")
    assert refused is not None
    assert (refused.started, refused.execution) == (False, "labels-1")
