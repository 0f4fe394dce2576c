"""The state machine of a rollout: tables that say what follows what, and the builder that makes states of them.

docs/rollout.md has a picture of it. A state is named in the tables before or after it is made; the builder connects all of them at the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from aws_cdk import Duration, Stack
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from contracts.shared_words import VARIANTS
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources
from stacks.constructs.state_machine import StateMachine, invoke
from stacks.durations import longest_rollout_hours
from stacks.rollout.functions import RolloutFunctions
from stacks.settings import Settings

SHORTEST_POLL_SECONDS = 15
MOST_POLLS = 480
"""Of one fleet shift: the history of an execution holds 25,000 events, a poll is nine of them, and a rollout has three shifts."""

Record = Literal["target", "promoted", "withdrawn"]
"""The release records that ``plan_rollout`` lays out: with the challenger, with the challenger as champion, without it."""

_AT_ONCE = {"take_back": "at_once"}
"""In a verdict that no judge has given: nobody knows how good the challenger is."""
NOT_IN_PLACE = "ReleaseNotInPlace"
"""The failed end: nothing is left that could be taken back."""


@dataclass(frozen=True)
class Branch:
    """A decision on one word of the execution's state."""

    name: str
    word: str
    """JSON path of the word."""
    cases: Mapping[str, str]
    """Word -> the state that follows."""
    otherwise: str


@dataclass(frozen=True)
class Phase:
    """One record is put in place: ``<name>Apply``, ``<name>Wait``, ``<name>Check`` and ``<name>Status``, until the stack has an answer."""

    name: str
    record: Record
    success: str
    """The state that follows when the endpoint runs the record."""
    failure: str
    """The state that follows when it does not. It finds ``$.problem``, and in ``$.verdict`` the verdict to roll back."""

    @property
    def takes_back(self) -> bool:
        """Such a record is written before the stack is looked at, so it does not name the release any more even if the stack is stuck."""
        return self.record == "withdrawn"


@dataclass(frozen=True)
class Shift:
    """The challenger gets a share of the traffic."""

    name: str
    share: float | str | None
    """A number, or the JSON path of one; None: the live share stays."""
    success: str
    failure: str | None = None
    """The state that follows an error; None: the execution fails."""
    keeps_verdict: bool = False
    """An error does not become the verdict: what follows is right all the same."""
    capacity: Literal["as_is", "open", "take_over", "take_back", "settle"] = "as_is"
    """What becomes of the instances, and of the bounds of the challenger's autoscaling (``lambdas/rollout/shift_weights/capacity.py``)."""
    experiment: bool = False
    """Both models are in place: the experiment's record follows the share. It is ``none`` otherwise."""


@dataclass(frozen=True)
class Look:
    """The judge is asked after ``rollout.step_seconds``, again and again: ``<wait>``, ``<name>``, ``<note>`` and ``<branch>``.

    An error, and any verdict that is not in the table, takes the challenger back.
    """

    name: str
    wait: str
    note: str
    branch: str
    verdicts: Mapping[str, str]
    """Decision -> the state that follows; ``hold`` and ``await_approval`` wait for the next look."""


@dataclass(frozen=True)
class Ending:
    """The rollout ends well or is taken back; ``finish_rollout`` tells so, with the verdict's reason and evidence where there is one."""

    name: str
    outcome: str
    record: Record
    """What is in place then."""
    reason: str | None = None
    """A sentence; None: the verdict's."""


BRANCHES = (
    Branch(
        "Kind",
        "$.plan.kind",
        {
            "first": "FirstApply",
            "experiment": "OpenCanary",
            "blue_green": "Approval",
            "replacement": "CloseStopped",
            "withdrawal": "Asked",
            "rebuild": "ClearApply",
        },
        otherwise="Unchanged",
    ),
    # An experiment is approved when the judge is done; blue/green has nothing to wait for, so it is approved before it begins.
    Branch("Approval", "$.progress.approval", {"manual": "WaitApproval"}, otherwise="CloseStopped"),
    # What breaks something loses its callers at once. Where people or the clock decide, the champion's fleet grows before.
    Branch("TakeBack", "$.verdict.take_back", {"instances_first": "GrowChampion"}, otherwise="TakeAll"),
    Branch("Watched", "$.plan.kind", {"blue_green": "WaitWatch"}, otherwise="SettleReplacement"),
    Branch(
        "Outcome",
        "$.verdict.decision",
        {"promote": "Promoted", "inconclusive": "Inconclusive", "withdraw": "Withdrawn"},
        otherwise="RolledBack",
    ),
)

LOOKS = (
    Look("Judge", "WaitStep", "NoteVerdict", "Verdict", {"advance": "ShiftWeights", "promote": "CloseExperiment"}),
    Look("Ask", "WaitApproval", "NoteAnswer", "Answer", {"promote": "CloseStopped"}),
    Look("Watch", "WaitWatch", "NoteWatch", "WatchVerdict", {"promote": "Settle"}),
)

PHASES = (
    Phase("First", "target", success="Released", failure="KeepReason"),
    Phase("Challenge", "target", success="ShiftWeights", failure="EndComparison"),
    Phase("Promote", "promoted", success="TakeOver", failure="EndComparison"),
    Phase("Replace", "target", success="GrowReplacement", failure="EndComparison"),
    Phase("Clear", "withdrawn", success="FirstApply", failure=NOT_IN_PLACE),
    Phase("Withdraw", "withdrawn", success="Settle", failure=NOT_IN_PLACE),
)

SHIFTS = (
    # The first share comes before the new fleet, so that the fleet's canary serves traffic.
    Shift("OpenCanary", "$.progress.share", success="ChallengeApply", failure="EndComparison", capacity="open"),
    Shift("ShiftWeights", "$.progress.share", success="WaitStep", failure="EndComparison", experiment=True),
    # The weights stay; before the next release changes what the variants run, nobody takes them for the experiment's any more.
    Shift("CloseExperiment", "$.progress.share", success="PromoteApply", failure="EndComparison"),
    # Both variants run the winner: the champion's fleet grows before it has all callers.
    Shift("TakeOver", "$.progress.share", success="GiveAll", failure="GiveAll", keeps_verdict=True, capacity="take_over"),
    Shift("GiveAll", 0.0, success="Settle"),
    # A rollout that was stopped may have left a share of the callers to the challenger, and its experiment's record.
    Shift("CloseStopped", None, success="ReplaceApply", failure="ReplaceApply", keeps_verdict=True),
    Shift("GrowReplacement", None, success="GiveReplacement", failure="GiveReplacement", keeps_verdict=True, capacity="take_over"),
    Shift("GiveReplacement", 0.0, success="Watched"),
    Shift("SettleReplacement", 0.0, success="Replaced", failure="Replaced", keeps_verdict=True, capacity="settle"),
    # The weights stay, and the champion's instances and share say what it needs for all callers.
    Shift("EndComparison", None, success="TakeBack", failure="TakeBack", keeps_verdict=True),
    Shift("GrowChampion", None, success="TakeAll", failure="TakeAll", keeps_verdict=True, capacity="take_back"),
    # Whether that worked or not, the release follows. After a verdict that is in a hurry the instances come behind the weights here.
    Shift("TakeAll", 0.0, success="WithdrawApply", failure="WithdrawApply", keeps_verdict=True, capacity="take_back"),
    # What went wrong here, autoscaling and the next rollout put right.
    Shift("Settle", 0.0, success="Outcome", failure="Outcome", keeps_verdict=True, capacity="settle"),
)

ENDINGS = (
    Ending("Promoted", "promoted", "promoted"),
    Ending("RolledBack", "rolled_back", "withdrawn"),
    Ending("Inconclusive", "inconclusive", "withdrawn"),
    Ending("Withdrawn", "withdrawn", "withdrawn"),
    Ending("Replaced", "released", "target", "the champion is replaced, without an experiment"),
    Ending("Released", "released", "target", "nothing served before: champion and challenger are released as they are"),
    Ending("Unchanged", "released", "target", "the champion serves alone already: nothing to do"),
)


def rollout_machine(stack: Stack, *, shared: SharedResources, functions: RolloutFunctions) -> StateMachine:
    """The machine ``<prefix>-rollout``, what it may call, and who hears of its failure."""
    machine = StateMachine(
        stack,
        "Machine",
        shared=shared,
        part="rollout",
        definition=_States(stack, shared.settings, functions).first,
        timeout=Duration.hours(longest_rollout_hours(shared.settings)),
    )
    machine.allow_invoke(functions.plan, functions.apply, functions.check, functions.shift, functions.judge, functions.finish)
    machine.alert_on_failure("A rollout ended without a verdict: compare the release record with what the endpoint runs")
    return machine


class _States:
    """Every state of the machine; ``first`` is where an execution starts."""

    def __init__(self, stack: Stack, settings: Settings, functions: RolloutFunctions) -> None:
        # States live in a scope of their own, so that their names stay short in the definition.
        self._scope = Construct(stack, "Steps")
        self._settings, self._functions = settings, functions
        self._by_name: dict[str, sfn.IChainable] = {}
        self._connections: list[tuple[Callable[[sfn.IChainable], object], str]] = []
        self.first = self._plan()
        for branch in BRANCHES:
            self._branch(branch)
        for phase in PHASES:
            self._phase(phase)
        for shift in SHIFTS:
            self._shift(shift)
        for look in LOOKS:
            self._look(look)
        self._asked()
        self._undo_first()
        for ending in ENDINGS:
            self._ending(ending)
        for connect, following in self._connections:
            connect(self._by_name[following])

    # -- the beginning -----------------------------------------------------------------------------

    def _plan(self) -> sfn.IChainable:
        who = {
            "input": sfn.JsonPath.object_at("$"),
            "execution_arn": sfn.JsonPath.execution_id,
            "state_machine_arn": sfn.JsonPath.state_machine_id,
        }
        plan = self._task("Plan", self._functions.plan, who, result_path="$.plan", success="LayOut")
        # A withdrawal may come in the middle of a fleet shift.
        plan.add_retry(errors=["EndpointUpdating"], **self._patience())
        self._pass("LayOut", {"plan.$": "$.plan", "progress.$": "$.plan.progress"}, following="Kind")
        return plan

    def _asked(self) -> None:
        """Somebody wants the rollout withdrawn: a verdict like the judge's."""
        verdict = {"decision": "withdraw", "reason.$": "$.plan.why", **_AT_ONCE}
        self._pass("Asked", {"plan.$": "$.plan", "progress.$": "$.progress", "verdict": verdict}, following="EndComparison")

    # -- rows of the tables ------------------------------------------------------------------------

    def _branch(self, branch: Branch) -> None:
        choice = sfn.Choice(self._scope, branch.name)
        self._by_name[branch.name] = choice
        for word, following in branch.cases.items():
            self._when(choice, branch.word, word, following)
        self._connections.append((choice.otherwise, branch.otherwise))

    def _phase(self, phase: Phase) -> None:
        apply, wait, check, status = (f"{phase.name}{step}" for step in ("Apply", "Wait", "Check", "Status"))
        applied = self._apply(apply, phase.record, success=wait, takes_back=phase.takes_back)
        self._wait(wait, self._poll_seconds, following=check)
        release = {"release": sfn.JsonPath.string_at(f"$.plan.{phase.record}")}
        checked = self._task(check, self._functions.check, release, result_path="$.check", success=status)
        if phase.failure != NOT_IN_PLACE:
            self._error_as_verdict(f"{phase.name}Refused", of=applied, following=phase.failure)
            self._catch(checked, f"{phase.name}Refused")
        lost = f"{phase.name}Lost"
        self._branch(Branch(status, "$.check.status", {"in_place": phase.success, "updating": wait}, otherwise=lost))
        reason = {"problem.$": "$.check.reason", "verdict": {"decision": "roll_back", "reason.$": "$.check.reason", **_AT_ONCE}}
        self._pass(lost, {"plan.$": "$.plan", "progress.$": "$.progress", **reason}, following=phase.failure)

    def _shift(self, shift: Shift) -> None:
        content: dict[str, Any] = {"progress": sfn.JsonPath.object_at("$.progress"), "capacity": shift.capacity}
        if shift.share is not None:
            content["share"] = sfn.JsonPath.number_at(shift.share) if isinstance(shift.share, str) else shift.share
        if shift.experiment:
            versions = {variant: sfn.JsonPath.string_at(f"$.plan.model_versions.{variant}") for variant in VARIANTS}
            content["experiment"] = {"id": sfn.JsonPath.execution_name, **versions}
        task = self._task(shift.name, self._functions.shift, content, result_path="$.progress", success=shift.success)
        task.add_retry(errors=["EndpointUpdating"], **self._patience())
        if shift.failure is None:
            return
        if shift.keeps_verdict:
            self._catch(task, shift.failure)
        else:
            self._error_as_verdict(f"{shift.name}Failed", of=task, following=shift.failure)

    def _look(self, look: Look) -> None:
        self._wait(look.wait, self._settings.rollout.step_seconds, following=look.name)
        evidence = {"rollout": sfn.JsonPath.execution_name, "progress": sfn.JsonPath.object_at("$.progress")}
        judge = self._task(look.name, self._functions.judge, evidence, result_path="$.verdict", success=look.note)
        judge.add_retry(errors=["MetricsUnreadable"], interval=Duration.seconds(30), max_attempts=5, backoff_rate=1)
        self._error_as_verdict(f"{look.name}Failed", of=judge, following="EndComparison")
        self._pass(look.note, {"plan.$": "$.plan", "progress.$": "$.verdict.progress", "verdict.$": "$.verdict"}, following=look.branch)
        again = dict.fromkeys(("hold", "await_approval"), look.wait)
        self._branch(Branch(look.branch, "$.verdict.decision", {**look.verdicts, **again}, otherwise="EndComparison"))

    def _ending(self, ending: Ending) -> None:
        content = {
            "rollout": sfn.JsonPath.execution_name,
            "outcome": ending.outcome,
            "reason": ending.reason or sfn.JsonPath.string_at("$.verdict.reason"),
            "release": sfn.JsonPath.string_at(f"$.plan.{ending.record}"),
            "progress": sfn.JsonPath.object_at("$.progress"),
            **({} if ending.reason else {"verdict": sfn.JsonPath.object_at("$.verdict")}),
        }
        self._task(ending.name, self._functions.finish, content)

    # -- a first release that failed -----------------------------------------------------------------

    def _undo_first(self) -> None:
        """A first release that failed leaves no record behind, or the next ``cdk deploy`` would try it again."""
        self._pass("KeepReason", {"problem.$": "$.verdict.reason", "plan.$": "$.plan"}, following="UndoFirst")
        self._apply("UndoFirst", "withdrawn", success=NOT_IN_PLACE, takes_back=True, result_path=sfn.JsonPath.DISCARD)
        self._by_name[NOT_IN_PLACE] = sfn.Fail(self._scope, NOT_IN_PLACE, error=NOT_IN_PLACE, cause_path="$.problem")

    # -- single states -----------------------------------------------------------------------------

    def _apply(self, name: str, record: Record, *, success: str, takes_back: bool, result_path: str = "$.applied") -> tasks.LambdaInvoke:
        release = sfn.JsonPath.string_at(f"$.plan.{record}")
        content = {"release": release, "execution_arn": sfn.JsonPath.execution_id, "record_first": takes_back}
        task = self._task(name, self._functions.apply, content, result_path=result_path, success=success)
        if takes_back:
            task.add_retry(errors=["RollbackContinued"], interval=Duration.seconds(self._poll_seconds), max_attempts=2, backoff_rate=1)
        # A cdk deploy may hold the stack for as long as a fleet shift takes.
        task.add_retry(errors=["StackBusy"], **self._patience())
        return task

    def _task(
        self, name: str, function: PythonFunction, content: Mapping[str, Any], *, result_path: str | None = None, success: str | None = None
    ) -> tasks.LambdaInvoke:
        task = invoke(self._scope, name, function, payload=sfn.TaskInput.from_object(dict(content)), result_path=result_path)
        self._by_name[name] = task
        if success is not None:
            self._connections.append((task.next, success))
        return task

    def _wait(self, name: str, seconds: int, *, following: str) -> None:
        wait = sfn.Wait(self._scope, name, time=sfn.WaitTime.duration(Duration.seconds(seconds)))
        self._by_name[name] = wait
        self._connections.append((wait.next, following))

    def _pass(self, name: str, parameters: Mapping[str, Any], *, following: str) -> None:
        state = sfn.Pass(self._scope, name, parameters=dict(parameters))
        self._by_name[name] = state
        self._connections.append((state.next, following))

    def _error_as_verdict(self, name: str, *, of: tasks.LambdaInvoke, following: str) -> None:
        """A task's own error is a verdict to roll back."""
        self._catch(of, name)
        error = {
            "problem.$": "$.error.Cause",
            "verdict": {"decision": "roll_back", "reason.$": "States.Format('{}: {}', $.error.Error, $.error.Cause)", **_AT_ONCE},
        }
        self._pass(name, {"plan.$": "$.plan", "progress.$": "$.progress", **error}, following=following)

    def _catch(self, task: tasks.LambdaInvoke, following: str) -> None:
        self._connections.append((lambda handler: task.add_catch(handler, result_path="$.error"), following))

    def _when(self, choice: sfn.Choice, path: str, word: str, following: str) -> None:
        condition = sfn.Condition.string_equals(path, word)
        self._connections.append((lambda state: choice.when(condition, state), following))

    # -- patience ----------------------------------------------------------------------------------

    @property
    def _poll_seconds(self) -> int:
        return max(SHORTEST_POLL_SECONDS, self._settings.hosting.fleet_shift.max_execution_seconds // MOST_POLLS)

    def _patience(self) -> dict[str, Any]:
        """Retries for as long as a fleet shift may take."""
        attempts = math.ceil(self._settings.hosting.fleet_shift.max_execution_seconds / self._poll_seconds)
        return {"interval": Duration.seconds(self._poll_seconds), "max_attempts": attempts, "backoff_rate": 1}
