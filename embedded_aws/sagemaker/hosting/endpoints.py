"""Endpoints: create, describe, list, delete, and the state that updates and invocations share."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any, cast

from embedded_aws.core import background
from embedded_aws.core.api import ApiError, Records, Request, Response, operation, validation_error
from embedded_aws.eventbridge import service_events
from embedded_aws.sagemaker.hosting import capture, hosting_tags
from embedded_aws.sagemaker.hosting.endpoint_configs import ENDPOINT_CONFIGS
from embedded_aws.sagemaker.hosting.variants import Fleet, ProvisioningFailed, initial_properties
from embedded_aws.sagemaker.listing import page

ENDPOINTS = Records("endpoint")

_EVENT_STATUS = {
    "Creating": "CREATING", "Updating": "UPDATING", "RollingBack": "ROLLING_BACK", "InService": "IN_SERVICE",
    "Deleting": "DELETING", "Failed": "FAILED", "OutOfService": "OUT_OF_SERVICE",
}  # fmt: skip

on_delete: list[Callable[[str], None]] = []
"""Called with the endpoint's name when it is deleted (Application Auto Scaling deregisters its targets)."""


class Endpoint:
    """A live endpoint: the running (blue) fleet, and during an update the coming (green) one with the traffic it takes."""

    def __init__(self, name: str, fleet: Fleet, deployment: dict[str, Any] | None) -> None:
        self.name = name
        self.arn = ENDPOINTS.arn(name)
        self.lock = threading.RLock()
        self.blue = fleet
        self.green: Fleet | None = None
        self.green_active: dict[str, int] = {}
        self.pending_since: dt.datetime | None = None
        self.last_deployment = deployment
        self.status = "Creating"
        self.failure_reason: str | None = None
        self.created = self.modified = dt.datetime.now(dt.UTC)

    def green_share(self) -> dict[str, float]:
        """Variant -> share of its traffic that the green fleet takes."""
        if self.green is None:
            return {}
        counts = {name: variant.desired.instance_count for name, variant in self.green.variants.items()}
        return {name: self.green_active.get(name, 0) / count for name, count in counts.items() if count}

    def set_status(self, status: str, failure_reason: str | None = None) -> None:
        """Change the state and send ``SageMaker Endpoint State Change``; its status is upper case, unlike DescribeEndpoint's."""
        with self.lock:
            self.status, self.failure_reason, self.modified = status, failure_reason, dt.datetime.now(dt.UTC)
        self.emit("SageMaker Endpoint State Change")

    def emit(self, detail_type: str) -> None:
        described = self.describe()
        detail = {key: value for key, value in described.items() if key not in ("DataCaptureConfig", "LastDeploymentConfig")}
        detail["EndpointStatus"] = _EVENT_STATUS[self.status]
        detail["Tags"] = hosting_tags.of(self.arn)
        service_events.emit("aws.sagemaker", detail_type, _milliseconds(detail), [self.arn])

    def must_be(self, *statuses: str) -> None:
        """Raises ApiError (ValidationException) in any other state."""
        if self.status not in statuses:
            if self.status == "Failed":
                raise validation_error(f'Cannot update endpoint "{self.arn}" with status Failed: delete it and create it again.')
            raise validation_error(f'Cannot update in-progress endpoint "{self.arn}".')

    def describe(self) -> Response:
        with self.lock:
            described: Response = {
                "EndpointName": self.name,
                "EndpointArn": self.arn,
                "EndpointConfigName": self.blue.config_name,
                "EndpointStatus": self.status,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
            }
            if self.status != "Creating":
                described["ProductionVariants"] = [variant.describe() for variant in self.blue.variants.values()]
            captured = self.blue.config.get("DataCaptureConfig")
            if captured:
                described["DataCaptureConfig"] = capture.summary(captured)
            if self.failure_reason:
                described["FailureReason"] = self.failure_reason[:1024]
            if self.last_deployment:
                described["LastDeploymentConfig"] = self.last_deployment
            if self.green is not None:
                described["PendingDeploymentSummary"] = {
                    "EndpointConfigName": self.green.config_name,
                    "ProductionVariants": [
                        {**variant.describe(), "InstanceType": variant.config["InstanceType"]} for variant in self.green.variants.values()
                    ],
                    "StartTime": self.pending_since,
                }
            return described


def _milliseconds(value: Any) -> Any:
    """Events carry epoch milliseconds, unlike the API."""
    if isinstance(value, dt.datetime):
        return int(value.timestamp() * 1000)
    if isinstance(value, dict):
        return {key: _milliseconds(item) for key, item in value.items()}
    return [_milliseconds(item) for item in value] if isinstance(value, list) else value


def find(name: str) -> Endpoint | None:
    record = ENDPOINTS.find(name)
    return cast(Endpoint, record["Endpoint"]) if record else None


def need(name: str) -> Endpoint:
    """Raises ApiError (ValidationException) when there is no such endpoint."""
    return cast(Endpoint, ENDPOINTS.need(name)["Endpoint"])


@operation("sagemaker", "CreateEndpoint")
def create_endpoint(request: Request) -> Response:
    """Starts a process for every instance in the background: Creating, then InService or Failed. The first create shifts nothing."""
    config = ENDPOINT_CONFIGS.need(request["EndpointConfigName"])
    name = request["EndpointName"]
    fleet = Fleet(name, config, initial_properties(config))
    endpoint = Endpoint(name, fleet, request.get("DeploymentConfig"))
    ENDPOINTS.add(name, {"Endpoint": endpoint})
    hosting_tags.attach(endpoint.arn, request)
    endpoint.emit("SageMaker Endpoint State Change")

    def provision() -> None:
        try:
            fleet.provision()
        except ProvisioningFailed as failure:
            endpoint.set_status("Failed", str(failure))
        except ApiError as failure:
            endpoint.set_status("Failed", failure.message)
        except Exception as failure:
            endpoint.set_status("Failed", f"InternalServerException: {failure}")
            raise
        else:
            endpoint.set_status("InService")

    background.start(provision, f"create-endpoint-{name}")
    return {"EndpointArn": endpoint.arn}


@operation("sagemaker", "DescribeEndpoint")
def describe_endpoint(request: Request) -> Response:
    return need(request["EndpointName"]).describe()


@operation("sagemaker", "ListEndpoints")
def list_endpoints(request: Request) -> Response:
    keys = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
    described = [record["Endpoint"].describe() for _, record in ENDPOINTS.items()]
    rows = [{key: row[key] for key in keys} for row in described]
    return page(rows, request, "Endpoints", name="EndpointName", status="EndpointStatus", sort_order="Descending")


@operation("sagemaker", "DeleteEndpoint")
def delete_endpoint(request: Request) -> Response:
    """Refused while the endpoint is created or updated. Captured lines are written before the endpoint is gone."""
    endpoint = need(request["EndpointName"])
    with endpoint.lock:
        if endpoint.status in ("Creating", "Updating", "RollingBack", "Deleting"):
            raise validation_error(f'Cannot update in-progress endpoint "{endpoint.arn}".')
        endpoint.status = "Deleting"
    endpoint.set_status("Deleting")

    def remove() -> None:
        for listener in on_delete:
            listener(endpoint.name)
        endpoint.blue.close()
        capture.flush(endpoint.name)
        hosting_tags.detach(endpoint.arn)
        ENDPOINTS.remove(endpoint.name)

    background.start(remove, f"delete-endpoint-{endpoint.name}")
    return {}
