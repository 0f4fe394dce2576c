"""One call of the model within one deadline: at most two tries, whose waits follow from the deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

CONNECT_SECONDS = 1.0
_TARGET = "TargetVariant"


def read_timeouts(deadline: float) -> tuple[float, float]:
    """Seconds that the first and the second try wait for the answer, once connected.

    The first may use the whole deadline. The second comes only when the first failed within half of it, and may use the other half.
    """
    return deadline - CONNECT_SECONDS, deadline / 2 - CONNECT_SECONDS


def client_config(read_seconds: float) -> Config:
    """No tries of the client's own: they would come on top of the deadline."""
    return Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=CONNECT_SECONDS, read_timeout=read_seconds)


def invoke(
    runtime: Callable[[float], Any],
    request: Mapping[str, Any],
    *,
    deadline: float,
    keeps_target: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Any]:
    """InvokeEndpoint; a first try that fails early and by no fault of the text gets a second one.

    A target variant that the endpoint refuses is left out the second time: the endpoint's weights choose then.

    Args:
        runtime: read timeout in seconds -> client ``sagemaker-runtime``.
        deadline: seconds for both tries together, at least 4.
        keeps_target: no other variant than the target will do.

    Raises:
        ClientError: what the endpoint refused.
        BotoCoreError: no answer, or no connection.
    """
    first, second = read_timeouts(deadline)
    started = clock()
    answer: dict[str, Any]
    try:
        answer = runtime(first).invoke_endpoint(**request)
    except (ClientError, BotoCoreError) as error:
        targeted = _TARGET in request and not keeps_target and refuses_request(error)
        if not (targeted or _may_pass(error)) or clock() - started >= deadline / 2:
            raise
        again = {name: value for name, value in request.items() if not (targeted and name == _TARGET)}
        answer = runtime(second).invoke_endpoint(**again)
    return answer


def refuses_request(error: Exception) -> bool:
    """Whether the endpoint knows nothing of what was asked for: the target variant is gone, or the endpoint itself is."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in ("ValidationError", "ValidationException")


def _may_pass(error: ClientError | BotoCoreError) -> bool:
    """A lost connection or a fault of the service; a throttled call is not repeated, that would only add to the load."""
    if isinstance(error, BotoCoreError):
        return True
    return bool(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500)
