"""Ground Truth labelling jobs in the embedded AWS, with real functions deployed in it and people at the worker page."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing.reviews import LABELS, PEOPLE_TIME_SCALE, Portal, Review, wait_for
from embedded_aws.tools import launcher

PRE_ANNOTATION = f"""
def handler(event, context):
    print("pre", sorted(event), event["version"], event["labelingJobArn"])
    text = event["dataObject"]["source"]
    if text == "break":
        raise ValueError("cannot prepare this object")
    return {{"taskInput": {{"text": text, "labels": {LABELS!r}}}, "isHumanAnnotationRequired": text != "skip me"}}
"""
CONSOLIDATION = """
import json, os, boto3

def handler(event, context):
    bucket, _, key = event["payload"]["s3Uri"].removeprefix("s3://").partition("/")
    objects = json.loads(boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    attribute = event["labelAttributeName"]
    results = []
    for item in objects:
        answers = [json.loads(annotation["annotationData"]["content"])["category"]["label"] for annotation in item["annotations"]]
        label = max(sorted(set(answers)), key=answers.count)
        content = {attribute: label, attribute + "-metadata": {"votes": {name: answers.count(name) for name in sorted(set(answers))},
                   "categories": event["labelCategories"], "request": sorted(event), "object": item["dataObject"]}}
        results.append({"datasetObjectId": item["datasetObjectId"], "consolidatedAnnotation": {"content": content}})
    return results
"""


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Review]:
    running = launcher.start(
        tmp_path_factory.mktemp("labeling") / "run", port=launcher.free_port(), time_scale=0.02, people_time_scale=PEOPLE_TIME_SCALE
    )
    try:
        prepared = Review(running).set_up()
        _deploy(prepared)
        yield prepared
    finally:
        running.stop()


def _deploy(review: Review) -> None:
    """The two functions, the job's role (their invocation, its bucket), the categories and the template in S3."""
    logs = {"Effect": "Allow", "Action": "logs:*", "Resource": "*"}
    read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{review.bucket}/*"}
    lambda_role = review.make_role("labeling-functions", [logs, read], "lambda.amazonaws.com")
    arns = []
    for name, source in (("SageMaker-pre", PRE_ANNOTATION), ("SageMaker-consolidate", CONSOLIDATION)):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("index.py", source)
        arns.append(
            review.client("lambda").create_function(
                FunctionName=name, Runtime="python3.11", Handler="index.handler", Role=lambda_role, Code={"ZipFile": archive.getvalue()}
            )["FunctionArn"]
        )
    invoke = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": arns}
    objects = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{review.bucket}/*"}
    review.make_role("labeling-role", [invoke, objects])
    review.make_role("labeling-role-without-invoke", [objects])
    categories = {"document-version": "2018-11-28", "labels": [{"label": label} for label in LABELS]}
    review.client("s3").put_object(Bucket=review.bucket, Key="categories.json", Body=json.dumps(categories).encode())


def start_job(review: Review, name: str, texts: list[str], *, role: str = "labeling-role", workers: int = 1, **changed: Any) -> str:
    manifest = "".join(json.dumps({"source": text}) + "\n" for text in texts)
    review.client("s3").put_object(Bucket=review.bucket, Key=f"manifests/{name}.jsonl", Body=manifest.encode())
    function = "arn:aws:lambda:us-east-1:000000000000:function:SageMaker"
    task = {
        "WorkteamArn": review.workteam,
        "UiConfig": {"HumanTaskUiArn": review.template},
        "PreHumanTaskLambdaArn": f"{function}-pre",
        "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": f"{function}-consolidate"},
        "TaskTitle": "Label a text",
        "TaskDescription": "Choose the label that fits.",
        "NumberOfHumanWorkersPerDataObject": workers,
        "TaskTimeLimitInSeconds": 3_600,
        **changed.pop("HumanTaskConfig", {}),
    }
    request = {
        "LabelingJobName": name,
        "LabelAttributeName": "feeling",
        "InputConfig": {"DataSource": {"S3DataSource": {"ManifestS3Uri": f"s3://{review.bucket}/manifests/{name}.jsonl"}}},
        "OutputConfig": {"S3OutputPath": f"s3://{review.bucket}/labeling/"},
        "RoleArn": f"arn:aws:iam::000000000000:role/{role}",
        "LabelCategoryConfigS3Uri": f"s3://{review.bucket}/categories.json",
        "HumanTaskConfig": task,
        **changed,
    }
    return str(review.client("sagemaker").create_labeling_job(**request)["LabelingJobArn"])


def ended(review: Review, name: str) -> dict[str, Any]:
    def described() -> dict[str, Any] | None:
        job: dict[str, Any] = review.client("sagemaker").describe_labeling_job(LabelingJobName=name)
        return job if job["LabelingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    found: dict[str, Any] = wait_for(described, f"end of labeling job {name}")
    return found


def output_lines(review: Review, job: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in review.read(job["LabelingJobOutput"]["OutputDatasetS3Uri"]).split("\n") if line]


def test_three_workers_label_a_manifest_through_the_jobs_own_functions(review: Review) -> None:
    votes = {"good food": ["positive", "positive", "neutral"], "cold soup": ["negative", "negative", "negative"]}
    review.admin("raters", {"votes": votes, "seed": 3})
    arn = start_job(review, "three-workers", list(votes), workers=3)

    job = ended(review, "three-workers")

    assert job["LabelingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["LabelCounters"] == {
        "TotalLabeled": 2, "HumanLabeled": 2, "MachineLabeled": 0, "FailedNonRetryableError": 0, "Unlabeled": 0,
    }  # fmt: skip
    assert job["LabelingJobOutput"]["OutputDatasetS3Uri"] == f"s3://{review.bucket}/labeling/three-workers/manifests/output/output.manifest"
    lines = output_lines(review, job)
    assert [(line["source"], line["feeling"]) for line in lines] == [("good food", "positive"), ("cold soup", "negative")]
    metadata = lines[0]["feeling-metadata"]
    assert (metadata["type"], metadata["job-name"], metadata["human-annotated"]) == ("groundtruth/custom", "three-workers", "yes")
    assert metadata["votes"] == {"neutral": 1, "positive": 2}
    assert metadata["categories"] == LABELS
    assert metadata["object"] == {"content": "good food"}
    assert metadata["request"] == ["labelAttributeName", "labelCategories", "labelingJobArn", "payload", "roleArn", "version"]
    (event,) = review.events_of(arn)
    assert event["detail-type"] == "SageMaker Ground Truth Labeling Job State Change"
    assert event["detail"] == {"LabelingJobStatus": "Completed"}


def test_every_workers_answer_is_kept_in_the_worker_responses(review: Review) -> None:
    review.admin("raters", {"votes": {"kept answer": ["positive", "neutral"]}})
    start_job(review, "responses", ["kept answer"], workers=2)
    ended(review, "responses")

    prefix = "labeling/responses/annotations/worker-response/iteration-1/0/"
    (stored,) = review.client("s3").list_objects_v2(Bucket=review.bucket, Prefix=prefix)["Contents"]
    answers = json.loads(review.read(f"s3://{review.bucket}/{stored['Key']}"))["answers"]

    assert sorted(answer["answerContent"]["category"]["label"] for answer in answers) == ["neutral", "positive"]
    assert len({answer["workerId"] for answer in answers}) == 2
    assert set(answers[0]) == {"acceptanceTime", "answerContent", "submissionTime", "timeSpentInSeconds", "workerId", "workerMetadata"}


def test_a_person_labels_at_the_worker_page(review: Review) -> None:
    review.add_worker("labeler")
    start_job(review, "by-hand", ["a text without recorded votes"])
    portal = Portal(review)
    portal.sign_in("labeler")

    portal.answer("neutral")

    job = ended(review, "by-hand")
    assert [line["feeling"] for line in output_lines(review, job)] == ["neutral"]


def test_an_object_whose_preparation_fails_is_counted_and_the_others_are_labelled(review: Review) -> None:
    review.admin("raters", {"votes": {"fine": ["positive"]}})
    start_job(review, "one-fails", ["break", "fine", "skip me"])

    job = ended(review, "one-fails")

    counters = job["LabelCounters"]
    assert (job["LabelingJobStatus"], counters["HumanLabeled"], counters["FailedNonRetryableError"], counters["Unlabeled"]) == (
        "Completed", 1, 1, 1,
    )  # fmt: skip
    failed, labelled = output_lines(review, job)
    assert "cannot prepare this object" in failed["feeling-metadata"]["failure-reason"]
    assert "feeling" not in failed
    assert labelled["feeling"] == "positive"


def test_a_role_that_may_not_invoke_the_functions_fails_the_job_and_names_the_action(review: Review) -> None:
    start_job(review, "no-invoke", ["anything"], role="labeling-role-without-invoke")

    job = ended(review, "no-invoke")

    assert job["LabelingJobStatus"] == "Failed"
    assert "lambda:InvokeFunction" in job["FailureReason"]


def test_an_object_that_nobody_answers_in_time_fails_and_so_does_a_job_of_such_objects(review: Review) -> None:
    start_job(review, "expires", ["nobody answers this"], HumanTaskConfig={"TaskAvailabilityLifetimeInSeconds": 60})

    job = ended(review, "expires")

    assert (job["LabelingJobStatus"], job["LabelCounters"]["FailedNonRetryableError"]) == ("Failed", 1)
    assert "expired without an answer" in job["FailureReason"]


def test_a_stopped_job_keeps_what_was_labelled(review: Review) -> None:
    review.admin("raters", {"votes": {"quick": ["positive"]}})
    arn = start_job(review, "stopped", ["quick", "nobody will come"])
    wait_for(lambda: [task for task in review.admin("tasks") if task["source"] == arn and not task["recorded_votes"]], "the open task")
    wait_for(lambda: len([task for task in review.admin("tasks") if task["source"] == arn]) == 1, "the answered task")

    review.client("sagemaker").stop_labeling_job(LabelingJobName="stopped")

    job = ended(review, "stopped")
    assert (job["LabelingJobStatus"], job["LabelCounters"]["HumanLabeled"], job["LabelCounters"]["Unlabeled"]) == ("Stopped", 1, 1)
    assert [line["source"] for line in output_lines(review, job)] == ["quick"]
    assert review.events_of(arn)[0]["detail"] == {"LabelingJobStatus": "Stopped"}


def test_a_manifest_line_that_is_not_json_fails_the_job_with_its_number(review: Review) -> None:
    name = "bad-manifest"
    review.client("s3").put_object(Bucket=review.bucket, Key="bad.jsonl", Body=b'{"source": "one"}\nnot json\n')
    source = {"DataSource": {"S3DataSource": {"ManifestS3Uri": f"s3://{review.bucket}/bad.jsonl"}}}
    start_job(review, name, ["unused"], InputConfig=source)

    assert "line 2 of the manifest is not JSON" in ended(review, name)["FailureReason"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"LabelAttributeName": "feeling-metadata"}, "must not end with -metadata"),
        ({"HumanTaskConfig": {"NumberOfHumanWorkersPerDataObject": 10}}, "numberOfHumanWorkersPerDataObject"),
        ({"HumanTaskConfig": {"TaskTimeLimitInSeconds": 28_801}}, "at most 28800"),
        ({"HumanTaskConfig": {"WorkteamArn": "arn:aws:sagemaker:us-east-1:000000000000:workteam/private-crowd/none"}}, "does not exist"),
        ({"LabelingJobName": "ends-with-a-hyphen-"}, "regular expression"),
    ],
)
def test_a_bad_request_is_refused_with_its_reason(review: Review, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message) as raised:
        start_job(review, "refused", ["text"], **changed)

    assert raised.value.response["Error"]["Code"] == "ValidationException"


def test_a_name_is_used_once(review: Review) -> None:
    review.admin("raters", {"votes": {"same name": ["positive"]}})
    start_job(review, "once", ["same name"])

    with pytest.raises(ClientError) as raised:
        start_job(review, "once", ["same name"])

    assert raised.value.response["Error"]["Code"] == "ResourceInUse"
    listed = review.client("sagemaker").list_labeling_jobs(NameContains="once")["LabelingJobSummaryList"]
    assert [job["LabelingJobName"] for job in listed] == ["once"]
