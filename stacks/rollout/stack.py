"""Rollout: release record -> endpoint stack updated under a narrow role -> running config verified -> weights -> promote or withdraw."""

from __future__ import annotations

import math
from typing import Any

from aws_cdk import Duration, Environment, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contracts.names import CHALLENGER, OPEN_REVIEWS, REVIEWED_BY_MODEL
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources
from stacks.constructs.state_machine import StateMachine, invoke
from stacks.names import Names
from stacks.rollout.update_role import EndpointUpdateRole
from stacks.settings import Settings

SHORTEST_POLL_SECONDS = 15
MOST_POLLS = 480
"""Of one fleet shift: the history of an execution holds 25,000 events, a poll is nine of them, and a rollout has three shifts."""
REVIEW_INDEXES = (OPEN_REVIEWS, REVIEWED_BY_MODEL)
_STACK_ID = "A stack's ARN ends in an id that CloudFormation gives it"


class RolloutStack(Stack):
    """The ``rollout`` state machine, its functions, and the role by which CloudFormation updates the endpoint stack for it."""

    def __init__(self, scope: Construct, settings: Settings, **kwargs: Any) -> None:
        self.names = Names(settings)
        super().__init__(scope, self.names.stack("rollout"), env=Environment(region=settings.region), **kwargs)
        self.settings = settings
        self.shared = SharedResources(self, settings)
        self.update_role = EndpointUpdateRole(self, "EndpointUpdateRole", shared=self.shared)
        self.plan = self._plan_function()
        self.apply = self._apply_function()
        self.check = self._check_function()
        self.shift = self._shift_function()
        self.judge = self._judge_function()
        self.finish = PythonFunction(
            self,
            "FinishRollout",
            shared=self.shared,
            folder="rollout/finish_rollout",
            description="Tells how a rollout ended, as a metric too",
        )
        self._state_machine()

    # -- functions ---------------------------------------------------------------------------------

    def _plan_function(self) -> PythonFunction:
        names = self.names
        function = PythonFunction(
            self,
            "PlanRollout",
            shared=self.shared,
            folder="rollout/plan_rollout",
            description="Checks a rollout's input against the record, the model packages, the endpoint and other rollouts",
            environment={
                "RELEASE_PARAMETER": names.parameter("release"),
                "ENDPOINT_NAME": names.endpoint,
                "FIRST_SHARE": str(self.settings.rollout.weight_steps[0]),
            },
        )
        function.allow(["ssm:GetParameter"], [self._record()])
        packages = names.arn("sagemaker", f"model-package/{names.model_package_group}/*")
        function.allow(["sagemaker:DescribeModelPackage"], [packages], because="The service numbers our own group's packages")
        function.allow(["states:ListExecutions"], [names.arn("states", f"stateMachine:{names.state_machine('rollout')}")])
        self._allow_reading_endpoint(function)
        return function

    def _apply_function(self) -> PythonFunction:
        names, stack = self.names, self.names.stack("endpoint")
        function = PythonFunction(
            self,
            "ApplyRelease",
            shared=self.shared,
            folder="rollout/apply_release",
            description="Writes the release record and updates the endpoint stack with its previous template",
            timeout=60,
            environment={
                "RELEASE_PARAMETER": names.parameter("release"),
                "ENDPOINT_NAME": names.endpoint,
                "STACK_NAME": stack,
                "STACK_ROLE_ARN": self.update_role.role.role_arn,
            },
        )
        function.allow(["ssm:GetParameter", "ssm:PutParameter"], [self._record()])
        function.allow(["ssm:GetParameters"], self.update_role.parameters)
        reads = ["cloudformation:DescribeStacks", "cloudformation:DescribeStackEvents"]
        function.allow(reads, [self._endpoint_stack()], because=_STACK_ID)
        function.allow(["sagemaker:DescribeEndpoint"], [names.arn("sagemaker", f"endpoint/{names.endpoint}")])
        function.allow(
            ["cloudformation:UpdateStack", "cloudformation:ContinueUpdateRollback"],
            [self._endpoint_stack()],
            {"StringEquals": {"cloudformation:RoleArn": self.update_role.role.role_arn}},
        )
        function.allow(
            ["iam:PassRole"], [self.update_role.role.role_arn], {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
        )
        return function

    def _check_function(self) -> PythonFunction:
        names = self.names
        function = PythonFunction(
            self,
            "CheckRelease",
            shared=self.shared,
            folder="rollout/check_release",
            description="Compares what the endpoint's variants run with the release that was applied",
            environment={"STACK_NAME": names.stack("endpoint"), "ENDPOINT_NAME": names.endpoint},
        )
        reads = ["cloudformation:DescribeStacks", "cloudformation:DescribeStackEvents"]
        function.allow(reads, [self._endpoint_stack()], because=_STACK_ID)
        self._allow_reading_endpoint(function)
        return function

    def _allow_reading_endpoint(self, function: PythonFunction) -> None:
        """What the variants run: the endpoint, its configuration, its models."""
        names = self.names
        function.allow(["sagemaker:DescribeEndpoint"], [names.arn("sagemaker", f"endpoint/{names.endpoint}")])
        for action, resource in (("DescribeEndpointConfig", "endpoint-config/*"), ("DescribeModel", "model/*")):
            described = [names.arn("sagemaker", resource)]
            function.allow([f"sagemaker:{action}"], described, because="CloudFormation names it; the call only reads")

    def _shift_function(self) -> PythonFunction:
        names = self.names
        function = PythonFunction(
            self,
            "ShiftWeights",
            shared=self.shared,
            folder="rollout/shift_weights",
            description="Gives the challenger its share of the traffic",
            environment={"ENDPOINT_NAME": names.endpoint},
        )
        function.allow(
            ["sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"],
            [names.arn("sagemaker", f"endpoint/{names.endpoint}")],
        )
        return function

    def _judge_function(self) -> PythonFunction:
        names, rollout = self.names, self.settings.rollout
        alarms = names.operating_alarms(CHALLENGER)
        function = PythonFunction(
            self,
            "JudgeRollout",
            shared=self.shared,
            folder="rollout/judge_rollout",
            description="Judges the challenger at one weight: advance, hold, roll back or inconclusive, with the reason",
            timeout=60,
            unrestricted={"cloudwatch:GetMetricData": "no resource-level permissions (service authorization reference, Amazon CloudWatch)"},
            environment={
                "ENDPOINT_NAME": names.endpoint,
                "PREDICTIONS_TABLE": names.predictions_table,
                "CHALLENGER_ALARMS": ",".join(alarms),
                "WEIGHT_STEPS": ",".join(str(step) for step in rollout.weight_steps),
                "MIN_INVOCATIONS": str(rollout.min_invocations),
                "MAX_ERROR_RATE": str(rollout.max_error_rate),
                "MAX_AGREEMENT_LOSS": str(rollout.max_agreement_loss),
                "MAX_HOLDS": str(rollout.max_holds),
                "MIN_REVIEWED": str(rollout.min_reviewed),
                "WITHOUT_REVIEWS": rollout.without_reviews,
                "AUDIT_SHARE": str(self.settings.review.audited_share),
            },
        )
        function.allow(["cloudwatch:DescribeAlarms"], [names.arn("cloudwatch", f"alarm:{alarm}") for alarm in alarms])
        function.allow(["dynamodb:Query"], [f"{self.shared.predictions.table_arn}/index/{index}" for index in REVIEW_INDEXES])
        function.allow(["kms:Decrypt"], [self.shared.key.key_arn])
        return function

    def _record(self) -> str:
        return self.names.arn("ssm", f"parameter{self.names.parameter('release')}")

    def _endpoint_stack(self) -> str:
        return self.names.arn("cloudformation", f"stack/{self.names.stack('endpoint')}/*")

    # -- state machine -----------------------------------------------------------------------------

    def _state_machine(self) -> None:
        steps = self.steps = Construct(self, "Steps")
        failed = sfn.Fail(steps, "ReleaseNotInPlace", error="ReleaseNotInPlace", cause_path="$.problem")
        finish = {name: self._finish(name, value) for name, value in _ENDINGS.items()}

        withdraw = self._withdraw(finish, failed)
        promote = self._put_in_place(
            "Promote", "promoted", then=self._shift("GiveAll", share=0.0).next(finish["Promoted"]), otherwise=withdraw
        )
        experiment = self._experiment(promote, withdraw)
        first = self._put_in_place("First", "target", then=finish["Released"], otherwise=self._undo_first(failed))
        rebuild = self._put_in_place("Clear", "withdrawn", then=first, otherwise=failed)
        replace = self._put_in_place(
            "Replace", "target", then=self._shift("GiveReplacement", share=0.0).next(finish["Replaced"]), otherwise=withdraw
        )

        who = sfn.TaskInput.from_object(
            {
                "input": sfn.JsonPath.object_at("$"),
                "execution_arn": sfn.JsonPath.execution_id,
                "state_machine_arn": sfn.JsonPath.state_machine_id,
            }
        )
        plan = invoke(steps, "Plan", self.plan, payload=who, result_path="$.plan")
        # A withdrawal may come in the middle of a fleet shift.
        plan.add_retry(errors=["EndpointUpdating"], **self._patience())
        lay_out = sfn.Pass(steps, "LayOut", parameters={"plan.$": "$.plan", "progress.$": "$.plan.progress"})
        kind = sfn.Choice(steps, "Kind")
        for name, following in (
            ("first", first),
            ("experiment", experiment),
            ("replacement", replace),
            ("withdrawal", self._asked().next(withdraw)),
            ("rebuild", rebuild),
        ):
            kind.when(sfn.Condition.string_equals("$.plan.kind", name), following)
        kind.otherwise(finish["Unchanged"])
        self.machine = StateMachine(
            self,
            "Machine",
            shared=self.shared,
            part="rollout",
            definition=plan.next(lay_out).next(kind),
            timeout=Duration.hours(longest_rollout_hours(self.settings)),
        )
        self.machine.allow_invoke(self.plan, self.apply, self.check, self.shift, self.judge, self.finish)
        self.machine.alert_on_failure("A rollout ended without a verdict: compare the release record with what the endpoint runs")

    def _experiment(self, promote: sfn.IChainable, withdraw: sfn.IChainable) -> Any:
        """The first share before the new fleet comes, so that its canary serves traffic; then step by step."""
        step = self._shift("ShiftWeights", share_path="$.progress.share", otherwise=withdraw)
        wait = sfn.Wait(self.steps, "WaitStep", time=sfn.WaitTime.duration(Duration.seconds(self.settings.rollout.step_seconds)))
        evidence = sfn.TaskInput.from_object(
            {"progress": sfn.JsonPath.object_at("$.progress"), "model_versions": sfn.JsonPath.object_at("$.plan.model_versions")}
        )
        judge = invoke(self.steps, "Judge", self.judge, payload=evidence, result_path="$.verdict")
        judge.add_retry(errors=["MetricsUnreadable"], interval=Duration.seconds(30), max_attempts=5, backoff_rate=1)
        judge.add_catch(withdraw_on_error := self._note_error("JudgeFailed"), result_path="$.error")
        withdraw_on_error.next(withdraw)
        note = sfn.Pass(
            self.steps,
            "NoteVerdict",
            parameters={"plan.$": "$.plan", "progress.$": "$.verdict.progress", "verdict.$": "$.verdict"},
        )
        verdict = sfn.Choice(self.steps, "Verdict")
        for decision, following in (("advance", step), ("hold", wait), ("promote", promote)):
            verdict.when(sfn.Condition.string_equals("$.verdict.decision", decision), following)
        verdict.otherwise(withdraw)
        step.next(wait).next(judge).next(note).next(verdict)
        release = self._put_in_place("Challenge", "target", then=step, otherwise=withdraw)
        return self._shift("OpenCanary", share_path="$.progress.share", otherwise=withdraw).next(release)

    def _asked(self) -> sfn.Pass:
        """Somebody wants the rollout withdrawn: a verdict like the judge's."""
        verdict = {"decision": "withdraw", "reason.$": "$.plan.why"}
        return sfn.Pass(self.steps, "Asked", parameters={"plan.$": "$.plan", "progress.$": "$.progress", "verdict": verdict})

    def _withdraw(self, finish: dict[str, sfn.IChainable], failed: sfn.Fail) -> Any:
        """Champion alone at once by weights, then by release; the verdict's outcome stays."""
        outcome = sfn.Choice(self.steps, "Outcome")
        outcome.when(sfn.Condition.string_equals("$.verdict.decision", "inconclusive"), finish["Inconclusive"])
        outcome.when(sfn.Condition.string_equals("$.verdict.decision", "withdraw"), finish["Withdrawn"])
        outcome.otherwise(finish["RolledBack"])
        withdraw = self._put_in_place("Withdraw", "withdrawn", then=outcome, otherwise=failed)
        take_away = self._shift("TakeAll", share=0.0)
        take_away.add_catch(withdraw, result_path="$.error")  # the verdict stands: the release is taken back all the same
        return take_away.next(withdraw)

    def _undo_first(self, failed: sfn.Fail) -> Any:
        """A first release that failed leaves no record behind, or the next ``cdk deploy`` would try it again."""
        keep = sfn.Pass(self.steps, "KeepReason", parameters={"problem.$": "$.verdict.reason", "plan.$": "$.plan"})
        undo = self._apply("UndoFirst", "withdrawn", result_path=sfn.JsonPath.DISCARD, record_first=True)
        return keep.next(undo).next(failed)

    def _put_in_place(self, name: str, record: str, *, then: sfn.IChainable, otherwise: sfn.IChainable) -> Any:
        """Apply the plan's ``record``, wait for the stack, and verify what runs; ``otherwise`` gets ``$.verdict`` and ``$.problem``."""
        apply = self._apply(f"{name}Apply", record, record_first=record == "withdrawn")
        wait = sfn.Wait(self.steps, f"{name}Wait", time=sfn.WaitTime.duration(Duration.seconds(self._poll_seconds)))
        content = sfn.TaskInput.from_object({"release": sfn.JsonPath.string_at(f"$.plan.{record}")})
        check = invoke(self.steps, f"{name}Check", self.check, payload=content, result_path="$.check")
        choice = sfn.Choice(self.steps, f"{name}Status")
        lost = sfn.Pass(
            self.steps,
            f"{name}Lost",
            parameters={
                "plan.$": "$.plan",
                "progress.$": "$.progress",
                "problem.$": "$.check.reason",
                "verdict": {"decision": "roll_back", "reason.$": "$.check.reason"},
            },
        )
        choice.when(sfn.Condition.string_equals("$.check.status", "in_place"), then)
        choice.when(sfn.Condition.string_equals("$.check.status", "updating"), wait)
        choice.otherwise(lost.next(otherwise))
        if otherwise.start_state.state_id != "ReleaseNotInPlace":
            refused = self._note_error(f"{name}Refused")
            apply.add_catch(refused, result_path="$.error")
            refused.next(otherwise)
        apply.next(wait).next(check).next(choice)
        return apply

    def _apply(self, name: str, record: str, *, result_path: str = "$.applied", record_first: bool = False) -> Any:
        """``record_first``: taken back already, so the record shall not name the release any more even if the stack is stuck."""
        release = sfn.JsonPath.string_at(f"$.plan.{record}")
        content = {"release": release, "execution_arn": sfn.JsonPath.execution_id, "record_first": record_first}
        task = invoke(self.steps, name, self.apply, payload=sfn.TaskInput.from_object(content), result_path=result_path)
        if record_first:
            task.add_retry(errors=["RollbackContinued"], interval=Duration.seconds(self._poll_seconds), max_attempts=2, backoff_rate=1)
        # A cdk deploy may hold the stack for as long as a fleet shift takes.
        return task.add_retry(errors=["StackBusy"], **self._patience())

    def _shift(self, name: str, *, share: float | None = None, share_path: str = "", otherwise: sfn.IChainable | None = None) -> Any:
        asked = share if share is not None else sfn.JsonPath.number_at(share_path)
        content = sfn.TaskInput.from_object({"share": asked, "progress": sfn.JsonPath.object_at("$.progress")})
        task = invoke(self.steps, name, self.shift, payload=content, result_path="$.progress")
        task.add_retry(errors=["EndpointUpdating"], **self._patience())
        if otherwise is not None:
            failed = self._note_error(f"{name}Failed")
            task.add_catch(failed, result_path="$.error")
            failed.next(otherwise)
        return task

    @property
    def _poll_seconds(self) -> int:
        return max(SHORTEST_POLL_SECONDS, self.settings.hosting.fleet_shift.max_execution_seconds // MOST_POLLS)

    def _patience(self) -> dict[str, Any]:
        attempts = math.ceil(self.settings.hosting.fleet_shift.max_execution_seconds / self._poll_seconds)
        return {"interval": Duration.seconds(self._poll_seconds), "max_attempts": attempts, "backoff_rate": 1}

    def _note_error(self, name: str) -> sfn.Pass:
        """A step's own error, as a verdict to roll back."""
        return sfn.Pass(
            self.steps,
            name,
            parameters={
                "plan.$": "$.plan",
                "progress.$": "$.progress",
                "problem.$": "$.error.Cause",
                "verdict": {"decision": "roll_back", "reason.$": "States.Format('{}: {}', $.error.Error, $.error.Cause)"},
            },
        )

    def _finish(self, name: str, ending: tuple[str, str, str]) -> sfn.IChainable:
        outcome, reason, record = ending
        content = {
            "outcome": outcome,
            "reason": sfn.JsonPath.string_at(reason) if reason.startswith("$") else reason,
            "release": sfn.JsonPath.string_at(f"$.plan.{record}"),
            "progress": sfn.JsonPath.object_at("$.progress"),
        }
        return invoke(self.steps, name, self.finish, payload=sfn.TaskInput.from_object(content))


_ENDINGS = {
    "Promoted": ("promoted", "$.verdict.reason", "promoted"),
    "RolledBack": ("rolled_back", "$.verdict.reason", "withdrawn"),
    "Inconclusive": ("inconclusive", "$.verdict.reason", "withdrawn"),
    "Withdrawn": ("withdrawn", "$.verdict.reason", "withdrawn"),
    "Replaced": ("released", "the champion is replaced, without an experiment", "target"),
    "Released": ("released", "nothing served before: champion and challenger are released as they are", "target"),
    "Unchanged": ("released", "champion and challenger serve already: nothing to do", "target"),
}
"""State -> outcome, where its reason is, and which of the plan's records is then in place."""


def longest_rollout_hours(settings: Settings) -> int:
    """Upper bound of a rollout in whole hours: every step held as often as allowed, and three fleet shifts."""
    rollout, shift = settings.rollout, settings.hosting.fleet_shift
    steps = len(rollout.weight_steps) * (rollout.max_holds + 1) * rollout.step_seconds
    return math.ceil((steps + 3 * shift.max_execution_seconds) / 3_600) + 1
