"""Embedded metric format: what functions print as JSON becomes CloudWatch metrics."""

from __future__ import annotations

import datetime as dt
import io
import json
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from embedded_aws.cloudwatch.embedded_metrics import MetricValue, extract

ClientFactory = Callable[..., Any]


def document(*directives: dict[str, Any], **members: Any) -> str:
    return json.dumps({"_aws": {"Timestamp": 1_700_000_000_000, "CloudWatchMetrics": list(directives)}, **members})


def directive(*names: str, dimensions: list[list[str]] | None = None, unit: str | None = None) -> dict[str, Any]:
    metrics = [{"Name": name, **({"Unit": unit} if unit else {})} for name in names]
    return {"Namespace": "N", "Metrics": metrics, "Dimensions": dimensions if dimensions is not None else [["service"]]}


def test_each_metric_is_found_with_its_unit_and_dimensions() -> None:
    line = document(directive("Latency", "Calls", unit="Count"), service="predict", Latency=2, Calls=3.5, other=9)
    assert list(extract(line)) == [
        MetricValue("N", "Latency", 2.0, "Count", {"service": "predict"}),
        MetricValue("N", "Calls", 3.5, "Count", {"service": "predict"}),
    ]


def test_each_set_of_dimensions_has_its_own_value_and_a_list_is_many_values() -> None:
    line = document(directive("M", dimensions=[["a"], ["a", "b"], []]), a="1", b=2, M=[1, 2])
    found = list(extract(line))
    assert [(metric.dimensions, metric.value) for metric in found] == [
        ({"a": "1"}, 1.0), ({"a": "1"}, 2.0), ({"a": "1", "b": "2"}, 1.0), ({"a": "1", "b": "2"}, 2.0), ({}, 1.0), ({}, 2.0),
    ]  # fmt: skip
    assert {metric.unit for metric in found} == {"None"}


@pytest.mark.parametrize(
    "line",
    [
        "START RequestId: 1",
        '{"level": "INFO", "message": "no metrics here"}',
        '{"_aws": "text"}',
        '{"_aws": {}}',
        '["_aws"]',
        '{"_aws": ',
        document(directive("M")),
        document(directive("M"), M="fast"),
        document(directive("M"), M=True),
        document(directive("M"), M=None),
        document(directive("M"), M={"Values": [1]}),
    ],
)
def test_any_other_line_has_no_metric(line: str) -> None:
    assert list(extract(line)) == []


def test_what_powertools_prints_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics(namespace="Shop/test", service="detect-drift")
    metrics.clear_metrics()  # those of a function that an earlier test of this process called
    metrics.add_metric("DriftScore", MetricUnit.NoUnit, 1.5)
    metrics.add_metric("DriftScore", MetricUnit.NoUnit, 0.5)
    metrics.flush_metrics()
    found = list(extract(capsys.readouterr().out.strip()))
    assert [(m.namespace, m.name, m.value, m.dimensions) for m in found] == [
        ("Shop/test", "DriftScore", value, {"service": "detect-drift"}) for value in (1.5, 0.5)
    ]


def test_a_functions_metrics_reach_cloudwatch_and_its_log(
    aws: ClientFactory, make_role: Callable[..., str], wait_until: Callable[..., Any]
) -> None:
    name = f"metrics-{uuid.uuid4().hex[:8]}"
    code = f"""
def handler(event, context):
    print({document(directive("Seen", unit="Count"), service=name, Seen=3)!r})
    print("done")
    if event.get("fail"):
        raise ValueError("after its metric")
"""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("index.py", code)
    role = make_role(name, [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}], ["lambda.amazonaws.com"])
    aws("lambda").create_function(
        FunctionName=name, Runtime="python3.11", Handler="index.handler", Role=role, Code={"ZipFile": archive.getvalue()}
    )

    def total() -> float:
        now = dt.datetime.now(dt.UTC)
        statistics = aws("cloudwatch").get_metric_statistics(
            Namespace="N", MetricName="Seen", Dimensions=[{"Name": "service", "Value": name}], Statistics=["Sum"], Period=3_600,
            StartTime=now - dt.timedelta(hours=1), EndTime=now + dt.timedelta(hours=1),
        )  # fmt: skip
        return sum(point["Sum"] for point in statistics["Datapoints"])

    assert "FunctionError" not in aws("lambda").invoke(FunctionName=name)
    wait_until(lambda: total() == 3)
    assert "FunctionError" in aws("lambda").invoke(FunctionName=name, Payload=json.dumps({"fail": True}).encode())
    wait_until(lambda: total() == 6)
    events = aws("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    assert [event["message"].strip() for event in events].count("done") == 2
