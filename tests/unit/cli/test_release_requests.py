"""What ``release`` refuses before anything starts, what it asks the state machine for, and the exit codes of docs/commands.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from typer.testing import CliRunner

from cli.console import NotDone, Refused
from cli.executions import Execution, Machine
from cli.exit_codes import OF_OUTCOME, ExitCode
from cli.main import release
from cli.release import command, control, requests
from cli.release.history import Rollout
from cli.release.requests import Wish
from lambdas.common.rollout_control import RolloutControl
from lambdas.rollout.plan_rollout.plan import RolloutInput
from lambdas.rollout.progress import Approval, Outcome, RolloutPolicy
from stacks.names import Names
from stacks.settings import load_settings

ROOT = Path(__file__).resolve().parents[3]
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
DEV = load_settings(ROOT / "settings" / "dev.yaml")
NAMES = Names(DEV, "111122223333")
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def arn(version: int) -> str:
    return NAMES.model_packages_arn.replace("*", str(version))


class Stage:
    """An account with this release record and these packages; package 9 waits for approval, and others than 1 to 9 do not exist."""

    settings, names, id = DEV, NAMES, "111122223333"

    def __init__(self, record: str | None, *, stack: bool = True) -> None:
        self._record, self._stack = record, stack

    def parameter(self, path: str) -> str | None:
        assert path == "release"
        return self._record

    def stack(self, name: str) -> dict[str, Any] | None:
        return {"StackName": name} if self._stack else None

    def client(self, service: str) -> Any:
        return SimpleNamespace(describe_model_package=self._package)

    def _package(self, ModelPackageName: str) -> dict[str, str]:  # noqa: N803  (boto3's argument)
        version = int(ModelPackageName.rpartition("/")[2])
        if version > 9:
            raise ClientError({"Error": {"Code": "ValidationException", "Message": "does not exist"}}, "DescribeModelPackage")
        return {"ModelApprovalStatus": "PendingManualApproval" if version == 9 else "Approved"}


def stage(champion: int | None = 1, challenger: int | None = None, **more: Any) -> Any:
    if champion is None:
        return Stage("none,none", **more)
    return Stage(f"{arn(champion)},{arn(challenger or champion)}", **more)


AS_SET = Wish()
"""As the settings say."""


def asked(account: Any, package: str, champion: str | None = None, wish: Wish = AS_SET) -> dict[str, Any]:
    return requests.start_input(account, package, champion, wish, "a test")


@pytest.mark.parametrize("package", ["2", arn(2)])
def test_a_package_challenges_the_running_champion(package: str) -> None:
    content = asked(stage(), package)
    assert content == {"champion": arn(1), "challenger": arn(2), "reason": "a test"}
    RolloutInput.parse(content)  # the state machine knows every field


def test_the_first_package_is_released_alone_or_beside_a_champion() -> None:
    assert asked(stage(None), "2") == {"champion": arn(2), "challenger": arn(2), "reason": "a test"}
    assert asked(stage(None), "2", "1")["champion"] == arn(1)


def test_the_champion_again_is_nothing_to_do_so_that_a_pipeline_may_repeat_itself() -> None:
    assert asked(stage(2), "2") == {"champion": arn(2), "challenger": arn(2), "reason": "a test"}


def test_a_policy_and_an_approval_of_this_rollout_alone_are_handed_on() -> None:
    content = asked(stage(), "2", wish=Wish(RolloutPolicy.SHADOW, Approval.MANUAL))
    assert (content["policy"], content["approval"]) == ("shadow", "manual")
    read = RolloutInput.parse(content)
    assert (read.policy, read.approval) == (RolloutPolicy.SHADOW, Approval.MANUAL)


def test_where_nobody_is_asked_only_blue_green_can_be_started() -> None:
    alone = stage()
    alone.settings = DEV.model_copy(update={"review": DEV.review.model_copy(update={"backend": "none"})})
    with pytest.raises(Refused, match=r"review\.backend 'none': give --policy blue_green"):
        asked(alone, "2", wish=Wish(RolloutPolicy.SHADOW))
    assert asked(alone, "2", wish=Wish(RolloutPolicy.BLUE_GREEN))["policy"] == "blue_green"


def test_a_promotion_does_not_stop_the_rollout_that_promotes_the_package() -> None:
    """The next one would find its record in place, so it would leave the weights as they are."""
    with pytest.raises(Refused, match="rollout 7-now is promoting it already: `release watch 7-now` follows it"):
        requests.none_promotes(stage(2), arn(2), [RUNNING])
    requests.none_promotes(stage(2), arn(2), [])
    requests.none_promotes(stage(1), arn(2), [RUNNING])
    requests.none_promotes(stage(1, 2), arn(2), [RUNNING])


def test_a_promotion_is_blue_green_and_needs_no_other_approval() -> None:
    content = requests.promote_input(stage(1, 2), "2", "a test")
    assert content == {"champion": arn(1), "challenger": arn(2), "policy": "blue_green", "approval": "automatic", "reason": "a test"}
    RolloutInput.parse(content)


def stopped(promoted: int, withdrawn: int | None, *, status: str = "ABORTED") -> Rollout:
    """A rollout whose plan names these champions."""
    plan = {"promoted": f"{arn(promoted)},{arn(promoted)}", "withdrawn": ",".join([arn(withdrawn) if withdrawn else "none"] * 2)}
    return Rollout("7", status=status, plan=plan, output={"outcome": "promoted"})


@pytest.mark.parametrize("status", ["ABORTED", "FAILED", "TIMED_OUT"])
def test_a_promotion_that_was_stopped_goes_on_as_one_that_is_watched(status: str) -> None:
    content = requests.promote_input(stage(2), "2", "a test", stopped=stopped(2, 1, status=status))
    assert content == {"champion": arn(1), "challenger": arn(2), "policy": "blue_green", "approval": "automatic", "reason": "a test"}


@pytest.mark.parametrize(
    "before",
    [
        None,
        stopped(3, 1),
        stopped(2, None),
        stopped(2, 77),
        stopped(2, 2),
        stopped(2, 1, status="SUCCEEDED"),
        Rollout("7", status="ABORTED"),
    ],
    ids=[
        "none",
        "of another package",
        "a first release",
        "the champion is deleted",
        "a replacement",
        "it ended well",
        "nothing was planned",
    ],
)
def test_a_champion_with_nothing_to_go_back_to_is_released_alone(before: Rollout | None) -> None:
    assert requests.promote_input(stage(2), "2", "a test", stopped=before) == {"champion": arn(2), "replace": True, "reason": "a test"}


class Rollouts:
    """The executions of a state machine, the newest first: name -> events."""

    def __init__(self, **histories: list[dict[str, Any]]) -> None:
        self.histories, self.started = histories, list[dict[str, Any]]()

    def running(self) -> list[Execution]:
        return []

    def listed(self, *, most: int) -> list[Execution]:
        return [Execution(name, name, "ABORTED", AT) for name in self.histories][:most]

    def summary(self, execution: Execution) -> list[dict[str, Any]]:
        events = self.histories[execution.arn]
        return [events[0], events[-1]]

    def events(self, arn: str) -> list[dict[str, Any]]:
        return self.histories[arn]

    def start(self, content: dict[str, Any], name: str) -> Execution:
        self.started.append(content)
        return Execution(name, name, "RUNNING", AT)


def history(end: dict[str, Any], **plan: str) -> list[dict[str, Any]]:
    exited = {"name": "Plan", "output": json.dumps({"plan": plan})}
    events = [
        {"type": "ExecutionStarted", "executionStartedEventDetails": {"input": "{}"}},
        {"type": "TaskStateExited", "stateExitedEventDetails": exited},
        end,
    ]
    return [{"id": number, "timestamp": AT, **event} for number, event in enumerate(events, 1)]


def test_release_promote_goes_on_with_the_rollout_that_was_stopped_before_others_were_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    account = stage(2)
    account.caller = "ada"
    refused = history({"type": "ExecutionFailed", "executionFailedEventDetails": {"error": "InvalidRollout", "cause": "no"}})
    aborted = history({"type": "ExecutionAborted"}, promoted=f"{arn(2)},{arn(2)}", withdrawn=f"{arn(1)},{arn(1)}")
    rollouts = Rollouts(second=refused, first=aborted)
    monkeypatch.setattr(command, "_machine", lambda *_: (account, rollouts))
    done = CliRunner().invoke(release, ["promote", "2", "--yes", "--no-watch"])
    assert done.exit_code == 0, done.output
    [content] = rollouts.started
    assert (content["champion"], content["challenger"], content["policy"]) == (arn(1), arn(2), "blue_green")


@pytest.mark.parametrize("account", [stage(None), stage(77), stage(2)], ids=["nothing serves", "the champion is deleted", "it serves"])
def test_a_promotion_without_a_champion_to_replace_releases_the_package_alone(account: Any) -> None:
    content = requests.promote_input(account, "2", "a test")
    assert content == {"champion": arn(2), "replace": True, "reason": "a test"}
    RolloutInput.parse(content)


@pytest.mark.parametrize(
    ("account", "package", "champion", "way_out"),
    [
        (stage(), "newest", None, "give the ARN of a model package, or its version in the group reviewloop-dev"),
        (stage(), "none", None, "give the ARN of a model package"),
        (stage(), "77", None, "aws sagemaker list-model-packages --model-package-group-name reviewloop-dev"),
        (stage(), "9", None, f"--model-package-arn {arn(9)} --model-approval-status Approved"),
        (stage(), "2", "3", f"`release promote {arn(3)}`"),
        (stage(1, 2), "1", None, "`release abort` takes it back"),
        (stage(77), "2", None, "although it is the champion: release another one in its place, `release promote PACKAGE`"),
        (Stage(None), "2", None, "release does not exist: deploy the stage (`REVIEWLOOP_STAGE=dev npx cdk deploy --all`)"),
        (Stage("what?"), "2", None, "cannot be read"),
    ],
)
def test_a_refusal_says_what_to_do(account: Any, package: str, champion: str | None, way_out: str) -> None:
    with pytest.raises(Refused) as refused:
        asked(account, package, champion)
    assert way_out in str(refused.value)


def test_a_stage_that_is_not_deployed_is_refused() -> None:
    with pytest.raises(
        Refused, match=r"reviewloop-dev-rollout is not deployed in account 111122223333.*`REVIEWLOOP_STAGE=dev npx cdk deploy --all`"
    ):
        requests.machine_of(stage(stack=False))


def test_one_rollout_at_a_time() -> None:
    requests.none_runs([])
    with pytest.raises(Refused, match="rollout 6-now runs since 2026-03-01 12:00: `release watch` follows it, `release abort` ends it"):
        requests.none_runs([Execution("arn", "6-now", "RUNNING", AT)])


def test_a_name_says_the_version_and_the_time() -> None:
    assert re.fullmatch(r"7-\d{8}-\d{6}", requests.new_name(arn(7)))


# -- what a running rollout is told ------------------------------------------------------------------


class NoParameter(Exception):
    pass


class Told:
    """An account whose control record a test reads, with its versions as SSM counts them. ``meanwhile``: what others do, each between a
    read or write and the next write."""

    names, settings = NAMES, SimpleNamespace(stage="dev")
    exceptions = SimpleNamespace(ParameterNotFound=NoParameter)

    def __init__(self, record: str | None, *, kept: int = 100) -> None:
        self.versions = [] if record is None else [record]
        self.meanwhile: list[Callable[[], object]] = []
        self.kept = kept

    @property
    def record(self) -> str:
        return self.versions[-1]

    def client(self, service: str) -> Any:
        return self

    def get_parameter(self, *, Name: str) -> dict[str, Any]:  # noqa: N803  (boto3's arguments, also below)
        if not self.versions:
            raise NoParameter
        return {"Parameter": {"Value": self.record, "Version": len(self.versions)}}

    def put_parameter(self, *, Name: str, Value: str, Overwrite: bool) -> dict[str, Any]:  # noqa: N803
        assert (Name, Overwrite) == ("/reviewloop/dev/rollout-control", True)
        if self.meanwhile:
            self.meanwhile.pop(0)()
        self.versions.append(Value)
        return {"Version": len(self.versions)}

    def get_paginator(self, operation: str) -> Any:
        assert operation == "get_parameter_history"
        return self

    def paginate(self, *, Name: str) -> list[dict[str, Any]]:  # noqa: N803
        numbered = list(enumerate(self.versions, start=1))[-self.kept :]
        return [{"Parameters": [{"Version": version, "Value": value}]} for version, value in numbered]


RUNNING = Execution("arn", "7-now", "RUNNING", AT)


def test_a_pause_and_an_approval_stand_side_by_side_and_only_for_this_rollout() -> None:
    account: Any = Told('{"rollout": "6-before", "paused": true, "approved": true, "by": "bob"}')
    control.tell(account, RUNNING, by="ada", paused=True)
    assert RolloutControl.parse(account.record) == RolloutControl("7-now", paused=True, by="ada", paused_by="ada")
    control.tell(account, RUNNING, by="eve", approved=True)
    both = RolloutControl.of("7-now", account.record)
    assert (both.paused, both.pauser, both.approved, both.approver) == (True, "ada", True, "eve")
    control.tell(account, RUNNING, by="ada", paused=False)
    assert RolloutControl.parse(account.record) == RolloutControl("7-now", approved=True, by="ada", approved_by="eve")


def test_two_people_who_speak_at_the_same_moment_are_both_heard() -> None:
    """Alice has read the record, then Bob reads and writes it, then Alice writes: without a second look Bob's pause would be gone."""
    account: Any = Told("none")
    account.meanwhile = [lambda: control.tell(account, RUNNING, by="bob", paused=True)]
    said = control.tell(account, RUNNING, by="alice", approved=True)
    both = RolloutControl.of("7-now", account.record)
    assert both == said
    assert (both.paused, both.pauser, both.approved, both.approver) == (True, "bob", True, "alice")


def test_three_people_who_speak_at_the_same_moment_are_all_heard() -> None:
    """Bob ends Dan's pause, and Cora approves. Each wrote what was right before the others did."""
    account: Any = Told(RolloutControl("7-now", paused=True, by="dan", paused_by="dan").format())
    bobs = RolloutControl("7-now", by="bob")
    coras = RolloutControl("7-now", paused=True, approved=True, by="cora", paused_by="dan", approved_by="cora")
    account.meanwhile = [lambda: account.versions.append(bobs.format()), lambda: account.versions.append(coras.format())]
    control.tell(account, RUNNING, by="alice", approved=True)
    told = RolloutControl.of("7-now", account.record)
    assert (told.paused, told.approved, told.approver) == (False, True, "alice"), account.versions
    assert len(account.versions) == 5, "Cora's word was Alice's, so the fifth was the last"


def test_whoever_wrote_the_same_meanwhile_changes_nothing() -> None:
    account: Any = Told("none")
    account.meanwhile = [lambda: account.versions.append("none")]
    control.tell(account, RUNNING, by="alice", approved=True)
    assert len(account.versions) == 3


def test_a_record_that_changes_all_the_time_or_forgets_what_it_held_is_no_success() -> None:
    restless: Any = Told("none")
    names = iter("abcdefgh")

    def pause() -> None:
        restless.versions.append(RolloutControl("7-now", paused=True, by=next(names)).format())

    restless.meanwhile = [pause] * 8
    with pytest.raises(NotDone, match="say it again"):
        control.tell(restless, RUNNING, by="alice", approved=True)
    forgetful: Any = Told("none", kept=1)
    forgetful.meanwhile = [lambda: forgetful.versions.append("none")]
    with pytest.raises(NotDone, match="look at `release status`"):
        control.tell(forgetful, RUNNING, by="alice", approved=True)


def test_the_names_of_a_record_that_has_one_name_are_kept() -> None:
    account: Any = Told('{"rollout": "7-now", "paused": false, "approved": true, "by": "eve"}')
    control.tell(account, RUNNING, by="bob", paused=True)
    now = RolloutControl.of("7-now", account.record)
    assert (now.pauser, now.approver) == ("bob", "eve")


def test_without_a_control_record_the_stage_is_deployed_first() -> None:
    account: Any = Told(None)
    with pytest.raises(Refused, match="/reviewloop/dev/rollout-control does not exist: deploy the stage"):
        control.tell(account, RUNNING, by="ada", paused=True)


# -- finding an execution ------------------------------------------------------------------------------


class States:
    """Step Functions with executions by name, the newest first."""

    def __init__(self, **executions: str) -> None:
        rows = [{"executionArn": f"arn:{name}", "name": name, "status": status, "startDate": AT} for name, status in executions.items()]
        self._rows = rows

    def get_paginator(self, operation: str) -> Any:
        return self

    def paginate(self, *, PaginationConfig: dict[str, int], statusFilter: str | None = None, **_: Any) -> Any:  # noqa: N803  (boto3's)
        found = [row for row in self._rows if statusFilter in (None, row["status"])]
        return [{"executions": found[: PaginationConfig["MaxItems"]]}]


def machine(**executions: str) -> Machine:
    account: Any = SimpleNamespace(names=NAMES, settings=DEV, client=lambda _: States(**executions))
    return Machine(account, "rollout")


def test_an_execution_is_found_by_its_name_its_arn_or_how_the_name_begins() -> None:
    rollouts = machine(new_1="SUCCEEDED", run_1="RUNNING", run_12="FAILED", old_1="ABORTED")
    assert rollouts.find("run_1").name == "run_1", "a whole name is no beginning of another"
    assert rollouts.find("arn:aws:states:eu-west-1:111122223333:execution:reviewloop-dev-rollout:old_1").name == "old_1"
    assert rollouts.find("new").name == "new_1"
    assert rollouts.find(None).name == "run_1", "the one that runs"
    assert machine(new_1="SUCCEEDED", old_1="ABORTED").find(None).name == "new_1", "else the newest"


@pytest.mark.parametrize(("wanted", "said"), [("run", "begins the names of 2 executions"), ("none", "no execution 'none'")])
def test_an_execution_that_is_not_one_is_refused(wanted: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        machine(run_1="RUNNING", run_2="FAILED").find(wanted)


def test_only_new_events_are_read() -> None:
    pages = [{"events": [{"id": 5}, {"id": 4}]}, {"events": [{"id": 3}, {"id": 2}]}]
    account: Any = SimpleNamespace(client=lambda _: SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=lambda **_: pages)))
    assert [event["id"] for event in Machine(account, "rollout").events("arn", after=3)] == [4, 5]
    assert [event["id"] for event in Machine(account, "rollout").events("arn")] == [2, 3, 4, 5]


def failing(*errors: Exception) -> Machine:
    """A machine whose history cannot be read at first."""
    left = list(errors)

    def paginate(**_: Any) -> list[dict[str, Any]]:
        if left:
            raise left.pop(0)
        return [{"events": [{"id": 1}]}]

    account: Any = SimpleNamespace(client=lambda _: SimpleNamespace(get_paginator=lambda _: SimpleNamespace(paginate=paginate)))
    return Machine(account, "rollout")


def refusal(status: int, code: str = "X") -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetExecutionHistory")


def test_a_network_that_is_away_for_a_while_ends_no_watch() -> None:
    away = EndpointConnectionError(endpoint_url="https://states")
    assert failing(away, refusal(503), refusal(400, "ThrottlingException")).news("arn", after=0, pause=0) == [{"id": 1}]
    with pytest.raises(EndpointConnectionError):
        failing(*[away] * 20).news("arn", after=0, pause=0)
    with pytest.raises(ClientError):
        failing(refusal(400)).news("arn", after=0, pause=0)


# -- docs/commands.md ----------------------------------------------------------------------------------


def test_every_exit_code_has_its_row_and_every_outcome_its_code() -> None:
    table = COMMANDS.partition("| exit code | means |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (\d+) \|", table, re.MULTILINE) == [str(int(code)) for code in ExitCode]
    assert set(Outcome) <= set(OF_OUTCOME)


def test_every_verb_has_its_row() -> None:
    section = COMMANDS.partition("\n## release\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z]+)[^`]*` \|", section, re.MULTILINE)
    verbs = [command.name or command.callback.__name__ for command in release.registered_commands if command.callback]
    assert rows == [verb for verb in verbs if verb != "reregister"]
