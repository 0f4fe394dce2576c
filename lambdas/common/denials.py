"""What IAM refuses is logged with action and resource, whatever a function then makes of the error.

:func:`log_denials` is called for every boto3 client of a function (``lambdas/common/clients.py``), so no handler has to think of it.
A refusal is a fault of the stack, a policy or a key, never of the caller: somebody must look.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lambdas.common.observability import logger

CODES = frozenset(
    {"AccessDenied", "AccessDeniedException", "AuthorizationError", "KMSAccessDeniedException", "UnauthorizedOperation", "403"}
)
"""The values of ``Error.Code`` for a denied call: of most services, of SNS, DynamoDB and SQS on an encrypted resource, of EC2,
and of S3's answers without a body."""
_ACTION = re.compile(r"not authorized to perform:? (?P<action>[a-zA-Z0-9-]+:\w+)")
_RESOURCE = re.compile(r"on resource:? \"?(?P<resource>[^\s\"]+)")


@dataclass(frozen=True)
class Denial:
    """``action`` as in a policy (``sagemaker:InvokeEndpoint``); ``resource`` is an ARN, or the address that was called."""

    action: str
    resource: str

    @classmethod
    def of(cls, error: Mapping[str, Any], *, service: str, operation: str, address: str) -> Denial | None:
        """Read from ``Error`` of a response; None when IAM refused nothing.

        The message names action and resource ("User: ... is not authorized to perform: <action> on resource: <resource> because ...",
        IAM user guide, "Troubleshoot access denied error messages"). A service that does not gets the operation and the address.
        """
        if error.get("Code") not in CODES:
            return None
        message = str(error.get("Message", ""))
        action, resource = _ACTION.search(message), _RESOURCE.search(message)
        return cls(
            action=action["action"] if action else f"{service}:{operation}",
            resource=resource["resource"].rstrip(".") if resource else address,
        )


def log_denials(client: Any) -> None:
    """Log every refusal that this boto3 client gets, as an error."""
    service = client.meta.service_model.signing_name

    def look(http_response: Any, parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
        url = urlsplit(getattr(http_response, "url", None) or "")
        error = parsed.get("Error", {})
        denial = Denial.of(error, service=service, operation=model.name, address=f"{url.netloc}{url.path}")
        if denial is not None:
            extra = {"action": denial.action, "resource": denial.resource, "operation": model.name, "code": error["Code"]}
            logger.error("access denied", extra=extra)

    client.meta.events.register("after-call", look, unique_id="log-denials")
