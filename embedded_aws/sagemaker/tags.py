"""AddTags, DeleteTags and ListTags for every SageMaker ARN; and the resource groups' GetResources for what an endpoint serves with.

Hook: ``tagging._COLLECTORS``, where ministack looks up whose tags a service can list.
"""

from __future__ import annotations

from collections.abc import Iterator

from ministack.services import tagging

from embedded_aws.core.api import Records, Request, Response, operation

TAGS = Records("tags")
_FORGOTTEN_WHEN_DELETED = ("model/", "endpoint-config/", "endpoint/")
"""Only these kinds lose their tags with the resource, so only these are listed."""


def install() -> None:
    tagging._COLLECTORS["sagemaker"] = _tagged


def _tagged() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """(ARN, tags) of each resource of the current account and region."""
    for arn, tags in TAGS.items():
        if arn.split(":", 5)[5].startswith(_FORGOTTEN_WHEN_DELETED):
            yield arn, [{"Key": key, "Value": value} for key, value in tags.items()]


@operation("sagemaker", "AddTags")
def add_tags(request: Request) -> Response:
    record = TAGS.find(request["ResourceArn"])
    if record is None:
        record = {}
        TAGS.add(request["ResourceArn"], record)
    record.update({tag["Key"]: tag["Value"] for tag in request["Tags"]})
    return {"Tags": [{"Key": key, "Value": value} for key, value in record.items()]}


@operation("sagemaker", "DeleteTags")
def delete_tags(request: Request) -> Response:
    record = TAGS.find(request["ResourceArn"]) or {}
    for key in request["TagKeys"]:
        record.pop(key, None)
    return {}


@operation("sagemaker", "ListTags")
def list_tags(request: Request) -> Response:
    record = TAGS.find(request["ResourceArn"]) or {}
    return {"Tags": [{"Key": key, "Value": value} for key, value in record.items()]}
