"""Give the challenger its share of the traffic, with the instances for it, and write down whether an experiment runs.

It succeeds once weights and instances are there, or with ``take_back`` asked for, so it may be called again and again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from contracts.shared_words import CHALLENGER
from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.experiment import NONE, Experiment
from lambdas.common.observability import logger, tracer
from lambdas.rollout.endpoint import EndpointUpdating, describe, live_share
from lambdas.rollout.progress import Progress
from lambdas.rollout.shift_weights.capacity import Capacity, challenger_bounds, more_or_fewer, needed
from lambdas.rollout.shift_weights.weights import EndpointUnusable, change


@dataclass(frozen=True)
class Environment:
    """``fewest_instances``, ``most_instances``: bounds of autoscaling for each variant; 0 without it."""

    endpoint_name: str
    experiment_parameter: str
    fewest_instances: int
    most_instances: int

    @property
    def bounds(self) -> tuple[int, int] | None:
        return (self.fewest_instances, self.most_instances) if self.most_instances else None


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"share"?: 0.0-1.0, "progress", "experiment"?, "capacity"?}`` -> the progress with the weights that are live now.

    Without ``share`` the live weights stay: only the instances change, and what the champion needs for all callers is computed.
    ``experiment`` is ``{"id", "champion", "challenger"}`` while both models are in place: the execution's name and the model versions.
    The experiment's record follows the share once its weights are live. Without ``experiment`` the record is ``none`` at once, since
    readers choose the challenger by it whatever the weights are. ``capacity`` is one of :class:`Capacity`, ``as_is`` when left out.

    Raises:
        EndpointUpdating: not yet; the state machine tries again.
        EndpointUnusable: the endpoint has failed.
    """
    name, experiment = _environment().endpoint_name, event.get("experiment")
    if experiment is None:
        _end_experiment()
    endpoint, progress = describe(client("sagemaker"), name), Progress.parse(event["progress"])
    if endpoint is None:
        raise EndpointUnusable(f"there is no endpoint {name}")
    wanted = change(endpoint, event.get("share"))
    share = float(event.get("share", live_share(endpoint)))
    if wanted is not None:
        _ask_for([{"VariantName": variant, "DesiredWeight": weight} for variant, weight in wanted.items()], share)
        raise EndpointUpdating(f"endpoint {name} takes on the weights {wanted}")
    capacity, bounds = Capacity(event.get("capacity", Capacity.AS_IS)), _environment().bounds
    variant = more_or_fewer(endpoint, capacity, bounds, progress.instances)
    if variant is not None:
        _ask_for([{"VariantName": variant[0], "DesiredInstanceCount": variant[1]}], share)
        if capacity is not Capacity.TAKE_BACK:
            raise EndpointUpdating(f"variant {variant[0]} of endpoint {name} gets {variant[1]} instances")
    _bound_challenger(challenger_bounds(capacity, bounds))
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    progress = replace(progress.shifted(share, now), instances=needed(endpoint, share))
    if experiment is not None:
        _record(Experiment(**experiment, share=share, started=progress.started).format())
    logger.info("weights are live", extra={"share": share})
    return progress.as_json()


def _bound_challenger(bounds: tuple[int, int] | None) -> None:
    """The policy of the target stays; CloudFormation writes the bounds again only when the settings change."""
    if bounds is not None:
        client("application-autoscaling").register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=f"endpoint/{_environment().endpoint_name}/variant/{CHALLENGER}",
            ScalableDimension="sagemaker:variant:DesiredInstanceCount",
            MinCapacity=bounds[0],
            MaxCapacity=bounds[1],
        )


def _record(value: str) -> None:
    ssm, name = client("ssm"), _environment().experiment_parameter
    if ssm.get_parameter(Name=name)["Parameter"]["Value"] != value:
        ssm.put_parameter(Name=name, Value=value, Overwrite=True)


def _end_experiment() -> None:
    """A record that cannot be written does not keep a bad challenger before the callers: the end of the rollout writes it again."""
    try:
        _record(NONE)
    except ClientError:
        logger.exception("the experiment's record is not cleared")


def _ask_for(changes: list[dict[str, Any]], share: float) -> None:
    """Weights of both variants, or the instances of one: the service takes no more in one request."""
    sagemaker, name = client("sagemaker"), _environment().endpoint_name
    try:
        sagemaker.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=changes)
    except ClientError:
        change(sagemaker.describe_endpoint(EndpointName=name), share)  # raises when autoscaling or a deploy was quicker
        raise
