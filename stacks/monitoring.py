"""Watching: captured data as a table, drift on a schedule, the account of open reviews, alarms and one dashboard."""

from __future__ import annotations

from typing import Any

from aws_cdk import Duration, Environment, Stack
from aws_cdk import aws_athena as athena
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_glue as glue
from constructs import Construct

from contracts.shared_words import LABELS_BY_DAY, OPEN_REVIEWS, VARIANTS
from stacks.constructs.alarm import AT_LEAST, BELOW, Alarm
from stacks.constructs.capture_writer import CaptureWriter
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.review_budget import allow_choosing, spending_variables
from stacks.constructs.review_queue import LONGEST_TRIES_SECONDS
from stacks.constructs.scheduled_function import ScheduledFunction
from stacks.constructs.shared import SharedResources
from stacks.durations import LOOKBACK_HOURS
from stacks.settings import Settings
from stacks.settings.review import PromiseSettings
from stacks.template_names import template_names

RESEND_AFTER_SECONDS = 2 * LONGEST_TRIES_SECONDS
"""A request that old was lost: it has had time to wait for its turn and for every try; one sent again sooner would be asked twice."""
QUERY_LIMIT_BYTES = 10 * 1024**3
_PROMISE_MINUTES = 60
_MOST_PROMISE_DAYS = 180
"""Without a record of the bets, they begin at most that many days ago: the function reads one day after the other."""
CAPTURE_COLUMNS = (
    (
        "capturedata",
        "struct<endpointinput:struct<observedcontenttype:string,mode:string,data:string,encoding:string>,"
        "endpointoutput:struct<observedcontenttype:string,mode:string,data:string,encoding:string>>",
    ),
    ("eventmetadata", "struct<eventid:string,inferenceid:string,customattributes:array<string>,inferencetime:string>"),
    ("eventversion", "string"),
)

SERDE = {"case.insensitive": "true", "ignore.malformed.json": "true", "use.null.for.invalid.data": "true"}
"""A line that was cut is a row of nulls, which the drift query leaves out and counts; without this it stops every query.
https://docs.aws.amazon.com/athena/latest/ug/openx-json-serde.html
"""


ROLLOUT_WIDGETS: tuple[tuple[str, str, dict[str, str], tuple[tuple[float, str], ...]], ...] = (
    ("Rollout: traffic", "%", {"ChallengerShare": "challenger"}, ()),
    (
        "Rollout: evidence",
        "e-value",
        {
            "EvidenceForChallenger": "for it: refutes a loss of the margin",
            "EvidenceAgainstChallenger": 'against it: refutes "not worse"',
            "EvidenceThreshold": "decides",
        },
        (),
    ),
    (
        "Rollout: challenger minus champion",
        "points",
        {"DifferenceLow": "interval, low end", "DifferenceHigh": "interval, high end"},
        ((0, "no difference"),),
    ),
    (
        "Rollout: pairs",
        "pairs",
        {"PairsScored": "scored", "PairsAsked": "people were asked", "PairsAnswered": "people have answered"},
        (),
    ),
    (
        "Rollout: guardrails (1 = rings)",
        "evidence / threshold",
        {
            "GuardrailSampleRatio": "sample ratio",
            "GuardrailAlarms": "alarms",
            "GuardrailFailures": "failures",
            "GuardrailLatency": "latency",
            "GuardrailConfidence": "confidence",
        },
        ((1, "rings"),),
    ),
)
"""Title, unit, metric of the judge (``lambdas/rollout/judge_rollout/published.py``) -> label, and lines; one widget each."""


class MonitoringStack(Stack):
    """Glue table over capture, drift and reconciliation functions, alarms, dashboard."""

    def __init__(self, scope: Construct, settings: Settings, **kwargs: Any) -> None:
        self.names = template_names(settings)
        super().__init__(scope, self.names.stack("monitoring"), env=Environment(region=settings.region), **kwargs)
        self.settings = settings
        self.shared = SharedResources(self, settings)
        self.drift = self._drift() if settings.hosting.captures else None
        if settings.hosting.capture == "app":
            CaptureWriter(self, "CaptureWriter", shared=self.shared)
        self.reconcile = self._reconcile() if settings.review.asks_people else None
        self.watch_promise = None if settings.review.promise is None else self._watch_promise(settings.review.promise)
        self._alarms()
        self._dashboard()

    def _drift(self) -> PythonFunction:
        """The captured answers as a table, and the check that queries it."""
        self._capture_table()
        self._workgroup()
        return self._detect_drift()

    # -- captured data as a table ----------------------------------------------------------------

    def _capture_table(self) -> None:
        database = glue.CfnDatabase(
            self, "Database", catalog_id=self.account, database_input=glue.CfnDatabase.DatabaseInputProperty(name=self.names.database)
        )
        location = f"s3://{self.names.bucket('capture')}/capture/{self.names.endpoint}/"
        table = glue.CfnTable(
            self,
            "Capture",
            catalog_id=self.account,
            database_name=self.names.database,
            table_input=glue.CfnTable.TableInputProperty(
                name="capture",
                description="Requests and answers, by variant and hour",
                table_type="EXTERNAL_TABLE",
                parameters={
                    "classification": "json",
                    "projection.enabled": "true",
                    "projection.variant.type": "enum",
                    "projection.variant.values": ",".join(VARIANTS),
                    "projection.hour.type": "date",
                    "projection.hour.format": "yyyy/MM/dd/HH",
                    "projection.hour.range": "2026/01/01/00,NOW",
                    "projection.hour.interval": "1",
                    "projection.hour.interval.unit": "HOURS",
                    "storage.location.template": f"{location}${{variant}}/${{hour}}/",
                },
                partition_keys=[glue.CfnTable.ColumnProperty(name=name, type="string") for name in ("variant", "hour")],
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    location=location,
                    columns=[glue.CfnTable.ColumnProperty(name=name, type=kind) for name, kind in CAPTURE_COLUMNS],
                    input_format="org.apache.hadoop.mapred.TextInputFormat",
                    output_format="org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                    serde_info=glue.CfnTable.SerdeInfoProperty(
                        serialization_library="org.openx.data.jsonserde.JsonSerDe", parameters=SERDE
                    ),
                ),
            ),
        )
        table.add_resource_dependency(database)

    def _workgroup(self) -> None:
        athena.CfnWorkGroup(
            self,
            "Workgroup",
            name=self.names.workgroup,
            description="Queries of the drift check",
            recursive_delete_option=True,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=QUERY_LIMIT_BYTES,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(selected_engine_version="Athena engine version 3"),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{self.names.bucket('capture')}/athena-results/",
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS", kms_key=self.shared.key.key_arn
                    ),
                ),
            ),
        )

    # -- functions ---------------------------------------------------------------------------------

    def _detect_drift(self) -> PythonFunction:
        names = self.names
        function = PythonFunction(
            self,
            "DetectDrift",
            shared=self.shared,
            folder="monitoring/detect_drift",
            description="Compares the last served texts with the champion's own baseline",
            timeout=180,
            environment={
                "RELEASE_PARAMETER": names.parameter("release"),
                "DATABASE": names.database,
                "WORKGROUP": names.workgroup,
                "LOOKBACK_HOURS": str(LOOKBACK_HOURS),
            },
        )
        function.allow(["ssm:GetParameter"], [names.arn("ssm", f"parameter{names.parameter('release')}")])
        function.allow(
            ["sagemaker:DescribeModelPackage"],
            [names.model_packages_arn],
            because="The champion is whichever version of our own group is released",
        )
        function.allow(
            ["athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults", "athena:StopQueryExecution"],
            [names.arn("athena", f"workgroup/{names.workgroup}")],
        )
        catalog = ("catalog", f"database/{names.database}", f"table/{names.database}/capture")
        function.allow(["glue:GetDatabase", "glue:GetTable", "glue:GetPartitions"], [names.arn("glue", part) for part in catalog])
        captured = names.bucket_arn("capture", f"capture/{names.endpoint}/*")
        function.allow(["s3:GetObject"], [captured], because="Athena reads whichever hours the query asks for")
        function.allow(
            ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
            [names.bucket_arn("capture", "athena-results/*")],
            because="Athena names its result objects",
        )
        reports = names.bucket_arn("models", "evaluations/*")
        function.allow(["s3:GetObject"], [reports], because="The champion's report is named by its evaluation job")
        function.allow(["s3:ListBucket", "s3:GetBucketLocation"], [names.bucket_arn("capture")])
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [self.shared.key.key_arn])
        ScheduledFunction(
            self, "DriftSchedule", shared=self.shared, function=function, name="detect-drift", minutes=self.settings.drift.schedule_minutes
        )
        return function

    def _reconcile(self) -> PythonFunction:
        names, review = self.names, self.settings.review
        function = PythonFunction(
            self,
            "Reconcile",
            shared=self.shared,
            folder="review/reconcile",
            description="Accounts for every open review and sends lost requests again",
            timeout=120,
            environment={
                "PREDICTIONS_TABLE": names.predictions_table,
                "REVIEW_QUEUE_URL": names.queue_url("review-requests"),
                "RESEND_AFTER_SECONDS": str(RESEND_AFTER_SECONDS),
                "OVERDUE_AFTER_SECONDS": str(review.task_availability_seconds + review.task_time_limit_seconds),
                **spending_variables(self.shared),
            },
        )
        function.allow(["dynamodb:Query"], [names.arn("dynamodb", f"table/{names.predictions_table}/index/{OPEN_REVIEWS}")])
        function.allow(["sqs:SendMessage"], [names.arn("sqs", names.queue("review-requests"))])
        allow_choosing(function, self.shared)
        function.allow(["kms:Decrypt", "kms:GenerateDataKey"], [self.shared.key.key_arn])
        ScheduledFunction(self, "ReconcileSchedule", shared=self.shared, function=function, name="reconcile", minutes=15)
        return function

    def _watch_promise(self, promise: PromiseSettings) -> PythonFunction:
        bets = self.names.parameter("promise-bets")
        function = PythonFunction(
            self,
            "WatchPromise",
            shared=self.shared,
            folder="monitoring/watch_promise",
            description="Compares the champion's audit labels with the review promise",
            timeout=120,
            environment={
                "PREDICTIONS_TABLE": self.names.predictions_table,
                "BETS_PARAMETER": bets,
                "MAX_ERROR": str(promise.max_error),
                "CONFIDENCE": str(promise.confidence),
                "DAYS": str(min(self.settings.retention.prediction_days, _MOST_PROMISE_DAYS)),
            },
        )
        function.allow(["dynamodb:Query"], [self.names.arn("dynamodb", f"table/{self.names.predictions_table}/index/{LABELS_BY_DAY}")])
        function.allow(["ssm:GetParameter", "ssm:PutParameter"], [self.names.arn("ssm", f"parameter{bets}")])
        function.allow(["kms:Decrypt"], [self.shared.key.key_arn])
        ScheduledFunction(self, "PromiseSchedule", shared=self.shared, function=function, name="watch-promise", minutes=_PROMISE_MINUTES)
        return function

    # -- alarms and dashboard ------------------------------------------------------------------------

    def _metric(self, function: PythonFunction, name: str, minutes: int, statistic: str = "Maximum") -> cloudwatch.Metric:
        """A metric that one of our functions publishes (Powertools adds the dimension ``service``)."""
        return cloudwatch.Metric(
            namespace=self.names.metric_namespace,
            metric_name=name,
            dimensions_map={"service": function.name},
            period=Duration.minutes(minutes),
            statistic=statistic,
        )

    def _alarms(self) -> None:
        if self.drift is not None:
            self._drift_alarms(self.drift)
        if self.reconcile is not None:
            Alarm(
                self,
                "ReviewsOverdue",
                shared=self.shared,
                name=self.names.alarm("reviews-overdue"),
                metric=self._metric(self.reconcile, "ReviewsOverdue", 15),
                datapoints=1,
                meaning="Reviews are open past the backend's own time limit: compare the backend with the prediction table",
            )
            Alarm(
                self,
                "ReviewsWait",
                shared=self.shared,
                name=self.names.alarm("reviews-wait"),
                metric=self._metric(self.reconcile, "OldestReviewSeconds", 15),
                threshold=self.settings.review.longest_wait_seconds,
                meaning="People do not keep up: the oldest open review waits for longer than review.backlog_seconds",
            )
            self._alarm_on_errors(self.reconcile, "reconcile-errors")
        if self.watch_promise is not None:
            Alarm(
                self,
                "PromiseRefuted",
                shared=self.shared,
                name=self.names.alarm("promise-refuted"),
                metric=self._metric(self.watch_promise, "PromiseEvidence", _PROMISE_MINUTES),
                threshold=1,
                comparison=AT_LEAST,
                meaning="Audit labels refute review.promise: more of the answers that nobody reviews are wrong than it allows",
            )
            self._alarm_on_errors(self.watch_promise, "watch-promise-errors")

    def _drift_alarms(self, function: PythonFunction) -> None:
        drift = self.settings.drift
        Alarm(
            self,
            "Drift",
            shared=self.shared,
            name=self.names.drift_alarm,
            metric=self._metric(function, "DriftScore", drift.schedule_minutes),
            threshold=1,
            periods=drift.evaluation_periods,
            datapoints=drift.datapoints_to_alarm,
            meaning="Served texts are unlike those of the champion's baseline; with retraining.on_drift a retraining starts by itself",
        )
        self._alarm_on_errors(function, "detect-drift-errors")
        minutes = drift.unassessed_period_minutes
        periods = max(1, drift.unassessed_hours * 60 // minutes)
        Alarm(
            self,
            "DriftUnassessed",
            shared=self.shared,
            name=self.names.alarm("drift-unassessed"),
            metric=self._metric(function, "DriftWindowFilled", minutes),
            threshold=100,
            periods=periods,
            datapoints=periods,
            comparison=BELOW,
            meaning=f"For {drift.unassessed_hours} hours no window of the champion's answers was full, so drift was not assessed, "
            "whatever the drift alarm says: too few answers, or they are not captured",
        )

    def _alarm_on_errors(self, function: PythonFunction, name: str) -> None:
        Alarm(
            self,
            f"Errors-{name}",
            shared=self.shared,
            name=self.names.alarm(name),
            metric=function.function.metric_errors(period=Duration.minutes(15), statistic="Sum"),
            datapoints=1,
            meaning=f"{function.name} failed: read its log",
        )

    def _dashboard(self) -> None:
        by_variant = {
            name: [
                cloudwatch.Metric(
                    namespace="AWS/SageMaker",
                    metric_name=name,
                    dimensions_map={"EndpointName": self.names.endpoint, "VariantName": variant},
                    label=variant,
                    period=Duration.minutes(5),
                    statistic=statistic,
                )
                for variant in VARIANTS
            ]
            for name, statistic in (("Invocations", "Sum"), ("ModelLatency", "p90"), ("InvocationModelErrors", "Sum"))
        }
        board = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=self.names.prefix)
        board.add_widgets(
            *self._drift_scores(),
            *self._open_reviews(),
            *self._promise(),
            *self._agreement(),
        )
        board.add_widgets(*self._rollout())
        board.add_widgets(
            *(cloudwatch.GraphWidget(title=f"{name} by variant", left=metrics, width=8) for name, metrics in by_variant.items())
        )

    def _drift_scores(self) -> list[cloudwatch.IWidget]:
        if self.drift is None:
            return []
        minutes = self.settings.drift.schedule_minutes
        scores = [self._metric(self.drift, f"{name}Score", minutes) for name in ("OovRate", "MeanConfidence", "PredictedClassDivergence")]
        threshold = cloudwatch.HorizontalAnnotation(value=1, label="alarm", color=cloudwatch.Color.RED)
        return [cloudwatch.GraphWidget(title="Drift score (1 = threshold)", left=scores, left_annotations=[threshold], width=12)]

    def _rollout(self) -> list[cloudwatch.IWidget]:
        """What the judge saw at each look, with the words of the rollout's page; a blue/green switch has shares and guardrails only."""
        return [
            cloudwatch.GraphWidget(
                title=title,
                left=[self._look(name, label) for name, label in metrics.items()],
                left_annotations=[cloudwatch.HorizontalAnnotation(value=value, label=label) for value, label in lines],
                left_y_axis=cloudwatch.YAxisProps(label=unit, show_units=False),
                width=8,
            )
            for title, unit, metrics, lines in ROLLOUT_WIDGETS
        ]

    def _look(self, name: str, label: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=self.names.metric_namespace,
            metric_name=name,
            dimensions_map={"service": self.names.function("judge-rollout")},
            label=label,
            period=Duration.minutes(1),
            statistic="Maximum",
        )

    def _open_reviews(self) -> list[cloudwatch.IWidget]:
        if self.reconcile is None:
            return []
        of_the_budget = () if self.settings.review.daily_budget is None else ("Waiting", "Chosen", "NotChosen")
        shown = ("Requested", "Open", "DeadLettered", "Overdue", *of_the_budget)
        states = [self._metric(self.reconcile, f"Reviews{state}", 15) for state in shown]
        oldest = self._metric(self.reconcile, "OldestReviewSeconds", 15)
        return [cloudwatch.GraphWidget(title="Open reviews", left=states, right=[oldest], width=12)]

    def _agreement(self) -> list[cloudwatch.IWidget]:
        """All labels together, and each label for which the function publishes a figure: nothing here knows which labels there are.

        Source: CloudWatch user guide, "CloudWatch search expression syntax" and "Use dynamic labels".
        """
        if not self.settings.review.asks_people:
            return []
        namespace, function, period = self.names.metric_namespace, self.names.function("collect-review"), Duration.hours(1)
        name, dimensions = "KrippendorffAlpha", {"service": function}
        every = cloudwatch.Metric(
            namespace=namespace, metric_name=name, dimensions_map=dimensions, label="all labels", period=period, statistic="Average"
        )
        found = f'{{"{namespace}","service","label"}} MetricName="{name}" service="{function}"'
        each = cloudwatch.MathExpression(expression=f"SEARCH('{found}', 'Average')", label="${PROP('Dim.label')}", period=period)
        alarm = cloudwatch.HorizontalAnnotation(value=self.settings.review.least_alpha, label="alarm", color=cloudwatch.Color.RED)
        title = "Agreement of the reviewers (Krippendorff's alpha: 1 is agreement, 0 is chance)"
        return [cloudwatch.GraphWidget(title=title, left=[every, each], left_annotations=[alarm], width=12)]

    def _promise(self) -> list[cloudwatch.IWidget]:
        if self.watch_promise is None:
            return []
        evidence = self._metric(self.watch_promise, "PromiseEvidence", _PROMISE_MINUTES)
        audits = [self._metric(self.watch_promise, name, _PROMISE_MINUTES) for name in ("AuditLabels", "AuditErrors")]
        refuted = cloudwatch.HorizontalAnnotation(value=1, label="refuted", color=cloudwatch.Color.RED)
        title = "Evidence against the review promise (1 = refuted), and the champion's audits"
        return [cloudwatch.GraphWidget(title=title, left=[evidence], left_annotations=[refuted], right=audits, width=12)]
