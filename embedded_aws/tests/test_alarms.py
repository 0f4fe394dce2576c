"""Alarms of the embedded AWS: CloudWatch's documented tables, metric math, and the whole path to EventBridge and SNS."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_aws.cloudwatch.alarms import expressions
from embedded_aws.cloudwatch.alarms.definition import UnsupportedAlarm, configuration, definition, timestamp
from embedded_aws.cloudwatch.alarms.evaluation import Criteria, evaluate, reason

ClientFactory = Callable[..., Any]

TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
KEEP = None


def points(row: str) -> list[float | None]:
    """The user guide's notation: 0 not breaching, X breaching, - missing; newest last."""
    return [{"0": 0.0, "X": 10.0, "-": None}[mark] for mark in row.split()]


def criteria(needed: int, wanted: int = 3, missing: str = "missing") -> Criteria:
    return Criteria("GreaterThanThreshold", 5.0, wanted, needed, missing)


@pytest.mark.parametrize(
    ("needed", "row", "states"),
    [
        (3, "0 - X - X", ("OK", "OK", "OK", "OK")),
        (3, "0 - - - -", ("OK", "OK", "OK", "OK")),
        (3, "- - - - -", ("INSUFFICIENT_DATA", KEEP, "ALARM", "OK")),
        (3, "0 X X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        (3, "- - X - -", ("ALARM", KEEP, "ALARM", "OK")),
        (2, "0 - X - X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        (2, "0 0 X 0 X", ("ALARM", "ALARM", "ALARM", "ALARM")),
        (2, "0 - X - -", ("OK", "OK", "ALARM", "OK")),
        (2, "- - - - 0", ("OK", "OK", "ALARM", "OK")),
        (2, "- - - X -", ("ALARM", KEEP, "ALARM", "OK")),
    ],
)
def test_the_user_guides_tables_of_missing_data(needed: int, row: str, states: tuple[str | None, ...]) -> None:
    assert tuple(evaluate(criteria(needed, missing=treatment), points(row)) for treatment in TREATMENTS) == states


@pytest.mark.parametrize("row", ["- - - - X", "- - - X -"])
def test_a_single_recent_breach_does_not_alarm_before_three_are_due(row: str) -> None:
    assert evaluate(criteria(3), points(row)) == "OK"


@pytest.mark.parametrize(
    ("comparison", "value", "state"),
    [
        ("GreaterThanThreshold", 5.0, "OK"),
        ("GreaterThanOrEqualToThreshold", 5.0, "ALARM"),
        ("LessThanThreshold", 5.0, "OK"),
        ("LessThanOrEqualToThreshold", 5.0, "ALARM"),
        ("LessThanThreshold", 4.9, "ALARM"),
        ("GreaterThanThreshold", 5.1, "ALARM"),
    ],
)
def test_comparison_operators_at_the_threshold(comparison: str, value: float, state: str) -> None:
    assert evaluate(Criteria(comparison, 5.0, 1, 1), [None, None, value]) == state


@given(st.lists(st.sampled_from([0.0, 10.0, None]), min_size=5, max_size=5), st.integers(1, 3))
def test_breaching_never_judges_milder_than_not_breaching(row: list[float | None], needed: int) -> None:
    strict, mild = (evaluate(criteria(needed, missing=treatment), row) for treatment in ("breaching", "notBreaching"))
    assert (mild == "ALARM") <= (strict == "ALARM")
    if None not in row:
        assert {evaluate(criteria(needed, missing=treatment), row) for treatment in TREATMENTS} == {strict}


def test_the_reason_is_cloudwatchs_sentence() -> None:
    one = Criteria("GreaterThanThreshold", 50.0, 1, 1)
    ends = ["02/10/19 16:57:00", "02/10/19 16:58:00", "02/10/19 16:59:00"]
    assert reason(one, [None, None, 99.5], ends, "OK", "ALARM") == (
        "Threshold Crossed: 1 out of the last 1 datapoints [99.5 (02/10/19 16:59:00)] was greater than the threshold (50.0)"
        " (minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert reason(one, [None, None, 0.5], ends, "ALARM", "OK").startswith(
        "Threshold Crossed: 1 out of the last 1 datapoints [0.5 (02/10/19 16:59:00)] was not greater than the threshold (50.0)"
    )
    assert reason(one, [None, None, None], ends, "OK", "INSUFFICIENT_DATA") == "Insufficient Data: 1 datapoint was unknown."


# -- metric math -----------------------------------------------------------------------------------

SERIES: dict[str, expressions.Series] = {"m1": (1.0, 2.0, None, 4.0), "m2": (2.0, 0.0, 5.0, None), "errors": (0.0, 3.0, 6.0, 9.0)}


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("m1 + m2", (3.0, 2.0, None, None)),
        ("m1 / m2", (0.5, None, None, None)),
        ("100 * m1 / (m1 + FILL(m2, 0))", (100 / 3, 100.0, None, 100.0)),
        ("-m1 ^ 2", (-1.0, -4.0, None, -16.0)),
        ("IF(m2 > 1, m1, 0)", (1.0, 0.0, None, None)),
        ("IF(m2 > 1 AND m1 < 3, 7, 8)", (7.0, 8.0, None, None)),
        ("IF(m1 >= 2 || m1 == 1, 1, 0)", (1.0, 1.0, None, 1.0)),
        ("FILL(m1, REPEAT)", (1.0, 2.0, 2.0, 4.0)),
        ("FILL(m1, LINEAR)", (1.0, 2.0, 3.0, 4.0)),
        ("FILL(m1, m2)", (1.0, 2.0, 5.0, 4.0)),
        ("MAX([m1, m2])", (2.0, 2.0, 5.0, 4.0)),
        ("MIN([m1, m2])", (1.0, 0.0, 5.0, 4.0)),
        ("SUM(METRICS())", (3.0, 5.0, 11.0, 13.0)),
        ("SUM(METRICS('m'))", (3.0, 2.0, 5.0, 4.0)),
        ("SUM(FILL(METRICS('m'), 1))", (3.0, 2.0, 6.0, 5.0)),
        ("m1 / MAX(m1)", (0.25, 0.5, None, 1.0)),
        ("ABS(m1 - m2)", (1.0, 2.0, None, None)),
        ("AVG([m1, errors])", (0.5, 2.5, 6.0, 6.5)),
        ("rate * 2", (0.0, 3.0, None, 4.5)),
        ("42", (42.0, 42.0, 42.0, 42.0)),
    ],
)
def test_metric_math(expression: str, values: expressions.Series) -> None:
    assert expressions.evaluate(expression, SERIES, {"rate": "errors / m1"}, 4) == pytest.approx(values, nan_ok=False)


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("m9 + 1", "no metric or expression has the id 'm9'"),
        ("loop", "refers to itself"),
        ("__import__('os').getcwd()", "not supported"),
        ("m1.real", "not supported"),
        ("[x for x in (1,)]", "not supported"),
        ("lambda: 1", "not supported"),
        ("ANOMALY_DETECTION_BAND(m1, 2)", "ANOMALY_DETECTION_BAND"),
        ("m1 +", "not a metric math expression"),
        ("[m1, m2]", "several time series"),
    ],
)
def test_what_is_no_metric_math_is_refused_by_name(expression: str, complaint: str) -> None:
    with pytest.raises(expressions.ExpressionError, match=complaint):
        expressions.evaluate(expression, SERIES, {"loop": "loop + 1"}, 4)


def test_an_alarm_without_a_fixed_threshold_is_refused() -> None:
    with pytest.raises(UnsupportedAlarm, match="anomaly"):
        definition({"AlarmName": "a", "AlarmArn": "arn", "ThresholdMetricId": "band", "Threshold": 0, "Metrics": []})


def test_time_stamps_have_milliseconds_and_an_offset() -> None:
    assert timestamp(1570035280.987) == "2019-10-02T16:54:40.987+0000"


def test_configuration_of_a_math_alarm_lists_expressions_and_metrics() -> None:
    record = {
        "AlarmName": "a",
        "AlarmArn": "arn:a",
        "AlarmDescription": "too many",
        "Metrics": [
            {"Id": "e1", "Expression": "m1 * 2", "ReturnData": True},
            {"Id": "m1", "ReturnData": False, "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "p95"}},
        ],
    }
    assert configuration(record) == {
        "description": "too many",
        "metrics": [
            {"expression": "m1 * 2", "id": "e1", "returnData": True},
            {
                "id": "m1",
                "metricStat": {"metric": {"dimensions": {}, "name": "M", "namespace": "N"}, "period": 60, "stat": "p95"},
                "returnData": False,
            },
        ],
    }


# -- in the emulator -------------------------------------------------------------------------------


class Wire:
    """A queue that gets what an alarm's rule and topic send."""

    def __init__(self, aws: ClientFactory, name: str) -> None:
        self.sqs = aws("sqs")
        self.url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        self.arn = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        senders = {"Service": ["events.amazonaws.com", "sns.amazonaws.com"]}
        statement = {"Effect": "Allow", "Principal": senders, "Action": "sqs:SendMessage", "Resource": self.arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})
        events = aws("events")
        pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": [{"prefix": name}]}}
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": self.arn}])
        self.topic = aws("sns").create_topic(Name=name)["TopicArn"]
        aws("sns").subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self.arn)

    def receive(self) -> list[dict[str, Any]]:
        found = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]


def state_of(aws: ClientFactory, name: str) -> str:
    found = aws("cloudwatch").describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return str((found["MetricAlarms"] + found["CompositeAlarms"])[0]["StateValue"])


def put(aws: ClientFactory, namespace: str, name: str, values: list[float], **dimensions: str) -> None:
    listed = [{"Name": key, "Value": text} for key, text in dimensions.items()]
    datum = {"MetricName": name, "Values": values, "Dimensions": listed, "Timestamp": dt.datetime.now(dt.UTC)}
    aws("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])


def test_an_alarm_watches_its_own_dimensions_and_tells_rule_and_topic(aws: ClientFactory, wait_until: Callable[..., Any]) -> None:
    wire = Wire(aws, "alarm-dimensions")
    for variant in ("champion", "challenger"):
        aws("cloudwatch").put_metric_alarm(
            AlarmName=f"alarm-dimensions-{variant}", Namespace="T/Dimensions", MetricName="Errors", Statistic="Sum", Period=60,
            EvaluationPeriods=1, Threshold=3, ComparisonOperator="GreaterThanOrEqualToThreshold", TreatMissingData="notBreaching",
            Dimensions=[{"Name": "Variant", "Value": variant}], AlarmActions=[wire.topic],
        )  # fmt: skip
    put(aws, "T/Dimensions", "Errors", [0.0, 0.0, 0.0], Variant="champion")
    put(aws, "T/Dimensions", "Errors", [1.0, 1.0, 1.0], Variant="challenger")
    received: list[dict[str, Any]] = []

    def alarmed() -> bool:
        received.extend(wire.receive())
        return any(m.get("detail", {}).get("state", {}).get("value") == "ALARM" for m in received) and any(
            "TopicArn" in m for m in received
        )

    wait_until(alarmed)
    event = next(m for m in received if m.get("detail", {}).get("state", {}).get("value") == "ALARM")
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["resources"] == ["arn:aws:cloudwatch:us-east-1:000000000000:alarm:alarm-dimensions-challenger"]
    assert event["detail"]["previousState"]["value"] in ("OK", "INSUFFICIENT_DATA")
    assert event["detail"]["configuration"]["metrics"][0]["metricStat"]["metric"]["dimensions"] == {"Variant": "challenger"}
    assert json.loads(event["detail"]["state"]["reasonData"])["recentDatapoints"][-1] == 3.0
    notified = json.loads(next(m for m in received if "TopicArn" in m)["Message"])
    assert (notified["AlarmName"], notified["NewStateValue"]) == ("alarm-dimensions-challenger", "ALARM")
    assert state_of(aws, "alarm-dimensions-champion") == "OK"


def test_metric_math_and_percentiles_drive_alarms(aws: ClientFactory, wait_until: Callable[..., Any]) -> None:
    def metric(identifier: str, name: str, stat: str) -> dict[str, Any]:
        metric_stat = {"Metric": {"Namespace": "T/Math", "MetricName": name}, "Period": 60, "Stat": stat}
        return {"Id": identifier, "ReturnData": False, "MetricStat": metric_stat}

    aws("cloudwatch").put_metric_alarm(
        AlarmName="alarm-math", EvaluationPeriods=1, Threshold=20, ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        Metrics=[
            {"Id": "share", "Expression": "100 * errors / MAX([calls, 1])", "ReturnData": True},
            metric("errors", "Errors", "Sum"),
            metric("calls", "Calls", "SampleCount"),
        ],
    )  # fmt: skip
    aws("cloudwatch").put_metric_alarm(
        AlarmName="alarm-percentile", Namespace="T/Math", MetricName="Latency", ExtendedStatistic="p90", Period=60, EvaluationPeriods=1,
        Threshold=90, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
    )  # fmt: skip
    shown = aws("cloudwatch").describe_alarms(AlarmNames=["alarm-math"])["MetricAlarms"][0]
    assert [entry["Id"] for entry in shown["Metrics"]] == ["share", "errors", "calls"]
    assert "MetricName" not in shown
    aws("cloudwatch").put_metric_data(
        Namespace="T/Math",
        MetricData=[
            *({"MetricName": "Calls", "Value": 1.0} for _ in range(10)),
            {"MetricName": "Errors", "Value": 3.0},
            {"MetricName": "Latency", "Values": [float(n) for n in range(1, 101)]},
        ],
    )
    wait_until(lambda: state_of(aws, "alarm-math") == "ALARM" and state_of(aws, "alarm-percentile") == "ALARM")
    assert "30.0" in aws("cloudwatch").describe_alarms(AlarmNames=["alarm-math"])["MetricAlarms"][0]["StateReason"]


def test_a_composite_alarm_follows_its_rule(aws: ClientFactory, wait_until: Callable[..., Any]) -> None:
    wire = Wire(aws, "alarm-composite")
    for name in ("alarm-part-a", "alarm-part-b"):
        aws("cloudwatch").put_metric_alarm(
            AlarmName=name, Namespace="T/Composite", MetricName=name, Statistic="Sum", Period=3600, EvaluationPeriods=1, Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
    rule = "ALARM(alarm-part-a) AND NOT ALARM(alarm-part-b)"
    aws("cloudwatch").put_composite_alarm(AlarmName="alarm-composite", AlarmRule=rule)
    aws("cloudwatch").set_alarm_state(AlarmName="alarm-part-a", StateValue="ALARM", StateReason="by hand")
    wait_until(lambda: state_of(aws, "alarm-composite") == "ALARM")
    aws("cloudwatch").set_alarm_state(AlarmName="alarm-part-b", StateValue="ALARM", StateReason="by hand")
    wait_until(lambda: state_of(aws, "alarm-composite") == "OK")
    received: list[dict[str, Any]] = []

    def both_events() -> bool:
        received.extend(wire.receive())
        return len(received) >= 2

    wait_until(both_events)
    assert {event["detail"]["state"]["value"] for event in received} >= {"ALARM", "OK"}
    assert received[0]["detail"]["configuration"]["alarmRule"] == rule


def test_a_state_that_was_set_holds_until_the_period_ends(aws: ClientFactory, wait_until: Callable[..., Any]) -> None:
    aws("cloudwatch").put_metric_alarm(
        AlarmName="alarm-set", Namespace="T/Set", MetricName="Quiet", Statistic="Sum", Period=120, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip
    wait_until(lambda: state_of(aws, "alarm-set") == "OK")
    period = 120 * 0.02
    time.sleep(period - time.time() % period + 0.1)
    aws("cloudwatch").set_alarm_state(AlarmName="alarm-set", StateValue="ALARM", StateReason="by hand")
    assert state_of(aws, "alarm-set") == "ALARM"
    wait_until(lambda: state_of(aws, "alarm-set") == "OK")
    changes = aws("cloudwatch").describe_alarm_history(AlarmName="alarm-set", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    assert len([change for change in changes if "to ALARM" in change["HistorySummary"]]) == 1
