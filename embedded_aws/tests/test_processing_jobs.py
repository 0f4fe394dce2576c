"""Processing jobs of the embedded AWS: inputs and outputs, the container contract, how they end, what is refused."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing import jobs as job_setup
from embedded_aws.testing.jobs import EventQueue, Jobs
from embedded_aws.tools import processes

ClientFactory = Callable[..., Any]


@pytest.fixture(scope="module")
def jobs(aws: ClientFactory, make_role: Callable[..., str]) -> Jobs:
    return job_setup.prepare(aws, make_role, "processing-tests")


TELL = """
import json, os, pathlib, sys
base = pathlib.Path(sys.argv[1]).parent.parent.parent
told = {
    "argument": sys.argv[1],
    "inputs": {str(p.relative_to(base / "processing/input")): p.read_text() for p in (base / "processing/input").rglob("*") if p.is_file()},
    "environment": dict(os.environ),
    "job": json.loads((base / "config/processingjobconfig.json").read_text())["ProcessingJobName"],
    "hosts": json.loads((base / "config/resourceconfig.json").read_text())["hosts"],
    "python": sys.executable,
}
(base / "output").joinpath("message").write_text("all is well")
out = pathlib.Path(sys.argv[1])
(out / "told.json").write_text(json.dumps(told))
(out / "deep").mkdir()
(out / "deep" / "er.txt").write_text("deeper")
"""


def outputs(jobs: Jobs, name: str) -> dict[str, bytes]:
    prefix = f"processed/{name}/"
    return {key.removeprefix(prefix): jobs.read(f"s3://{jobs.bucket}/{key}") for key in jobs.keys(prefix)}


@pytest.fixture(scope="module")
def told(jobs: Jobs) -> tuple[dict[str, Any], dict[str, Any]]:
    """A completed job's description, and what its program saw."""
    jobs.put("inputs/folder/a.txt", "a")
    jobs.put("inputs/folder/b/c.txt", "c")
    model = jobs.put("inputs/model.tar.gz", "weights")
    request = jobs.processing(
        TELL,
        inputs=[jobs.input("dataset", f"s3://{jobs.bucket}/inputs/folder"), jobs.input("model", model)],
        Environment={"WHERE": "/opt/ml/processing/input/model", "PLAIN": "yes"},
    )
    ended = jobs.run("processing", request)
    assert ended["ProcessingJobStatus"] == "Completed", ended.get("FailureReason")
    return ended, json.loads(outputs(jobs, ended["ProcessingJobName"])["told.json"])


def test_inputs_lie_at_their_local_paths(told: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert told[1]["inputs"].pop("code/run.py") == TELL
    assert told[1]["inputs"] == {"dataset/a.txt": "a", "dataset/b/c.txt": "c", "model/model.tar.gz": "weights"}


def test_outputs_are_uploaded_with_their_folders(jobs: Jobs, told: tuple[dict[str, Any], dict[str, Any]]) -> None:
    found = outputs(jobs, told[0]["ProcessingJobName"])
    assert found.keys() == {"told.json", "deep/er.txt"}
    assert found["deep/er.txt"] == b"deeper"


def test_opt_ml_is_the_jobs_folder_in_arguments_and_environment(told: tuple[dict[str, Any], dict[str, Any]]) -> None:
    ended, seen = told
    root = seen["argument"].removesuffix("/processing/output/out")
    assert root.endswith(f"/processing/{ended['ProcessingJobName']}")
    assert seen["environment"]["WHERE"] == f"{root}/processing/input/model"
    assert seen["environment"]["PLAIN"] == "yes"


def test_the_container_knows_its_job_and_has_no_credentials(told: tuple[dict[str, Any], dict[str, Any]]) -> None:
    ended, seen = told
    assert (seen["job"], seen["hosts"]) == (ended["ProcessingJobName"], ["algo-1"])
    assert [name for name in seen["environment"] if name.startswith(("AWS_", "EMBEDDED_AWS", "MINISTACK", "GATEWAY"))] == []


def test_the_description_tells_times_and_the_exit_message(told: tuple[dict[str, Any], dict[str, Any]]) -> None:
    ended, _ = told
    assert ended["ExitMessage"] == "all is well"
    assert ended["CreationTime"] <= ended["ProcessingStartTime"] <= ended["ProcessingEndTime"]


# -- how jobs end ----------------------------------------------------------------------------------


def test_a_failing_program_fails_the_job_with_its_last_words(jobs: Jobs) -> None:
    ended = jobs.run("processing", jobs.processing("raise ValueError('window = 0: allowed is 50 or more')"))
    assert ended["ProcessingJobStatus"] == "Failed"
    assert "ValueError: window = 0: allowed is 50 or more, exit code: 1" in ended["FailureReason"]
    assert outputs(jobs, ended["ProcessingJobName"]) == {}


def test_the_failure_file_is_the_reason(jobs: Jobs) -> None:
    script = "import pathlib, sys\npathlib.Path(sys.argv[1], 'failure').write_text('the data is empty')\nsys.exit(3)"
    request = jobs.processing(script)
    request["AppSpecification"]["ContainerArguments"] = ["/opt/ml/output"]
    assert jobs.run("processing", request)["FailureReason"] == "AlgorithmError: the data is empty, exit code: 3"


def test_the_exit_message_is_the_first_kilobyte_of_what_the_container_wrote(jobs: Jobs) -> None:
    script = "import pathlib, sys\npathlib.Path(sys.argv[1], 'message').write_text('é' * 600)\nsys.exit(1)"
    request = jobs.processing(script)
    request["AppSpecification"]["ContainerArguments"] = ["/opt/ml/output"]
    ended = jobs.run("processing", request)
    assert (ended["ProcessingJobStatus"], ended["ExitMessage"]) == ("Failed", "é" * 512)


def test_an_exit_message_that_is_no_utf8_fails_the_job(jobs: Jobs) -> None:
    request = jobs.processing("import pathlib, sys\npathlib.Path(sys.argv[1], 'message').write_bytes(b'\\xff')")
    request["AppSpecification"]["ContainerArguments"] = ["/opt/ml/output"]
    ended = jobs.run("processing", request)
    assert ended["ProcessingJobStatus"] == "Failed"
    assert ended["FailureReason"].startswith("ClientError: /opt/ml/output/message is not UTF-8 encoded")


def test_a_long_reason_is_cut_to_1024_characters(jobs: Jobs) -> None:
    ended = jobs.run("processing", jobs.processing("raise RuntimeError('x' * 5000)"))
    assert len(ended["FailureReason"]) == 1_024
    assert ended["FailureReason"].endswith("xxx, exit code: 1")


def test_what_a_program_leaves_running_ends_with_its_job(jobs: Jobs) -> None:
    script = """
import pathlib, subprocess, sys
worker = subprocess.Popen(["sleep", "600"])
pathlib.Path(sys.argv[1], "pid").write_text(str(worker.pid))
"""
    name = jobs.run("processing", jobs.processing(script))["ProcessingJobName"]
    assert processes.identity(int(outputs(jobs, name)["pid"])) is None


SLEEP = "import time\ntime.sleep(60)"


def test_a_job_can_be_stopped_once(jobs: Jobs, wait_until: Callable[..., Any]) -> None:
    name = jobs.start("processing", jobs.processing(SLEEP))
    wait_until(lambda: "ProcessingStartTime" in jobs.describe("processing", name))
    jobs.stop("processing", name)
    assert jobs.ended("processing", name)["ProcessingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="is in status Stopped and cannot be stopped"):
        jobs.stop("processing", name)


def test_a_job_is_stopped_at_its_longest_runtime(jobs: Jobs) -> None:
    ended = jobs.run("processing", jobs.processing(SLEEP, StoppingCondition={"MaxRuntimeInSeconds": 1}))
    assert ended["ProcessingJobStatus"] == "Stopped"


def test_a_killed_process_is_a_failed_job(jobs: Jobs) -> None:
    ended = jobs.run("processing", jobs.processing("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"))
    assert ended["ProcessingJobStatus"] == "Failed"
    assert "exit code: -9" in ended["FailureReason"]


@pytest.mark.parametrize(
    ("entrypoint", "reason"),
    [(None, "ContainerEntrypoint must say what to run"), (["no-such-program"], "the container has no program no-such-program")],
)
def test_without_a_program_the_job_fails_and_says_so(jobs: Jobs, entrypoint: list[str] | None, reason: str) -> None:
    request = jobs.processing("")
    request["AppSpecification"] = {"ImageUri": job_setup.IMAGE, **({"ContainerEntrypoint": entrypoint} if entrypoint else {})}
    ended = jobs.run("processing", request)
    assert (ended["ProcessingJobStatus"], reason in ended["FailureReason"]) == ("Failed", True), ended["FailureReason"]


def test_missing_inputs_fail_the_job(jobs: Jobs) -> None:
    ended = jobs.run("processing", jobs.processing("", inputs=[jobs.input("model", f"s3://{jobs.bucket}/no/model.tar.gz")]))
    assert ended["ProcessingJobStatus"] == "Failed"
    assert "No S3 objects found" in ended["FailureReason"]


def test_an_output_that_the_role_may_not_write_fails_the_job(jobs: Jobs, aws: ClientFactory) -> None:
    bucket = f"foreign-{uuid.uuid4().hex[:8]}"
    aws("s3").create_bucket(Bucket=bucket)
    request = jobs.processing("import pathlib, sys\npathlib.Path(sys.argv[1], 'x').write_text('x')")
    request["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] = f"s3://{bucket}/out"
    ended = jobs.run("processing", request)
    assert ended["ProcessingJobStatus"] == "Failed"
    assert "AccessDenied" in ended["FailureReason"]
    assert f"s3://{bucket}/out/x" in ended["FailureReason"]


# -- requests, events, lists -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ProcessingJobName": "a_b"}, "regular expression pattern"),
        ({"RoleArn": "arn:aws:iam::000000000000:role/nowhere"}, "the role does not exist"),
        ({"inputs": [{"InputName": "table", "DatasetDefinition": {}}]}, "DatasetDefinition is not emulated: inputs come from S3 here"),
        ({"AppSpecification": {"ImageUri": job_setup.IMAGE, "ContainerEntrypoint": ["a\nb"]}}, "regular expression pattern"),
    ],
)
def test_a_bad_request_is_refused_by_name(jobs: Jobs, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message) as refused:
        jobs.start("processing", jobs.processing("", **wrong))
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_a_name_is_used_once(jobs: Jobs, told: tuple[dict[str, Any], dict[str, Any]]) -> None:
    with pytest.raises(ClientError) as refused:
        jobs.start("processing", jobs.processing("", ProcessingJobName=told[0]["ProcessingJobName"]))
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"


def test_a_rule_hears_of_every_change_and_the_list_is_in_order(jobs: Jobs, aws: ClientFactory) -> None:
    first, second = jobs.processing("pass"), jobs.processing("raise SystemExit('broken')")
    names = [first["ProcessingJobName"], second["ProcessingJobName"]]
    detail = {"ProcessingJobName": names}
    queue = EventQueue(aws, {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Processing Job State Change"], "detail": detail})
    for request in (first, second):
        jobs.run("processing", request)
    events = queue.received(lambda found: len(found) >= 4)
    told = [(event["detail"]["ProcessingJobName"], event["detail"]["ProcessingJobStatus"]) for event in events]
    assert told == [(names[0], "InProgress"), (names[0], "Completed"), (names[1], "InProgress"), (names[1], "Failed")]
    assert "broken" in events[-1]["detail"]["FailureReason"]

    def listed(**choice: Any) -> list[str]:
        pages = jobs.sagemaker.get_paginator("list_processing_jobs").paginate(**choice)
        return [row["ProcessingJobName"] for page in pages for row in page["ProcessingJobSummaries"] if row["ProcessingJobName"] in names]

    assert listed() == names
    assert listed(SortOrder="Descending") == names[::-1]
