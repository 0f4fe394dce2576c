"""A custom resource whose function never answers fails after its ServiceTimeout in scaled time, not after an hour.

Hook: ``custom_resource.register_token``, which makes what ``invoke_custom_resource`` waits on.
"""

from __future__ import annotations

import threading

from ministack.services.cloudformation import custom_resource

from embedded_aws.core import clock

_LEAST_SECONDS = 5.0
"""A function that ended may still be answered for, e.g. by a state machine that it started."""


class _ScaledEvent(threading.Event):
    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(None if timeout is None else max(clock.scaled(timeout), min(timeout, _LEAST_SECONDS)))


def install() -> None:
    stock = custom_resource.register_token

    def register_token(token: str) -> threading.Event:
        stock(token)
        event = _ScaledEvent()
        with custom_resource._lock:
            custom_resource._pending[token]["event"] = event
        return event

    custom_resource.register_token = register_token
