"""Tags of models, endpoint configurations and endpoints: set with the resource, gone with it."""

from __future__ import annotations

from embedded_aws.core.api import Request
from embedded_aws.sagemaker import tags


def attach(arn: str, request: Request) -> None:
    """Keep the ``Tags`` of a Create* request."""
    if request.get("Tags"):
        tags.add_tags({"ResourceArn": arn, "Tags": request["Tags"]})


def detach(arn: str) -> None:
    """Forget them, so that a resource created later under the same name starts without."""
    if tags.TAGS.find(arn) is not None:
        tags.TAGS.remove(arn)


def of(arn: str) -> dict[str, str]:
    return dict(tags.TAGS.find(arn) or {})
