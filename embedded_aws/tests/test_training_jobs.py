"""Training jobs of the embedded AWS: the container contract, how they end, metrics, events, and what is refused."""

from __future__ import annotations

import io
import json
import os
import tarfile
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing import jobs as job_setup
from embedded_aws.testing.jobs import EventQueue, Jobs
from embedded_aws.tools import launcher, processes

ClientFactory = Callable[..., Any]


@pytest.fixture(scope="module")
def jobs(aws: ClientFactory, make_role: Callable[..., str]) -> Jobs:
    return job_setup.prepare(aws, make_role, "training-tests")


def unpacked(jobs: Jobs, uri: str) -> dict[str, bytes]:
    """Files of an archive on S3 by name."""
    with tarfile.open(fileobj=io.BytesIO(jobs.read(uri))) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]  # only a folder or a link has none


# -- the container ---------------------------------------------------------------------------------

TELL = """
import json, os, pathlib, sys
root = pathlib.Path(os.environ["SM_MODEL_DIR"]).parent
config = root / "input" / "config"
told = {
    "arguments": sys.argv[1:],
    "environment": {k: v for k, v in os.environ.items() if "KEY" not in k},
    "config": {path.stem: json.loads(path.read_text()) for path in config.glob("*.json")},
    "train": {str(p.relative_to(root)): p.read_text() for p in sorted((root / "input/data/train").rglob("*")) if p.is_file()},
    "root": str(root),
    "secrets": [k for k in os.environ if k.startswith("AWS_")],
}
(root / "model" / "told.json").write_text(json.dumps(told))
(root / "output" / "data" / "report.txt").write_text("report")
print("loss=0.5 score=0.25")
print("loss=0.25 score=0.75")
"""


@pytest.fixture(scope="module")
def told(jobs: Jobs) -> tuple[dict[str, Any], dict[str, Any]]:
    """A completed job's description, and what its program saw."""
    jobs.put("data/a/one.txt", "1")
    jobs.put("data/a/deep/two.txt", "2")
    jobs.put("data/ab/other.txt", "not below data/a")
    request = jobs.training(
        TELL,
        channels={"train": f"s3://{jobs.bucket}/data/a"},
        HyperParameters={"layers": "3", "quoted": '"text"'},
        Environment={"MY_SETTING": "on", "OMP_NUM_THREADS": "2"},
        EnableNetworkIsolation=True,
    )
    ended = jobs.run("training", request)
    assert ended["TrainingJobStatus"] == "Completed", ended.get("FailureReason")
    return ended, json.loads(unpacked(jobs, ended["ModelArtifacts"]["S3ModelArtifacts"])["told.json"])


def test_the_program_gets_hyper_parameters_as_flags_and_as_strings(told: tuple[dict[str, Any], dict[str, Any]]) -> None:
    _, seen = told
    assert seen["arguments"] == ["--layers", "3", "--quoted", "text"]
    assert seen["config"]["hyperparameters"]["layers"] == "3"
    assert (seen["environment"]["SM_HP_LAYERS"], seen["environment"]["SM_HP_QUOTED"]) == ("3", "text")


def test_the_folder_of_the_job_stands_for_opt_ml(told: tuple[dict[str, Any], dict[str, Any]]) -> None:
    ended, seen = told
    root, variables = seen["root"], seen["environment"]
    assert root.endswith(f"/training/{ended['TrainingJobName']}")
    assert variables["SM_CHANNEL_TRAIN"] == f"{root}/input/data/train"
    assert json.loads(variables["SM_CHANNELS"]) == ["code", "train"]
    assert seen["config"]["inputdataconfig"].keys() == {"code", "train"}
    assert seen["config"]["resourceconfig"]["hosts"] == ["algo-1"]
    assert variables["TRAINING_JOB_NAME"] == ended["TrainingJobName"]


def test_a_channel_holds_what_lies_below_its_prefix_and_nothing_beside_it(told: tuple[dict[str, Any], dict[str, Any]]) -> None:
    assert told[1]["train"] == {"input/data/train/one.txt": "1", "input/data/train/deep/two.txt": "2"}


def test_the_container_has_the_requests_environment_and_nothing_of_the_emulators(told: tuple[dict[str, Any], dict[str, Any]]) -> None:
    variables = told[1]["environment"]
    assert (variables["MY_SETTING"], variables["OMP_NUM_THREADS"]) == ("on", "2")
    assert variables["SM_NUM_CPUS"] == str(os.cpu_count())
    assert told[1]["secrets"] == []
    assert [name for name in variables if name.startswith(("EMBEDDED_AWS", "GATEWAY", "AUTH", "MINISTACK"))] == []


@pytest.mark.parametrize(("isolated", "status"), [(False, "Completed"), (True, "Failed")])
def test_network_isolation_leads_well_behaved_clients_nowhere(jobs: Jobs, emulator: launcher.Emulator, isolated: bool, status: str) -> None:
    fetch = f"import urllib.request\nurllib.request.urlopen('{emulator.url}/_ministack/health', timeout=5)"
    assert jobs.run("training", jobs.training(fetch, EnableNetworkIsolation=isolated))["TrainingJobStatus"] == status


def test_the_description_tells_status_times_and_final_metrics(jobs: Jobs, told: tuple[dict[str, Any], dict[str, Any]]) -> None:
    ended, _ = told
    assert {m["MetricName"]: m["Value"] for m in ended["FinalMetricDataList"]} == {"validation:score": 0.75, "train:loss": 0.25}
    assert [t["Status"] for t in ended["SecondaryStatusTransitions"]] == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert ended["CreationTime"] <= ended["TrainingStartTime"] <= ended["TrainingEndTime"]
    assert ended["TrainingTimeInSeconds"] == ended["BillableTimeInSeconds"] >= 0
    base = f"s3://{jobs.bucket}/out/{ended['TrainingJobName']}/output"
    assert ended["ModelArtifacts"]["S3ModelArtifacts"] == f"{base}/model.tar.gz"
    assert unpacked(jobs, f"{base}/output.tar.gz") == {"report.txt": b"report"}


# -- how jobs end ----------------------------------------------------------------------------------


def test_the_failure_file_is_the_reason(jobs: Jobs) -> None:
    script = """
import os, pathlib
output = pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"])
(output / "half.txt").write_text("half")
raise ValueError("layers = 99: allowed is 1 to 6")
"""
    ended = jobs.run("training", jobs.training(script))
    assert (ended["TrainingJobStatus"], ended["SecondaryStatus"]) == ("Failed", "Failed")
    assert ended["FailureReason"].startswith('AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "')
    assert "ValueError: layers = 99: allowed is 1 to 6" in ended["FailureReason"]
    assert "Traceback" not in ended["FailureReason"]
    assert "ModelArtifacts" not in ended
    left = f"s3://{jobs.bucket}/out/{ended['TrainingJobName']}/output/output.tar.gz"
    assert unpacked(jobs, left) == {"half.txt": b"half"}


def test_a_long_reason_is_cut_to_1024_characters(jobs: Jobs) -> None:
    ended = jobs.run("training", jobs.training("raise RuntimeError('x' * 5000)"))
    assert len(ended["FailureReason"]) == 1_024
    assert ended["FailureReason"].endswith("xxx, exit code: 1")


def test_the_reason_of_a_refused_channel_is_cut_too(jobs: Jobs) -> None:
    ended = jobs.run("training", jobs.training("print(1)", channels={"train": f"s3://{jobs.bucket}/{'x' * 990}/"}))
    assert len(ended["FailureReason"]) == 1_024


WAIT = """
import os, pathlib, signal, sys, time
def save(*_):
    pathlib.Path(os.environ["SM_MODEL_DIR"], "saved.txt").write_text("at SIGTERM")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("score=0.5", flush=True)
time.sleep(60)
"""


def training_has_begun(jobs: Jobs, name: str) -> bool:
    return bool(jobs.describe("training", name)["FinalMetricDataList"])


def test_a_stopped_job_keeps_what_it_saves_at_sigterm(jobs: Jobs, wait_until: Callable[..., Any]) -> None:
    name = jobs.start("training", jobs.training(WAIT))
    wait_until(lambda: training_has_begun(jobs, name))
    jobs.stop("training", name)
    assert jobs.describe("training", name)["TrainingJobStatus"] in ("Stopping", "Stopped")
    jobs_again = jobs.ended("training", name)
    assert (jobs_again["TrainingJobStatus"], jobs_again["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert unpacked(jobs, jobs_again["ModelArtifacts"]["S3ModelArtifacts"]) == {"saved.txt": b"at SIGTERM"}
    with pytest.raises(ClientError, match="The request was rejected because the training job is in status Stopped"):
        jobs.stop("training", name)


FAMILY = """
import os, pathlib, signal, subprocess, sys, time
ended = pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "ended.txt")
def at_sigterm(*_):
    ended.write_text(ended.read_text() + "asked " if ended.exists() else "asked ")
    time.sleep(1)
    if sys.argv[-1] == "obeys":
        ended.write_text(ended.read_text() + "saved")
        sys.exit(0)
signal.signal(signal.SIGTERM, at_sigterm)
worker = subprocess.Popen(["sleep", "600"], stderr=subprocess.DEVNULL)
print(f"pids={os.getpid()},{worker.pid} score=0.5", flush=True)
if sys.argv[-1] != "ends":
    while True:
        time.sleep(60)
"""


def family(emulator: launcher.Emulator, name: str) -> list[int]:
    """Process ids of a job's program and its worker."""
    log = (emulator.run_dir / "jobs" / "training" / name / "container.log").read_text()
    return [int(pid) for pid in log.partition("pids=")[2].split(" ")[0].split(",")]


@pytest.mark.parametrize(("manner", "left"), [("obeys", b"asked saved"), ("refuses", b"asked ")])
def test_a_stopped_job_has_its_time_to_save_and_then_nothing_of_it_is_left(
    jobs: Jobs, emulator: launcher.Emulator, wait_until: Callable[..., Any], manner: str, left: bytes
) -> None:
    name = jobs.start("training", jobs.training(FAMILY, HyperParameters={"manner": manner}))
    wait_until(lambda: training_has_begun(jobs, name))
    program, worker = family(emulator, name)
    assert processes.identity(program) and processes.identity(worker)
    jobs.stop("training", name)
    assert jobs.ended("training", name)["TrainingJobStatus"] == "Stopped"
    assert (processes.identity(program), processes.identity(worker)) == (None, None)
    assert unpacked(jobs, f"s3://{jobs.bucket}/out/{name}/output/output.tar.gz") == {"ended.txt": left}


def test_what_a_program_leaves_running_ends_with_its_job(jobs: Jobs, emulator: launcher.Emulator) -> None:
    name = jobs.run("training", jobs.training(FAMILY, HyperParameters={"manner": "ends"}))["TrainingJobName"]
    program, worker = family(emulator, name)
    assert (processes.identity(program), processes.identity(worker)) == (None, None)


def test_a_job_ends_at_its_longest_runtime(jobs: Jobs) -> None:
    ended = jobs.run("training", jobs.training(WAIT, StoppingCondition={"MaxRuntimeInSeconds": 1}))
    assert (ended["TrainingJobStatus"], ended["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert unpacked(jobs, ended["ModelArtifacts"]["S3ModelArtifacts"]) == {"saved.txt": b"at SIGTERM"}


def test_a_killed_process_is_a_failed_job(jobs: Jobs) -> None:
    ended = jobs.run("training", jobs.training("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"))
    assert ended["TrainingJobStatus"] == "Failed"
    assert "ExitCode -9" in ended["FailureReason"]


def test_missing_data_fails_the_job(jobs: Jobs) -> None:
    missing = f"s3://{jobs.bucket}/nothing/here/"
    ended = jobs.run("training", jobs.training("print(1)", channels={"train": missing}))
    assert ended["TrainingJobStatus"] == "Failed"
    assert f'No S3 objects found under S3 URL "{missing}"' in ended["FailureReason"]


def test_data_that_the_role_may_not_read_fails_the_job(jobs: Jobs, aws: ClientFactory) -> None:
    bucket = f"private-{uuid.uuid4().hex[:8]}"
    aws("s3").create_bucket(Bucket=bucket)
    aws("s3").put_object(Bucket=bucket, Key="data/x", Body=b"x")
    ended = jobs.run("training", jobs.training("print(1)", channels={"train": f"s3://{bucket}/data/"}))
    assert ended["TrainingJobStatus"] == "Failed"
    assert "AccessDenied" in ended["FailureReason"]
    assert jobs.role_arn in ended["FailureReason"]


def test_checkpoints_come_from_and_go_to_s3_however_the_job_ends(jobs: Jobs) -> None:
    script = """
import os, pathlib
path = pathlib.Path(os.environ["SM_CHECKPOINT_DIR"], "epoch.txt")
epoch = int(path.read_text()) + 1 if path.exists() else 1
path.write_text(str(epoch))
print(f"score={epoch}")
assert epoch > 1
"""
    config = {"S3Uri": f"s3://{jobs.bucket}/checkpoints/{uuid.uuid4().hex[:8]}"}
    first = jobs.run("training", jobs.training(script, CheckpointConfig=config))
    assert first["TrainingJobStatus"] == "Failed"
    assert jobs.read(f"{config['S3Uri']}/epoch.txt") == b"1"
    second = jobs.run("training", jobs.training(script, CheckpointConfig=config))
    assert second["TrainingJobStatus"] == "Completed"
    assert second["FinalMetricDataList"][0]["Value"] == 2


# -- metrics ---------------------------------------------------------------------------------------


def test_what_a_regex_finds_and_is_no_number_is_left_out(jobs: Jobs) -> None:
    ended = jobs.run("training", jobs.training("print('score=1.2.3')\nprint('loss=0.5')\nprint('score=. loss=')"))
    assert {m["MetricName"]: m["Value"] for m in ended["FinalMetricDataList"]} == {"train:loss": 0.5}


def test_a_regex_without_a_group_takes_the_whole_match(jobs: Jobs) -> None:
    request = jobs.training("print('7 of 9')")
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "count", "Regex": "[0-9]+"}]
    assert [m["Value"] for m in jobs.run("training", request)["FinalMetricDataList"]] == [9]


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"TrainingJobName": "under_score"}, "Member must satisfy regular expression pattern"),
        ({"TrainingJobName": "x" * 64}, "Member must have length less than or equal to 63"),
        ({"RoleArn": "arn:aws:iam::000000000000:role/nowhere"}, "the role does not exist"),
        ({"OutputDataConfig": {"S3OutputPath": "not-a-uri"}}, "Member must satisfy regular expression pattern"),
    ],
)
def test_a_request_is_checked_by_the_services_model_and_its_patterns(jobs: Jobs, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message) as refused:
        jobs.start("training", jobs.training("print(1)", **wrong))
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_a_role_that_does_not_trust_sagemaker_is_refused(jobs: Jobs, make_role: Callable[..., str]) -> None:
    role = make_role(f"other-{uuid.uuid4().hex[:8]}", [], ["lambda.amazonaws.com"])
    with pytest.raises(ClientError, match=r"allows principal 'sagemaker\.amazonaws\.com' to assume the role"):
        jobs.start("training", jobs.training("print(1)", RoleArn=role))


MINE, OTHERS = ({"StringEquals": {"aws:SourceAccount": account}} for account in ("000000000000", "111111111111"))


@pytest.mark.parametrize(
    ("conditions", "denied", "assumed"), [(MINE, None, True), (OTHERS, None, False), (MINE, MINE, False), (MINE, OTHERS, True)]
)
def test_the_conditions_and_denials_of_a_trust_policy_hold(
    jobs: Jobs, make_role: Callable[..., str], conditions: Any, denied: Any, assumed: bool
) -> None:
    role = make_role(name := f"trusting-{uuid.uuid4().hex[:8]}", [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}])
    statements = [
        {"Effect": effect, "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole", "Condition": condition}
        for effect, condition in (("Allow", conditions), ("Deny", denied))
        if condition
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    jobs.aws("iam").update_assume_role_policy(RoleName=name, PolicyDocument=document)
    if assumed:
        assert jobs.run("training", jobs.training("pass", RoleArn=role))["TrainingJobStatus"] == "Completed"
    else:
        with pytest.raises(ClientError, match=r"allows principal 'sagemaker\.amazonaws\.com' to assume the role"):
            jobs.start("training", jobs.training("pass", RoleArn=role))


def test_what_a_role_may_do_is_looked_at_for_each_job(jobs: Jobs, aws: ClientFactory, make_role: Callable[..., str]) -> None:
    name = f"changing-{uuid.uuid4().hex[:8]}"
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    role, iam = make_role(name, [everything]), aws("iam")
    assert jobs.run("training", jobs.training("pass", RoleArn=role))["TrainingJobStatus"] == "Completed"
    iam.delete_role_policy(RoleName=name, PolicyName="grants")
    denied = jobs.run("training", jobs.training("pass", RoleArn=role))
    assert (denied["TrainingJobStatus"], "AccessDenied" in denied["FailureReason"]) == ("Failed", True)
    iam.delete_role(RoleName=name)
    with pytest.raises(ClientError, match="the role does not exist"):
        jobs.start("training", jobs.training("pass", RoleArn=role))


def test_an_unreadable_regex_is_refused_by_name(jobs: Jobs) -> None:
    request = jobs.training("print(1)")
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "m", "Regex": "score=([0-9]+"}]
    with pytest.raises(ClientError, match="of metric m"):
        jobs.start("training", request)


def test_a_name_is_used_once(jobs: Jobs) -> None:
    request = jobs.training("print(1)")
    jobs.run("training", request)
    with pytest.raises(ClientError) as refused:
        jobs.start("training", request)
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"


# -- events and lists ------------------------------------------------------------------------------


def test_a_rule_hears_of_every_change_of_the_status(jobs: Jobs, aws: ClientFactory) -> None:
    request = jobs.training("raise SystemExit('out of luck')")
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Training Job State Change"],
        "detail": {"TrainingJobName": [request["TrainingJobName"]]},
    }
    queue = EventQueue(aws, pattern)
    ended = jobs.run("training", request)
    events = queue.received(lambda found: len(found) >= 2)
    assert [event["detail"]["TrainingJobStatus"] for event in events] == ["InProgress", "Failed"]
    assert events[-1]["detail"]["FailureReason"] == ended["FailureReason"]
    assert events[-1]["resources"] == [ended["TrainingJobArn"]]


def test_jobs_are_listed_oldest_first_unless_asked_otherwise(jobs: Jobs) -> None:
    names = [jobs.run("training", jobs.training("print(1)"))["TrainingJobName"] for _ in range(2)]

    def listed(**choice: Any) -> list[str]:
        pages = jobs.sagemaker.get_paginator("list_training_jobs").paginate(**choice)
        return [row["TrainingJobName"] for page in pages for row in page["TrainingJobSummaries"] if row["TrainingJobName"] in names]

    assert listed() == names
    assert listed(SortOrder="Descending") == names[::-1]
    assert listed(StatusEquals="Failed") == []
