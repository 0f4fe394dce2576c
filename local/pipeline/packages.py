"""Model packages for a dry run, of models that were not trained: one answers, one answers wrongly, and one cannot start."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from typing import Any

from stacks.images import inference_image
from stacks.names import Names

LABELS = ("negative", "neutral", "positive")
_ANSWERS = """
import json
def model_fn(folder):
    return None
def input_fn(body, content_type):
    given = json.loads(body)["inputs"]
    return [given] if isinstance(given, str) else given
def answer(text):
    named = next((label for label in LABELS if label in text), "neutral")
    label = LABELS[(LABELS.index(named) + MOVED) % len(LABELS)]
    return {"label": label, "confidence": 0.9, "probabilities": {name: 0.9 if name == label else 0.05 for name in LABELS},
            "model_version": VERSION, "review_threshold": 0.5, "tokens": 1, "oov_tokens": 0, "truncated": False}
def predict_fn(texts, model):
    return [answer(text) for text in texts]
def output_fn(answers, accept):
    return json.dumps(answers)
"""
BREAKS = """
def model_fn(folder):
    raise RuntimeError("this model is broken on purpose")
"""


def answers(version: str, *, moved: int = 0) -> str:
    """Code of a model whose label is the one that a text names; moved by 1, it answers like a model that was trained on flipped labels."""
    return f"LABELS, MOVED, VERSION = {LABELS!r}, {moved}, {version!r}{_ANSWERS}"


def register(client: Callable[[str], Any], names: Names, version: str, inference: str) -> str:
    """Upload a model with this code and register it as approved; returns the package's ARN."""
    bucket, key = names.bucket("models"), f"training/{version}/output/model.tar.gz"
    client("s3").put_object(Bucket=bucket, Key=key, Body=_artifact(inference))
    settings = names.settings
    container = {"Image": inference_image(settings.region, settings.hosting.instance_type), "ModelDataUrl": f"s3://{bucket}/{key}"}
    answer = client("sagemaker").create_model_package(
        ModelPackageGroupName=names.model_package_group,
        ModelPackageDescription=f"{version}, of a dry run",
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"training_job": version},
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )
    return str(answer["ModelPackageArn"])


def _artifact(inference: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        entry = tarfile.TarInfo("code/inference.py")
        entry.size = len(inference.encode())
        tar.addfile(entry, io.BytesIO(inference.encode()))
    return stream.getvalue()
