"""AddTags, DeleteTags and ListTags for every SageMaker ARN."""

from __future__ import annotations

from embedded_aws.core.api import Records, Request, Response, operation

TAGS = Records("tags")


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
