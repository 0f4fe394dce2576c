"""Schedules of the embedded AWS: rates and crons in scaled time, the documented event, never a busy loop."""

from __future__ import annotations

import datetime as dt
import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_aws.eventbridge.schedules import LEAST_SECONDS, real, real_interval, shown, tick_seconds

ClientFactory = Callable[..., Any]
REGION, ACCOUNT = "us-east-1", "000000000000"


@pytest.mark.parametrize(
    ("declared", "scale", "expected"),
    [(3_600, 0.02, 72.0), (60, 1, 60.0), (60, 0.02, 1.2), (60, 1e-9, LEAST_SECONDS), (86_400, 1e-9, LEAST_SECONDS), (60, 2, 120.0)],
)
def test_a_rate_is_scaled_down_to_a_floor(declared: float, scale: float, expected: float) -> None:
    assert real_interval(declared, scale) == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1e-9, 0.001, 0.02, 1, 10])
def test_the_schedules_are_looked_at_often_enough_and_never_in_a_busy_loop(scale: float) -> None:
    assert 0.1 <= tick_seconds(scale) <= real_interval(60, scale)


@given(st.floats(0.001, 10), st.integers(0, 10_000_000))
def test_the_scaled_clock_is_read_back(scale: float, seconds: int) -> None:
    started = 1_700_000_000.0
    moment = dt.datetime.fromtimestamp(started + seconds, tz=dt.UTC)
    assert abs(real(shown(moment, started, scale), started, scale) - moment) < dt.timedelta(seconds=0.1)


def test_the_scaled_clock_starts_at_the_real_time_and_runs_faster() -> None:
    started = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert shown(started, started.timestamp(), 0.02) == started
    assert shown(started + dt.timedelta(seconds=72), started.timestamp(), 0.02) - started == dt.timedelta(hours=1)


# -- in the emulator, where a declared minute takes 1.2 s --------------------------------------------


class Rule:
    """A scheduled rule with a queue as its target."""

    def __init__(self, aws: ClientFactory, expression: str, **target: Any) -> None:
        self.name, self.began = f"schedule-{uuid.uuid4().hex[:8]}", time.time()
        self._events, self._sqs, self._target = aws("events"), aws("sqs"), target
        self.queue = self._sqs.create_queue(QueueName=self.name)["QueueUrl"]
        self.put(expression)

    def put(self, expression: str, **more: Any) -> None:
        self.arn = self._events.put_rule(Name=self.name, ScheduleExpression=expression, **more)["RuleArn"]
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.name}"
        assert self._events.put_targets(Rule=self.name, Targets=[{"Id": "queue", "Arn": arn, **self._target}])["FailedEntryCount"] == 0

    def received(self, seconds: float, most: int = 10) -> list[tuple[float, Any]]:
        """``(sent how many seconds after the rule was made, body)`` within ``seconds`` from now; ends early at ``most``."""
        found, began = [], time.monotonic()
        while len(found) < most and time.monotonic() - began < seconds:
            answer = self._sqs.receive_message(QueueUrl=self.queue, WaitTimeSeconds=1, AttributeNames=["SentTimestamp"])
            for message in answer.get("Messages", []):
                found.append((int(message["Attributes"]["SentTimestamp"]) / 1000 - self.began, json.loads(message["Body"])))
                self._sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    def remove(self) -> None:
        self._events.remove_targets(Rule=self.name, Ids=["queue"])
        self._events.delete_rule(Name=self.name)


@pytest.fixture
def rule(aws: ClientFactory) -> Iterator[Callable[..., Rule]]:
    made: list[Rule] = []

    def make(expression: str, **target: Any) -> Rule:
        made.append(Rule(aws, expression, **target))
        return made[-1]

    yield make
    for item in made:
        item.remove()


def test_a_rate_fires_again_and_again_with_the_documented_event(rule: Callable[..., Rule]) -> None:
    scheduled = rule("rate(1 minute)")
    (first, event), (second, other), (third, _) = scheduled.received(30, most=3)
    assert first >= 1.1, "a rule counts from its creation, and a declared minute takes 1.2 s"
    assert min(second - first, third - second) >= 1.1
    time_stamp = dt.datetime.strptime(event.pop("time"), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)
    assert abs(time_stamp - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1), "time stamps are real"
    assert event.pop("id") != other["id"]
    assert event == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "region": REGION,
        "resources": [scheduled.arn],
        "detail": {},
    }


def test_a_cron_fires_at_the_minutes_of_the_scaled_clock(rule: Callable[..., Rule]) -> None:
    found = rule("cron(* * * * ? *)").received(30, most=3)
    assert found[1][0] - found[0][0] >= 0.9
    assert found[2][0] - found[0][0] >= 1.8, "two declared minutes take 2.4 s, and the first event may be seen a little late"


def test_a_schedule_that_is_not_due_does_not_fire(rule: Callable[..., Rule]) -> None:
    silent = [rule("rate(60 minutes)"), rule("cron(* * * * ? 2199)")]
    assert rule("rate(1 minute)").received(30, most=2)
    assert [item.received(0.1) for item in silent] == [[], []]


def test_the_targets_own_input_is_delivered(rule: Callable[..., Rule]) -> None:
    assert [body for _, body in rule("rate(1 minute)", Input='{"reason": "schedule"}').received(30, most=1)] == [{"reason": "schedule"}]


def test_a_disabled_rule_is_silent_and_one_made_again_counts_from_anew(rule: Callable[..., Rule]) -> None:
    scheduled = rule("rate(1 minute)")
    assert scheduled.received(30, most=1)
    scheduled.put("rate(1 minute)", State="DISABLED")
    scheduled.received(0.5)
    assert scheduled.received(1.8) == []
    scheduled.remove()
    time.sleep(0.5)  # longer than a tick
    scheduled.put("rate(3 minutes)")
    assert scheduled.received(1.8) == [], "due 3.6 s after its creation, not after the last run of the old rule"


def test_the_scheduler_service_is_scaled_too(aws: ClientFactory, make_role: Callable[..., str], rule: Callable[..., Rule]) -> None:
    silent = rule("rate(60 minutes)")
    target = {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{silent.name}", "RoleArn": make_role(silent.name, [], ["scheduler.amazonaws.com"])}
    scheduler = aws("scheduler")
    scheduler.create_schedule(
        Name=silent.name, ScheduleExpression="rate(1 minute)", FlexibleTimeWindow={"Mode": "OFF"}, Target={**target, "Input": "{}"}
    )
    try:
        assert len(silent.received(30, most=2)) == 2
    finally:
        scheduler.delete_schedule(Name=silent.name)
