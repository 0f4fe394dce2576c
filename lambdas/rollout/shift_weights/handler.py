"""Give the challenger its share of the traffic. Succeeds once the weights are live, so it may be called again and again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.rollout.endpoint import EndpointUpdating
from lambdas.rollout.progress import Progress
from lambdas.rollout.shift_weights.weights import change


@dataclass(frozen=True)
class Environment:
    endpoint_name: str


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"share": 0.0-1.0, "progress"}`` -> the progress with the weights that are live now.

    Raises:
        EndpointUpdating: not yet; the state machine tries again.
        EndpointUnusable: the endpoint has failed.
    """
    name, share = _environment().endpoint_name, float(event["share"])
    wanted = change(client("sagemaker").describe_endpoint(EndpointName=name), share)
    if wanted is not None:
        _ask_for(wanted, share)
        raise EndpointUpdating(f"endpoint {name} takes on the weights {wanted}")
    progress = Progress.parse(event["progress"]).shifted(share, datetime.now(UTC).isoformat(timespec="milliseconds"))
    logger.info("weights are live", extra={"share": share})
    return progress.as_json()


def _ask_for(wanted: dict[str, float], share: float) -> None:
    sagemaker, name = client("sagemaker"), _environment().endpoint_name
    weights = [{"VariantName": variant, "DesiredWeight": weight} for variant, weight in wanted.items()]
    try:
        sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=weights)
    except ClientError:
        change(sagemaker.describe_endpoint(EndpointName=name), share)  # raises when autoscaling or a deploy was quicker
        raise
