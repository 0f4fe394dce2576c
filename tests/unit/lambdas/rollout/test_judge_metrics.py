"""What CloudWatch answers to the judge: pages are put together, no data is zero, and what could not be read is no zero."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from lambdas.rollout.judge_rollout.guardrails import Calls, Operation
from lambdas.rollout.judge_rollout.metrics import MetricsUnreadable, compare, watch

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
NOW = SINCE + timedelta(hours=1)
ALARMS = ("challenger-errors", "challenger-latency")
CHAMPION_CALLS, CHAMPION_ERRORS, CHAMPION_LATENCY, CALLS, ERRORS, LATENCY = range(6)


@pytest.fixture
def cloudwatch() -> Stubber:
    stub = Stubber(boto3.client("cloudwatch", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"))
    stub.activate()
    return stub


def result(number: int, *values: float, first: int = 0, status: str = "Complete", **more: Any) -> dict[str, Any]:
    """Values of one minute after the other from the minute ``first`` on."""
    times = [SINCE + timedelta(minutes=first + minute) for minute in range(len(values))]
    return {"Id": f"m{number}", "Label": "InvocationModelErrors", "Timestamps": times, "Values": values, "StatusCode": status, **more}


def page(*results: dict[str, Any], more: str | None = None) -> dict[str, Any]:
    return {"MetricDataResults": list(results), **({"NextToken": more} if more else {})}


def found(stub: Stubber, *pages: dict[str, Any], ringing: tuple[str, ...] = (), now: datetime = NOW) -> Operation:
    for number, answer in enumerate(pages):
        token = {"NextToken": ANY} if number else {}
        stub.add_response("get_metric_data", answer, {"MetricDataQueries": ANY, "StartTime": SINCE, "EndTime": now, **token})
    alarms = {"MetricAlarms": [{"AlarmName": name} for name in ringing]}
    asked = {"AlarmNames": list(ALARMS), "AlarmTypes": ["MetricAlarm"], "StateValue": "ALARM"}
    stub.add_response("describe_alarms", alarms, asked)
    return compare(stub.client, "reviewloop-dev", SINCE.isoformat(), now, ALARMS)


def test_pages_are_put_together(cloudwatch: Stubber) -> None:
    first = page(result(CALLS, 10, 20, status="PartialData"), result(ERRORS, 1, status="PartialData"), more="next")
    operation = found(cloudwatch, first, page(result(CALLS, 5, first=2), result(ERRORS, 2, first=1), result(CHAMPION_CALLS, 90)))
    assert (operation.champion, operation.challenger) == (Calls(90, 0), Calls(35, 3))


def test_calls_and_failures_are_told_by_the_minute(cloudwatch: Stubber) -> None:
    operation = found(cloudwatch, page(result(CHAMPION_CALLS, 90, 80), result(CALLS, 10, first=1), result(ERRORS, 2, 1, first=1)))
    assert operation.minutes == ((Calls(90), Calls()), (Calls(80), Calls(10, 2)), (Calls(), Calls(1, 1)))
    assert (operation.champion, operation.challenger) == (Calls(170), Calls(10, 3))


def test_no_data_is_zero(cloudwatch: Stubber) -> None:
    assert found(cloudwatch, page(result(CALLS), result(ERRORS))) == Operation(latencies=[], minutes=())


def test_latencies_are_compared_by_the_minutes_in_which_both_were_called(cloudwatch: Stubber) -> None:
    answers = page(result(CHAMPION_LATENCY, 10, 11, 12), result(LATENCY, 30, 31, first=1))
    assert found(cloudwatch, answers).latencies == [(11, 30), (12, 31)]


def test_the_alarms_that_ring_are_named(cloudwatch: Stubber) -> None:
    assert found(cloudwatch, page(), ringing=tuple(reversed(ALARMS))).alarms == ALARMS


@pytest.mark.parametrize("status", ["InternalError", "Forbidden"])
def test_what_could_not_be_read_is_no_zero(cloudwatch: Stubber, status: str) -> None:
    failed = result(ERRORS, status=status, Messages=[{"Code": "ArithmeticError", "Value": "try later"}])
    with pytest.raises(MetricsUnreadable, match=f"InvocationModelErrors is {status}: ArithmeticError: try later"):
        found(cloudwatch, page(result(CALLS, 10), failed))


@pytest.mark.parametrize(("days", "period"), [(14, 60), (15, 300)])
def test_older_points_are_read_as_cloudwatch_keeps_them(days: int, period: int) -> None:
    asked: list[Any] = []

    class CloudWatch:
        def get_paginator(self, _: str) -> CloudWatch:
            return self

        def paginate(self, **arguments: Any) -> list[Any]:
            asked.append(arguments)
            return []

        def describe_alarms(self, **_: Any) -> dict[str, Any]:
            return {"MetricAlarms": []}

    compare(CloudWatch(), "reviewloop-dev", SINCE.isoformat(), SINCE + timedelta(days=days), ALARMS)
    assert {query["MetricStat"]["Period"] for query in asked[0]["MetricDataQueries"]} == {period}


def test_after_a_replacement_the_variant_champion_is_the_one_that_is_judged(cloudwatch: Stubber) -> None:
    answers = page(result(0, 40), result(1, 2))
    cloudwatch.add_response("get_metric_data", answers, {"MetricDataQueries": ANY, "StartTime": SINCE, "EndTime": NOW})
    cloudwatch.add_response("describe_alarms", {"MetricAlarms": [{"AlarmName": "champion-errors"}]})
    operation = watch(cloudwatch.client, "reviewloop-dev", SINCE.isoformat(), NOW, ["champion-errors"])
    assert operation == Operation(challenger=Calls(40, 2), alarms=("champion-errors",))
