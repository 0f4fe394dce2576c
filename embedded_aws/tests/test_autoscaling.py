"""Application Auto Scaling of endpoint variants: registration rules, scale out, scale in, and what it blocks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.application_autoscaling.target_tracking import Tracker, decide, in_flight
from embedded_aws.testing import hosting as support

DIMENSION = "sagemaker:variant:DesiredInstanceCount"


@pytest.fixture(scope="module")
def hosting(aws: Any, make_role: Any) -> support.Hosting:
    return support.prepare(aws, make_role, "scaling-tests")


@pytest.fixture(scope="module")
def model(hosting: support.Hosting) -> str:
    return hosting.model("scaled")


def _target(endpoint: str, variant: str = "champion") -> dict[str, Any]:
    return {"ServiceNamespace": "sagemaker", "ResourceId": f"endpoint/{endpoint}/variant/{variant}", "ScalableDimension": DIMENSION}


def _track(aws: Any, endpoint: str, target_value: float, cooldown: int = 0, metric: str = "SageMakerVariantInvocationsPerInstance") -> None:
    configuration = {
        "TargetValue": target_value,
        "PredefinedMetricSpecification": {"PredefinedMetricType": metric},
        "ScaleOutCooldown": cooldown,
        "ScaleInCooldown": cooldown,
    }
    aws("application-autoscaling").put_scaling_policy(
        PolicyName="track", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=configuration, **_target(endpoint)
    )


@contextmanager
def _traffic(hosting: support.Hosting, endpoint: str) -> Iterator[None]:
    """Requests one after another until the block ends."""
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            hosting.invoke(endpoint)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def test_traffic_adds_a_process_and_silence_removes_it(
    hosting: support.Hosting, aws: Any, model: str, wait_until: Callable[..., Any]
) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": model}]))
    aws("application-autoscaling").register_scalable_target(MinCapacity=1, MaxCapacity=2, **_target(name))
    _track(aws, name, target_value=5)

    def count() -> int:
        return int(hosting.variants(name)["champion"]["CurrentInstanceCount"])

    with _traffic(hosting, name):
        wait_until(lambda: count() == 2)
        hosting.settled(name)
        assert len(hosting.pids(name, "champion")) == 2
    wait_until(lambda: count() == 1)
    hosting.settled(name)
    assert len(hosting.pids(name, "champion", requests=4)) == 1
    activities = aws("application-autoscaling").describe_scaling_activities(
        ServiceNamespace="sagemaker", ResourceId=f"endpoint/{name}/variant/champion"
    )["ScalingActivities"]
    assert [activity["Description"] for activity in activities] == [
        "Setting desired instance count to 1.",
        "Setting desired instance count to 2.",
    ]


def test_instances_below_the_minimum_are_added_on_registration(
    hosting: support.Hosting, aws: Any, model: str, wait_until: Callable[..., Any]
) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": model}]))
    aws("application-autoscaling").register_scalable_target(MinCapacity=2, MaxCapacity=3, **_target(name))
    wait_until(lambda: hosting.variants(name)["champion"]["CurrentInstanceCount"] == 2)


def test_a_target_and_its_policy_read_back_and_go_together(hosting: support.Hosting, aws: Any, model: str) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": model}]))
    client = aws("application-autoscaling")
    client.register_scalable_target(MinCapacity=1, MaxCapacity=4, **_target(name))
    client.register_scalable_target(MaxCapacity=3, **_target(name))
    _track(aws, name, target_value=600, cooldown=60)
    resource = _target(name)["ResourceId"]
    (target,) = client.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[resource])["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 3)
    (policy,) = client.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=resource)["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 600
    client.deregister_scalable_target(**_target(name))
    assert client.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=resource)["ScalingPolicies"] == []
    with pytest.raises(ClientError, match="ObjectNotFoundException"):
        client.deregister_scalable_target(**_target(name))


def test_targets_that_cannot_scale_are_refused(hosting: support.Hosting, aws: Any, model: str) -> None:
    client = aws("application-autoscaling")
    with pytest.raises(ClientError, match="not found"):
        client.register_scalable_target(MinCapacity=1, MaxCapacity=2, **_target("no-such-endpoint"))
    small = hosting.endpoint(hosting.config([{"name": "champion", "model": model, "type": "ml.t2.medium"}]))
    with pytest.raises(ClientError, match="does not support automatic scaling"):
        client.register_scalable_target(MinCapacity=1, MaxCapacity=2, **_target(small))
    fine = hosting.endpoint(hosting.config([{"name": "champion", "model": model}]))
    with pytest.raises(ClientError, match="nobody"):
        client.register_scalable_target(MinCapacity=1, MaxCapacity=2, **_target(fine, "nobody"))
    with pytest.raises(ClientError, match="must be at least 1"):
        client.register_scalable_target(MinCapacity=0, MaxCapacity=2, **_target(fine))
    with pytest.raises(ClientError, match="No scalable target registered"):
        _track(aws, fine, target_value=1)


def test_a_scaled_variant_keeps_its_instance_type_until_deregistered(hosting: support.Hosting, aws: Any, model: str) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": model}]))
    client = aws("application-autoscaling")
    client.register_scalable_target(MinCapacity=1, MaxCapacity=2, **_target(name))
    bigger = hosting.config([{"name": "champion", "model": model, "type": "ml.m5.xlarge"}])
    dropped = hosting.config([{"name": "other", "model": model}])
    for config in (bigger, dropped):
        with pytest.raises(ClientError, match="deregister it as a scalable target"):
            aws("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=config)
    client.deregister_scalable_target(**_target(name))
    aws("sagemaker").update_endpoint(EndpointName=name, EndpointConfigName=bigger)
    assert hosting.settled(name)["EndpointConfigName"] == bigger


def test_deleting_the_endpoint_deregisters_its_targets(
    hosting: support.Hosting, aws: Any, model: str, wait_until: Callable[..., Any]
) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": model}]))
    client = aws("application-autoscaling")
    client.register_scalable_target(MinCapacity=1, MaxCapacity=2, **_target(name))
    aws("sagemaker").delete_endpoint(EndpointName=name)
    resource = _target(name)["ResourceId"]
    wait_until(lambda: not client.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[resource])["ScalableTargets"])


@pytest.mark.parametrize(
    ("rates", "current", "more", "seconds_since", "expected"),
    [
        ([0.0] * 12 + [90.0] * 3, 2, {}, 1e6, 2),  # below the target of 100 and above 90 % of it within the window
        ([0.0] * 12 + [250.0] * 3, 2, {}, 1e6, 5),  # ceil(2 * 250 / 100)
        ([0.0] * 12 + [900.0] * 3, 2, {}, 1e6, 6),  # bounded by the highest capacity
        ([0.0] * 13 + [250.0] * 2, 2, {}, 1e6, 2),  # two minutes above are one too few
        ([0.0] * 12 + [250.0] * 3, 2, {"ScaleOutCooldown": 60}, 30, 2),  # cooling down
        ([0.0] * 15, 4, {}, 1e6, 1),
        ([40.0] * 15, 4, {}, 1e6, 2),  # ceil(4 * 40 / 100): what the load still needs
        ([95.0] + [0.0] * 14, 4, {}, 1e6, 4),  # one busy minute within fifteen keeps the instances
        ([0.0] * 15, 4, {"DisableScaleIn": True}, 1e6, 4),
        ([0.0] * 15, 4, {"ScaleInCooldown": 60}, 30, 4),
    ],
)
def test_target_tracking_decides(rates: list[float], current: int, more: dict[str, Any], seconds_since: float, expected: int) -> None:
    now = 2e6
    tracker = Tracker(out_at=now - seconds_since, in_at=now - seconds_since)
    config = {"TargetValue": 100.0, **more}
    assert decide(config, rates, rates[-3:], current=current, bounds=(1, 6), tracker=tracker, now=now, time_scale=1.0) == expected


def test_calls_that_run_at_the_same_time_count_in_every_period_that_they_touch() -> None:
    calls = [(100.0, 120.0), (105.0, 115.0), (118.0, 131.0), (10.0, 20.0)]
    assert in_flight(calls, 130.0, 10.0, 3) == pytest.approx([1.5, 1.7, 1.0])


def test_a_scheduled_action_raises_the_floor_and_goes_with_its_target(
    hosting: support.Hosting, aws: Any, model: str, wait_until: Callable[..., Any]
) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": model}]))
    client, target = aws("application-autoscaling"), _target(name)
    floor = {"ScheduledActionName": "floor", "ScalableTargetAction": {"MinCapacity": 2}, **target}
    with pytest.raises(ClientError, match="No scalable target registered"):
        client.put_scheduled_action(Schedule="cron(* * * * ? *)", **floor)
    client.register_scalable_target(MinCapacity=1, MaxCapacity=2, **target)
    with pytest.raises(ClientError, match="by cron"):
        client.put_scheduled_action(Schedule="at(2030-01-01T00:00:00)", **floor)
    client.put_scheduled_action(Schedule="cron(* * * * ? *)", **floor)
    (found,) = client.describe_scheduled_actions(ServiceNamespace="sagemaker", ResourceId=target["ResourceId"])["ScheduledActions"]
    assert (found["Schedule"], found["ScalableTargetAction"]) == ("cron(* * * * ? *)", {"MinCapacity": 2})
    wait_until(lambda: hosting.variants(name)["champion"]["CurrentInstanceCount"] == 2)
    client.deregister_scalable_target(**target)
    assert client.describe_scheduled_actions(ServiceNamespace="sagemaker", ResourceId=target["ResourceId"])["ScheduledActions"] == []


def test_concurrent_calls_add_a_process(hosting: support.Hosting, aws: Any, model: str, wait_until: Callable[..., Any]) -> None:
    name = hosting.endpoint(hosting.config([{"name": "champion", "model": model}]))
    aws("application-autoscaling").register_scalable_target(MinCapacity=1, MaxCapacity=2, **_target(name))
    _track(aws, name, target_value=0.01, metric="SageMakerVariantConcurrentRequestsPerModelHighResolution")
    with _traffic(hosting, name):
        wait_until(lambda: hosting.variants(name)["champion"]["CurrentInstanceCount"] == 2)
    hosting.settled(name)
