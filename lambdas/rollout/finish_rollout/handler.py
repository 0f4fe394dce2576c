"""Last step of a rollout: its outcome as the state machine's output, as a log line and as a metric.

No experiment runs any more, and what people told this rollout is over: both records are cleared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from lambdas.common.clients import client
from lambdas.common.environment import read_environment
from lambdas.common.experiment import NONE as NO_EXPERIMENT
from lambdas.common.observability import logger, metrics, tracer
from lambdas.common.rollout_control import NONE, InvalidControl, RolloutControl
from lambdas.rollout.progress import Outcome, Progress

_METRIC_NAMES = {
    Outcome.PROMOTED: "RolloutsPromoted",
    Outcome.ROLLED_BACK: "RolloutsRolledBack",
    Outcome.INCONCLUSIVE: "RolloutsInconclusive",
    Outcome.RELEASED: "FirstReleases",
    Outcome.WITHDRAWN: "RolloutsWithdrawn",
}


@dataclass(frozen=True)
class Environment:
    control_parameter: str
    experiment_parameter: str


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The outcome -> ``{"outcome", "reason", "release", "weights", "evidence"}``.

    The event is ``{"rollout", "outcome", "reason", "release", "progress", "verdict"?}``; ``rollout`` is the execution's name.
    ``evidence`` is that of the last verdict; empty when the judge gave none.
    """
    outcome = Outcome(event["outcome"])
    _end_experiment()
    _clear_control(str(event["rollout"]))
    metrics.add_metric(_METRIC_NAMES[outcome], MetricUnit.Count, 1)
    result = {
        "outcome": outcome.value,
        "reason": str(event["reason"]),
        "release": event["release"],
        "weights": Progress.parse(event["progress"]).as_json()["weights"],
        "evidence": event.get("verdict", {}).get("evidence", {}),
    }
    logger.info("rollout finished", extra={"result": result})
    return result


def _end_experiment() -> None:
    ssm, name = client("ssm"), _environment().experiment_parameter
    if ssm.get_parameter(Name=name)["Parameter"]["Value"] != NO_EXPERIMENT:
        ssm.put_parameter(Name=name, Value=NO_EXPERIMENT, Overwrite=True)


def _clear_control(rollout: str) -> None:
    """What this rollout was told is over; a record for another one, or that cannot be read, belongs to whoever wrote it."""
    ssm, name = client("ssm"), _environment().control_parameter
    try:
        told = RolloutControl.parse(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    except InvalidControl:
        logger.exception("the control record cannot be read")
        return
    if told is not None and told.rollout == rollout:
        ssm.put_parameter(Name=name, Value=NONE, Overwrite=True)
