"""Training, tuning and processing jobs made of a few lines of plain Python, and the calls that run them; shared by the job tests."""

from __future__ import annotations

import io
import json
import tarfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.8.0-cpu-py312-ubuntu22.04-sagemaker"
CODE = "/opt/ml/input/data/code/code.tar.gz"
# (create and describe operation's noun, name member, status member)
KINDS = {
    "training": ("training_job", "TrainingJobName", "TrainingJobStatus"),
    "tuning": ("hyper_parameter_tuning_job", "HyperParameterTuningJobName", "HyperParameterTuningJobStatus"),
    "processing": ("processing_job", "ProcessingJobName", "ProcessingJobStatus"),
}
ENDED = ("Completed", "Failed", "Stopped")
METRICS = [{"Name": "validation:score", "Regex": "score=([0-9.]+)"}, {"Name": "train:loss", "Regex": "loss=([0-9.]+)"}]


def archive(script: str, name: str = "train.py") -> bytes:
    """A code.tar.gz with one program."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(script.encode())
        tar.addfile(entry, io.BytesIO(script.encode()))
    return stream.getvalue()


@dataclass
class Jobs:
    """Shorthand for job requests; every name carries a random part, so tests do not meet."""

    aws: Callable[..., Any]
    role_arn: str
    bucket: str

    @property
    def sagemaker(self) -> Any:
        return self.aws("sagemaker")

    def put(self, key: str, body: str | bytes) -> str:
        self.aws("s3").put_object(Bucket=self.bucket, Key=key, Body=body)
        return f"s3://{self.bucket}/{key}"

    def read(self, uri: str) -> bytes:
        key = uri.removeprefix(f"s3://{self.bucket}/")
        body: bytes = self.aws("s3").get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def keys(self, prefix: str) -> list[str]:
        return [item["Key"] for item in self.aws("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])]

    def channel(self, name: str, uri: str) -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
        return {"ChannelName": name, "DataSource": {"S3DataSource": source}}

    def code(self, script: str) -> dict[str, Any]:
        return self.channel("code", self.put(f"code/{uuid.uuid4().hex[:8]}/code.tar.gz", archive(script)))

    # -- requests ----------------------------------------------------------------------------------

    def training(self, script: str, *, channels: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        """A CreateTrainingJob request that runs ``script`` as ``train.py``; ``channels`` are further S3 prefixes."""
        parameters = {"sagemaker_program": "train.py", "sagemaker_submit_directory": CODE, **more.pop("HyperParameters", {})}
        return {
            "TrainingJobName": f"job-{uuid.uuid4().hex[:8]}",
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File", "MetricDefinitions": METRICS},
            "RoleArn": self.role_arn,
            "HyperParameters": parameters,
            "InputDataConfig": [self.code(script), *(self.channel(name, uri) for name, uri in (channels or {}).items())],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            **more,
        }

    def tuning(self, script: str, *, strategy: str = "Random", jobs: int = 3, parallel: int = 2, **more: Any) -> dict[str, Any]:
        """A CreateHyperParameterTuningJob request over ``--x`` in 0..1, which maximises ``score=<number>``.

        ``ranges`` replaces the ranges, ``config`` and ``definition`` add to the request's two parts.
        """
        definition = self.training(script)
        del definition["TrainingJobName"]
        definition["StaticHyperParameters"] = definition.pop("HyperParameters")
        ranges = more.pop("ranges", {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1"}]})
        limits = {"MaxParallelTrainingJobs": parallel, "MaxNumberOfTrainingJobs": jobs}
        config = {
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:score"},
            "ResourceLimits": limits,
            "ParameterRanges": ranges,
            "RandomSeed": 7,
            **more.pop("config", {}),
        }
        return {
            "HyperParameterTuningJobName": f"tune-{uuid.uuid4().hex[:8]}",
            "HyperParameterTuningJobConfig": config,
            "TrainingJobDefinition": {**definition, **more.pop("definition", {})},
            **more,
        }

    def processing(self, script: str, *, inputs: Sequence[dict[str, Any]] = (), **more: Any) -> dict[str, Any]:
        """A CreateProcessingJob request that runs ``script`` with the container's Python and the folder of its output ``out``."""
        name = f"process-{uuid.uuid4().hex[:8]}"
        code = self.input("code", self.put(f"code/{name}/run.py", script))
        output = {
            "S3Uri": f"s3://{self.bucket}/processed/{name}", "LocalPath": "/opt/ml/processing/output/out", "S3UploadMode": "EndOfJob"
        }  # fmt: skip
        return {
            "ProcessingJobName": name,
            "AppSpecification": {
                "ImageUri": IMAGE,
                "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/run.py"],
                "ContainerArguments": [output["LocalPath"]],
            },
            "ProcessingInputs": [code, *inputs],
            "RoleArn": self.role_arn,
            "ProcessingResources": {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}},
            "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": output}]},
            **more,
        }

    def input(self, name: str, uri: str) -> dict[str, Any]:
        """A processing input below /opt/ml/processing/input."""
        source = {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/input/{name}", "S3DataType": "S3Prefix", "S3InputMode": "File"}
        return {"InputName": name, "S3Input": source}

    # -- life --------------------------------------------------------------------------------------

    def start(self, kind: str, request: dict[str, Any]) -> str:
        noun, name, _ = KINDS[kind]
        getattr(self.sagemaker, f"create_{noun}")(**request)
        return str(request[name])

    def describe(self, kind: str, name: str) -> dict[str, Any]:
        noun, member, _ = KINDS[kind]
        described: dict[str, Any] = getattr(self.sagemaker, f"describe_{noun}")(**{member: name})
        return described

    def stop(self, kind: str, name: str) -> None:
        noun, member, _ = KINDS[kind]
        getattr(self.sagemaker, f"stop_{noun}")(**{member: name})

    def ended(self, kind: str, name: str, seconds: float = 60) -> dict[str, Any]:
        """The description once the job has ended."""
        deadline = time.monotonic() + seconds
        while (described := self.describe(kind, name))[KINDS[kind][2]] not in ENDED:
            assert time.monotonic() < deadline, f"{name} is still {described[KINDS[kind][2]]}"
            time.sleep(0.1)
        return described

    def run(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        return self.ended(kind, self.start(kind, request))


def prepare(aws: Callable[..., Any], make_role: Callable[..., str], bucket: str) -> Jobs:
    """A bucket, and an execution role that may read and write it."""
    aws("s3").create_bucket(Bucket=bucket)
    statements = [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{bucket}/*"},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"},
    ]
    return Jobs(aws, make_role(f"{bucket}-role", statements), bucket)


class EventQueue:
    """A queue that an EventBridge rule fills: ``events.received(2)`` waits for two events."""

    def __init__(self, aws: Callable[..., Any], pattern: dict[str, Any]) -> None:
        self._sqs, name = aws("sqs"), f"events-{uuid.uuid4().hex[:8]}"
        self.url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        aws("events").put_rule(Name=name, EventPattern=json.dumps(pattern))
        aws("events").put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])

    def received(self, until: Callable[[list[dict[str, Any]]], bool], seconds: float = 20) -> list[dict[str, Any]]:
        """The events so far, in order, once ``until(events)``."""
        events: list[dict[str, Any]] = []
        deadline = time.monotonic() + seconds
        while not until(events):
            assert time.monotonic() < deadline, f"only {len(events)} events came: {events}"
            for message in self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
                events.append(json.loads(message["Body"]))
                self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return events
