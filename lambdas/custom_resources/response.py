"""The CloudFormation side of a custom resource: one answer to the pre-signed URL, whatever happens.

Source: AWS CloudFormation user guide, "Custom resource request and response objects".
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lambdas.common.observability import logger

_REASON_LIMIT = 1_000
_TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class ResourceResult:
    """What CloudFormation keeps: the physical id (a new one makes it delete the old one later) and GetAtt values."""

    physical_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)


def answer(event: Mapping[str, Any], act: Callable[[Mapping[str, Any]], ResourceResult]) -> dict[str, Any]:
    """Run ``act`` on the request and send SUCCESS, or FAILED with the exception's text; returns what was sent."""
    physical_id = str(event.get("PhysicalResourceId") or f"{event['LogicalResourceId']}-not-created")
    body: dict[str, Any] = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    try:
        result = act(event)
        body |= {"Status": "SUCCESS", "PhysicalResourceId": result.physical_id, "Data": dict(result.attributes)}
    except Exception as error:
        logger.exception("custom resource failed", extra={"request_type": event.get("RequestType")})
        body |= {"Status": "FAILED", "PhysicalResourceId": physical_id, "Reason": f"{type(error).__name__}: {error}"[:_REASON_LIMIT]}
    request = urllib.request.Request(  # noqa: S310  (CloudFormation's own pre-signed https URL)
        event["ResponseURL"], data=json.dumps(body, allow_nan=False).encode(), method="PUT", headers={"Content-Type": ""}
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310  (the same URL)
        return body
