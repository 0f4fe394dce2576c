"""UpdateEndpointWeightsAndCapacities: weights of several variants, or the instance count of one."""

from __future__ import annotations

import dataclasses
import logging

from embedded_aws.core import background
from embedded_aws.core.api import ApiError, Request, Response, operation, validation_error
from embedded_aws.sagemaker.hosting import endpoints
from embedded_aws.sagemaker.hosting.endpoints import Endpoint
from embedded_aws.sagemaker.hosting.instances import stop_all
from embedded_aws.sagemaker.hosting.variants import Fleet, ProvisioningFailed, VariantProperties

log = logging.getLogger("embedded_aws")


@operation("sagemaker", "UpdateEndpointWeightsAndCapacities")
def update_endpoint_weights_and_capacities(request: Request) -> Response:
    """Updating until the processes are there (or gone); refused while another update runs."""
    endpoint = endpoints.need(request["EndpointName"])
    changes = request["DesiredWeightsAndCapacities"]
    with endpoint.lock:
        endpoint.must_be("InService")
        wanted = _wanted(endpoint, changes)
        before = endpoint.blue.properties()
        for name, properties in wanted.items():
            variant = endpoint.blue.variants[name]
            if properties.instance_count != variant.desired.instance_count:
                variant.set_status("Updating", f"Scaling desired instance count to {properties.instance_count}.")
            variant.desired = properties
        endpoint.status = "Updating"
    endpoint.set_status("Updating")
    background.start(lambda: _apply(endpoint, before), f"scale-endpoint-{endpoint.name}")
    return {"EndpointArn": endpoint.arn}


def _wanted(endpoint: Endpoint, changes: list[Request]) -> dict[str, VariantProperties]:
    names = [change["VariantName"] for change in changes]
    unknown = sorted(set(names) - set(endpoint.blue.variants))
    if unknown:
        raise validation_error(
            f"The variant name(s) {', '.join(unknown)} do not exist within endpoint configuration {endpoint.blue.config_name}."
        )
    if len(set(names)) != len(names):
        raise validation_error("A variant is named more than once in DesiredWeightsAndCapacities.")
    if sum("DesiredInstanceCount" in change for change in changes) > 1:
        raise validation_error("The capacity of one variant can be updated at a time; weights may be updated for several.")
    wanted: dict[str, VariantProperties] = {}
    for change in changes:
        current = endpoint.blue.variants[change["VariantName"]].desired
        if "DesiredInstanceCount" in change and change["DesiredInstanceCount"] < 1:
            raise validation_error("DesiredInstanceCount must be at least 1: only endpoints of inference components scale to zero.")
        wanted[change["VariantName"]] = dataclasses.replace(
            current,
            weight=float(change.get("DesiredWeight", current.weight)),
            instance_count=int(change.get("DesiredInstanceCount", current.instance_count)),
        )
    return wanted


def _apply(endpoint: Endpoint, before: dict[str, VariantProperties]) -> None:
    fleet = endpoint.blue
    reason = _why_not_provisioned(fleet)
    if reason is not None:
        endpoint.set_status("RollingBack", reason)
        for name, properties in before.items():
            fleet.variants[name].desired = properties
    with endpoint.lock:
        surplus = fleet.surplus()
        for variant in fleet.variants.values():
            variant.current_weight = variant.desired.weight
            variant.set_status(None)
    stop_all(surplus)
    endpoint.set_status("InService", reason)


def _why_not_provisioned(fleet: Fleet) -> str | None:
    """None when the instances are there; else what the endpoint's FailureReason says of it."""
    try:
        fleet.provision()
    except (ProvisioningFailed, ApiError) as failure:
        return str(failure)
    except Exception as error:
        log.exception("scaling endpoint %s failed", fleet.endpoint_name)
        return f"InternalServerException: {error}"
    return None
