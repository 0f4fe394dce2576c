"""``hosting.capture: app``: the same rows through the same SQL as the endpoint's own capture, and none lost or counted twice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from released_app import ReleasedApp, TinyModel, deploy

from embedded_aws.tools import launcher, processes
from lambdas.monitoring.detect_drift.handler import QUERY
from lambdas.retraining.freeze_dataset.served import CapturedData
from stacks.settings import load_settings

pytestmark = pytest.mark.slow

NEW_ACCOUNT = load_settings(launcher.ROOT / "settings" / "newacct.yaml")
MODEL = "champion-1"
TEXTS = [
    "this is positive", "a negative thing", "neither here nor there", "positive, and with a \u2028 separator inside", "naïve café 🙂",
    'quotes " and \\ backslashes', "<b>markup</b> is positive", "one", "two words", "three words here", "[unsure] negative",
    "a comma, a\ttab, a\nnew line and U+0085 \u0085.",
]  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, synthesised: Callable[[str], Path]) -> Iterator[ReleasedApp]:
    with deploy(tmp_path_factory.mktemp("app"), assembly=synthesised("newacct"), settings=NEW_ACCOUNT) as deployed:
        deployed.release(deployed.register(TinyModel(MODEL)))
        yield deployed


class Captured:
    """What lies in the capture bucket, and what the drift check's own query makes of it."""

    def __init__(self, app: ReleasedApp) -> None:
        self.app, self.bucket, self.folder = app, app.names.bucket("capture"), f"capture/{app.names.prefix}/"

    def found(self) -> list[str]:
        pages = self.app.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.folder)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def body(self, key: str) -> bytes:
        found: bytes = self.app.client("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return found

    def put(self, key: str, body: bytes) -> None:
        self.app.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body)

    def delete(self, keys: list[str]) -> None:
        for key in keys:
            self.app.client("s3").delete_object(Bucket=self.bucket, Key=key)

    def ids(self, *, by_endpoint_too: bool = False) -> list[str]:
        """The prediction of every line that the app has written, whose event is the prediction itself, or of all lines."""
        about = [json.loads(line)["eventMetadata"] for key in self.found() for line in self.body(key).splitlines()]
        return [one["inferenceId"] for one in about if by_endpoint_too or one["eventId"] == one["inferenceId"]]

    def rows(self) -> list[list[str | None]]:
        """The drift check's query over what lies there now."""
        athena = self.app.client("athena")
        since = datetime.now(UTC) - timedelta(hours=24)
        query = athena.start_query_execution(
            QueryString=QUERY.format(window=1_000),
            QueryExecutionContext={"Database": self.app.names.prefix.replace("-", "_")},
            WorkGroup=self.app.names.prefix,
            ExecutionParameters=[f"'{since:%Y/%m/%d/%H}'", f"'{MODEL}'"],
        )["QueryExecutionId"]
        while (status := athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"])["State"] in ("QUEUED", "RUNNING"):
            time.sleep(0.05)
        assert status["State"] == "SUCCEEDED", status
        found = athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"][1:]
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in found]

    def texts(self) -> list[str]:
        """The newest served texts, as the freezing of a dataset version reads them."""
        data = CapturedData(self.app.client("s3"), self.bucket, self.app.names.prefix)
        return sorted(item.text for item in data.newest(1_000, now=datetime.now(UTC), hours=2))


@pytest.fixture(scope="module")
def captured(app: ReleasedApp) -> Captured:
    return Captured(app)


def send(app: ReleasedApp, texts: list[str]) -> list[str]:
    """The ids of answered predictions."""
    answers = [app.predict(text) for text in texts]
    assert [answer.status for answer in answers] == [200] * len(texts)
    return [answer.body["prediction_id"] for answer in answers]


def capture_by_the_endpoint_too(app: ReleasedApp) -> None:
    """What a stage with ``hosting.capture: endpoint`` has, beside the app's own way."""
    sagemaker, settings = app.client("sagemaker"), {"CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]}
    config = sagemaker.describe_endpoint_config(EndpointConfigName=app.endpoint()["EndpointConfigName"])
    assert "DataCaptureConfig" not in config
    model = sagemaker.describe_model(ModelName=config["ProductionVariants"][0]["ModelName"])
    bucket = f"arn:aws:s3:::{app.names.bucket('capture')}/*"
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": bucket}]}
    role = model["ExecutionRoleArn"].rsplit("/", 1)[-1]
    app.client("iam").put_role_policy(RoleName=role, PolicyName="capture", PolicyDocument=json.dumps(document))
    sagemaker.create_endpoint_config(
        EndpointConfigName="with-capture",
        ProductionVariants=config["ProductionVariants"],
        DataCaptureConfig={
            **settings, "EnableCapture": True, "InitialSamplingPercentage": 100, "DestinationS3Uri": f"s3://{app.names.bucket('capture')}/capture",
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
        },
    )  # fmt: skip
    sagemaker.update_endpoint(EndpointName=app.names.endpoint, EndpointConfigName="with-capture")
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=app.names.endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 100})


def test_both_ways_of_capture_give_the_same_rows_through_the_same_sql(
    app: ReleasedApp, captured: Captured, wait_until: Callable[..., Any]
) -> None:
    capture_by_the_endpoint_too(app)
    ids = send(app, TEXTS)
    wait_until(lambda: sorted(captured.ids(by_endpoint_too=True)) == sorted(ids * 2))
    objects = {key: captured.body(key) for key in captured.found()}
    by_app = [
        key for key, body in objects.items() if all(line["eventMetadata"]["eventId"] in ids for line in map(json.loads, body.splitlines()))
    ]
    by_endpoint = sorted(set(objects) - set(by_app))
    assert by_app
    assert by_endpoint
    assert {key.rpartition("/")[0] for key in by_app} <= {key.rpartition("/")[0] for key in by_endpoint}

    both, texts = captured.rows(), captured.texts()
    captured.delete(by_endpoint)
    from_app, texts_of_app = captured.rows(), captured.texts()
    captured.delete(by_app)
    for key in by_endpoint:
        captured.put(key, objects[key])
    from_endpoint, texts_of_endpoint = captured.rows(), captured.texts()

    assert from_app == from_endpoint == both
    assert sum(int(str(row[1])) for row in both) == len(TEXTS)
    assert all(row[0] for row in both), "something was left out"
    assert texts == texts_of_app == texts_of_endpoint == sorted(TEXTS)
    captured.delete(by_endpoint)


def drift_check(app: ReleasedApp) -> dict[str, Any]:
    answer = app.client("lambda").invoke(FunctionName=app.names.function("detect-drift"), Payload=b"{}")
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, result
    return result


def test_the_drift_check_reads_them_and_says_what_it_left_out_and_that_its_window_is_not_full(
    app: ReleasedApp, captured: Captured, wait_until: Callable[..., Any]
) -> None:
    """The check looks at the last hours first, then at the week: a line of two days ago counts in a window that is not full."""
    captured.delete(captured.found())
    ids = send(app, ["one positive", "two positive"])
    wait_until(lambda: set(ids) <= set(captured.ids()))
    line = next(one for key in captured.found() for one in captured.body(key).splitlines() if ids[0].encode() in one)
    before = datetime.now(UTC) - timedelta(days=2)
    old = f"{captured.folder}champion/{before:%Y/%m/%d/%H}/00-00-000-old.jsonl"
    captured.put(old, line.replace(ids[0].encode(), b"of-before") + b"\n{")
    result = drift_check(app)
    captured.delete([old])
    assert result["status"] == "window_not_full"
    assert (result["predictions"], result["left_out"]) == (3, 1)
    listed = app.client("cloudwatch").list_metrics(Namespace=app.names.metric_namespace)["Metrics"]
    names = {metric["MetricName"] for metric in listed}
    assert {"DriftWindowFilled", "CapturedAnswersLeftOut", "PredictionsCaptured"} <= names


def test_a_writer_that_is_refused_and_killed_keeps_no_caller_waiting_and_loses_nothing(
    app: ReleasedApp, captured: Captured, wait_until: Callable[..., Any]
) -> None:
    writer = app.names.function("write-capture")
    functions, iam = app.client("lambda"), app.client("iam")
    role = functions.get_function_configuration(FunctionName=writer)["Role"].rsplit("/", 1)[-1]
    (mapping,) = functions.list_event_source_mappings(FunctionName=writer)["EventSourceMappings"]
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}]}
    iam.put_role_policy(RoleName=role, PolicyName="deny", PolicyDocument=json.dumps(deny))
    ids = send(app, [f"text {number} is positive" for number in range(9)])

    def failed() -> bool:
        found = functions.get_event_source_mapping(UUID=mapping["UUID"])
        return bool(found["LastProcessingResult"].startswith("PROBLEM"))

    wait_until(failed)
    assert not set(ids) & set(captured.ids())
    for pid in processes.descendants(app.emulator.pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if f"-{writer}-" in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)
    ids += send(app, ["one more is negative"])
    iam.delete_role_policy(RoleName=role, PolicyName="deny")
    wait_until(lambda: set(ids) <= set(captured.ids()))
    wait_until(lambda: len(captured.ids(by_endpoint_too=True)) >= 2 * len(set(captured.ids())))
    assert sum(int(str(row[1])) for row in captured.rows()) == len(set(captured.ids())), "one was counted twice"


def test_a_record_that_makes_no_line_is_a_dead_letter_and_the_others_are_captured(
    app: ReleasedApp, captured: Captured, wait_until: Callable[..., Any]
) -> None:
    """A text that people labelled in bulk has no variant and is no prediction: it is neither captured nor a dead letter."""
    sqs, table = app.client("sqs"), app.names.predictions_table
    queue = sqs.get_queue_url(QueueName=app.names.queue("write-capture-dlq"))["QueueUrl"]
    now = {"S": datetime.now(UTC).isoformat()}
    bad = {
        "prediction_id": {"S": "bad-1"}, "text": {"S": "x"}, "variant": {"S": "champion"}, "created_at": now, "label": {"S": "positive"},
        "review_state": {"S": "not_required"}, "attempt": {"N": "1"}, "expires_at": {"N": "1900000000"},
    }  # fmt: skip
    app.client("dynamodb").put_item(TableName=table, Item=bad)
    app.client("dynamodb").put_item(TableName=table, Item={"prediction_id": {"S": "text-1"}, "text": {"S": "x"}, "created_at": now})
    (good,) = send(app, ["good is positive"])
    wait_until(lambda: good in captured.ids())
    letters = wait_until(lambda: sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0, MaxNumberOfMessages=10).get("Messages"))
    reason = "prediction bad-1: confidence is missing"
    assert [json.loads(letter["Body"]) for letter in letters] == [{"prediction_id": "bad-1", "reason": reason}]
    assert not {"bad-1", "text-1"} & set(captured.ids())
    alarm = app.names.alarm("write-capture-dlq-not-empty")
    wait_until(lambda: app.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["StateValue"] == "ALARM")

    mended = {**bad, "confidence": {"N": "0.9"}, "model_version": {"S": MODEL}, "review_threshold": {"N": "0.6"}}
    app.client("dynamodb").put_item(TableName=table, Item=mended)
    by_hand = json.dumps({"prediction_ids": ["bad-1"]}).encode()
    answer = app.client("lambda").invoke(FunctionName=app.names.function("write-capture"), Payload=by_hand)
    assert json.loads(answer["Payload"].read()) == {"captured": 1, "not_sampled": 0, "unusable": 0, "objects": 1}
    assert "bad-1" in captured.ids()


def test_nothing_was_refused_to_the_writer_but_what_the_test_refused(app: ReleasedApp) -> None:
    assert {line.split()[1] for line in app.denied()} <= {"s3:PutObject"}
