"""Tuning: search, evaluate, gate, register. One state machine, two job roles, one model package group."""

from __future__ import annotations

import math
from typing import Any

from aws_cdk import Duration, Environment, Stack
from aws_cdk import aws_sagemaker as sagemaker
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from stacks.constructs.job_role import JobRole
from stacks.constructs.model_code_asset import ModelCodeAsset
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources
from stacks.constructs.state_machine import StateMachine, invoke, sagemaker_job
from stacks.durations import longest_tuning_hours
from stacks.images import inference_image, training_image
from stacks.settings import Settings
from stacks.template_names import template_names
from stacks.tuning_jobs import (
    JobEnvironment,
    evaluation_parameters,
    following,
    outside_dataset,
    search_parameters,
    tuning_parameters,
)

LOOK_AGAIN = Duration.minutes(5)
"""How often a tuning job is looked at that the execution does not wait for."""
LONGEST_JOB_PREFIX = 23
"""``plan.job_name`` cuts here: SageMaker allows 32 characters, and nine are a dash and a digest."""

_PACKAGES = "The service numbers our own group's packages"
_JOBS = "The machine names its jobs with this prefix and a digest"


class TuningStack(Stack):
    """Model package group, job roles and the ``tuning`` state machine."""

    def __init__(self, scope: Construct, settings: Settings, **kwargs: Any) -> None:
        self.names = template_names(settings)
        super().__init__(scope, self.names.stack("tuning"), env=Environment(region=settings.region), **kwargs)
        self.settings = settings
        self.shared = SharedResources(self, settings)
        self.code = ModelCodeAsset(self, "ModelCode", shared=self.shared)
        sagemaker.CfnModelPackageGroup(
            self,
            "Models",
            model_package_group_name=self.names.model_package_group,
            model_package_group_description="Text classifiers that passed their gates",
        )
        self.job_prefix = f"{self.names.prefix[:LONGEST_JOB_PREFIX].rstrip('-')}-"
        self._job_roles()
        self.plan = self._plan_function()
        self.select = self._select_function()
        self.gates = self._gates_function()
        self.register = self._register_function()
        self.machine = self._state_machine()

    # -- jobs --------------------------------------------------------------------------------------

    def _job_roles(self) -> None:
        models, tuning = self.names.bucket("models"), self.settings.tuning
        datasets = [("data", "datasets/"), *outside_dataset(self.settings.dataset.uri)]
        training, evaluation = (
            training_image(self.settings.region, kind) for kind in (tuning.instance_type, tuning.evaluation_instance_type)
        )
        self.training_role = JobRole(
            self,
            "TrainingRole",
            shared=self.shared,
            kind="TrainingJobs",
            image=training,
            reads=[*datasets, ("data", "base-model/"), ("models", "training/"), ("models", "checkpoints/")],
            writes=[("models", "training/"), ("models", "checkpoints/")],
            outside_key=self.settings.dataset.kms_key_arn,
        ).role
        self.evaluation_role = JobRole(
            self,
            "EvaluationRole",
            shared=self.shared,
            kind="ProcessingJobs",
            image=evaluation,
            reads=[*datasets, ("models", "training/")],
            writes=[("models", "evaluations/")],
            outside_key=self.settings.dataset.kms_key_arn,
        ).role
        key = self.shared.key.key_arn
        self.training = JobEnvironment(training, self.training_role.role_arn, key, f"s3://{models}/training")
        self.evaluation = JobEnvironment(evaluation, self.evaluation_role.role_arn, key, f"s3://{models}/evaluations")

    # -- functions ---------------------------------------------------------------------------------

    def _plan_function(self) -> PythonFunction:
        names, tuning = self.names, self.settings.tuning
        parameters = {name: names.parameter(name) for name in ("dataset", "base-model", "release")}
        function = PythonFunction(
            self,
            "PlanTuning",
            shared=self.shared,
            folder="tuning/plan_tuning",
            description="Checks a tuning execution's input and decides what it will do",
            environment={
                "PREFIX": names.prefix,
                "DATASET_PARAMETER": parameters["dataset"],
                "BASE_MODEL_PARAMETER": parameters["base-model"],
                "RELEASE_PARAMETER": parameters["release"],
                "CHECKPOINTS_URI": f"s3://{names.bucket('models')}/checkpoints",
                "DEFAULT_MAX_JOBS": str(tuning.max_jobs),
                "MAX_PARALLEL_JOBS": str(tuning.max_parallel_jobs),
            },
        )
        function.allow(["ssm:GetParameter"], [names.arn("ssm", f"parameter{name}") for name in parameters.values()])
        function.allow(["sagemaker:DescribeModelPackage"], [names.model_packages_arn], because=_PACKAGES)
        jobs = names.arn("sagemaker", f"hyper-parameter-tuning-job/{self.job_prefix}*")
        function.allow(["sagemaker:DescribeHyperParameterTuningJob"], [jobs], because=_JOBS)
        return function

    def _select_function(self) -> PythonFunction:
        function = PythonFunction(
            self,
            "SelectCandidates",
            shared=self.shared,
            folder="tuning/select_candidates",
            description="Picks the best two training jobs of a tuning job",
            environment={"EVALUATIONS_URI": self.evaluation.output_uri},
        )
        for actions, kind in (
            (["DescribeTrainingJob"], "training-job"),
            (["DescribeHyperParameterTuningJob", "ListTrainingJobsForHyperParameterTuningJob"], "hyper-parameter-tuning-job"),
        ):
            jobs = self.names.arn("sagemaker", f"{kind}/{self.job_prefix}*")
            function.allow([f"sagemaker:{action}" for action in actions], [jobs], because=_JOBS)
        return function

    def _gates_function(self) -> PythonFunction:
        gates = self.settings.gates.model_dump(exclude={"approval"})
        if gates["max_loss_to_best"] is None:
            gates["max_loss_to_best"] = gates["max_loss_to_champion"]
        function = PythonFunction(
            self,
            "CheckGates",
            shared=self.shared,
            folder="tuning/check_gates",
            description="Holds one evaluation against the gates",
            environment={name.upper(): str(value) for name, value in gates.items()},
        )
        # All gates of a candidate are stored beside its report: with many slices they would not fit into the machine's payload.
        self._allow_model_files(function, ["s3:GetObject", "s3:PutObject"], ("evaluations",))
        function.allow(["kms:GenerateDataKey"], [self.shared.key.key_arn])
        return function

    def _register_function(self) -> PythonFunction:
        names, settings = self.names, self.settings
        function = PythonFunction(
            self,
            "RegisterCandidates",
            shared=self.shared,
            folder="tuning/register_candidates",
            description="Registers the candidates that passed as model packages",
            environment={
                "MODEL_PACKAGE_GROUP": names.model_package_group,
                "INFERENCE_IMAGE": inference_image(settings.region, settings.hosting.instance_type),
                "APPROVAL_STATUS": "Approved" if settings.gates.approval == "automatic" else "PendingManualApproval",
            },
        )
        group = names.arn("sagemaker", f"model-package-group/{names.model_package_group}")
        function.allow(["sagemaker:CreateModelPackage", "sagemaker:AddTags"], [names.model_packages_arn, group], because=_PACKAGES)
        # CreateModelPackage checks with the caller's rights that the artifact and the report are there.
        self._allow_model_files(function, ["s3:GetObject"], ("training", "evaluations"))
        return function

    def _allow_model_files(self, function: PythonFunction, actions: list[str], prefixes: tuple[str, ...]) -> None:
        for prefix in prefixes:
            files = self.names.bucket_arn("models", f"{prefix}/*")
            function.allow(actions, [files], because="Jobs name their files, all below this one prefix")
        function.allow(["kms:Decrypt"], [self.shared.key.key_arn])

    # -- state machine -----------------------------------------------------------------------------

    def _state_machine(self) -> StateMachine:
        # States live in a scope of their own, so that their names stay short in the definition.
        self.steps = Construct(self, "Steps")
        payload = sfn.TaskInput.from_object(
            {
                "execution_id": sfn.JsonPath.execution_id,
                "input": sfn.JsonPath.entire_payload,
                "code_uri": self.code.s3_uri,
                "following": following(self.settings, self.training, self.code.file_name),
            }
        )
        plan = invoke(self.steps, "Plan", self.plan, payload=payload)
        select = invoke(self.steps, "Select", self.select, result_path="$.candidates")
        # The job runs though this execution does not wait for it: its start was repeated after a fault, or the execution was redriven.
        select.add_retry(
            errors=["TuningUnfinished"],
            interval=LOOK_AGAIN,
            max_attempts=math.ceil(longest_tuning_hours(self.settings) * 3_600 / LOOK_AGAIN.to_seconds()),
            backoff_rate=1,
        )
        select.add_catch(self._refusal("NoCandidate"), errors=["NoCandidate"], result_path="$.error")
        machine = StateMachine(
            self,
            "Machine",
            shared=self.shared,
            part="tuning",
            definition=plan.next(self._ranges(self._tune(select.next(self._evaluate_each()).next(self._register())))),
            timeout=Duration.hours(longest_tuning_hours(self.settings)),
        )
        # A new definition names the code, so that must be there before.
        machine.state_machine.node.add_dependency(self.code.published)
        machine.allow_invoke(self.plan, self.select, self.gates, self.register)
        for job, resource, role in (
            ("HyperParameterTuningJob", "hyper-parameter-tuning-job", self.training_role),
            ("ProcessingJob", "processing-job", self.evaluation_role),
        ):
            machine.allow_sagemaker_sync(job, f"{resource}/{self.job_prefix}*", role, key_arn=self.shared.key.key_arn)
        machine.alert_on_failure("A tuning execution ended without a model package: read its cause, then start it again or redrive it")
        return machine

    def _ranges(self, tune: sfn.Chain) -> sfn.Chain:
        """The ranges of the search. They are fewer when the champion is trained further."""
        first, again = (
            sfn.Pass(
                self.steps,
                name,
                result=sfn.Result.from_object(search_parameters(self.settings, retraining=retraining)),
                result_path="$.search",
            ).next(tune)
            for name, retraining in (("FirstRanges", False), ("RetrainingRanges", True))
        )
        continues = sfn.Condition.boolean_equals("$.continues_champion", value=True)
        return sfn.Chain.start(sfn.Choice(self.steps, "ContinuesChampion").when(continues, again).otherwise(first))

    def _tune(self, select: sfn.Chain) -> sfn.Chain:
        """Two states, with and without warm start, because the API refuses an empty WarmStartConfig."""
        choice = sfn.Choice(self.steps, "ContinuesEarlierTuning")
        for name, warm in (("TuneFromParents", True), ("Tune", False)):
            parameters = tuning_parameters(self.settings, self.training, self.code.file_name, warm=warm)
            job = sagemaker_job(self.steps, name, action="createHyperParameterTuningJob", parameters=parameters)
            # A tuning job that failed or was stopped may still have left finished training jobs: the selection decides.
            job.add_catch(select.start_state, errors=["States.TaskFailed"], result_path="$.tuning_error")
            job.next(select)
            if warm:
                choice.when(sfn.Condition.is_present("$.warm_start.WarmStartType"), job)
            else:
                choice.otherwise(job)
        return sfn.Chain.start(choice)

    def _evaluate_each(self) -> sfn.Map:
        parameters = evaluation_parameters(self.settings, self.evaluation)
        evaluate = sagemaker_job(self.steps, "Evaluate", action="createProcessingJob", parameters=parameters)
        check = invoke(self.steps, "CheckGates", self.gates)
        # One candidate's failed evaluation refuses that candidate, not the other.
        evaluate.add_catch(check, errors=["States.ALL"], result_path="$.evaluation_error")
        each = sfn.Map(self.steps, "EvaluateEach", items_path="$.candidates", result_path="$.candidates", max_concurrency=2)
        return each.item_processor(evaluate.next(check))

    def _register(self) -> sfn.IChainable:
        payload = sfn.TaskInput.from_object(
            {
                "candidates": sfn.JsonPath.object_at("$.candidates"),
                "tuning_job": sfn.JsonPath.string_at("$.tuning_job_name"),
                "warm_start": sfn.JsonPath.string_at("$.warm_start_reason"),
            }
        )
        register = invoke(self.steps, "Register", self.register, payload=payload)
        for error in ("GatesRefused", "EvaluationFailed"):
            register.add_catch(self._refusal(error), errors=[error], result_path="$.error")
        return register

    def _refusal(self, error: str) -> sfn.Fail:
        """The end without a model: the function's own words are the cause."""
        return sfn.Fail(self.steps, error, error=error, cause_path="$.error.Cause")
