"""Weights are asked for only when the endpoint can take them and does not have them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from hypothesis import given
from hypothesis import strategies as st

from lambdas.common.experiment import Experiment
from lambdas.rollout.endpoint import EndpointUpdating, live_share
from lambdas.rollout.progress import Progress
from lambdas.rollout.shift_weights import handler as entry
from lambdas.rollout.shift_weights.capacity import Capacity, challenger_bounds, more_or_fewer, needed
from lambdas.rollout.shift_weights.weights import EndpointUnusable, change, weights_of


def endpoint(champion: float, challenger: float, status: str = "InService") -> dict[str, Any]:
    weights = {"champion": champion, "challenger": challenger}
    variants = [{"VariantName": name, "CurrentWeight": weight, "CurrentInstanceCount": 2} for name, weight in weights.items()]
    return {"EndpointName": "e", "EndpointStatus": status, "ProductionVariants": variants, "FailureReason": "no capacity"}


@pytest.mark.parametrize(("champion", "challenger", "share"), [(0.9, 0.1, 0.1), (9, 1, 0.1), (1, 0, 0.0), (1, 1, 0.5)])
def test_a_share_that_is_live_asks_for_nothing(champion: float, challenger: float, share: float) -> None:
    assert change(endpoint(champion, challenger), share) is None


def test_another_share_is_asked_for_in_both_weights() -> None:
    assert change(endpoint(0.9, 0.1), 0.5) == {"champion": 0.5, "challenger": 0.5}
    assert change(endpoint(0, 0), 0.0) == {"champion": 1.0, "challenger": 0.0}


@pytest.mark.parametrize(("champion", "challenger", "share"), [(0.9, 0.1, 0.1), (9, 1, 0.1), (2, 1, 0.333333), (1, 0, 0.0), (0, 0, 0.0)])
def test_the_live_share_is_kept_when_no_other_is_wanted(champion: float, challenger: float, share: float) -> None:
    assert change(endpoint(champion, challenger), None) is None
    assert live_share(endpoint(champion, challenger)) == share
    with pytest.raises(EndpointUpdating):
        change({"EndpointName": "e", "EndpointStatus": "Creating"}, None)


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack"])
def test_a_busy_endpoint_is_asked_again_even_for_what_it_has(status: str) -> None:
    with pytest.raises(EndpointUpdating, match=status):
        change(endpoint(0.9, 0.1, status), 0.1)


def test_a_failed_endpoint_is_given_up_with_its_reason() -> None:
    with pytest.raises(EndpointUnusable, match="no capacity"):
        change(endpoint(0.9, 0.1, "Failed"), 0.5)


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_beyond_the_whole_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="within 0 and 1"):
        weights_of(share)


@given(st.floats(min_value=0, max_value=1))
def test_weights_sum_to_one(share: float) -> None:
    assert sum(weights_of(share).values()) == pytest.approx(1)


def described(status: str) -> dict[str, Any]:
    times = dict.fromkeys(("CreationTime", "LastModifiedTime"), datetime(2026, 11, 24, tzinfo=UTC))
    return {**endpoint(0.9, 0.1, status), "EndpointArn": f"arn:aws:sagemaker:us-east-1:{'1' * 12}:endpoint/e", **times}


CONTEXT = SimpleNamespace(function_name="f", memory_limit_in_mb=1, invoked_function_arn="a", aws_request_id="1")
PLANNED = Progress.begin(0.5, "2026-11-24T10:00:00.000+00:00")
EXPERIMENT = {"id": "r-1", "champion": "job-1", "challenger": "job-2"}


@contextmanager
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Stubber, Stubber]]:
    """SageMaker and SSM with queued answers; a call without one fails."""
    keys = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    clients = {service: boto3.client(service, **keys) for service in ("sagemaker", "ssm")}
    monkeypatch.setattr(entry, "_environment", lambda: entry.Environment("e", "/experiment", 2, 6))
    monkeypatch.setattr(entry, "client", lambda service: clients[service])
    with Stubber(clients["sagemaker"]) as sagemaker, Stubber(clients["ssm"]) as ssm:
        yield sagemaker, ssm


@pytest.mark.parametrize(("status", "raised"), [("Updating", EndpointUpdating), ("InService", ClientError)])
def test_a_refused_change_is_tried_again_only_when_another_one_was_quicker(
    monkeypatch: pytest.MonkeyPatch, status: str, raised: type[Exception]
) -> None:
    """Autoscaling may begin between the look at the endpoint and the request; that is no reason to roll back."""
    with stubbed(monkeypatch) as (stub, ssm):
        ssm.add_response("get_parameter", {"Parameter": {"Value": "none"}}, {"Name": "/experiment"})
        stub.add_response("describe_endpoint", described("InService"))
        stub.add_client_error("update_endpoint_weights_and_capacities", "ValidationException", 'Cannot update in-progress endpoint "e".')
        stub.add_response("describe_endpoint", described(status))
        with pytest.raises(raised):
            entry.handler({"share": 0.5, "progress": PLANNED.as_json()}, CONTEXT)
        stub.assert_no_pending_responses()


def test_the_deadline_moves_with_the_start_of_the_experiment_and_not_after_it() -> None:
    """A fleet that takes an hour to come up takes nothing off the time that the comparison has."""
    planned = Progress.begin(0.1, "2026-11-24T10:00:00.000+00:00", hours=24)
    in_place = planned.shifted(0.1, "2026-11-24T11:00:00.000+00:00")
    assert (in_place.started, in_place.deadline) == ("2026-11-24T11:00:00.000+00:00", "2026-11-25T11:00:00.000+00:00")
    later = replace(in_place, step=1).shifted(0.3, "2026-11-24T12:00:00.000+00:00")
    assert (later.started, later.deadline) == (in_place.started, in_place.deadline)
    assert Progress.parse(later.as_json()) == later


def test_the_record_of_the_experiment_follows_a_share_once_it_is_live(monkeypatch: pytest.MonkeyPatch) -> None:
    with stubbed(monkeypatch) as (sagemaker, ssm):
        ask = {"EndpointName": "e", "DesiredWeightsAndCapacities": [weight("champion", 0.5), weight("challenger", 0.5)]}
        sagemaker.add_response("describe_endpoint", described("InService"))
        sagemaker.add_response("update_endpoint_weights_and_capacities", {"EndpointArn": "arn:aws:sagemaker:r:1:endpoint/e"}, ask)
        with pytest.raises(EndpointUpdating):
            entry.handler({"share": 0.5, "progress": PLANNED.as_json(), "experiment": EXPERIMENT}, CONTEXT)
        sagemaker.add_response(
            "describe_endpoint", {**described("InService"), "ProductionVariants": endpoint(0.5, 0.5)["ProductionVariants"]}
        )
        ssm.add_response("get_parameter", {"Parameter": {"Value": "none"}}, {"Name": "/experiment"})
        ssm.add_response("put_parameter", {"Version": 2}, {"Name": "/experiment", "Value": ANY, "Overwrite": True})
        written: list[str] = []
        ssm.client.meta.events.register("provide-client-params.ssm.PutParameter", lambda params, **_: written.append(params["Value"]))
        shifted = Progress.parse(entry.handler({"share": 0.5, "progress": PLANNED.as_json(), "experiment": EXPERIMENT}, CONTEXT))
        ssm.assert_no_pending_responses()
    assert Experiment.parse(written[0]) == Experiment("r-1", "job-1", "job-2", 0.5, shifted.started)


def weight(variant: str, value: float) -> dict[str, Any]:
    return {"VariantName": variant, "DesiredWeight": value}


def test_without_an_experiment_the_record_is_cleared_before_the_weights_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers choose a variant by the record, whatever its weight. An SSM that refuses keeps no bad challenger before the callers."""
    with stubbed(monkeypatch) as (sagemaker, ssm):
        ssm.add_response("get_parameter", {"Parameter": {"Value": "{}"}}, {"Name": "/experiment"})
        ssm.add_client_error("put_parameter", "TooManyUpdates")
        sagemaker.add_response("describe_endpoint", described("InService"))
        sagemaker.add_response("update_endpoint_weights_and_capacities", {"EndpointArn": "arn:aws:sagemaker:r:1:endpoint/e"})
        with pytest.raises(EndpointUpdating):
            entry.handler({"share": 0.0, "progress": PLANNED.as_json()}, CONTEXT)
        sagemaker.assert_no_pending_responses()
        ssm.assert_no_pending_responses()


@pytest.mark.parametrize(("capacity", "again"), [("take_over", True), ("take_back", False)])
def test_instances_of_a_champion_that_takes_its_callers_back_are_asked_for_once(
    monkeypatch: pytest.MonkeyPatch, capacity: str, again: bool
) -> None:
    """An autoscaler may take them away again at once, and the challenger is bad."""
    with stubbed(monkeypatch) as (sagemaker, ssm):
        ssm.add_response("get_parameter", {"Parameter": {"Value": "none"}}, {"Name": "/experiment"})
        variants = [{**one, "CurrentInstanceCount": 2} for one in endpoint(0.5, 0.5)["ProductionVariants"]]
        sagemaker.add_response("describe_endpoint", {**described("InService"), "ProductionVariants": variants})
        ask = {"EndpointName": "e", "DesiredWeightsAndCapacities": [{"VariantName": "champion", "DesiredInstanceCount": 4}]}
        sagemaker.add_response("update_endpoint_weights_and_capacities", {"EndpointArn": "arn:aws:sagemaker:r:1:endpoint/e"}, ask)
        event = {"progress": replace(PLANNED, instances=4).as_json(), "capacity": capacity}
        with pytest.raises(EndpointUpdating) if again else nullcontext():
            assert Progress.parse(entry.handler(event, CONTEXT)).weights[-1].challenger == 0.5
        sagemaker.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("capacity", "champion", "challenger", "alone", "wanted"),
    [
        (Capacity.AS_IS, 2, 5, 7, None),
        (Capacity.OPEN, 2, 5, 7, None),
        (Capacity.TAKE_OVER, 2, 3, 5, ("champion", 5)),
        (Capacity.TAKE_OVER, 4, 4, 8, ("champion", 6)),
        (Capacity.TAKE_OVER, 6, 4, 8, None),
        (Capacity.TAKE_OVER, 2, 3, 0, None),
        (Capacity.TAKE_BACK, 2, 3, 5, ("champion", 5)),
        (Capacity.TAKE_BACK, 6, 4, 8, None),
        (Capacity.SETTLE, 6, 4, 10, ("challenger", 2)),
        (Capacity.SETTLE, 6, 2, 8, None),
    ],
)
def test_instances_follow_the_shares(
    capacity: Capacity, champion: int, challenger: int, alone: int, wanted: tuple[str, int] | None
) -> None:
    counts = {"champion": champion, "challenger": challenger}
    described = {"ProductionVariants": [{"VariantName": name, "CurrentInstanceCount": count} for name, count in counts.items()]}
    assert more_or_fewer(described, capacity, (2, 6), alone) == wanted
    assert more_or_fewer(described, capacity, None, alone) is None


@pytest.mark.parametrize(
    ("champion", "challenger", "share", "alone"),
    [(3, 2, 0.0, 3), (4, 2, 0.2, 5), (3, 4, 0.5, 6), (2, 2, 0.9, 4), (2, 5, 1.0, 7), (9, 2, 0.1, 10)],
)
def test_the_champion_needs_for_all_callers_what_its_share_of_them_has_shown(
    champion: int, challenger: int, share: float, alone: int
) -> None:
    """One in the shadow has no callers to hand over, so its instances are not needed either."""
    counts = {"champion": champion, "challenger": challenger}
    described = {"ProductionVariants": [{"VariantName": name, "CurrentInstanceCount": count} for name, count in counts.items()]}
    assert needed(described, share) == alone


@pytest.mark.parametrize(
    ("capacity", "wanted"),
    [(Capacity.AS_IS, None), (Capacity.OPEN, (2, 6)), (Capacity.TAKE_OVER, None), (Capacity.TAKE_BACK, None), (Capacity.SETTLE, (2, 2))],
)
def test_the_challengers_bounds_are_the_champions_only_while_it_is_compared(capacity: Capacity, wanted: tuple[int, int] | None) -> None:
    assert challenger_bounds(capacity, (2, 6)) == wanted
    assert challenger_bounds(capacity, None) is None
