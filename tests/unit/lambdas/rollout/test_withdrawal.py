"""Every state in which a rollout may be stopped, a row a state: what runs decides which champion goes on alone."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from lambdas.common.release import EMPTY_RELEASE, Release
from lambdas.rollout.endpoint import EndpointUpdating
from lambdas.rollout.plan_rollout import handler as entry
from lambdas.rollout.plan_rollout.plan import InvalidRollout, Kind
from lambdas.rollout.plan_rollout.withdrawal import withdrawal

A, B = (f"arn:aws:sagemaker:us-east-1:123456789012:model-package/reviewloop-dev/{number}" for number in (1, 2))
ALONE, EXPERIMENT, PROMOTED = Release(A, A), Release(A, B), Release(B, B)
RUNS_OLD, RUNS_BOTH, RUNS_NEW = ({"champion": one, "challenger": other} for one, other in ((A, A), (A, B), (B, B)))


def endpoint(status: str) -> dict[str, Any]:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return {
        "EndpointName": "reviewloop-dev", "EndpointStatus": status, "EndpointConfigName": "config", "FailureReason": "no capacity",
        "EndpointArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/reviewloop-dev", "CreationTime": now, "LastModifiedTime": now,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("stopped", "record", "status", "runs", "expected"),
    [
        ("before anything", ALONE, "InService", RUNS_OLD, (Kind.WITHDRAWAL, ALONE, ALONE)),
        ("weights open, no record yet", ALONE, "InService", RUNS_OLD, (Kind.WITHDRAWAL, ALONE, ALONE)),
        ("record written, no update begun", EXPERIMENT, "InService", RUNS_OLD, (Kind.WITHDRAWAL, ALONE, ALONE)),
        ("update rolled back by an alarm", EXPERIMENT, "InService", RUNS_OLD, (Kind.WITHDRAWAL, ALONE, ALONE)),
        ("in place, weights at any step", EXPERIMENT, "InService", RUNS_BOTH, (Kind.WITHDRAWAL, ALONE, ALONE)),
        ("promoting, record written", PROMOTED, "InService", RUNS_BOTH, (Kind.WITHDRAWAL, ALONE, ALONE)),
        ("promoting, rolled back by an alarm", PROMOTED, "InService", RUNS_BOTH, (Kind.WITHDRAWAL, ALONE, ALONE)),
        ("promoted, weights not given yet", PROMOTED, "InService", RUNS_NEW, (Kind.WITHDRAWAL, PROMOTED, PROMOTED)),
        ("withdrawing, record written", ALONE, "InService", RUNS_BOTH, (Kind.WITHDRAWAL, ALONE, ALONE)),
        ("record lost, endpoint serves", EMPTY_RELEASE, "InService", RUNS_BOTH, (Kind.WITHDRAWAL, ALONE, ALONE)),
        ("a first release of two", EXPERIMENT, "InService", RUNS_BOTH, (Kind.WITHDRAWAL, ALONE, ALONE)),
        ("a model without a package", EXPERIMENT, "InService", {"champion": "s3://a/b"}, (Kind.WITHDRAWAL, ALONE, ALONE)),
        ("the endpoint has failed", EXPERIMENT, "Failed", RUNS_BOTH, (Kind.REBUILD, EMPTY_RELEASE, ALONE)),
        ("failed, its configuration is gone", EXPERIMENT, "Failed", {}, (Kind.REBUILD, EMPTY_RELEASE, ALONE)),
        ("failed while promoting", PROMOTED, "Failed", RUNS_BOTH, (Kind.REBUILD, EMPTY_RELEASE, ALONE)),
        ("out of service", EXPERIMENT, "OutOfService", RUNS_BOTH, (Kind.REBUILD, EMPTY_RELEASE, ALONE)),
        ("failed, nothing recorded", EMPTY_RELEASE, "Failed", {}, (Kind.WITHDRAWAL, EMPTY_RELEASE, EMPTY_RELEASE)),
    ],
)
def test_the_champion_that_serves_goes_on_alone(
    stopped: str, record: Release, status: str, runs: dict[str, str], expected: tuple[Kind, Release, Release]
) -> None:
    """Expected: what is done, the record that takes everything back, and what serves in the end."""
    planned = withdrawal(record, endpoint(status), runs)
    assert (planned.kind, planned.withdrawn, planned.target) == expected, stopped
    assert ("no capacity" in planned.why) == (status != "InService")


@pytest.mark.parametrize("record", [ALONE, EXPERIMENT, PROMOTED, EMPTY_RELEASE])
def test_without_an_endpoint_nothing_is_released(record: Release) -> None:
    planned = withdrawal(record, None, {})
    assert (planned.kind, planned.withdrawn) == (Kind.WITHDRAWAL, EMPTY_RELEASE)


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"])
def test_an_endpoint_that_changes_is_asked_again(status: str) -> None:
    with pytest.raises(EndpointUpdating, match=f"reviewloop-dev is {status}"):
        withdrawal(EXPERIMENT, endpoint(status), RUNS_BOTH)


@pytest.mark.parametrize("status", ["UpdateRollbackFailed", "SomethingNew"])
@pytest.mark.parametrize("runs", [RUNS_BOTH, {}])
def test_an_endpoint_that_may_still_serve_is_not_made_anew(status: str, runs: dict[str, str]) -> None:
    with pytest.raises(InvalidRollout, match=f"reviewloop-dev is {status}: no capacity. It may still serve, .* InService .* start again"):
        withdrawal(EXPERIMENT, endpoint(status), runs)


def test_what_is_taken_back_is_named() -> None:
    assert withdrawal(EXPERIMENT, endpoint("InService"), RUNS_BOTH).why == f"{A} goes on alone, {B} taken back"
    assert withdrawal(ALONE, endpoint("InService"), RUNS_OLD).why == f"{A} goes on alone"


# -- the function -----------------------------------------------------------------------------------

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:reviewloop-dev-rollout"
ENVIRONMENT = entry.Environment("/release", "reviewloop-dev", "canary", "automatic", 0.1, 24, asks_people=True)
CONTEXT = SimpleNamespace(function_name="f", memory_limit_in_mb=1, invoked_function_arn="a", aws_request_id="r")


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Stubber]:
    """Real clients whose answers are queued; a call without one fails."""
    keys = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    clients = {service: boto3.client(service, **keys) for service in ("sagemaker", "ssm", "stepfunctions")}
    made = {service: Stubber(client) for service, client in clients.items()}
    monkeypatch.setattr(entry, "client", lambda service: clients[service])
    monkeypatch.setattr(entry, "_environment", lambda: ENVIRONMENT)
    for stub in made.values():
        stub.activate()
    made["stepfunctions"].add_response("list_executions", {"executions": []}, {"stateMachineArn": MACHINE, "statusFilter": "RUNNING"})
    made["ssm"].add_response("get_parameter", {"Parameter": {"Value": EXPERIMENT.format()}}, {"Name": "/release"})
    return made


def planned(**given: Any) -> dict[str, Any]:
    return entry.handler({"input": given, "execution_arn": "arn:own", "state_machine_arn": MACHINE}, CONTEXT)


def test_a_withdrawal_reads_what_runs_and_no_package(stubs: dict[str, Stubber]) -> None:
    """The champion's package may be gone: its models serve on."""
    sagemaker = stubs["sagemaker"]
    sagemaker.add_response("describe_endpoint", endpoint("InService"), {"EndpointName": "reviewloop-dev"})
    variants = [{"VariantName": name, "ModelName": name} for name in ("champion", "challenger")]
    config = {"EndpointConfigName": "config", "EndpointConfigArn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint-config/c"}
    answer = {**config, "ProductionVariants": variants, "CreationTime": datetime(2026, 1, 1, tzinfo=UTC)}
    sagemaker.add_response("describe_endpoint_config", answer, {"EndpointConfigName": "config"})
    for package in (A, B):
        model = {
            "ModelName": "m",
            "ModelArn": "arn:aws:sagemaker:us-east-1:123456789012:model/m",
            "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
        }
        sagemaker.add_response("describe_model", {**model, "PrimaryContainer": {"ModelPackageName": package}}, {"ModelName": ANY})
    found = planned(withdraw=True, reason="too slow")
    assert (found["kind"], found["withdrawn"], found["reason"]) == ("withdrawal", f"{A},{A}", "too slow")


def test_a_configuration_that_is_gone_does_not_stand_in_the_way(stubs: dict[str, Stubber]) -> None:
    stubs["sagemaker"].add_response("describe_endpoint", endpoint("Failed"))
    stubs["sagemaker"].add_client_error("describe_endpoint_config", "ValidationException", 'Could not find endpoint configuration "x".')
    found = planned(withdraw=True)
    assert (found["kind"], found["withdrawn"], found["target"]) == ("rebuild", "none,none", f"{A},{A}")


def test_a_champion_without_its_package_says_how_to_go_on(stubs: dict[str, Stubber]) -> None:
    stubs["sagemaker"].add_client_error("describe_model_package", "ValidationException", "ModelPackage does not exist")
    with pytest.raises(InvalidRollout, match=r'although it is the champion.*"replace": true'):
        planned(champion=A, challenger=A)
