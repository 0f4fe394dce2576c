"""Application Auto Scaling of endpoint variants: target tracking that starts and stops variant processes, and scheduled bounds.

A background loop, started with the first target, reads the metrics of hosting in scaled time and changes the variant's
instances through UpdateEndpointWeightsAndCapacities, so a running endpoint update blocks it as in AWS.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import threading
import time
import uuid
from typing import Any

from ministack.core import responses
from ministack.services import cloudwatch, eventbridge

from embedded_aws.application_autoscaling.target_tracking import Tracker, decide, in_flight
from embedded_aws.core import api, background, clock
from embedded_aws.core.api import ApiError, Records, Request, Response, operation, validation_error
from embedded_aws.sagemaker.hosting import endpoint_metrics, endpoints, update_endpoint
from embedded_aws.sagemaker.hosting.endpoints import Endpoint
from embedded_aws.sagemaker.hosting.variants import Variant

log = logging.getLogger("embedded_aws")

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_INVOCATIONS = "SageMakerVariantInvocationsPerInstance"
_CONCURRENCY = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
_MINUTES = 15
_HIGH_RESOLUTION_SECONDS = 10.0
_HIGH_RESOLUTION_PERIODS = 3
_POLL_SECONDS = 10.0
_TARGETS = Records("scalable-target")
_POLICIES = Records("scaling-policy")
_ACTIVITIES = Records("scaling-activity")
_SCHEDULED = Records("scheduled-action")
_loop_lock = threading.Lock()
_loop: threading.Thread | None = None


def install() -> None:
    """Endpoints tell Auto Scaling when they are deleted, and ask it before a scaled variant is changed."""
    if _forget not in endpoints.on_delete:
        endpoints.on_delete.append(_forget)
        update_endpoint.on_update.append(_refuse_change_of_scaled_variant)


def _key(request: Request) -> str:
    return f"{request['ServiceNamespace']}|{request['ResourceId']}|{request['ScalableDimension']}"


def _arn(kind: str, rest: str) -> str:
    return f"arn:aws:{kind}:{responses.get_region()}:{responses.get_account_id()}:{rest}"


def _variant(resource_id: str) -> tuple[Endpoint, Variant]:
    """The endpoint and variant of ``endpoint/<name>/variant/<name>``.

    Raises:
        ApiError: ValidationException when either does not exist.
    """
    parts = resource_id.split("/")
    endpoint = endpoints.find(parts[1]) if len(parts) == 4 and parts[0] == "endpoint" and parts[2] == "variant" else None
    variant = endpoint.blue.variants.get(parts[3]) if endpoint and endpoint.status not in ("Creating", "Failed", "Deleting") else None
    if endpoint is None or variant is None:
        raise validation_error(f"SageMaker resource not found or not in service: {resource_id}")
    return endpoint, variant


# -- operations ------------------------------------------------------------------------------------


@operation("application-autoscaling", "RegisterScalableTarget")
def register_scalable_target(request: Request) -> Response:
    """Registers, or updates what is given of, a target. Existing instances outside the new bounds are moved into them."""
    if request["ServiceNamespace"] != "sagemaker" or request["ScalableDimension"] != DIMENSION:
        raise validation_error(f"The embedded AWS scales sagemaker with dimension {DIMENSION} only.")
    _, variant = _variant(request["ResourceId"])
    instance_type = variant.config["InstanceType"]
    if instance_type.startswith("ml.t"):
        raise validation_error(f"Instance type {instance_type} of {request['ResourceId']} does not support automatic scaling.")
    known = _TARGETS.find(_key(request))
    merged = {**(known or {}), **{key: value for key, value in request.items() if key != "Tags"}}
    if "MinCapacity" not in merged or "MaxCapacity" not in merged:
        raise validation_error("MinCapacity and MaxCapacity are required to register a new scalable target.")
    if not 1 <= merged["MinCapacity"] <= merged["MaxCapacity"]:
        raise validation_error(
            f"MinCapacity {merged['MinCapacity']} and MaxCapacity {merged['MaxCapacity']} must be at least 1, and in this order."
        )
    service_role = "role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com"
    merged.setdefault(
        "RoleARN",
        f"arn:aws:iam::{responses.get_account_id()}:{service_role}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
    )
    merged.setdefault("ScalableTargetARN", _arn("application-autoscaling", f"scalable-target/{uuid.uuid4().hex[:22]}"))
    merged.setdefault("CreationTime", dt.datetime.now(dt.UTC))
    merged.setdefault(
        "SuspendedState", {"DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": False, "ScheduledScalingSuspended": False}
    )
    with _TARGETS.lock:
        if known is None:
            _TARGETS.add(_key(request), merged)
        else:
            known.update(merged)
    _start_loop()
    return {"ScalableTargetARN": merged["ScalableTargetARN"]}


@operation("application-autoscaling", "DescribeScalableTargets")
def describe_scalable_targets(request: Request) -> Response:
    wanted = request.get("ResourceIds")
    rows = [target for _, target in _TARGETS.items() if _matches(target, request) and (not wanted or target["ResourceId"] in wanted)]
    return api.paginate(rows, {"MaxResults": 50, **request}, "ScalableTargets")


@operation("application-autoscaling", "DeregisterScalableTarget")
def deregister_scalable_target(request: Request) -> Response:
    """Deletes the target's policies and scheduled actions too."""
    _need(_TARGETS, _key(request), f"No scalable target registered for {_words(request)}")
    _TARGETS.remove(_key(request))
    for records in (_POLICIES, _SCHEDULED):
        for name, record in records.items():
            if _key(record) == _key(request):
                records.remove(name)
    return {}


@operation("application-autoscaling", "PutScalingPolicy")
def put_scaling_policy(request: Request) -> Response:
    """Creates or replaces a target tracking policy on invocations per instance, or on concurrent requests."""
    _need(_TARGETS, _key(request), f"No scalable target registered for {_words(request)}")
    if request.get("PolicyType", "StepScaling") != "TargetTrackingScaling":
        raise validation_error("The embedded AWS has policies of type TargetTrackingScaling only.")
    tracking = request.get("TargetTrackingScalingPolicyConfiguration", {})
    metric = tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
    if metric not in (_INVOCATIONS, _CONCURRENCY):
        raise validation_error(f"The embedded AWS tracks {_INVOCATIONS} and {_CONCURRENCY} only, not {metric}.")
    name = f"{_key(request)}|{request['PolicyName']}"
    known = _POLICIES.find(name)
    policy = {
        **request,
        "PolicyARN": known["PolicyARN"]
        if known
        else _arn(
            "autoscaling", f"scalingPolicy:{uuid.uuid4()}:resource/sagemaker/{request['ResourceId']}:policyName/{request['PolicyName']}"
        ),
        "CreationTime": dt.datetime.now(dt.UTC),
    }
    if known is None:
        _POLICIES.add(name, policy)
    else:
        known.update(policy)
    _start_loop()
    return {"PolicyARN": policy["PolicyARN"], "Alarms": []}


@operation("application-autoscaling", "DescribeScalingPolicies")
def describe_scaling_policies(request: Request) -> Response:
    names = request.get("PolicyNames")
    rows = [policy for _, policy in _POLICIES.items() if _matches(policy, request) and (not names or policy["PolicyName"] in names)]
    return api.paginate(rows, {"MaxResults": 50, **request}, "ScalingPolicies")


@operation("application-autoscaling", "DeleteScalingPolicy")
def delete_scaling_policy(request: Request) -> Response:
    name = f"{_key(request)}|{request['PolicyName']}"
    _need(_POLICIES, name, f"No scaling policy found for {_words(request)}, policy name: {request['PolicyName']}")
    _POLICIES.remove(name)
    return {}


@operation("application-autoscaling", "PutScheduledAction")
def put_scheduled_action(request: Request) -> Response:
    """Creates an action, or updates what is given of it. Its ``cron`` is read on the scaled clock of all schedules."""
    _need(_TARGETS, _key(request), f"No scalable target registered for {_words(request)}")
    name = f"{_key(request)}|{request['ScheduledActionName']}"
    known = _SCHEDULED.find(name)
    action = {**(known or {}), **request}
    if eventbridge._parse_cron_fields(action.get("Schedule", "")) is None:
        raise validation_error(f"The embedded AWS runs scheduled actions by cron(...) only, not by {action.get('Schedule')!r}.")
    if action.get("Timezone", "UTC") != "UTC":
        raise validation_error(f"The embedded AWS reads the schedules of scheduled actions in UTC only, not in {action['Timezone']}.")
    if not action.get("ScalableTargetAction"):
        raise validation_error("ScalableTargetAction must have MinCapacity, MaxCapacity or both.")
    place = f"resource/sagemaker/{request['ResourceId']}:scheduledActionName/{request['ScheduledActionName']}"
    action.setdefault("ScheduledActionARN", _arn("autoscaling", f"scheduledAction:{uuid.uuid4()}:{place}"))
    action.setdefault("CreationTime", dt.datetime.now(dt.UTC))
    action["_looked_at"] = clock.now()
    if known is None:
        _SCHEDULED.add(name, action)
    else:
        known.update(action)
    return {}


@operation("application-autoscaling", "DescribeScheduledActions")
def describe_scheduled_actions(request: Request) -> Response:
    names = request.get("ScheduledActionNames")
    rows = [
        {key: value for key, value in action.items() if not key.startswith("_")}
        for _, action in _SCHEDULED.items()
        if _matches(action, request) and (not names or action["ScheduledActionName"] in names)
    ]
    return api.paginate(rows, {"MaxResults": 50, **request}, "ScheduledActions")


@operation("application-autoscaling", "DeleteScheduledAction")
def delete_scheduled_action(request: Request) -> Response:
    name = f"{_key(request)}|{request['ScheduledActionName']}"
    _need(_SCHEDULED, name, f"No scheduled action found for {_words(request)}, scheduled action name: {request['ScheduledActionName']}")
    _SCHEDULED.remove(name)
    return {}


@operation("application-autoscaling", "DescribeScalingActivities")
def describe_scaling_activities(request: Request) -> Response:
    rows = [activity for _, activity in _ACTIVITIES.items() if _matches(activity, request)]
    rows.sort(key=lambda activity: activity["StartTime"], reverse=True)
    return api.paginate(rows, {"MaxResults": 50, **request}, "ScalingActivities")


def _matches(row: Request, request: Request) -> bool:
    fields = ("ServiceNamespace", "ResourceId", "ScalableDimension")
    return all(row[field] == request[field] for field in fields if field in request)


def _need(records: Records, name: str, message: str) -> None:
    if records.find(name) is None:
        raise ApiError("ObjectNotFoundException", message)


def _words(request: Request) -> str:
    return (
        f"service namespace: {request['ServiceNamespace']}, resource ID: {request['ResourceId']}, "
        f"scalable dimension: {request['ScalableDimension']}"
    )


# -- what endpoints ask ----------------------------------------------------------------------------


def _targets_of(endpoint_name: str) -> list[Request]:
    return [target for _, target in _TARGETS.items() if target["ResourceId"].startswith(f"endpoint/{endpoint_name}/variant/")]


def _forget(endpoint_name: str) -> None:
    for target in _targets_of(endpoint_name):
        deregister_scalable_target(target)


def _refuse_change_of_scaled_variant(endpoint: Endpoint, config: dict[str, Any]) -> None:
    """Raises ApiError when the new configuration drops a scaled variant or changes its instance type; a new model is fine."""
    coming = {variant["VariantName"]: variant for variant in config["ProductionVariants"]}
    for target in _targets_of(endpoint.name):
        name = target["ResourceId"].rsplit("/", 1)[-1]
        running = endpoint.blue.variants.get(name)
        if name not in coming:
            raise validation_error(
                f"Variant {name} has automatic scaling configured and cannot be removed: deregister it as a scalable target."
            )
        old_type, new_type = running.config["InstanceType"] if running else None, coming[name]["InstanceType"]
        if old_type != new_type:
            raise validation_error(
                f"Variant {name} has automatic scaling configured, so its instance type cannot change from {old_type} to {new_type}: "
                "deregister it as a scalable target."
            )


# -- the loop --------------------------------------------------------------------------------------


def _start_loop() -> None:
    global _loop  # noqa: PLW0603  (one loop, started when there is something to scale)
    with _loop_lock:
        if _loop is None or not _loop.is_alive():
            _loop = background.start(_run, "autoscaling")


def _run() -> None:
    trackers: dict[str, Tracker] = {}
    while True:
        time.sleep(max(0.1, clock.scaled(_POLL_SECONDS)))
        for key, target in _TARGETS.items():
            try:
                _run_schedules(target)
                _evaluate(target, trackers.setdefault(key, Tracker()))
            except ApiError as error:
                log.info("%s is not scaled: %s", target["ResourceId"], error.message)
            except Exception:
                log.exception("scaling of %s failed", target["ResourceId"])


def _run_schedules(target: Request) -> None:
    """Bounds that became due since the last look are the target's from now on; the loop then moves its instances into them."""
    if target["SuspendedState"].get("ScheduledScalingSuspended"):
        return
    for _, action in _SCHEDULED.items():
        if _key(action) != _key(target):
            continue
        looked_at = dt.datetime.fromtimestamp(action["_looked_at"], tz=dt.UTC)
        due = eventbridge._cron_next_fire(eventbridge._parse_cron_fields(action["Schedule"]), looked_at)
        if due is None or due.timestamp() > clock.now():
            continue
        action["_looked_at"] = clock.now()
        wanted = {**target, **action["ScalableTargetAction"]}
        if wanted["MinCapacity"] > wanted["MaxCapacity"]:
            log.warning("%s is not applied: its bounds would be %s", action["ScheduledActionName"], action["ScalableTargetAction"])
            continue
        target.update(action["ScalableTargetAction"])


def _evaluate(target: Request, tracker: Tracker) -> None:
    endpoint, variant = _variant(target["ResourceId"])
    if endpoint.status != "InService":
        return
    current = variant.desired.instance_count
    low, high = target["MinCapacity"], target["MaxCapacity"]
    if not low <= current <= high:
        bounded = min(max(current, low), high)
        _scale(target, endpoint, variant, bounded, f"capacity {current} was outside the bounds {low} to {high}")
        return
    policies = [policy for _, policy in _POLICIES.items() if _key(policy) == _key(target)]
    if not policies:
        return
    wanted, cause = current, ""
    for policy in policies:
        tracking = policy["TargetTrackingScalingPolicyConfiguration"]
        metric = tracking["PredefinedMetricSpecification"]["PredefinedMetricType"]
        rates, recent = _rates(metric, endpoint.name, variant.name, current)
        capacity = decide(
            tracking, rates, recent,
            current=current, bounds=(low, high), tracker=tracker, now=clock.now(), time_scale=clock.TIME_SCALE,
        )  # fmt: skip
        if not cause or capacity > wanted:
            wanted, cause = capacity, f"{metric} was at last {[round(rate, 1) for rate in recent]}"
    suspended = target["SuspendedState"]
    if (wanted > current and suspended.get("DynamicScalingOutSuspended")) or (
        wanted < current and suspended.get("DynamicScalingInSuspended")
    ):
        return
    if wanted != current:
        _scale(target, endpoint, variant, wanted, cause)
        tracker.remember(wanted > current, clock.now())


def _rates(metric: str, endpoint: str, variant: str, instances: int) -> tuple[list[float], list[float]]:
    """(the metric in each of the last fifteen whole minutes, in each period that a scale-out looks at), oldest first, in scaled time.

    Silence counts as zero, as hosting reports it. Hosting publishes concurrent requests every ten seconds. Here they follow from when
    each call ended and how long it took, so a call counts once it has ended.
    """
    minute, now = clock.scaled(60), clock.now()
    since = now - (_MINUTES + 5) * minute  # values may arrive a little late
    if metric == _INVOCATIONS:
        sums = [0.0] * _MINUTES
        end = now // minute * minute
        for at, value in _points("InvocationsPerInstance", endpoint, variant, since):
            index = int((at - end) // minute) + _MINUTES
            if 0 <= index < _MINUTES:
                sums[index] += value
        return sums, sums[-3:]
    calls = [(at - value / 1e6, at) for at, value in _points("ModelLatency", endpoint, variant, since)]
    period = clock.scaled(_HIGH_RESOLUTION_SECONDS)
    by_minute, by_period = (
        [busy / instances for busy in in_flight(calls, now // width * width, width, count)]
        for width, count in ((minute, _MINUTES), (period, _HIGH_RESOLUTION_PERIODS))
    )
    return by_minute, by_period


def _points(name: str, endpoint: str, variant: str, since: float) -> list[tuple[float, float]]:
    """(epoch seconds, value) of the points of one metric of a variant, the newest first, back to ``since``."""
    key = cloudwatch._dims_key({"EndpointName": endpoint, "VariantName": variant})
    points = cloudwatch._metrics.get((endpoint_metrics.NAMESPACE, name, key)) or []
    newest_first = ((float(point["Timestamp"]), float(point["Value"])) for point in reversed(points))
    return list(itertools.takewhile(lambda point: point[0] >= since, newest_first))


def _scale(target: Request, endpoint: Endpoint, variant: Variant, wanted: int, cause: str) -> None:
    change = {"VariantName": variant.name, "DesiredInstanceCount": wanted}
    api.call("sagemaker", "UpdateEndpointWeightsAndCapacities", {"EndpointName": endpoint.name, "DesiredWeightsAndCapacities": [change]})
    now = dt.datetime.now(dt.UTC)
    activity_id = str(uuid.uuid4())
    _ACTIVITIES.add(
        activity_id,
        {
            **{field: target[field] for field in ("ServiceNamespace", "ResourceId", "ScalableDimension")},
            "ActivityId": activity_id,
            "Description": f"Setting desired instance count to {wanted}.",
            "Cause": cause,
            "StartTime": now,
            "EndTime": now,
            "StatusCode": "Successful",
            "StatusMessage": f"Successfully set desired instance count to {wanted}.",
        },
    )
