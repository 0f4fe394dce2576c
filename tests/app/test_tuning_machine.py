"""The tuning machine as it is deployed, with code that a test can hold back: what happens around it while it runs.

The code of a deploy is two programs of a few lines. ``train.py`` waits until its gate is opened, then reports and leaves a model;
``evaluate.py`` writes a report whose dataset version says which code it is of, and the report of the data.
"""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App
from deployed_app import NAMES, DeployedApp
from released_app import TinyModel, evaluation
from typer.testing import CliRunner

from cli.main import app as command
from embedded_aws.tools import deployer, launcher
from embedded_aws.tools.clients import ACCOUNT
from lambdas.tuning.plan_tuning.plan import job_name
from lambdas.tuning.select_candidates.selection import evaluation_job_name
from stacks.application import FEATURE_FLAGS
from stacks.constructs import model_code_asset
from stacks.foundation import FoundationStack
from stacks.settings import load_settings
from stacks.settings.search import RetrainingSearch
from stacks.tuning import TuningStack

pytestmark = pytest.mark.slow
REGION = "us-east-1"
DEV = load_settings(launcher.ROOT / "settings" / "dev.yaml")
ONE_JOB = {"max_jobs": 1, "max_parallel_jobs": 1, "retraining": RetrainingSearch(max_jobs=1)}
SETTINGS = DEV.model_copy(update={"tuning": DEV.tuning.model_copy(update=ONE_JOB)})
TRAIN = """
import os, pathlib, time
while not pathlib.Path({gate!r}).exists():
    time.sleep(0.05)
pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("of a model")
print("epoch=1 train:loss=0.5 validation:accuracy=0.8 validation:macro_f1=0.75")
"""
DATA_REPORT = (launcher.ROOT / "tests" / "unit" / "cli" / "reports" / "report.json").read_text(encoding="utf-8")
EVALUATE = """
import pathlib, sys

output = pathlib.Path(sys.argv[sys.argv.index("--output-dir") + 1])
output.joinpath("evaluation.json").write_text({report!r})
output.joinpath("report.json").write_text({data_report!r})
"""


def code(version: str, gate: Path) -> bytes:
    """An archive as ``model_code_archive`` makes it."""
    report = json.dumps({**evaluation(TinyModel("tiny")), "dataset_version": version})
    programs = {"train.py": TRAIN.format(gate=str(gate)), "evaluate.py": EVALUATE.format(report=report, data_report=DATA_REPORT)}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, text in programs.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()


GONE = f"{NAMES.prefix}-gone"
"""A tuning job that does not exist."""


class Deployed(DeployedApp):
    """The foundation and the tuning stack; ``assembly`` is a folder for one assembly per deploy."""

    @property
    def gate(self) -> Path:
        """Training ends when this file is there."""
        return self.assembly / "gate"

    def deploy(self, version: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(model_code_asset, "model_code_archive", lambda: code(version, self.gate))
            output = self.assembly / f"cdk.out-{version}"
            app = App(outdir=str(output), context=FEATURE_FLAGS, analytics_reporting=False, tree_metadata=False)
            foundation, tuning = FoundationStack(app, SETTINGS), TuningStack(app, SETTINGS)
            tuning.add_stack_dependency(foundation)
            app.synth()
        deployer.deploy(output, self.emulator.url)

    def put_inputs(self) -> None:
        bucket = self.names.bucket("data")
        for key in (
            "base-model/config.json",
            "datasets/v/train/data.jsonl",
            "datasets/v/validation/data.jsonl",
            "datasets/v/manifest.json",
        ):
            self.client("s3").put_object(Bucket=bucket, Key=key, Body=b"{}\n")
        uri = f"s3://{bucket}/datasets/v"
        self.client("ssm").put_parameter(Name=self.names.parameter("dataset"), Value=uri, Type="String", Overwrite=True)

    def start(self, name: str, **content: Any) -> str:
        machine = self.names.arn("states", f"stateMachine:{self.names.state_machine('tuning')}")
        started = self.client("stepfunctions").start_execution(stateMachineArn=machine, name=name, input=json.dumps(content))
        return str(started["executionArn"])

    def tuning_job(self, execution: str) -> dict[str, Any] | None:
        """The execution's tuning job once it has a training job."""
        sagemaker, name = self.client("sagemaker"), job_name(self.names.prefix, execution)
        if not sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name)["HyperParameterTuningJobSummaries"]:
            return None
        described: dict[str, Any] = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        return described if described["TrainingJobStatusCounters"]["InProgress"] else None

    def output(self, execution: str, seconds: float = 180) -> dict[str, Any]:
        deadline, steps = time.monotonic() + seconds, self.client("stepfunctions")
        while (described := steps.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline, f"{execution} still runs"
            time.sleep(0.1)
        assert described["status"] == "SUCCEEDED", (described.get("error"), described.get("cause"))
        found: dict[str, Any] = json.loads(described["output"])
        return found

    def waited(self, probe: Any, seconds: float = 120) -> Any:
        deadline = time.monotonic() + seconds
        while not (value := probe()):
            assert time.monotonic() < deadline, "nothing came"
            time.sleep(0.1)
        return value


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("tuning-machine")
    emulator = launcher.start(folder / "run", port=launcher.free_port(), time_scale=0.02, region=REGION)
    try:
        app = Deployed(emulator, SETTINGS, folder, {})
        app.deploy("first")
        app.put_inputs()
        yield app
    finally:
        emulator.stop()


@pytest.fixture(scope="module")
def first(deployed: Deployed) -> dict[str, Any]:
    """The output of an execution during which other code was deployed; the gate stays open."""
    execution = deployed.start("first", warm_start_parents=[GONE])
    deployed.waited(lambda: deployed.tuning_job(execution))
    deployed.deploy("second")
    deployed.gate.touch()
    return deployed.output(execution)


def test_an_execution_ends_well_with_its_own_code_when_other_code_is_deployed_meanwhile(first: dict[str, Any]) -> None:
    """Its training jobs have read the code already, its evaluation has not: both are of the deploy before."""
    assert first["dataset_version"] == "first"
    assert len(first["packages"]) == 1


def test_a_new_execution_has_the_new_code_and_learns_from_the_one_before(deployed: Deployed, first: dict[str, Any]) -> None:
    second = deployed.output(deployed.start("second", warm_start_parents=[first["tuning_job"]]))
    assert second["dataset_version"] == "second"
    assert second["warm_start"] == f"learns from the trials of {first['tuning_job']}"


def test_a_parent_that_cannot_be_learnt_from_is_left_out_and_the_output_says_why(first: dict[str, Any]) -> None:
    assert first["warm_start"].startswith(f"not from {GONE}: ")


def test_a_repeated_start_waits_for_the_job_of_the_first(deployed: Deployed, first: dict[str, Any]) -> None:
    """As after a fault that hid the answer of CreateHyperParameterTuningJob: the job is there, and its name is taken."""
    sagemaker = deployed.client("sagemaker")
    earlier = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=first["tuning_job"])
    names = deployed.names
    name = job_name(names.prefix, names.arn("states", f"execution:{names.state_machine('tuning')}:repeated"))
    deployed.gate.unlink()
    parts = {key: earlier[key] for key in ("HyperParameterTuningJobConfig", "TrainingJobDefinition")}
    sagemaker.create_hyper_parameter_tuning_job(HyperParameterTuningJobName=name, **parts)
    execution = deployed.start("repeated")

    def looked_at() -> bool:
        history = deployed.client("stepfunctions").get_execution_history(executionArn=execution, maxResults=1000)["events"]
        return any(event.get("taskFailedEventDetails", {}).get("error") == "TuningUnfinished" for event in history)

    deployed.waited(looked_at)
    deployed.gate.touch()
    output = deployed.output(execution)
    assert output["tuning_job"] == name
    assert output["packages"][0]["training_job"].startswith(name)


def test_a_candidate_is_compared_with_the_best_champion_so_far_and_its_package_keeps_it(deployed: Deployed, first: dict[str, Any]) -> None:
    """The released package says that an earlier one is better."""
    sagemaker, ssm, names = deployed.client("sagemaker"), deployed.client("ssm"), deployed.names
    best = first["packages"][0]["model_package_arn"]
    described = sagemaker.describe_model_package(ModelPackageName=best)
    champion = sagemaker.create_model_package(
        ModelPackageGroupName=names.model_package_group,
        InferenceSpecification=described["InferenceSpecification"],
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"best_package": best, "difference_to_best": "-0.0100"},
    )["ModelPackageArn"]
    release = names.parameter("release")
    before = ssm.get_parameter(Name=release)["Parameter"]["Value"]
    ssm.put_parameter(Name=release, Value=f"{champion},{champion}", Overwrite=True)
    try:
        [package] = deployed.output(deployed.start("with-best"))["packages"]
    finally:
        ssm.put_parameter(Name=release, Value=before, Overwrite=True)
    [job] = [
        one["ProcessingJobName"]
        for one in sagemaker.list_processing_jobs(MaxResults=50)["ProcessingJobSummaries"]
        if one["ProcessingJobName"].startswith(evaluation_job_name(package["training_job"]))
    ]
    inputs = {
        one["InputName"]: one["S3Input"]["S3Uri"] for one in sagemaker.describe_processing_job(ProcessingJobName=job)["ProcessingInputs"]
    }
    model = described["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    assert (inputs["champion"], inputs["best"]) == (model, model)
    kept = sagemaker.describe_model_package(ModelPackageName=package["model_package_arn"])["CustomerMetadataProperties"]
    assert kept["best_package"] == best


def test_its_report_is_written_with_the_grants_that_the_docs_name(deployed: Deployed, first: dict[str, Any], tmp_path: Path) -> None:
    names, iam = deployed.names, deployed.client("iam")
    models = f"arn:aws:s3:::{names.bucket('models')}"
    grants = {
        "*": ["cloudformation:DescribeStacks", "kms:Decrypt", "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
              "sagemaker:DescribeTrainingJob", "sagemaker:ListProcessingJobs", "sagemaker:DescribeProcessingJob", "pricing:GetProducts"],
        names.arn("states", "*"): ["states:ListExecutions", "states:GetExecutionHistory"],
        models: ["s3:ListBucket"],
        f"{models}/evaluations/*": ["s3:GetObject"],
    }  # fmt: skip
    statements = [{"Effect": "Allow", "Action": actions, "Resource": resource} for resource, actions in grants.items()]
    trust = [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}]
    policies = [json.dumps({"Version": "2012-10-17", "Statement": one}) for one in (trust, statements)]
    arn = iam.create_role(RoleName="reads-reports", AssumeRolePolicyDocument=policies[0])["Role"]["Arn"]
    iam.put_role_policy(RoleName="reads-reports", PolicyName="grants", PolicyDocument=policies[1])
    granted = deployed.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    variables = {
        "AWS_ENDPOINT_URL": deployed.emulator.url, "AWS_ACCESS_KEY_ID": granted["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": granted["SecretAccessKey"], "AWS_SESSION_TOKEN": granted["SessionToken"],
    }  # fmt: skip
    done = CliRunner().invoke(command, ["tune", "report", "first", "--output", str(tmp_path), "--json"], env=variables)
    assert done.exit_code == 0, done.output
    [written] = json.loads(done.stdout)["reports"]
    [package] = first["packages"]
    assert (written["training_job"], written["package"]) == (package["training_job"], package["model_package_arn"])
    report = written["report"]
    assert [(one["name"], one["objective"]) for one in report["trials"]] == [(package["training_job"], 0.75)]
    assert set(report["trials"][0]["hyperparameters"]) == {"epochs", "layers", "learning_rate", "trained_layers"}
    billed = [(one["what"], one["instance_type"], one["dollars"]) for one in report["cost"][:2]]
    tuning = SETTINGS.tuning
    assert billed == [
        ("this tuning: 1 training job", tuning.instance_type, None),
        ("this tuning: 1 evaluation", tuning.evaluation_instance_type, None),
    ]
    assert report["cost"][0]["seconds"] == report["trials"][0]["seconds"]
    assert report["cost"][1]["seconds"] > 0
    shown = (tmp_path / f"{package['training_job']}.html").read_text(encoding="utf-8")
    assert f"release start {package['model_package_arn']}" in shown


def test_the_deployed_roles_were_refused_nothing(deployed: Deployed, first: dict[str, Any]) -> None:
    decisions = (json.loads(line) for line in deployed.emulator.audit_file.read_text(encoding="utf-8").splitlines())
    assert [one for one in decisions if not one["allowed"]] == []
