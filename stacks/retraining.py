"""Retraining: what starts it (labels, drift, a person), and the way from new labels to a rollout."""

from __future__ import annotations

from typing import Any

from aws_cdk import Duration, Environment, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contracts.amendments import PREFIX as AMENDMENTS
from contracts.shared_words import LABELS_BY_DAY
from stacks.constructs.alarm import Alarm
from stacks.constructs.dataset_labels import pinned_labels
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.scheduled_function import MAX_EVENT_AGE, MAX_RETRIES, ScheduledFunction
from stacks.constructs.shared import SharedResources
from stacks.constructs.state_machine import StateMachine, invoke
from stacks.durations import LOOKBACK_HOURS, longest_rollout_hours, longest_tuning_hours
from stacks.names import bucket_arn
from stacks.settings import Settings
from stacks.template_names import template_names
from stacks.tuning_jobs import outside_dataset

EXECUTION_FAULTS = ["StepFunctions.AWSStepFunctionsException", "StepFunctions.ExecutionLimitExceededException"]
"""Faults of Step Functions itself when another execution is started, throttling among the first; the execution's own failure is neither."""
FREEZE_TIMEOUT_SECONDS = 600
FREEZE_MEMORY_MIB = 512
"""For the index: a dataset of 140,000 rows takes about 150 MiB, however long its texts are."""
FREEZE_DISK_MIB = 4_096
"""The function holds a dataset twice in /tmp: the parent's files, and the new ones."""


class RetrainingStack(Stack):
    """The ``retraining`` state machine, and the rules that ask for it."""

    def __init__(self, scope: Construct, settings: Settings, **kwargs: Any) -> None:
        self.names = template_names(settings)
        super().__init__(scope, self.names.stack("retraining"), env=Environment(region=settings.region), **kwargs)
        self.settings = settings
        self.shared = SharedResources(self, settings)
        self.plan = self._plan_function()
        self.freeze = self._freeze_function()
        self.machine = self._state_machine()
        self.decide = self._decide_function()
        self._triggers()

    # -- functions ---------------------------------------------------------------------------------

    def _plan_function(self) -> PythonFunction:
        names = self.names
        function = PythonFunction(
            self,
            "PlanRetraining",
            shared=self.shared,
            folder="retraining/plan_retraining",
            description="Finds the champion and the tuning job to learn from",
            environment={"RELEASE_PARAMETER": names.parameter("release")},
        )
        function.allow(["ssm:GetParameter"], [names.arn("ssm", f"parameter{names.parameter('release')}")])
        packages = [names.model_packages_arn]
        function.allow(["sagemaker:DescribeModelPackage"], packages, because="The service numbers our own group's packages")
        return function

    def _freeze_function(self) -> PythonFunction:
        names, retraining = self.names, self.settings.retraining
        function = PythonFunction(
            self,
            "FreezeDataset",
            shared=self.shared,
            folder="retraining/freeze_dataset",
            description="Makes a dataset version of the current one and new human labels",
            timeout=FREEZE_TIMEOUT_SECONDS,
            memory=FREEZE_MEMORY_MIB,
            disk=FREEZE_DISK_MIB,
            environment={
                "DATA_BUCKET": names.bucket("data"),
                "PREDICTIONS_TABLE": names.predictions_table,
                "DATASET_PARAMETER": names.parameter("dataset"),
                "LOOKBACK_DAYS": str(self.settings.retention.prediction_days),
                "MIN_NEW_LABELS": str(retraining.min_new_labels),
                "HOLDOUT_SHARE": str(retraining.holdout_share),
                **({} if retraining.max_worker_share == 1 else {"MAX_WORKER_SHARE": str(retraining.max_worker_share)}),
                **self._served_texts(),
            },
        )
        function.allow(["ssm:GetParameter", "ssm:PutParameter"], [names.arn("ssm", f"parameter{names.parameter('dataset')}")])
        function.allow(
            ["s3:GetObject", "s3:PutObject"],
            [names.bucket_arn("data", "datasets/*"), names.bucket_arn("data", "freezes/*")],
            because="A version's key is its content hash, a record's the execution's",
        )
        amendments = names.bucket_arn("data", f"{AMENDMENTS}*")
        function.allow(["s3:GetObject"], [amendments], because="It reads every amendment since the current version, each by its time")
        prefixes = ["datasets/*", "freezes/*", f"{AMENDMENTS}*"]
        function.allow(["s3:ListBucket"], [names.bucket_arn("data")], {"StringLike": {"s3:prefix": prefixes}})
        self._allow_outside(function)
        if self.settings.hosting.captures:
            self._allow_served_texts(function)
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [self.shared.key.key_arn])
        self._allow_labels(function)
        return function

    def _decide_function(self) -> PythonFunction:
        names = self.names
        function = PythonFunction(
            self,
            "DecideRetraining",
            shared=self.shared,
            folder="retraining/decide_retraining",
            description="Starts a retraining when there are new labels enough, once",
            timeout=120,
            environment={
                "STATE_MACHINE_ARN": self.machine.state_machine.state_machine_arn,
                "PREDICTIONS_TABLE": names.predictions_table,
                "DATASET_PARAMETER": names.parameter("dataset"),
                "MIN_NEW_LABELS": str(self.settings.retraining.min_new_labels),
                "LOOKBACK_DAYS": str(self.settings.retention.prediction_days),
                **pinned_labels(self.shared),
            },
        )
        self._label_alarm(function)
        function.allow(["ssm:GetParameter"], [names.arn("ssm", f"parameter{names.parameter('dataset')}")])
        versions = names.bucket_arn("data", "datasets/*")
        function.allow(["s3:GetObject"], [versions], because="It reads the manifest of whichever version is current")
        self._allow_outside(function)
        function.allow(["kms:Decrypt"], [self.shared.key.key_arn])
        self._allow_labels(function)
        function.allow(["states:StartExecution", "states:ListExecutions"], [self.machine.state_machine.state_machine_arn])
        executions = names.arn("states", f"execution:{self.machine.name}:labels-*")
        function.allow(["states:DescribeExecution"], [executions], because="It names the executions itself, by the labels they are about")
        return function

    def _label_alarm(self, function: PythonFunction) -> None:
        """An alarm on answers with a label that the dataset does not know. Such work is lost, so the next check reports it at once."""
        metric = cloudwatch.Metric(
            namespace=self.names.metric_namespace,
            metric_name="LabelSetChanged",
            dimensions_map={"service": function.name},
            period=Duration.minutes(self.settings.retraining.check_minutes),
            statistic="Maximum",
        )
        Alarm(
            self,
            "LabelsChanged",
            shared=self.shared,
            name=self.names.alarm("labels-changed"),
            meaning=f"dataset.labels pins other labels than the current dataset version has: the log of {function.name} names them",
            metric=metric,
        )

    def _allow_labels(self, function: PythonFunction) -> None:
        function.allow(["dynamodb:Query"], [f"{self.shared.predictions.table_arn}/index/{LABELS_BY_DAY}"])

    def _served_texts(self) -> dict[str, str]:
        """Where the newest served texts are: nothing where no answer is captured, and the test set is the baseline then."""
        if not self.settings.hosting.captures:
            return {}
        return {
            "CAPTURE_BUCKET": self.names.bucket("capture"),
            "ENDPOINT_NAME": self.names.endpoint,
            "LOOKBACK_HOURS": str(LOOKBACK_HOURS),
            "REFERENCE_PREDICTIONS": str(self.settings.drift.reference_predictions),
        }

    def _allow_served_texts(self, function: PythonFunction) -> None:
        """The captured texts, and the subjects that their callers gave."""
        captured = f"capture/{self.names.endpoint}/*"
        objects = self.names.bucket_arn("capture", captured)
        function.allow(["s3:GetObject"], [objects], because="It reads whichever objects have the newest texts")
        function.allow(["s3:ListBucket"], [self.names.bucket_arn("capture")], {"StringLike": {"s3:prefix": [captured]}})
        function.allow(["dynamodb:BatchGetItem"], [self.shared.predictions.table_arn])

    def _allow_outside(self, function: PythonFunction) -> None:
        for bucket, prefix in outside_dataset(self.settings.dataset.uri):
            first = bucket_arn(bucket, f"{prefix}*")
            function.allow(["s3:GetObject"], [first], because="The first version lies in the team's own bucket")
        if self.settings.dataset.kms_key_arn:
            function.allow(["kms:Decrypt"], [self.settings.dataset.kms_key_arn])

    # -- triggers ----------------------------------------------------------------------------------

    def _triggers(self) -> None:
        """Both ask the same function, which starts at most one execution over the same labels."""
        settings = self.settings.retraining
        schedule = ScheduledFunction(
            self, "LabelsSchedule", shared=self.shared, function=self.decide, name="decide-retraining", minutes=settings.check_minutes
        )
        if not settings.on_drift:
            return
        dead_letters = schedule.dead_letters
        rule = events.CfnRule(
            self,
            "DriftRule",
            name=self.names.rule("retrain-on-drift"),
            description="The drift alarm rings: retrain when there are labels enough",
            state="ENABLED",
            event_pattern={
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                "detail": {"alarmName": [self.names.drift_alarm], "state": {"value": ["ALARM"]}},
            },
            targets=[
                events.CfnRule.TargetProperty(
                    id="function",
                    arn=self.decide.function.function_arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=dead_letters.queue.queue_arn),
                    retry_policy=events.CfnRule.RetryPolicyProperty(
                        maximum_retry_attempts=MAX_RETRIES, maximum_event_age_in_seconds=MAX_EVENT_AGE.to_seconds()
                    ),
                )
            ],
        )
        dead_letters.allow_rule(rule.attr_arn)
        self.decide.function.add_permission("Drift", principal=iam.ServicePrincipal("events.amazonaws.com"), source_arn=rule.attr_arn)

    # -- state machine -----------------------------------------------------------------------------

    def _state_machine(self) -> StateMachine:
        # States live in a scope of their own, so that their names stay short in the definition.
        self.steps = Construct(self, "Steps")
        plan = invoke(self.steps, "Plan", self.plan, result_path="$.plan")
        execution = sfn.TaskInput.from_object({"execution_id": sfn.JsonPath.execution_id})
        freeze = invoke(self.steps, "Freeze", self.freeze, payload=execution, result_path="$.dataset")
        train = self._tune().next(self._release())
        definition = plan.next(self._unless_skipped("plan", freeze.next(self._unless_skipped("dataset", train))))
        machine = StateMachine(
            self,
            "Machine",
            shared=self.shared,
            part="retraining",
            definition=definition,
            timeout=Duration.hours(longest_tuning_hours(self.settings) + longest_rollout_hours(self.settings)),
        )
        machine.allow_invoke(self.plan, self.freeze)
        machine.allow_execution_sync("tuning", *([] if self._manual else ["rollout"]))
        machine.alert_on_failure("A retraining ended without a rollout: its labels are in the new dataset version; redrive it")
        return machine

    @property
    def _manual(self) -> bool:
        return self.settings.gates.approval == "manual"

    def _unless_skipped(self, step: str, following: sfn.IChainable) -> sfn.Choice:
        """``{"skipped": reason}`` of a step is the machine's output; otherwise it goes on."""
        skipped = sfn.Pass(self.steps, f"Skip{step.capitalize()}", parameters={"skipped.$": f"$.{step}.skipped"})
        choice = sfn.Choice(self.steps, f"Skipped{step.capitalize()}")
        return choice.when(sfn.Condition.is_present(f"$.{step}.skipped"), skipped).otherwise(following)

    def _tune(self) -> sfn.CustomState:
        """Train the champion further, on a version that holds the new labels and all earlier rows."""
        return self._execute(
            "Tune",
            "tuning",
            {
                "dataset_uri.$": "$.dataset.dataset_uri",
                "max_jobs": self.settings.tuning.retraining.max_jobs,
                "warm_start_parents.$": "$.plan.warm_start_parents",
                "continue_from_champion": True,
                "reason.$": "$.plan.reason",
            },
        )

    def _release(self) -> sfn.IChainable:
        frozen = {f"{name}.$": f"$.dataset.{name}" for name in ("dataset_version", "rows", "labels", "reference")}
        result = {**frozen, "packages.$": "$.tuning.output.packages"}
        if self._manual:
            reason = f"approve the model package, then start {self.names.state_machine('rollout')} with champion and challenger"
            return sfn.Pass(
                self.steps, "AwaitApproval", parameters={**result, "rollout": {"outcome": "awaiting_approval", "reason": reason}}
            )
        challenger = {
            "champion.$": "$.plan.champion",
            "challenger.$": "$.tuning.output.packages[0].model_package_arn",
            "reason.$": "$.plan.reason",
        }
        finish = sfn.Pass(self.steps, "Finish", parameters={**result, "rollout.$": "$.rollout.output"})
        return self._execute("Rollout", "rollout", challenger).next(finish)

    def _execute(self, name: str, part: str, content: dict[str, Any]) -> sfn.CustomState:
        """Run another state machine to its end; its output is ``$.<part>.output``.

        StartExecution with the name and input of a running execution answers with that one, so a repeated call starts no second one.
        A redrive is to start a new one, since the old one has ended.
        """
        started = f"States.Format('{part}-{{}}-{{}}', States.Hash($$.Execution.Id, 'SHA-1'), $$.Execution.RedriveCount)"
        state = sfn.CustomState(
            self.steps,
            name,
            state_json={
                "Type": "Task",
                "Resource": "arn:aws:states:::states:startExecution.sync:2",
                "Parameters": {
                    "StateMachineArn": self.names.arn("states", f"stateMachine:{self.names.state_machine(part)}"),
                    "Name.$": started,
                    "Input": {**content, "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID.$": "$$.Execution.Id"},
                },
                "ResultSelector": {"output.$": "$.Output"},
                "ResultPath": f"$.{part}",
            },
        )
        return state.add_retry(errors=EXECUTION_FAULTS, interval=Duration.seconds(10), max_attempts=4, backoff_rate=2)
