"""Labelling in bulk: a Ground Truth job over a manifest of texts, answered by the review stack's work team. With ``labeling.backend:
hosted`` the command opens tasks on the app's own page instead, and only the import of the labels is here."""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, Duration, Environment, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_ssm as ssm
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from contracts.shared_words import TASK_DESCRIPTION, TASK_TITLE
from stacks.constructs.dataset_labels import allow_labels, label_variables, offered_answers
from stacks.constructs.labeling_job_role import ANY_MANIFEST, JOB_INPUTS, MANIFESTS, OUTPUT, LabelingJobRole
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources
from stacks.constructs.state_machine import StateMachine, invoke, sagemaker_job
from stacks.constructs.worker_page import guidelines, worker_page
from stacks.settings import Settings
from stacks.template_names import template_names

LABEL_ATTRIBUTE = "label"
_TASK_LIFETIME = Duration.days(10)
_EXECUTION_TIMEOUT = Duration.days(14)
_CHECK_TIMEOUT = 300
_IMPORT_TIMEOUT = 900


class LabelingStack(Stack):
    """The ``labeling`` state machine: check the input, run the job, import its labels, also those of a job that did not complete.

    With ``labeling.backend: hosted`` there is no job, so there is the import alone, and ``python -m cli label`` calls it.
    """

    def __init__(self, scope: Construct, settings: Settings, **kwargs: Any) -> None:
        self.names = template_names(settings)
        super().__init__(scope, self.names.stack("labeling"), env=Environment(region=settings.region), **kwargs)
        self.settings = settings
        self.shared = SharedResources(self, settings)
        self.import_labels = self._import_function()
        if settings.labeling.backend == "ground_truth":
            self._ground_truth()

    def _ground_truth(self) -> None:
        self.check_manifest = self._check_function()
        self.pre_annotation, self.consolidation = self._job_functions()
        self.job_role = LabelingJobRole(self, "JobRole", shared=self.shared, functions=(self.pre_annotation, self.consolidation)).role
        self.machine = self._machine()
        self.machine.alert_on_failure("A labelling execution ended without its labels")

    # -- functions ---------------------------------------------------------------------------------

    def _check_function(self) -> PythonFunction:
        function = PythonFunction(
            self,
            "CheckManifest",
            shared=self.shared,
            folder="labeling/check_manifest",
            description="Checks a labelling job's input before people are paid, and lays its page and categories where the job reads them",
            timeout=_CHECK_TIMEOUT,
            memory=512,
            environment={
                "JOB_PREFIX": self.names.prefix,
                "LABEL_ATTRIBUTE": LABEL_ATTRIBUTE,
                "MAX_TEXT_CHARS": str(self.settings.dataset.max_text_chars),
                "INPUTS_URI": f"s3://{self.names.bucket('data')}/{JOB_INPUTS}/",
                **offered_answers(self.shared),
            },
        )
        function.allow(["s3:GetObject"], [self.names.bucket_arn("data", f"{MANIFESTS}/*")], because=ANY_MANIFEST)
        # To those who may not list a bucket S3 answers 403, not 404, for an object that is not there: S3 API reference, GetObject.
        function.allow(["s3:ListBucket"], [self.names.bucket_arn("data")])
        function.allow(
            ["s3:PutObject"], [self.names.bucket_arn("data", f"{JOB_INPUTS}/*")], because="The inputs lie under a digest of their content"
        )
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [self.shared.key.key_arn])
        allow_labels(function, self.shared)
        return function

    def _job_functions(self) -> tuple[PythonFunction, PythonFunction]:
        """Ground Truth's managed policy only invokes functions that have SageMaker in their name."""
        labels = offered_answers(self.shared)
        pre_annotation = PythonFunction(
            self,
            "PreAnnotation",
            shared=self.shared,
            folder="labeling/pre_annotation",
            name="SageMaker-pre-annotation",
            description="Says what the worker page shows for a text",
            environment=labels,
        )
        consolidation = PythonFunction(
            self,
            "ConsolidateAnnotations",
            shared=self.shared,
            folder="labeling/consolidate_annotations",
            name="SageMaker-consolidate-annotations",
            description="Makes one label of several answers",
            environment=labels,
            timeout=60,
        )
        consolidation.allow(
            ["s3:GetObject"],
            [self.names.bucket_arn("review", f"{OUTPUT}/*")],
            because="Ground Truth writes the payload of each batch below this prefix",
        )
        for function in (pre_annotation, consolidation):
            allow_labels(function, self.shared)
            function.function.add_permission(
                "GroundTruth",
                principal=iam.ServicePrincipal("sagemaker.amazonaws.com"),
                action="lambda:InvokeFunction",
                source_account=Aws.ACCOUNT_ID,
            )
        return pre_annotation, consolidation

    def _import_function(self) -> PythonFunction:
        function = PythonFunction(
            self,
            "ImportLabels",
            shared=self.shared,
            folder="labeling/import_labels",
            description="Stores the labels of a finished job, each once",
            timeout=_IMPORT_TIMEOUT,
            environment={
                "PREDICTIONS_TABLE": self.names.predictions_table,
                "CAPTURE_BUCKET": self.names.bucket("capture"),
                "GUIDELINES": guidelines(self.settings.review.guidelines),
                "RETENTION_DAYS": str(self.settings.retention.prediction_days),
                **label_variables(self.shared),
            },
        )
        function.allow(["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], [self.shared.predictions.table_arn])
        function.allow(
            ["s3:GetObject"],
            [self.names.bucket_arn("review", f"{OUTPUT}/*")],
            because="Each job writes its manifest in a folder of its own below this prefix",
        )
        # A job that failed may have left none: without this S3 answers 403, not 404 (S3 API reference, GetObject).
        function.allow(["s3:ListBucket"], [self.names.bucket_arn("review")])
        function.allow(
            ["s3:PutObject"],
            [self.names.bucket_arn("capture", "ground-truth/*")],
            because="One object per labelled prediction, below this prefix",
        )
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [self.shared.key.key_arn])
        allow_labels(function, self.shared)
        return function

    # -- the job -----------------------------------------------------------------------------------

    def _job_parameters(self) -> dict[str, Any]:
        """CreateLabelingJob; fields ending in ``.$`` come from the check."""
        labeling = self.settings.labeling
        return {
            "LabelingJobName.$": "$.job_name",
            "LabelAttributeName": LABEL_ATTRIBUTE,
            "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri.$": "$.manifest_uri"}}},
            "OutputConfig": {"S3OutputPath": f"s3://{self.names.bucket('review')}/{OUTPUT}", "KmsKeyId": self.shared.key.key_arn},
            "RoleArn": self.job_role.role_arn,
            "LabelCategoryConfigS3Uri.$": "$.categories_uri",
            "HumanTaskConfig": {
                "WorkteamArn": ssm.StringParameter.value_for_string_parameter(self, self.names.parameter("workteam-arn")),
                "UiConfig": {"UiTemplateS3Uri.$": "$.page_uri"},
                "PreHumanTaskLambdaArn": self.pre_annotation.function.function_arn,
                "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": self.consolidation.function.function_arn},
                "TaskTitle": TASK_TITLE,
                "TaskDescription": TASK_DESCRIPTION,
                "TaskKeywords": ["text", "classification"],
                "NumberOfHumanWorkersPerDataObject": labeling.workers_per_object,
                "TaskTimeLimitInSeconds": labeling.task_time_limit_seconds,
                "TaskAvailabilityLifetimeInSeconds": _TASK_LIFETIME.to_seconds(),
            },
        }

    # -- the state machine -------------------------------------------------------------------------

    def _machine(self) -> StateMachine:
        # States live in a scope of their own, so that their names stay short in the definition.
        steps = Construct(self, "Steps")
        manifests = f"s3://{self.names.bucket('data')}/{MANIFESTS}/*"
        refused = sfn.Fail(
            steps,
            "RefuseInput",
            error="InvalidInput",
            cause=f'The input must be {{"manifest_uri": "{manifests[:-1]}<name>.jsonl", "name": "<text>"}}.',
        )
        valid = sfn.Condition.and_(
            sfn.Condition.is_string("$.name"),
            sfn.Condition.is_string("$.manifest_uri"),
            sfn.Condition.string_matches("$.manifest_uri", manifests),
        )
        # The page is part of the definition: an execution keeps the one that it was started with.
        check_manifest = invoke(
            steps,
            "CheckManifest",
            self.check_manifest,
            payload=sfn.TaskInput.from_object(
                {
                    "name": sfn.JsonPath.string_at("$.name"),
                    "manifest_uri": sfn.JsonPath.string_at("$.manifest_uri"),
                    "page": worker_page(self.settings.review.guidelines),
                }
            ),
        )
        job = self._job(steps)
        check = sfn.Choice(steps, "CheckInput").when(valid, check_manifest.next(job)).otherwise(refused)
        machine = StateMachine(self, "Machine", shared=self.shared, part="labeling", definition=check, timeout=_EXECUTION_TIMEOUT)
        machine.allow_invoke(self.check_manifest, self.import_labels)
        jobs = f"labeling-job/{self.names.prefix}-*"
        machine.allow_sagemaker_sync("LabelingJob", jobs, self.job_role, key_arn=self.shared.key.key_arn)
        return machine

    def _job(self, steps: Construct) -> sfn.CustomState:
        """The job, then the import. A job that failed or was stopped leaves what it has got by then, which is imported before the end."""
        job = sagemaker_job(
            steps,
            "LabelTexts",
            action="createLabelingJob",
            parameters=self._job_parameters(),
            result_path="$",
            result_selector={
                "job_name.$": "$.LabelingJobName",
                "manifest_uri.$": "$.LabelingJobOutput.OutputDatasetS3Uri",
                "attribute.$": "$.LabelAttributeName",
            },
        )
        output = f"s3://{self.names.bucket('review')}/{OUTPUT}/{{}}/manifests/output/output.manifest"
        rescue = invoke(
            steps,
            "ImportWhatIsThere",
            self.import_labels,
            payload=sfn.TaskInput.from_object(
                {
                    "job_name": sfn.JsonPath.string_at("$.job_name"),
                    "manifest_uri": sfn.JsonPath.format(output, sfn.JsonPath.string_at("$.job_name")),
                    "attribute": LABEL_ATTRIBUTE,
                    "completed": False,
                }
            ),
            result_path="$.imported",
        )
        not_completed = sfn.Fail(
            steps,
            "NotCompleted",
            error_path=sfn.JsonPath.string_at("$.failure.Error"),
            cause_path=sfn.JsonPath.string_at("$.failure.Cause"),
        )
        job.add_catch(rescue.next(not_completed), errors=["States.TaskFailed"], result_path="$.failure")
        job.next(invoke(steps, "ImportLabels", self.import_labels))
        return job
