"""Model packages of the candidates that passed: pure, requests of CreateModelPackage."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any


class GatesRefused(RuntimeError):
    """No candidate passed its gates; the text has every reason."""


class EvaluationFailed(RuntimeError):
    """No candidate passed, and at least one could not be judged, since its evaluation failed; the text has every reason."""


def _end(candidates: Sequence[Mapping[str, Any]], reasons: str) -> RuntimeError:
    """How a tuning without a model ends: a crash is a fault to look into, not the gates' answer."""
    if all("macro_f1" in candidate for candidate in candidates):
        return GatesRefused(f"every candidate was refused. {reasons}")
    return EvaluationFailed(f"no candidate passed, and not every one could be judged. {reasons}")


def passing(candidates: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that passed, in the order of the selection: best on the validation set first.

    The test set only refuses. Were it to choose between them as well, the winner's figures on it would be too good.

    Raises:
        GatesRefused: none did.
        EvaluationFailed: none did, and not all could be judged.
    """
    accepted = [candidate for candidate in candidates if candidate["passed"]]
    if not accepted:
        reasons = [
            f"{candidate['training_job']}: " + "; ".join(candidate["refusals"]) + f" ({candidate['gates_uri']})" for candidate in candidates
        ]
        raise _end(candidates, " | ".join(reasons))
    return accepted


def package_request(candidate: Mapping[str, Any], *, group: str, image: str, tuning_job: str, approval: str) -> dict[str, Any]:
    """CreateModelPackage of one candidate; the client token makes a repeated call return the same package.

    The instance types that it may run on are left out, which the API allows in a group: an endpoint on another one would be refused.
    """
    return {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": f"Text classifier of {candidate['training_job']}, macro-F1 {candidate['macro_f1']:.3f}",
        "ClientToken": hashlib.sha256(candidate["training_job"].encode()).hexdigest()[:36],
        "ModelApprovalStatus": approval,
        "InferenceSpecification": {
            "Containers": [{"Image": image, "ModelDataUrl": candidate["model_uri"], "Environment": {"OMP_NUM_THREADS": "1"}}],
            "SupportedContentTypes": ["application/json"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        "ModelMetrics": {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": candidate["evaluation_uri"]}}},
        "CustomerMetadataProperties": {
            "training_job": candidate["training_job"],
            "tuning_job": tuning_job,
            "dataset_version": candidate["dataset_version"],
            "objective": f"{candidate['objective']:.6f}",
            "macro_f1": f"{candidate['macro_f1']:.6f}",
            **candidate.get("review", {}),
            **candidate.get("best", {}),
        },
    }
