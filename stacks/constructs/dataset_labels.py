"""The labels that people choose from, for a function that needs them: where it finds them, and what it may read for that."""

from __future__ import annotations

from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources
from stacks.names import bucket_arn
from stacks.tuning_jobs import outside_dataset


def pinned_labels(shared: SharedResources) -> dict[str, str]:
    """The variable of labels that the settings pin; nothing where they come with the dataset version."""
    pinned = shared.settings.dataset.labels
    return {"LABELS": ",".join(pinned)} if pinned else {}


def label_variables(shared: SharedResources) -> dict[str, str]:
    """Environment variables for ``lambdas/common/current_labels.py``."""
    return {"DATASET_PARAMETER": shared.names.parameter("dataset"), **pinned_labels(shared)}


def offered_answers(shared: SharedResources) -> dict[str, str]:
    """Those variables, and whether people may answer that they cannot tell: for a function that asks them or reads their answers."""
    return {**label_variables(shared), "CANNOT_TELL": str(shared.settings.review.cannot_tell).lower()}


def allow_labels(function: PythonFunction, shared: SharedResources) -> None:
    """Let the function read which version is current, and the manifest of that version: no row of any."""
    names, dataset = shared.names, shared.settings.dataset
    function.allow(["ssm:GetParameter"], [names.arn("ssm", f"parameter{names.parameter('dataset')}")])
    manifests = [names.bucket_arn("data", "datasets/*/manifest.json")]
    manifests += [bucket_arn(bucket, f"{prefix}*manifest.json") for bucket, prefix in outside_dataset(dataset.uri)]
    function.allow(["s3:GetObject"], manifests, because="It reads the manifest of whichever version is current, which names the labels")
    keys = [shared.key.key_arn, *([dataset.kms_key_arn] if dataset.kms_key_arn else [])]
    function.allow(["kms:Decrypt"], keys)
