"""UpdateEndpoint and UpdateEndpointWeightsAndCapacities: retention, guardrails, rollback by alarm."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.sagemaker.hosting import traffic
from embedded_aws.testing import hosting as support
from embedded_aws.tools import launcher

CANARY = {"Type": "CANARY", "WaitIntervalInSeconds": 300, "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50}}


@pytest.fixture(scope="module")
def hosting(aws: Any, make_role: Any) -> support.Hosting:
    return support.prepare(aws, make_role, "update-tests")


@pytest.fixture(scope="module")
def old(hosting: support.Hosting) -> str:
    return hosting.model("old")


@pytest.fixture(scope="module")
def new(hosting: support.Hosting) -> str:
    return hosting.model("new")


@pytest.fixture
def alarm(aws: Any) -> str:
    """An alarm on a metric that nobody writes: only SetAlarmState moves it."""
    name = f"rollback-{uuid.uuid4().hex[:8]}"
    aws("cloudwatch").put_metric_alarm(
        AlarmName=name, Namespace="Nobody", MetricName="Writes", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
    )  # fmt: skip
    return name


def _pair(champion: str, challenger: str, *, count: int = 1, weights: tuple[float, float] = (1.0, 1.0)) -> list[dict[str, Any]]:
    return [
        {"name": "champion", "model": champion, "count": count, "weight": weights[0]},
        {"name": "challenger", "model": challenger, "count": count, "weight": weights[1]},
    ]


def _deployment(routing: dict[str, Any], alarm: str | None = None, bake: int = 0) -> dict[str, Any]:
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": bake, "MaximumExecutionTimeoutInSeconds": 3_600}
    rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": alarm}]}} if alarm else {}
    return {"BlueGreenUpdatePolicy": policy, **rollback}


def _update(hosting: support.Hosting, name: str, config: str, **more: Any) -> dict[str, Any]:
    hosting.aws("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=config, **more)
    return hosting.settled(name)


def _weigh(hosting: support.Hosting, name: str, *changes: dict[str, Any]) -> None:
    hosting.aws("sagemaker").update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=list(changes))
    assert hosting.settled(name)["EndpointStatus"] == "InService"


def _weights_and_counts(hosting: support.Hosting, name: str) -> dict[str, tuple[float, float, int, int]]:
    return {
        variant: (row["CurrentWeight"], row["DesiredWeight"], row["CurrentInstanceCount"], row["DesiredInstanceCount"])
        for variant, row in hosting.variants(name).items()
    }


def _shifted(hosting: support.Hosting, model: str) -> str:
    """An endpoint whose live weight and count differ from its configuration."""
    name = hosting.endpoint(hosting.config(_pair(model, model)))
    _weigh(hosting, name, {"VariantName": "champion", "DesiredWeight": 7.0}, {"VariantName": "challenger", "DesiredInstanceCount": 2})
    assert _weights_and_counts(hosting, name) == {"champion": (7.0, 7.0, 1, 1), "challenger": (1.0, 1.0, 2, 2)}
    return name


def test_without_retention_an_update_resets_weights_and_counts(hosting: support.Hosting, old: str, new: str) -> None:
    name = _shifted(hosting, old)
    described = _update(hosting, name, hosting.config(_pair(new, new)))
    assert described["EndpointStatus"] == "InService"
    assert _weights_and_counts(hosting, name) == {"champion": (1.0, 1.0, 1, 1), "challenger": (1.0, 1.0, 1, 1)}
    assert hosting.invoke(name)[0]["label"] == "new"


def test_retention_keeps_weights_and_counts(hosting: support.Hosting, old: str, new: str) -> None:
    name = _shifted(hosting, old)
    _update(hosting, name, hosting.config(_pair(new, new)), RetainAllVariantProperties=True)
    assert _weights_and_counts(hosting, name) == {"champion": (7.0, 7.0, 1, 1), "challenger": (1.0, 1.0, 2, 2)}
    assert len(hosting.pids(name, "challenger")) == 2


def test_an_excluded_property_is_taken_from_the_configuration(hosting: support.Hosting, old: str, new: str) -> None:
    name = _shifted(hosting, old)
    excluded = [{"VariantPropertyType": "DesiredWeight"}]
    config = hosting.config(_pair(new, new, weights=(2.0, 3.0)))
    _update(hosting, name, config, RetainAllVariantProperties=True, ExcludeRetainedVariantProperties=excluded)
    assert _weights_and_counts(hosting, name) == {"champion": (2.0, 2.0, 1, 1), "challenger": (3.0, 3.0, 2, 2)}


def test_renamed_variants_are_refused_under_a_deployment_policy(hosting: support.Hosting, old: str, new: str) -> None:
    first = hosting.config([{"name": "champion", "model": old}])
    name = hosting.endpoint(first)
    renamed = hosting.config([{"name": "blue", "model": new}])
    with pytest.raises(ClientError, match="must be the same as those of the current endpoint configuration"):
        _update(hosting, name, renamed, DeploymentConfig=_deployment({"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}))
    assert hosting.describe(name)["EndpointConfigName"] == first


def test_a_canary_of_one_instance_is_refused(hosting: support.Hosting, old: str, new: str) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": old}]))
    with pytest.raises(ClientError, match=r"less than or equal to 50% of the variant's total instance count"):
        _update(hosting, name, hosting.config([{"name": "champion", "model": new}]), DeploymentConfig=_deployment(CANARY))


def test_waits_beyond_the_execution_timeout_are_refused(hosting: support.Hosting, old: str, new: str) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": old, "count": 2}]))
    deployment = _deployment(CANARY, bake=500)
    deployment["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = 800
    with pytest.raises(ClientError, match="must be larger than the total waiting time of 800 seconds"):
        _update(hosting, name, hosting.config([{"name": "champion", "model": new, "count": 2}]), DeploymentConfig=deployment)


def test_a_rolling_update_of_two_variants_is_refused(hosting: support.Hosting, old: str, new: str) -> None:
    name = hosting.endpoint(hosting.config(_pair(old, old)))
    rolling = {"RollingUpdatePolicy": {"MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 50}, "WaitIntervalInSeconds": 0}}
    with pytest.raises(ClientError, match="not supported for endpoints with multiple production variants"):
        _update(hosting, name, hosting.config(_pair(new, new)), DeploymentConfig=rolling)


def test_both_fleets_serve_during_a_canary_and_the_green_one_stays(
    hosting: support.Hosting, aws: Any, old: str, new: str, wait_until: Callable[..., Any]
) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": old, "count": 2}]))
    config = hosting.config([{"name": "champion", "model": new, "count": 2}])
    aws("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=config, DeploymentConfig=_deployment(CANARY, bake=60))

    def baking() -> Any:
        described = hosting.describe(name)
        green = described.get("PendingDeploymentSummary", {}).get("ProductionVariants", [{}])[0]
        status = green.get("VariantStatus", [{}])[0].get("Status")
        return described if status == "Baking" else None

    described = wait_until(baking)
    assert described["EndpointStatus"] == "Updating"
    assert described["PendingDeploymentSummary"]["EndpointConfigName"] == config
    answers = Counter(hosting.invoke(name)[0]["label"] for _ in range(100))
    # Half and half: 50 expected, five a standard deviation; outside 20..80 means a fleet got the wrong share.
    assert 20 <= answers["new"] <= 80
    assert answers["new"] + answers["old"] == 100
    points = aws("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker", MetricName="Invocations", StartTime=time.time() - 600, EndTime=time.time() + 60, Period=3600,
        Statistics=["Sum"],
        Dimensions=[
            {"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": "champion"},
            {"Name": "EndpointConfigName", "Value": config},
        ],
    )["Datapoints"]  # fmt: skip
    assert sum(point["Sum"] for point in points) == answers["new"]
    settled = hosting.settled(name)
    assert (settled["EndpointStatus"], settled["EndpointConfigName"]) == ("InService", config)
    assert "PendingDeploymentSummary" not in settled
    assert {hosting.invoke(name)[0]["label"] for _ in range(10)} == {"new"}


def test_an_alarm_during_the_canary_rolls_back_to_the_old_config(
    hosting: support.Hosting, old: str, new: str, alarm: str, wait_until: Callable[..., Any]
) -> None:
    aws = hosting.aws
    first = hosting.config([{"name": "champion", "model": old, "count": 2}])
    name = hosting.endpoint(first)
    config = hosting.config([{"name": "champion", "model": new, "count": 2}])
    deployment = _deployment({**CANARY, "WaitIntervalInSeconds": 3_000}, alarm)
    aws("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=config, DeploymentConfig=deployment)
    wait_until(lambda: "new" in {hosting.invoke(name)[0]["label"] for _ in range(10)})
    aws("cloudwatch").set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="test")
    settled = hosting.settled(name)
    assert (settled["EndpointStatus"], settled["EndpointConfigName"]) == ("InService", first)
    assert alarm in settled["FailureReason"]
    assert {hosting.invoke(name)[0]["label"] for _ in range(10)} == {"old"}


def test_a_role_that_may_not_describe_the_alarms_cannot_guard_an_update(
    hosting: support.Hosting, aws: Any, make_role: Any, old: str, alarm: str
) -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{hosting.bucket}/*"}
    blind = support.Hosting(aws, make_role("update-blind-role", [statement]), hosting.bucket)
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": old}]))
    config = hosting.config([{"name": "champion", "model": blind.model("blind")}])
    deployment = _deployment({"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}, alarm)
    with pytest.raises(ClientError, match="cloudwatch:DescribeAlarms"):
        _update(hosting, name, config, DeploymentConfig=deployment)


def test_a_green_fleet_that_does_not_start_leaves_the_old_one_in_service(hosting: support.Hosting, old: str) -> None:
    first = hosting.config([{"name": "champion", "model": old}])
    name = hosting.endpoint(first)
    settled = _update(hosting, name, hosting.config([{"name": "champion", "model": hosting.model("dead", REFUSE_TO_START="1")}]))
    assert (settled["EndpointStatus"], settled["EndpointConfigName"]) == ("InService", first)
    assert "did not pass the ping health check" in settled["FailureReason"]
    assert hosting.invoke(name)[0]["label"] == "old"


def test_deleting_the_old_config_in_mid_update_breaks_the_endpoint(
    hosting: support.Hosting, aws: Any, old: str, new: str, wait_until: Callable[..., Any]
) -> None:
    first = hosting.config([{"name": "champion", "model": old, "count": 2}])
    name = hosting.endpoint(first)
    config = hosting.config([{"name": "champion", "model": new, "count": 2}])
    deployment = _deployment({**CANARY, "WaitIntervalInSeconds": 3_000})
    aws("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=config, DeploymentConfig=deployment)
    wait_until(lambda: "PendingDeploymentSummary" in hosting.describe(name))
    aws("sagemaker").delete_endpoint_config(EndpointConfigName=first)
    settled = hosting.settled(name)
    assert settled["EndpointStatus"] == "Failed"
    assert "Could not find endpoint configuration" in settled["FailureReason"]


def test_changes_during_an_update_are_refused(hosting: support.Hosting, aws: Any, old: str, new: str) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": old, "count": 2}]))
    config = hosting.config([{"name": "champion", "model": new, "count": 2}])
    client = aws("sagemaker")
    client.update_endpoint(EndpointName=name, EndpointConfigName=config, DeploymentConfig=_deployment(CANARY))
    weights = [{"VariantName": "champion", "DesiredWeight": 2.0}]
    for change in (
        lambda: client.update_endpoint(EndpointName=name, EndpointConfigName=config),
        lambda: client.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=weights),
        lambda: client.delete_endpoint(EndpointName=name),
    ):
        with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
            change()
    assert hosting.settled(name)["EndpointConfigName"] == config


def test_no_request_fails_while_an_update_swaps_the_fleets(hosting: support.Hosting, aws: Any, old: str, new: str) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": old}]))
    config = hosting.config([{"name": "champion", "model": new}])
    aws("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=config)
    labels = []
    while hosting.describe(name)["EndpointStatus"] == "Updating":
        labels.append(hosting.invoke(name)[0]["label"])
    labels.append(hosting.invoke(name)[0]["label"])
    assert labels[-1] == "new"
    assert labels == sorted(labels, reverse=True)  # all "old" come before the first "new"


def test_capacity_changes_start_and_stop_processes(hosting: support.Hosting, old: str) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": old}]))
    _weigh(hosting, name, {"VariantName": "champion", "DesiredInstanceCount": 3})
    assert len(hosting.pids(name, "champion")) == 3
    _weigh(hosting, name, {"VariantName": "champion", "DesiredInstanceCount": 1})
    assert len(hosting.pids(name, "champion")) == 1


def test_unknown_variants_zero_instances_and_two_capacities_are_refused(hosting: support.Hosting, old: str) -> None:
    name = hosting.endpoint(hosting.config(_pair(old, old)))
    with pytest.raises(ClientError, match="nobody"):
        _weigh(hosting, name, {"VariantName": "nobody", "DesiredWeight": 1.0})
    with pytest.raises(ClientError, match="at least 1"):
        _weigh(hosting, name, {"VariantName": "champion", "DesiredInstanceCount": 0})
    with pytest.raises(ClientError, match="capacity of one variant"):
        _weigh(
            hosting, name, {"VariantName": "champion", "DesiredInstanceCount": 2}, {"VariantName": "challenger", "DesiredInstanceCount": 2}
        )


@pytest.mark.parametrize(
    ("routing", "counts", "expected"),
    [
        ({"Type": "ALL_AT_ONCE"}, {"a": 1}, [{"a": 1}]),
        (
            {"Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50}},
            {"a": 3, "b": 2},
            [{"a": 1, "b": 1}, {"a": 3, "b": 2}],
        ),
        ({"Type": "CANARY", "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 2}}, {"a": 4}, [{"a": 2}, {"a": 4}]),
        (
            {"Type": "LINEAR", "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 25}},
            {"a": 4},
            [{"a": 1}, {"a": 2}, {"a": 3}, {"a": 4}],
        ),
        (
            {"Type": "LINEAR", "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 50}},
            {"a": 2, "b": 5},
            [{"a": 1, "b": 2}, {"a": 2, "b": 4}, {"a": 2, "b": 5}],
        ),
    ],
)
def test_shift_steps_end_with_every_instance(routing: dict[str, Any], counts: dict[str, int], expected: list[dict[str, int]]) -> None:
    assert traffic.shift_steps({"TrafficRoutingConfiguration": routing}, counts) == expected


@pytest.mark.parametrize(
    ("routing", "count"),
    [
        ({"Type": "CANARY"}, 4),
        ({"Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 60}}, 10),
        ({"Type": "CANARY", "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 3}}, 4),
        ({"Type": "LINEAR", "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 5}}, 20),
        ({"Type": "LINEAR", "LinearStepSize": {"Type": "INSTANCE_COUNT", "Value": 1}}, 11),
    ],
)
def test_step_sizes_outside_the_services_bounds_are_refused(routing: dict[str, Any], count: int) -> None:
    with pytest.raises(traffic.BadShiftPolicy):
        traffic.shift_steps({"TrafficRoutingConfiguration": routing}, {"champion": count})


# -- processes that cannot be started --------------------------------------------------------------


@contextmanager
def no_more_processes(emulator: launcher.Emulator, endpoint: str) -> Iterator[None]:
    """A file where the folder of the logs of a variant's processes must be: each start fails with an OSError."""
    logs = emulator.run_dir / "logs" / "endpoints" / endpoint / "champion"
    aside = logs.rename(logs.with_name("aside"))
    logs.touch()
    try:
        yield
    finally:
        logs.unlink()
        aside.rename(logs)


def test_a_scaling_that_cannot_start_a_process_is_rolled_back(hosting: support.Hosting, emulator: launcher.Emulator, old: str) -> None:
    name = hosting.endpoint(hosting.config(_pair(old, old)))
    with no_more_processes(emulator, name):
        _weigh(hosting, name, {"VariantName": "champion", "DesiredInstanceCount": 2})
    assert _weights_and_counts(hosting, name)["champion"] == (1.0, 1.0, 1, 1)
    assert "InternalServerException" in hosting.describe(name)["FailureReason"]
    _weigh(hosting, name, {"VariantName": "champion", "DesiredInstanceCount": 2})
    assert _weights_and_counts(hosting, name)["champion"] == (1.0, 1.0, 2, 2)


def test_an_instance_that_could_not_be_started_again_is_tried_until_it_can(
    hosting: support.Hosting, emulator: launcher.Emulator, old: str, wait_until: Callable[..., Any]
) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": old}]))
    with no_more_processes(emulator, name):
        os.kill(hosting.invoke(name)[0]["pid"], signal.SIGKILL)
        time.sleep(1)  # some health checks

    def answers() -> bool:
        try:
            return bool(hosting.invoke(name))
        except ClientError:
            return False

    assert wait_until(answers)
