"""ECR: the images of AWS's deep learning containers, which another account's registry holds. Stock ministack knows only one's own.

Known are the images that run here as processes: PyTorch's and Hugging Face's, for training and inference.
Hook: ``app.SERVICE_HANDLERS["ecr"]``.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ministack import app
from ministack.core import responses

from embedded_aws.core import api

_REPOSITORY = re.compile(r"(huggingface-)?pytorch-(training|inference)(-neuronx)?")
_TAG = re.compile(r"\d+\.\d+\.\d+(-transformers\d+\.\d+\.\d+)?-(cpu|gpu|neuronx)-py3\d+[a-z0-9.-]*")


def _batch_get_image(request: dict[str, Any]) -> dict[str, Any]:
    repository, registry = request["repositoryName"], request["registryId"]
    if not _REPOSITORY.fullmatch(repository):
        message = f"The repository with name '{repository}' does not exist in the registry with id '{registry}'"
        raise api.ApiError("RepositoryNotFoundException", message)
    images, failures = [], []
    for wanted in request["imageIds"]:
        if _TAG.fullmatch(wanted.get("imageTag", "")):
            images.append({"registryId": registry, "repositoryName": repository, "imageId": wanted, "imageManifest": "{}"})
        else:
            failures.append({"imageId": wanted, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"})
    return {"images": images, "failures": failures}


def install() -> None:
    """Answer BatchGetImage of another account's registry; everything else is stock."""
    stock = app.SERVICE_HANDLERS["ecr"]

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        target = next((value for key, value in headers.items() if key.lower() == "x-amz-target"), "")
        request = json.loads(body or b"{}") if target.endswith(".BatchGetImage") else {}
        if not request.get("registryId") or request["registryId"] == responses.get_account_id():
            return await stock(method, path, headers, body, query)
        try:
            return 200, {"Content-Type": "application/x-amz-json-1.1"}, api.to_json(_batch_get_image(request))
        except api.ApiError as error:
            return api.error_response(error)

    app.SERVICE_HANDLERS["ecr"] = handler
