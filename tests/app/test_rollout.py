"""Rollouts on the deployed app: first release, promotion, rollback by alarm, no traffic. test_release_commands.py deploys meanwhile."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from released_app import ReleasedApp, TinyModel, deploy, in_background

from embedded_aws.tools import launcher
from lambdas.rollout.progress import Progress
from stacks.application import build_app
from stacks.settings import load_settings

pytestmark = pytest.mark.slow

DEV = load_settings(launcher.ROOT / "settings" / "dev.yaml")
SHORT = DEV.model_copy(
    update={
        "rollout": DEV.rollout.model_copy(update={"step_seconds": 120, "min_invocations": 5, "max_hours": 0.2}),
        "hosting": DEV.hosting.model_copy(
            update={"fleet_shift": DEV.hosting.fleet_shift.model_copy(update={"wait_seconds": 180, "termination_wait_seconds": 30})}
        ),
    }
)
"""The dev stage with short waits."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReleasedApp]:
    folder = tmp_path_factory.mktemp("app")
    build_app(SHORT, folder / "cdk.out").synth()
    with deploy(folder, assembly=folder / "cdk.out", settings=SHORT) as deployed:
        yield deployed


@pytest.fixture(scope="module")
def champion(app: ReleasedApp) -> str:
    """Released by the state machine, as the first thing that this module does."""
    package = app.register(TinyModel("champion-1"))
    ended = roll_out(app, package, package)
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["outcome"] == "released"
    assert app.running() == {"champion": package, "challenger": package}
    return package


@pytest.fixture(autouse=True)
def _alone_again(app: ReleasedApp, champion: str) -> Iterator[None]:
    """Every test starts from, and leaves, the champion alone."""
    assert app.running() == {"champion": champion, "challenger": champion}
    yield


def start(app: ReleasedApp, content: dict[str, Any]) -> str:
    machine = app.names.arn("states", f"stateMachine:{app.names.state_machine('rollout')}")
    arn: str = app.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps(content))["executionArn"]
    return arn


def finished(app: ReleasedApp, arn: str, seconds: float = 240) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while (described := app.client("stepfunctions").describe_execution(executionArn=arn))["status"] == "RUNNING":
        assert time.monotonic() < deadline, f"the rollout still runs after {seconds:.0f} s"
        time.sleep(0.2)
    found: dict[str, Any] = described
    return found


def roll_out(app: ReleasedApp, champion: str, challenger: str) -> dict[str, Any]:
    return finished(app, start(app, {"champion": champion, "challenger": challenger, "reason": "a test"}))


def withdraw(app: ReleasedApp) -> dict[str, Any]:
    """The one action of the operations page."""
    return finished(app, start(app, {"withdraw": True}))


def outcome(ended: dict[str, Any]) -> dict[str, Any]:
    assert ended["status"] == "SUCCEEDED", f"{ended.get('error')}: {ended.get('cause')}"
    found: dict[str, Any] = json.loads(ended["output"])
    return found


@contextmanager
def traffic(app: ReleasedApp) -> Iterator[list[int]]:
    """Two callers without a pause; yields the status codes that they got."""
    statuses: list[int] = []
    numbers = itertools.count()
    with in_background(lambda: statuses.append(app.predict(f"a positive text, number {next(numbers)}").status), workers=2):
        yield statuses


def all_quiet(app: ReleasedApp) -> None:
    """Wait until no alarm rings that an earlier challenger set off: it would end the next rollout at once."""
    deadline = time.monotonic() + 60
    while app.client("cloudwatch").describe_alarms(AlarmNamePrefix=app.names.alarm("challenger"), StateValue="ALARM")["MetricAlarms"]:
        assert time.monotonic() < deadline, "an alarm of the challenger goes on ringing"
        time.sleep(0.1)


def model_errors(app: ReleasedApp) -> float:
    """Calls that the challenger failed so far."""
    now = datetime.now(UTC)
    points = app.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="InvocationModelErrors",
        Dimensions=[{"Name": "EndpointName", "Value": app.names.prefix}, {"Name": "VariantName", "Value": "challenger"}],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))


def record(app: ReleasedApp) -> str:
    value: str = app.client("ssm").get_parameter(Name=app.names.parameter("release"))["Parameter"]["Value"]
    return value


def test_what_serves_already_is_left_alone(app: ReleasedApp, champion: str) -> None:
    before = app.endpoint()["EndpointConfigName"]
    assert outcome(roll_out(app, champion, champion))["outcome"] == "released"
    assert app.endpoint()["EndpointConfigName"] == before


@pytest.mark.parametrize("model", [TinyModel("bad-1", fail_share=0.5), TinyModel("crashing-1", crash_share=0.5)], ids=lambda m: m.version)
def test_a_bad_challenger_is_rolled_back_by_alarm_or_judge_and_told_so(app: ReleasedApp, champion: str, model: TinyModel) -> None:
    """A container that crashes gives no status code: only InvocationModelErrors sees it. Callers often do not, since such a call has a
    second try."""
    all_quiet(app)
    bad, before = app.register(model), model_errors(app)
    with traffic(app) as statuses:
        ended = outcome(roll_out(app, champion, bad))
    assert ended["outcome"] == "rolled_back"
    assert "alarm" in ended["reason"].lower() or "calls of the challenger failed" in ended["reason"]
    assert model_errors(app) > before, "the bad model was really met"
    assert set(statuses) <= {200, 502, 503}
    assert model.crash_share or {502, 503} & set(statuses), "callers meet a model that fails"
    assert app.running() == {"champion": champion, "challenger": champion}
    assert (record(app), app.weights()) == (f"{champion},{champion}", {"champion": 1.0, "challenger": 0.0})


def test_the_judge_counts_calls_of_a_container_that_crashes(app: ReleasedApp, champion: str, wait_until: Callable[..., Any]) -> None:
    since = Progress.begin(0.1, datetime.now(UTC).isoformat(timespec="milliseconds")).as_json()
    content = {"rollout": "no-execution", "progress": since}
    for _ in range(app.settings.rollout.min_invocations):
        with pytest.raises(ClientError):
            app.client("sagemaker-runtime").invoke_endpoint(
                EndpointName=app.names.endpoint, TargetVariant="challenger", ContentType="application/json", Body=b'{"inputs": "[crash]"}'
            )
    answer = app.client("lambda").invoke(FunctionName=app.names.function("judge-rollout"), Payload=json.dumps(content))
    verdict = json.loads(answer["Payload"].read())
    evidence = verdict["evidence"]["calls"]["challenger"]
    assert verdict["decision"] == "roll_back"
    assert evidence["failed"] == evidence["invocations"] >= app.settings.rollout.min_invocations
    wait_until(lambda: not alarming(app))  # no later test shall meet this one's alarm


def alarming(app: ReleasedApp) -> list[str]:
    found = app.client("cloudwatch").describe_alarms(AlarmNamePrefix=app.names.alarm("challenger"), StateValue="ALARM")["MetricAlarms"]
    return [alarm["AlarmName"] for alarm in found]


def test_without_traffic_nothing_is_concluded_and_the_champion_stays(app: ReleasedApp, champion: str) -> None:
    ended = outcome(roll_out(app, champion, app.register(TinyModel("unseen-1"))))
    assert ended["outcome"] == "inconclusive", ended["reason"]
    assert "the time is up: neither a loss nor one of 5.0 points is refuted" in ended["reason"]
    assert "0 labels" in ended["reason"]
    assert record(app) == f"{champion},{champion}"


def test_an_unapproved_package_is_not_released(app: ReleasedApp, champion: str) -> None:
    waiting = app.register(TinyModel("waiting-1"), approval="PendingManualApproval")
    ended = roll_out(app, champion, waiting)
    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidRollout")
    assert "PendingManualApproval" in ended["cause"]
    assert record(app) == f"{champion},{champion}"


# -- withdrawing -----------------------------------------------------------------------------------


def stop_when(app: ReleasedApp, arn: str, reached: Callable[[], bool], wait_until: Callable[..., Any]) -> None:
    wait_until(reached, seconds=120)
    app.client("stepfunctions").stop_execution(executionArn=arn)


@pytest.mark.parametrize("moment", ["in the middle of the fleet shift", "at a weight step"])
def test_a_stopped_rollout_is_withdrawn(app: ReleasedApp, champion: str, moment: str, wait_until: Callable[..., Any]) -> None:
    challenger = app.register(TinyModel(f"stopped-{moment.rsplit(maxsplit=1)[-1]}"))
    arn = start(app, {"champion": champion, "challenger": challenger})
    reached = {
        "in the middle of the fleet shift": lambda: "PendingDeploymentSummary" in app.endpoint(),
        "at a weight step": lambda: app.endpoint()["EndpointStatus"] == "InService" and app.running()["challenger"] == challenger,
    }
    stop_when(app, arn, reached[moment], wait_until)
    assert record(app) == f"{champion},{challenger}"
    ended = outcome(withdraw(app))
    assert ended["outcome"] == "withdrawn"
    assert f"{champion} goes on alone, {challenger} taken back" in ended["reason"]
    assert app.running() == {"champion": champion, "challenger": champion}
    assert (record(app), app.weights()) == (f"{champion},{champion}", {"champion": 1.0, "challenger": 0.0})


def test_a_rollout_that_runs_must_be_stopped_before_it_is_withdrawn(app: ReleasedApp, champion: str) -> None:
    arn = start(app, {"champion": champion, "challenger": app.register(TinyModel("running-1"))})
    refused = withdraw(app)
    assert (refused["error"], "stop it" in refused["cause"]) == ("AnotherRolloutRuns", True)
    app.client("stepfunctions").stop_execution(executionArn=arn)
    assert outcome(withdraw(app))["outcome"] == "withdrawn"
    assert outcome(withdraw(app))["outcome"] == "withdrawn"  # once more does no harm


def test_an_endpoint_that_failed_is_made_anew_with_the_champion(app: ReleasedApp, champion: str, wait_until: Callable[..., Any]) -> None:
    """It takes no update any more: the worst that a stopped rollout can leave behind."""
    old = app.endpoint()["EndpointConfigName"]
    arn = start(app, {"champion": champion, "challenger": app.register(TinyModel("fatal-1"))})
    stop_when(app, arn, lambda: "PendingDeploymentSummary" in app.endpoint(), wait_until)
    app.client("sagemaker").delete_endpoint_config(EndpointConfigName=old)
    wait_until(lambda: app.endpoint()["EndpointStatus"] == "Failed")
    assert outcome(withdraw(app))["outcome"] == "released"
    assert app.endpoint()["EndpointStatus"] == "InService"
    assert record(app) == f"{champion},{champion}"


def test_a_champion_whose_package_was_deleted_is_replaced_at_once(app: ReleasedApp, champion: str) -> None:
    lost, better = app.register(TinyModel("lost-1")), app.register(TinyModel("better-0"))
    assert outcome(finished(app, start(app, {"champion": lost, "replace": True})))["outcome"] == "released"
    assert app.running() == {"champion": lost, "challenger": lost}
    app.client("sagemaker").delete_model_package(ModelPackageName=lost)
    refused = roll_out(app, lost, better)
    assert refused["error"] == "InvalidRollout"
    assert '"replace": true' in json.loads(refused["cause"])["errorMessage"]
    assert outcome(finished(app, start(app, {"champion": champion, "replace": True})))["outcome"] == "released"
    assert (record(app), app.weights()["challenger"]) == (f"{champion},{champion}", 0.0)


# -- roles -----------------------------------------------------------------------------------------


def test_a_role_without_one_action_fails_the_rollout_by_its_name(app: ReleasedApp, champion: str) -> None:
    iam, action = app.client("iam"), "sagemaker:UpdateEndpointWeightsAndCapacities"
    (role,) = (one["RoleName"] for one in iam.list_roles()["Roles"] if "ShiftWeights" in one["RoleName"])
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    whole = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    less = json.loads(json.dumps(whole).replace(action, "sagemaker:ListEndpoints"))
    assert less != whole
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(less))
    try:
        ended = outcome(roll_out(app, champion, app.register(TinyModel("locked-out-1"))))
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(whole))
    assert ended["outcome"] == "rolled_back"
    assert f"not authorized to perform: {action}" in ended["reason"]
    assert [one for one in app.denied() if action in one and role in one]


@contextmanager
def update_role_without(app: ReleasedApp, action: str) -> Iterator[None]:
    iam = app.client("iam")
    (role,) = (one["RoleName"] for one in iam.list_roles()["Roles"] if "EndpointUpdateRole" in one["RoleName"])
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    whole = json.dumps(iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"])
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=whole.replace(f'"{action}"', '"sagemaker:ListEndpoints"'))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=whole)


def test_the_service_role_of_the_update_is_needed_too(app: ReleasedApp, champion: str) -> None:
    action = "sagemaker:CreateEndpointConfig"
    with update_role_without(app, action):
        ended = outcome(roll_out(app, champion, app.register(TinyModel("locked-out-2"))))
    assert ended["outcome"] == "rolled_back"
    assert action in ended["reason"]
    assert record(app) == f"{champion},{champion}"


def test_a_release_waits_for_the_autoscaler(app: ReleasedApp, champion: str) -> None:
    """An endpoint that gets another instance takes no configuration: the stack's update would fail and the release count as refused."""
    content = {"release": record(app), "execution_arn": "none", "record_first": False}
    first = app.counts()["challenger"]
    more = [{"VariantName": "challenger", "DesiredInstanceCount": first + 1}]
    app.client("sagemaker").update_endpoint_weights_and_capacities(EndpointName=app.names.endpoint, DesiredWeightsAndCapacities=more)
    answer = app.client("lambda").invoke(FunctionName=app.names.function("apply-release"), Payload=json.dumps(content))
    assert json.loads(answer["Payload"].read())["errorType"] == "StackBusy"
    app.in_service()
    app.change(DesiredInstanceCount={"challenger": first})


def test_a_good_challenger_is_promoted_once_a_loss_is_refuted(app: ReleasedApp, champion: str) -> None:
    refused = len(app.denied())
    better = app.register(TinyModel("better-1"))
    with traffic(app) as statuses:
        arn = start(app, {"champion": champion, "challenger": better})
        app.write_pairs(arn.rsplit(":", 1)[1])
        ended = outcome(finished(app, arn))
    assert ended["outcome"] == "promoted", ended["reason"]
    assert (
        "a loss of 5.0 points is refuted: people agree with the challenger alone on 1 and with the champion alone on 1" in ended["reason"]
    )
    shares = [change["challenger"] for change in ended["weights"]]
    assert shares == [app.settings.rollout.weight_steps[0], 0.0]
    assert app.running() == {"champion": better, "challenger": better}
    assert (record(app), app.weights()) == (f"{better},{better}", {"champion": 1.0, "challenger": 0.0})
    assert set(statuses) == {200}
    assert len(app.denied()) == refused
    assert outcome(finished(app, start(app, {"champion": champion, "replace": True})))["outcome"] == "released"


def test_blue_green_replaces_the_champion_at_once_once_a_person_has_approved(app: ReleasedApp, champion: str) -> None:
    """Nobody compares the two, no experiment is recorded, and every caller is answered."""
    greener, parameter = app.register(TinyModel("greener-1")), app.names.parameter("rollout-control")
    content = {"champion": champion, "challenger": greener, "policy": "blue_green", "approval": "manual"}
    with traffic(app) as statuses:
        arn = start(app, content)
        approved = {"rollout": arn.rsplit(":", 1)[1], "approved": True, "by": "a test"}
        app.client("ssm").put_parameter(Name=parameter, Value=json.dumps(approved), Overwrite=True)
        ended = outcome(finished(app, arn))
    assert ended["outcome"] == "promoted", ended["reason"]
    assert "approved by a test" in ended["reason"]
    assert [change["challenger"] for change in ended["weights"]] == [0.0]
    assert app.running() == {"champion": greener, "challenger": greener}
    assert app.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"] == "none"
    assert set(statuses) == {200}
    assert outcome(finished(app, start(app, {"champion": champion, "replace": True})))["outcome"] == "released"
