"""UpdateEndpoint: a green fleet comes up beside the blue one, takes the traffic step by step, and an alarm takes it back."""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from embedded_aws.core import background, clock
from embedded_aws.core.api import ApiError, Request, Response, operation, validation_error
from embedded_aws.core.sessions import role_session
from embedded_aws.sagemaker.hosting import capture, endpoints, traffic
from embedded_aws.sagemaker.hosting.endpoint_configs import ENDPOINT_CONFIGS
from embedded_aws.sagemaker.hosting.endpoints import Endpoint
from embedded_aws.sagemaker.hosting.models import MODELS
from embedded_aws.sagemaker.hosting.variants import Fleet, ProvisioningFailed, properties_after_update

log = logging.getLogger("embedded_aws")

_ALL_AT_ONCE = {"TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}}
_DEFAULT_TIMEOUT = 28_800
_ALARM_POLL_SECONDS = 10.0

on_update: list[Callable[[Endpoint, dict[str, Any]], None]] = []
"""Called with the endpoint and the new configuration before an update starts; may refuse it with an ApiError."""


class RolledBack(RuntimeError):
    """The update cannot go on; the text is the endpoint's FailureReason."""


@dataclass(frozen=True)
class _Deployment:
    endpoint: Endpoint
    green: Fleet
    policy: dict[str, Any]
    steps: list[dict[str, int]]
    alarms: list[str]
    cloudwatch: Any


@operation("sagemaker", "UpdateEndpoint")
def update_endpoint(request: Request) -> Response:
    endpoint = endpoints.need(request["EndpointName"])
    config = ENDPOINT_CONFIGS.need(request["EndpointConfigName"])
    deployment = request.get("DeploymentConfig")
    if request.get("RetainDeploymentConfig"):
        if deployment:
            raise validation_error("RetainDeploymentConfig and DeploymentConfig are both given: give one of them.")
        deployment = endpoint.last_deployment
    endpoint.must_be("InService")
    _check_current_config(endpoint)
    for listener in on_update:
        listener(endpoint, config)
    excluded = [entry["VariantPropertyType"] for entry in request.get("ExcludeRetainedVariantProperties", [])]
    retain = request.get("RetainAllVariantProperties", False)
    properties = properties_after_update(endpoint.blue.properties(), config, retain=retain, excluded=excluded)
    plan = _plan(endpoint, Fleet(endpoint.name, config, properties), deployment or {})
    with endpoint.lock:
        endpoint.must_be("InService")
        endpoint.status, endpoint.last_deployment = "Updating", deployment
        endpoint.green, endpoint.green_active, endpoint.pending_since = plan.green, {}, dt.datetime.now(dt.UTC)
    endpoint.set_status("Updating")
    background.start(lambda: _run(plan), f"update-endpoint-{endpoint.name}")
    return {"EndpointArn": endpoint.arn}


def _check_current_config(endpoint: Endpoint) -> None:
    current = endpoint.blue.config_name
    if ENDPOINT_CONFIGS.find(current) is None:
        raise validation_error(f'Could not find existing endpoint configuration "{ENDPOINT_CONFIGS.arn(current)}".')


def _plan(endpoint: Endpoint, green: Fleet, deployment: dict[str, Any]) -> _Deployment:
    """Check a deployment configuration against the endpoint.

    Raises:
        ApiError: ValidationException: other variant names, a step size or time that does not fit, an alarm that the role cannot read.
    """
    if "RollingUpdatePolicy" in deployment:
        if "BlueGreenUpdatePolicy" in deployment:
            raise validation_error("Only one update policy can be used in the deployment configuration.")
        if len(green.variants) > 1:
            raise validation_error("RollingUpdatePolicy is not supported for endpoints with multiple production variants.")
        raise validation_error("RollingUpdatePolicy is not part of the embedded AWS: use BlueGreenUpdatePolicy.")
    policy = deployment.get("BlueGreenUpdatePolicy", _ALL_AT_ONCE)
    if deployment and set(green.variants) != set(endpoint.blue.variants):
        new, old = (", ".join(sorted(fleet.variants)) for fleet in (green, endpoint.blue))
        raise validation_error(
            f"The variant names of endpoint configuration {green.config_name} ({new}) must be the same as those of the current "
            f"endpoint configuration {endpoint.blue.config_name} ({old}) for a blue/green deployment."
        )
    try:
        steps = traffic.shift_steps(policy, {name: variant.desired.instance_count for name, variant in green.variants.items()})
    except traffic.BadShiftPolicy as error:
        raise validation_error(str(error)) from None
    waits = traffic.total_wait(policy, len(steps))
    timeout = policy.get("MaximumExecutionTimeoutInSeconds", _DEFAULT_TIMEOUT)
    if timeout <= waits:
        raise validation_error(f"MaximumExecutionTimeoutInSeconds {timeout} must be larger than the total waiting time of {waits} seconds.")
    alarms = [alarm["AlarmName"] for alarm in deployment.get("AutoRollbackConfiguration", {}).get("Alarms", [])]
    return _Deployment(endpoint, green, policy, steps, alarms, _alarm_client(green, alarms) if alarms else None)


def _alarm_client(green: Fleet, alarms: list[str]) -> Any:
    """A CloudWatch client with the execution role, which needs cloudwatch:DescribeAlarms on the rollback alarms."""
    variant = next(iter(green.variants.values()))
    role_arn = MODELS.need(variant.config["ModelName"])["Described"]["ExecutionRoleArn"]
    client = role_session(role_arn, "sagemaker.amazonaws.com").client("cloudwatch")
    try:
        known = _states(client, alarms)
    except ClientError as error:
        raise validation_error(
            f"Could not describe the auto-rollback alarms {', '.join(alarms)} with role {role_arn}: {error.response['Error']['Message']}"
        ) from None
    missing = sorted(set(alarms) - set(known))
    if missing:
        raise validation_error(f"Could not find the auto-rollback alarms {', '.join(missing)}.")
    return client


def _states(client: Any, alarms: list[str]) -> dict[str, str]:
    found = client.describe_alarms(AlarmNames=alarms, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    return {alarm["AlarmName"]: alarm["StateValue"] for alarm in [*found.get("MetricAlarms", []), *found.get("CompositeAlarms", [])]}


def _run(plan: _Deployment) -> None:
    endpoint = plan.endpoint
    started = time.monotonic()
    try:
        _provision(plan)
        _Shift(plan, time.monotonic() - started).run()
    except RolledBack as reason:
        _roll_back(plan, str(reason))
    except Exception as error:
        log.exception("the update of endpoint %s failed", endpoint.name)
        _roll_back(plan, f"InternalServerException: {error}")
    else:
        _finish(plan)


def _provision(plan: _Deployment) -> None:
    for variant in plan.green.variants.values():
        variant.set_status("Creating", f"Launching {variant.desired.instance_count} instance(s).")
    plan.endpoint.emit("SageMaker Endpoint Deployment State Change")
    try:
        plan.green.provision()
    except ProvisioningFailed as failure:
        raise RolledBack(str(failure)) from None
    except ApiError as failure:
        raise RolledBack(failure.message) from None


class _Shift:
    """The traffic steps and bakes of one deployment. Provisioning counts in real seconds, waits in declared ones."""

    def __init__(self, plan: _Deployment, provisioning_seconds: float) -> None:
        self._plan = plan
        self._elapsed = provisioning_seconds
        self._timeout = plan.policy.get("MaximumExecutionTimeoutInSeconds", _DEFAULT_TIMEOUT)

    def run(self) -> None:
        """Raises RolledBack when an alarm goes off, the time is up, or a configuration is gone."""
        interval = self._plan.policy["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"]
        last = len(self._plan.steps) - 1
        for index, active in enumerate(self._plan.steps):
            portion = "full" if index == last else "canary"
            self._activate(active, portion)
            if index < last:
                self._bake(interval, "WaitIntervalInSeconds", active, portion)
            else:
                self._bake(self._plan.policy.get("TerminationWaitInSeconds", 0), "TerminationWaitInSeconds", active, portion)

    def _activate(self, active: dict[str, int], portion: str) -> None:
        endpoint = self._plan.endpoint
        with endpoint.lock:
            endpoint.green_active = active
            for name, variant in self._plan.green.variants.items():
                variant.set_status("ActivatingTraffic", f"Activating traffic on {portion} capacity of {active[name]} instance(s).")
        endpoint.emit("SageMaker Endpoint Deployment State Change")

    def _bake(self, seconds: int, field: str, active: dict[str, int], portion: str) -> None:
        for name, variant in self._plan.green.variants.items():
            variant.set_status(
                "Baking",
                f"Baking for {seconds} seconds ({field}) with traffic enabled on {portion} capacity of {active[name]} instance(s).",
            )
        self._plan.endpoint.emit("SageMaker Endpoint Deployment State Change")
        left = float(seconds)
        while True:
            self._check()
            if left <= 0:
                return
            pause = min(left, max(_ALARM_POLL_SECONDS, 0.1 / clock.TIME_SCALE))
            clock.sleep(pause)
            left -= pause
            self._elapsed += pause

    def _check(self) -> None:
        plan = self._plan
        for config_name in (plan.endpoint.blue.config_name, plan.green.config_name):
            if ENDPOINT_CONFIGS.find(config_name) is None:
                raise RolledBack(f'Could not find endpoint configuration "{ENDPOINT_CONFIGS.arn(config_name)}".')
        if self._elapsed > self._timeout:
            raise RolledBack(f"The deployment took longer than MaximumExecutionTimeoutInSeconds ({self._timeout}).")
        if plan.alarms:
            alarming = sorted(name for name, state in _states(plan.cloudwatch, plan.alarms).items() if state == "ALARM")
            if alarming:
                raise RolledBack(f"The auto-rollback alarm(s) {', '.join(alarming)} went into ALARM state during the deployment.")


def _finish(plan: _Deployment) -> None:
    endpoint = plan.endpoint
    with endpoint.lock:
        old, endpoint.blue = endpoint.blue, plan.green
        endpoint.green, endpoint.green_active, endpoint.pending_since = None, {}, None
        for variant in endpoint.blue.variants.values():
            variant.set_status(None)
    old.close()
    capture.flush(endpoint.name)
    endpoint.set_status("InService")


def _roll_back(plan: _Deployment, reason: str) -> None:
    """All traffic back to the blue fleet, which stays InService on its configuration; Failed when that configuration was deleted."""
    endpoint = plan.endpoint
    with endpoint.lock:
        endpoint.green_active = {}
    endpoint.set_status("RollingBack", reason)
    with endpoint.lock:
        endpoint.green, endpoint.pending_since = None, None
    plan.green.close()
    capture.flush(endpoint.name)
    intact = ENDPOINT_CONFIGS.find(endpoint.blue.config_name) is not None
    endpoint.set_status("InService" if intact else "Failed", reason)
