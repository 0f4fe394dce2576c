"""A tiny model artifact without torch, and the calls that host it; shared by the hosting tests."""

from __future__ import annotations

import io
import json
import tarfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/huggingface-pytorch-inference:2.6.0-transformers5.5.3-cpu-py312-ubuntu22.04"
INFERENCE = """
import json, os, time

def model_fn(model_dir):
    if os.environ.get("REFUSE_TO_START"):
        raise RuntimeError("told to refuse")
    return open(os.path.join(model_dir, "name.txt")).read()

def input_fn(body, content_type):
    return json.loads(body)

def predict_fn(data, model):
    if data["inputs"] == "break":
        raise ValueError("this input is broken")
    if model == "silent" and data["inputs"] == "hang":
        time.sleep(600)
    if model == "silent" and data["inputs"] == "crash":
        os._exit(1)
    return [{"label": model, "pid": os.getpid(), "setting": os.environ.get("SETTING", "")}]

def output_fn(prediction, accept):
    return json.dumps(prediction)
"""


def artifact(name: str) -> bytes:
    """A model.tar.gz whose model answers with ``name``; a test can make the one called ``silent`` hang or crash."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for path, text in (("code/inference.py", INFERENCE), ("name.txt", name)):
            entry = tarfile.TarInfo(path)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()


@dataclass
class Hosting:
    """Shorthand for the SageMaker calls; every name carries a random part, so tests do not meet."""

    aws: Callable[..., Any]
    role_arn: str
    bucket: str

    def upload(self, name: str) -> str:
        key = f"models/{name}-{uuid.uuid4().hex[:8]}/model.tar.gz"
        self.aws("s3").put_object(Bucket=self.bucket, Key=key, Body=artifact(name))
        return f"s3://{self.bucket}/{key}"

    def model(self, name: str, **environment: str) -> str:
        model_name = f"{name}-{uuid.uuid4().hex[:8]}"
        container = {"Image": IMAGE, "ModelDataUrl": self.upload(name), "Environment": environment}
        self.aws("sagemaker").create_model(ModelName=model_name, PrimaryContainer=container, ExecutionRoleArn=self.role_arn)
        return model_name

    def config(self, variants: Sequence[dict[str, Any]], **more: Any) -> str:
        """Variants as ``{"name", "model", "count"?, "weight"?}``."""
        name = f"config-{uuid.uuid4().hex[:8]}"
        rows = [
            {
                "VariantName": row["name"], "ModelName": row["model"], "InstanceType": row.get("type", "ml.m5.large"),
                "InitialInstanceCount": row.get("count", 1), "InitialVariantWeight": row.get("weight", 1.0),
            }
            for row in variants
        ]  # fmt: skip
        self.aws("sagemaker").create_endpoint_config(EndpointConfigName=name, ProductionVariants=rows, **more)
        return name

    def endpoint(self, config: str) -> str:
        name = f"endpoint-{uuid.uuid4().hex[:8]}"
        self.aws("sagemaker").create_endpoint(EndpointName=name, EndpointConfigName=config)
        self.settled(name)
        return name

    def describe(self, name: str) -> dict[str, Any]:
        described: dict[str, Any] = self.aws("sagemaker").describe_endpoint(EndpointName=name)
        return described

    def settled(self, name: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until no change is under way."""
        deadline = time.monotonic() + seconds
        while True:
            described = self.describe(name)
            if described["EndpointStatus"] in ("InService", "Failed"):
                return described
            assert time.monotonic() < deadline, f"{name} is still {described['EndpointStatus']}"
            time.sleep(0.1)

    def invoke(self, name: str, text: str = "hello", **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The first prediction and the response without its body."""
        body = json.dumps({"inputs": text})
        response = self.aws("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=body, ContentType="application/json", **more)
        prediction: dict[str, Any] = json.loads(response.pop("Body").read())[0]
        return prediction, response

    def variants(self, name: str) -> dict[str, dict[str, Any]]:
        return {row["VariantName"]: row for row in self.describe(name)["ProductionVariants"]}

    def pids(self, name: str, variant: str, requests: int = 12) -> set[int]:
        """Process ids that answered for a variant: round robin reaches each instance."""
        return {self.invoke(name, TargetVariant=variant)[0]["pid"] for _ in range(requests)}


def prepare(aws: Callable[..., Any], make_role: Callable[..., str], bucket: str) -> Hosting:
    """A bucket for artifacts and captured data, and an execution role with the grants that hosting needs."""
    aws("s3").create_bucket(Bucket=bucket)
    statements = [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": f"arn:aws:s3:::{bucket}/*"},
        {"Effect": "Allow", "Action": "cloudwatch:DescribeAlarms", "Resource": "*"},
    ]
    return Hosting(aws, make_role(f"{bucket}-role", statements), bucket)
