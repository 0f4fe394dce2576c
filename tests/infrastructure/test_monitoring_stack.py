"""The monitoring stack: captured data as a table, drift and open reviews on a schedule, alarms that mean something, exact grants."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from apps import findings, new_app, template_of
from aws_cdk.assertions import Template
from deployed_definition import arn, each, grants, properties, resolve, stage_names

from lambdas.common.environment import read_environment
from lambdas.monitoring.detect_drift import handler as drift
from lambdas.monitoring.watch_promise import handler as watch_promise
from lambdas.review.collect_review import handler as collect_review
from lambdas.review.reconcile import handler as reconcile
from lambdas.rollout.judge_rollout import published
from lambdas.rollout.judge_rollout.guardrails import Name
from stacks.endpoint import EndpointStack
from stacks.monitoring import MonitoringStack
from stacks.retraining import RetrainingStack
from stacks.review import ReviewStack
from stacks.settings import Settings, load_settings
from stacks.settings.review import PromiseSettings

STAGES = {stage: stage_names(stage) for stage in ("dev", "prod")}
NAMES = STAGES["dev"]
SETTINGS = Path(__file__).resolve().parents[2] / "settings"
DEV, PROD = (load_settings(SETTINGS / f"{stage}.yaml") for stage in ("dev", "prod"))
CAPTURE_BUCKET = NAMES.bucket("capture")
CAPTURED = {
    "captureData": {
        "endpointInput": {"observedContentType": "application/json", "mode": "INPUT", "data": "{}", "encoding": "JSON"},
        "endpointOutput": {"observedContentType": "application/json", "mode": "OUTPUT", "data": "[]", "encoding": "JSON"},
    },
    "eventMetadata": {"eventId": "e", "inferenceId": "p", "customAttributes": ["a"], "inferenceTime": "2026-02-14T17:25:49Z"},
    "eventVersion": "0",
}
"""A line of a capture file; source: SageMaker developer guide, "Capture data"."""


@pytest.fixture(scope="module")
def template() -> Template:
    return template_of(MonitoringStack, DEV)


@pytest.fixture(scope="module")
def promised() -> Template:
    review = DEV.review.model_copy(update={"promise": PromiseSettings(max_error=0.1, confidence=0.9)})
    return template_of(MonitoringStack, DEV.model_copy(update={"review": review}))


@pytest.fixture(scope="module")
def prod() -> Template:
    return template_of(MonitoringStack, PROD)


def by_name(template: Template, kind: str, key: str) -> dict[str, dict[str, Any]]:
    return {item[key]: item for item in properties(template, kind)}


def alarms(template: Template) -> dict[str, dict[str, Any]]:
    return by_name(template, "AWS::CloudWatch::Alarm", "AlarmName")


def logical_id(template: Template, kind: str, key: str, value: str) -> str:
    (found,) = template.find_resources(kind, {"Properties": {key: value}})
    return str(found)


# -- captured data -----------------------------------------------------------------------------------


def test_the_table_is_projected_over_variants_and_hours_where_the_endpoint_captures(template: Template) -> None:
    (table,) = properties(template, "AWS::Glue::Table")
    (config,) = properties(template_of(EndpointStack, DEV), "AWS::SageMaker::EndpointConfig")
    location = f"{config['DataCaptureConfig']['DestinationS3Uri']}/{NAMES.endpoint}/"
    given = table["TableInput"]
    assert (table["DatabaseName"], given["Name"], given["TableType"]) == (NAMES.database, "capture", "EXTERNAL_TABLE")
    assert given["StorageDescriptor"]["Location"] == location
    assert [column["Name"] for column in given["PartitionKeys"]] == ["variant", "hour"]
    projection = {key: value for key, value in given["Parameters"].items() if key != "classification"}
    assert projection == {
        "projection.enabled": "true",
        "projection.variant.type": "enum",
        "projection.variant.values": ",".join(variant["VariantName"] for variant in config["ProductionVariants"]),
        "projection.hour.type": "date",
        "projection.hour.format": "yyyy/MM/dd/HH",
        "projection.hour.range": "2026/01/01/00,NOW",
        "projection.hour.interval": "1",
        "projection.hour.interval.unit": "HOURS",
        "storage.location.template": f"{location}${{variant}}/${{hour}}/",
    }


def test_the_columns_hold_a_capture_line(template: Template) -> None:
    def fields(value: Any) -> set[str]:
        if isinstance(value, dict):
            return {name.lower() for name in value} | {name for inner in value.values() for name in fields(inner)}
        return set()

    (table,) = properties(template, "AWS::Glue::Table")
    storage = table["TableInput"]["StorageDescriptor"]
    columns = {column["Name"]: column["Type"] for column in storage["Columns"]}
    assert set(columns) == {name.lower() for name in CAPTURED}
    assert {name for kind in columns.values() for name in re.findall(r"(\w+):", kind)} == fields(CAPTURED) - set(columns)
    assert storage["SerdeInfo"]["Parameters"] == {
        "case.insensitive": "true", "ignore.malformed.json": "true", "use.null.for.invalid.data": "true",
    }  # fmt: skip


def test_the_drift_query_names_columns_that_exist(template: Template) -> None:
    (table,) = properties(template, "AWS::Glue::Table")
    names = {column["Name"] for column in (*table["TableInput"]["StorageDescriptor"]["Columns"], *table["TableInput"]["PartitionKeys"])}
    assert set(re.findall(r"\b(capturedata|eventmetadata|eventversion|variant|hour)\b", drift.QUERY)) <= names
    assert "FROM capture\n" in drift.QUERY


def test_the_table_comes_after_its_database(template: Template) -> None:
    (table,) = template.find_resources("AWS::Glue::Table").values()
    assert table["DependsOn"] == ["Database"]
    template.has_resource_properties("AWS::Glue::Database", {"DatabaseInput": {"Name": NAMES.database}})


def test_queries_are_bounded_and_their_results_encrypted_whatever_the_client_says(template: Template) -> None:
    (workgroup,) = properties(template, "AWS::Athena::WorkGroup")
    configuration = workgroup["WorkGroupConfiguration"]
    result = configuration["ResultConfiguration"]
    assert workgroup["Name"] == NAMES.workgroup
    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["BytesScannedCutoffPerQuery"] == 10 * 1024**3
    assert result["OutputLocation"] == f"s3://{CAPTURE_BUCKET}/athena-results/"
    assert result["EncryptionConfiguration"]["EncryptionOption"] == "SSE_KMS"
    assert ":key/" in result["EncryptionConfiguration"]["KmsKey"]


# -- alarms and dashboard ----------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "m_of_n", "period"), [("dev", (1, 1), 900), ("prod", (2, 3), 3_600)])
def test_drift_rings_when_m_of_n_scores_are_above_the_baselines_threshold(
    template: Template, prod: Template, stage: str, m_of_n: tuple[int, int], period: int
) -> None:
    alarm = alarms(template if stage == "dev" else prod)[STAGES[stage].drift_alarm]
    assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == m_of_n
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanThreshold")
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == ("DriftScore", "Maximum", period)
    assert alarm["Namespace"] == STAGES[stage].metric_namespace
    assert alarm["Dimensions"] == [{"Name": "service", "Value": STAGES[stage].function("detect-drift")}]


@pytest.mark.parametrize(("stage", "period", "periods"), [("dev", 3_600, 24), ("prod", 7_200, 12)])
def test_a_day_without_a_full_window_rings_since_the_drift_alarm_says_ok_then(
    template: Template, prod: Template, stage: str, period: int, periods: int
) -> None:
    alarm = alarms(template if stage == "dev" else prod)[STAGES[stage].alarm("drift-unassessed")]
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == ("DriftWindowFilled", "Maximum", period)
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (100, "LessThanThreshold")
    assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (periods, periods)
    assert alarm["Dimensions"] == [{"Name": "service", "Value": STAGES[stage].function("detect-drift")}]
    assert period >= 2 * 60 * (DEV if stage == "dev" else PROD).drift.schedule_minutes, "a period may have no check"
    assert period * periods <= 7 * 86_400


def test_the_drift_alarm_has_the_name_that_starts_a_retraining(template: Template) -> None:
    retraining = template_of(RetrainingStack, DEV)
    rule = by_name(retraining, "AWS::Events::Rule", "Name")[NAMES.rule("retrain-on-drift")]
    (name,) = rule["EventPattern"]["detail"]["alarmName"]
    assert name in alarms(template)


def test_silence_is_no_drift_and_no_overdue_review_and_every_alarm_tells_the_topic(template: Template) -> None:
    """A window that is not full has no score; a run that fails has alarms of its own."""
    found = alarms(template)
    assert set(found) == {
        NAMES.alarm(name)
        for name in (
            "drift", "drift-unassessed", "detect-drift-errors", "detect-drift-dlq-not-empty",
            "reviews-overdue", "reviews-wait", "reconcile-errors", "reconcile-dlq-not-empty",
        )
    }  # fmt: skip
    for alarm in found.values():
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["AlarmActions"] == [arn("sns", NAMES.alert_topic)]


def test_one_overdue_review_and_one_failed_run_are_enough(template: Template) -> None:
    found = alarms(template)
    overdue = found[NAMES.alarm("reviews-overdue")]
    assert (overdue["MetricName"], overdue["Threshold"], overdue["EvaluationPeriods"]) == ("ReviewsOverdue", 0, 1)
    assert overdue["Dimensions"] == [{"Name": "service", "Value": NAMES.function("reconcile")}]
    for name in ("detect-drift", "reconcile"):
        alarm = found[NAMES.alarm(f"{name}-errors")]
        assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == ("AWS/Lambda", "Errors", "Sum", 0)


def test_the_dashboard_shows_drift_reviews_and_both_variants(template: Template) -> None:
    (board,) = properties(template, "AWS::CloudWatch::Dashboard")
    assert board["DashboardName"] == NAMES.prefix
    widgets = {widget["properties"]["title"]: widget["properties"]["metrics"] for widget in json.loads(board["DashboardBody"])["widgets"]}
    published = {f"{name}Score" for name in drift._METRIC_NAMES.values()}
    assert {metric[1] for metric in widgets["Drift score (1 = threshold)"]} == published
    source = Path(reconcile.__file__).read_text(encoding="utf-8")
    for metric in widgets["Open reviews"]:
        assert metric[:4] == [NAMES.metric_namespace, metric[1], "service", NAMES.function("reconcile")]
        assert f'"{metric[1]}"' in source
    for name in ("Invocations", "ModelLatency", "InvocationModelErrors"):
        assert [metric[:6] for metric in widgets[f"{name} by variant"]] == [
            ["AWS/SageMaker", name, "EndpointName", NAMES.endpoint, "VariantName", variant] for variant in ("champion", "challenger")
        ]


def test_with_a_daily_budget_the_dashboard_shows_what_became_of_the_waiting_texts(prod: Template, template: Template) -> None:
    def shown(of: Template) -> set[str]:
        (board,) = properties(of, "AWS::CloudWatch::Dashboard")
        widgets = {one["properties"]["title"]: one["properties"]["metrics"] for one in json.loads(board["DashboardBody"])["widgets"]}
        return {metric[1] for metric in widgets["Open reviews"]}

    assert PROD.review.daily_budget is not None
    assert DEV.review.daily_budget is None
    assert shown(prod) - shown(template) == {"ReviewsWaiting", "ReviewsChosen", "ReviewsNotChosen"}
    source = Path(reconcile.__file__).read_text(encoding="utf-8")
    assert all(f'"{name}"' in source for name in shown(prod))


def test_the_dashboard_shows_how_far_people_agree_and_about_which_label_they_do_not(template: Template) -> None:
    (board,) = properties(template, "AWS::CloudWatch::Dashboard")
    [widget] = [one for one in json.loads(board["DashboardBody"])["widgets"] if "Agreement" in one["properties"]["title"]]
    [every, [each]] = widget["properties"]["metrics"]
    collect, source = NAMES.function("collect-review"), Path(collect_review.__file__).read_text(encoding="utf-8")
    assert every[:4] == [NAMES.metric_namespace, "KrippendorffAlpha", "service", collect]
    found = f'{{"{NAMES.metric_namespace}","service","label"}} MetricName="KrippendorffAlpha" service="{collect}"'
    assert (each["expression"], each["label"]) == (f"SEARCH('{found}', 'Average')", "${PROP('Dim.label')}")
    assert all(f'"{name}"' in source for name in ("KrippendorffAlpha", "service", "label"))


def test_the_dashboard_shows_every_figure_of_a_look_of_the_judge(template: Template) -> None:
    (board,) = properties(template, "AWS::CloudWatch::Dashboard")
    widgets = [one["properties"] for one in json.loads(board["DashboardBody"])["widgets"] if "Rollout" in one["properties"]["title"]]
    shown = [metric for widget in widgets for metric in widget["metrics"]]
    judge = ["service", NAMES.function("judge-rollout")]
    assert {(metric[0], *metric[2:4]) for metric in shown} == {(NAMES.metric_namespace, *judge)}
    names = [*published.EVIDENCE.values(), *published.PAIRS.values(), *published.INTERVAL, *published.GUARDRAILS.values(), published.SHARE]
    assert sorted(metric[1] for metric in shown) == sorted(names)
    assert set(published.GUARDRAILS) == {name.value for name in Name}


# -- schedules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "minutes"), [("detect-drift", DEV.drift.schedule_minutes), ("reconcile", 15)])
def test_a_function_runs_on_its_schedule_and_a_run_that_fails_is_kept(template: Template, name: str, minutes: int) -> None:
    function = logical_id(template, "AWS::Lambda::Function", "FunctionName", NAMES.function(name))
    queue = logical_id(template, "AWS::SQS::Queue", "QueueName", NAMES.queue(f"{name}-dlq"))
    rule_id = logical_id(template, "AWS::Events::Rule", "Name", NAMES.rule(f"{name}-schedule"))
    rule = template.find_resources("AWS::Events::Rule")[rule_id]["Properties"]
    dead_letters = {"Fn::GetAtt": [queue, "Arn"]}
    assert (rule["ScheduleExpression"], rule["State"]) == (f"rate({minutes} minutes)", "ENABLED")
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": [function, "Arn"]}
    assert target["DeadLetterConfig"] == {"Arn": dead_letters}
    template.has_resource_properties(
        "AWS::Lambda::EventInvokeConfig",
        {"FunctionName": {"Ref": function}, "DestinationConfig": {"OnFailure": {"Destination": dead_letters}}, "MaximumRetryAttempts": 2},
    )
    template.has_resource_properties(
        "AWS::Lambda::Permission",
        {
            "FunctionName": {"Fn::GetAtt": [function, "Arn"]},
            "Principal": "events.amazonaws.com",
            "SourceArn": {"Fn::GetAtt": [rule_id, "Arn"]},
        },
    )


def test_dead_letters_are_encrypted_kept_for_two_weeks_and_ring(template: Template) -> None:
    queues = by_name(template, "AWS::SQS::Queue", "QueueName")
    assert set(queues) == {NAMES.queue("detect-drift-dlq"), NAMES.queue("reconcile-dlq")}
    for name, queue in queues.items():
        assert ":key/" in queue["KmsMasterKeyId"]
        assert queue["MessageRetentionPeriod"] == 14 * 86_400
        alarm = alarms(template)[f"{name}-not-empty"]
        assert (alarm["MetricName"], alarm["Threshold"], alarm["ComparisonOperator"]) == (
            "ApproximateNumberOfMessagesVisible", 1, "GreaterThanOrEqualToThreshold",
        )  # fmt: skip


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_functions_get_every_setting_that_they_read(template: Template, prod: Template, stage: str) -> None:
    settings, names = (DEV if stage == "dev" else PROD), STAGES[stage]
    functions = by_name(template if stage == "dev" else prod, "AWS::Lambda::Function", "FunctionName")
    given = {name: function["Environment"]["Variables"] for name, function in functions.items()}
    assert read_environment(drift.Environment, given[names.function("detect-drift")]) == drift.Environment(
        names.parameter("release"), names.database, names.workgroup, 7 * 24
    )
    review = settings.review
    assert read_environment(reconcile.Environment, given[names.function("reconcile")]) == reconcile.Environment(
        predictions_table=names.predictions_table,
        review_queue_url=names.queue_url("review-requests"),
        resend_after_seconds=3_600,
        overdue_after_seconds=review.task_availability_seconds + review.task_time_limit_seconds,
        daily_budget=review.daily_budget or 0,
        budget_parameter="" if review.daily_budget is None else names.parameter("review-budget"),
        longest_wait_seconds=0 if review.daily_budget is None else review.task_availability_seconds,
    )


def test_no_request_is_sent_again_while_its_queue_may_still_try_it(template: Template) -> None:
    review = template_of(ReviewStack, DEV)
    queue = by_name(review, "AWS::SQS::Queue", "QueueName")[NAMES.queue("review-requests")]
    function = by_name(template, "AWS::Lambda::Function", "FunctionName")[NAMES.function("reconcile")]
    tries = queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"]
    assert int(function["Environment"]["Variables"]["RESEND_AFTER_SECONDS"]) > tries


def test_a_query_is_stopped_before_its_function_is(template: Template) -> None:
    function = by_name(template, "AWS::Lambda::Function", "FunctionName")[NAMES.function("detect-drift")]
    assert drift.Environment.query_timeout_seconds + 30 < function["Timeout"]


# -- grants ------------------------------------------------------------------------------------------


def own_grants(template: Template, role: str, queue: str) -> dict[str, set[str]]:
    """Without what every function has: its own log group, traces, and its own dead letters."""
    found = grants(template, role)
    assert found.pop("logs:CreateLogStream") == found.pop("logs:PutLogEvents")
    for action in ("xray:PutTraceSegments", "xray:PutTelemetryRecords"):
        assert found.pop(action) == {"*"}
    found["sqs:SendMessage"] -= {resolve({}, {"Fn::GetAtt": [queue, "Arn"]})}
    return {action: resources for action, resources in found.items() if resources}


def test_the_drift_check_reads_captures_and_the_champions_report_and_changes_nothing(template: Template) -> None:
    queue = logical_id(template, "AWS::SQS::Queue", "QueueName", NAMES.queue("detect-drift-dlq"))
    found = own_grants(template, "DetectDriftRole", queue)
    (key,) = found["kms:Decrypt"]
    catalog = [arn("glue", part) for part in ("catalog", f"database/{NAMES.database}", f"table/{NAMES.database}/capture")]
    bucket, results = f"arn:aws:s3:::{CAPTURE_BUCKET}", f"arn:aws:s3:::{CAPTURE_BUCKET}/athena-results/*"
    queries = [f"athena:{verb}" for verb in ("StartQueryExecution", "GetQueryExecution", "GetQueryResults", "StopQueryExecution")]
    assert found == {
        "ssm:GetParameter": {arn("ssm", f"parameter{NAMES.parameter('release')}")},
        "sagemaker:DescribeModelPackage": {arn("sagemaker", f"model-package/{NAMES.model_package_group}/*")},
        **each(queries, arn("athena", f"workgroup/{NAMES.workgroup}")),
        **each(["glue:GetDatabase", "glue:GetTable", "glue:GetPartitions"], *catalog),
        "s3:GetObject": {
            f"{bucket}/capture/{NAMES.endpoint}/*",
            results,
            NAMES.bucket_arn("models", "evaluations/*"),
        },
        **each(["s3:PutObject", "s3:AbortMultipartUpload"], results),
        **each(["s3:ListBucket", "s3:GetBucketLocation"], bucket),
        **each(["kms:Decrypt", "kms:GenerateDataKey"], key),
    }


def test_the_reconciler_reads_open_reviews_and_may_only_ask_again(template: Template) -> None:
    queue = logical_id(template, "AWS::SQS::Queue", "QueueName", NAMES.queue("reconcile-dlq"))
    found = own_grants(template, "ReconcileRole", queue)
    (key,) = found["kms:Decrypt"]
    assert found == {
        "dynamodb:Query": {arn("dynamodb", f"table/{NAMES.predictions_table}/index/open-reviews")},
        "sqs:SendMessage": {arn("sqs", NAMES.queue("review-requests"))},
        **each(["kms:Decrypt", "kms:GenerateDataKey"], key),
    }


def test_with_a_daily_budget_the_reconciler_also_chooses_and_keeps_count(prod: Template) -> None:
    names = STAGES["prod"]
    granted = grants(prod, "ReconcileRole")
    assert granted["dynamodb:UpdateItem"] == {arn("dynamodb", f"table/{names.predictions_table}")}
    assert granted["ssm:GetParameter"] == granted["ssm:PutParameter"] == {arn("ssm", f"parameter{names.parameter('review-budget')}")}


def test_the_promise_is_watched_where_there_is_one(template: Template, promised: Template) -> None:
    assert NAMES.alarm("promise-refuted") not in alarms(template)
    alarm = alarms(promised)[NAMES.alarm("promise-refuted")]
    assert (alarm["MetricName"], alarm["Threshold"], alarm["ComparisonOperator"]) == (
        "PromiseEvidence", 1, "GreaterThanOrEqualToThreshold"
    )  # fmt: skip
    assert NAMES.alarm("watch-promise-errors") in alarms(promised)
    found = by_name(promised, "AWS::Lambda::Function", "FunctionName")[NAMES.function("watch-promise")]
    given = read_environment(watch_promise.Environment, resolve(promised.to_json(), found["Environment"]["Variables"]))
    assert given == watch_promise.Environment(NAMES.predictions_table, NAMES.parameter("promise-bets"), 0.1, 0.9, 90)
    queue = logical_id(promised, "AWS::SQS::Queue", "QueueName", NAMES.queue("watch-promise-dlq"))
    granted = own_grants(promised, "WatchPromiseRole", queue)
    assert granted == {
        "dynamodb:Query": {arn("dynamodb", f"table/{NAMES.predictions_table}/index/labels-by-day")},
        **each(["ssm:GetParameter", "ssm:PutParameter"], arn("ssm", f"parameter{NAMES.parameter('promise-bets')}")),
        **{action: granted[action] for action in ("kms:Decrypt", "kms:GenerateDataKey")},
    }


def test_an_alarm_rings_before_reviews_expire(template: Template) -> None:
    alarm = alarms(template)[NAMES.alarm("reviews-wait")]
    assert (alarm["MetricName"], alarm["Threshold"], alarm["Statistic"]) == ("OldestReviewSeconds", 129_600, "Maximum")


# -- audits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [DEV, PROD], ids=["dev", "prod"])
def test_no_finding_is_left_unanswered(settings: Settings) -> None:
    assert findings(MonitoringStack, settings) == []


def test_the_same_settings_give_the_same_template(template: Template) -> None:
    assert Template.from_stack(MonitoringStack(new_app(), DEV)).to_json() == template.to_json()
