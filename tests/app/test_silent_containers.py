"""Containers that give no status code: what hosting answers and counts, and that the stack's own alarm rolls their update back."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from deployed_app import NAMES

from embedded_aws.testing import hosting as support

pytestmark = pytest.mark.slow

CANARY = {"Type": "CANARY", "WaitIntervalInSeconds": 3_000, "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50}}
COUNTS = ("Invocations", "Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors")


@pytest.fixture(scope="module")
def hosting(aws: Any, make_role: Any) -> support.Hosting:
    return support.prepare(aws, make_role, "unanswered-tests")


def counts(hosting: support.Hosting, name: str, config: str | None = None) -> dict[str, float]:
    now, dimensions = time.time(), {"EndpointName": name, "VariantName": "champion"} | ({"EndpointConfigName": config} if config else {})
    return {
        metric: sum(
            point["Sum"]
            for point in hosting.aws("cloudwatch").get_metric_statistics(
                Namespace="AWS/SageMaker", MetricName=metric, StartTime=now - 600, EndTime=now + 60, Period=3600, Statistics=["Sum"],
                Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
            )["Datapoints"]
        )
        for metric in COUNTS
    }  # fmt: skip


def test_a_container_that_crashes_is_a_model_error_without_a_status_code(hosting: support.Hosting) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": hosting.model("silent")}]))
    hosting.invoke(name)
    with pytest.raises(ClientError) as caught:
        hosting.invoke(name, "crash")
    assert caught.value.response["Error"]["Code"] == "ServiceUnavailable"
    calls, *coded, errors = counts(hosting, name).values()
    assert coded == [0, 0]
    assert calls - 1 == errors > 0  # the client has tried more than once


@contextmanager
def stacks_own_alarm(hosting: support.Hosting, assembly: Path, name: str, config: str) -> Iterator[str]:
    """The endpoint stack's rollback alarm on failures, as its template has it, on this endpoint and configuration."""
    template = json.loads((assembly / f"{NAMES.stack('endpoint')}.template.json").read_text())
    (alarm,) = (
        item["Properties"]
        for item in template["Resources"].values()
        if item["Type"] == "AWS::CloudWatch::Alarm" and "-champion-green-errors-" in json.dumps(item)
    )
    metrics = json.loads(json.dumps(alarm["Metrics"]))
    for metric in metrics:
        for dimension in metric.get("MetricStat", {}).get("Metric", {}).get("Dimensions", []):
            dimension["Value"] = {"EndpointName": name, "VariantName": "champion", "EndpointConfigName": config}[dimension["Name"]]
    called = f"silent-{uuid.uuid4().hex[:8]}"
    kept = ("Threshold", "ComparisonOperator", "TreatMissingData")
    cloudwatch = hosting.aws("cloudwatch")
    cloudwatch.put_metric_alarm(AlarmName=called, Metrics=metrics, EvaluationPeriods=1, **{key: alarm[key] for key in kept})
    yield called
    cloudwatch.delete_alarms(AlarmNames=[called])


@pytest.mark.parametrize("text", ["crash", "hang"])
def test_an_update_to_a_container_that_gives_no_answer_is_rolled_back(
    hosting: support.Hosting, synthesised: Callable[[str], Path], text: str, wait_until: Callable[..., Any]
) -> None:
    first = hosting.config([{"name": "champion", "model": hosting.model("old"), "count": 2}])
    name = hosting.endpoint(first)
    config = hosting.config([{"name": "champion", "model": hosting.model("silent"), "count": 2}])
    with stacks_own_alarm(hosting, synthesised("dev"), name, config) as alarm:
        deployment = {
            "BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": CANARY, "MaximumExecutionTimeoutInSeconds": 3_600},
            "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]},
        }
        hosting.aws("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=config, DeploymentConfig=deployment)
        wait_until(lambda: "silent" in {hosting.invoke(name)[0]["label"] for _ in range(10)})

        def call(_: int) -> None:
            if hosting.describe(name)["EndpointStatus"] == "Updating":
                with suppress(ClientError):
                    hosting.invoke(name, text)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(call, range(24)))  # each reaches the new fleet with one chance in two
        settled = hosting.settled(name)
    assert (settled["EndpointStatus"], settled["EndpointConfigName"]) == ("InService", first)
    assert alarm in settled["FailureReason"]
    seen = counts(hosting, name, config)
    assert (seen["Invocation4XXErrors"], seen["Invocation5XXErrors"]) == (0, 0)
    assert 0 < seen["InvocationModelErrors"] <= seen["Invocations"]


def test_a_container_that_hangs_is_answered_as_hosting_does(hosting: support.Hosting) -> None:
    """ModelError with status 0, by the text that callers of the service report."""
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": hosting.model("silent")}]))
    with pytest.raises(ClientError) as caught:
        hosting.invoke(name, "hang")
    response: Any = caught.value.response
    assert (response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]) == (424, "ModelError")
    assert (response["OriginalStatusCode"], response["OriginalMessage"][:26]) == (0, "Your invocation timed out ")
    assert list(counts(hosting, name).values()) == [1, 0, 0, 1]
