"""Runs inside a process of ``predict``: how long each part of a start or of a call takes. ``local/bench/predict.py`` starts it.

``start`` prints the parts of one start. ``calls`` answers one event after another: a line of JSON in, a line of JSON out. Only what the
function's own archive and layer hold may be imported here, besides the standard library and botocore.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

CONTEXT = SimpleNamespace(function_name="predict", memory_limit_in_mb=512, invoked_function_arn="arn:aws:lambda:x", aws_request_id="r")


class Stopwatch:
    """Seconds of the clock and of the processor since the last lap, by name."""

    def __init__(self) -> None:
        self.laps: dict[str, dict[str, float]] = {}
        self._last = time.perf_counter(), time.process_time()

    def lap(self, name: str) -> None:
        now = time.perf_counter(), time.process_time()
        self.laps[name] = {"seconds": now[0] - self._last[0], "processor": now[1] - self._last[1]}
        self._last = time.perf_counter(), time.process_time()


def start(event: dict[str, Any]) -> dict[str, Any]:
    """The parts of a start, from the first import to the first answer."""
    watch = Stopwatch()
    import botocore.session  # noqa: F401  (only how long it takes)

    watch.lap("import botocore")
    import aws_lambda_powertools.metrics  # noqa: F401  (likewise)

    watch.lap("import Powertools")
    from lambdas.prediction.predict import handler

    watch.lap("import the function")
    handler._prepare()
    watch.lap("make clients")
    handler.handler(event, CONTEXT)
    watch.lap("first call")
    return watch.laps


def start_with_boto3() -> dict[str, Any]:
    """For comparison: the clients as boto3 makes them, and a tracer."""
    watch = Stopwatch()
    import boto3

    watch.lap("import boto3")
    from aws_lambda_powertools import Logger, Metrics, Tracer

    Logger(), Metrics(), Tracer()
    watch.lap("import Powertools, with its tracer")
    for service in ("sagemaker-runtime", "ssm"):
        boto3.client(service)
    boto3.resource("dynamodb").Table("predictions")
    watch.lap("make clients")
    return watch.laps


@contextmanager
def recorded(calls: list[dict[str, Any]]) -> Iterator[None]:
    """Every AWS call of this process: its operation, its seconds, and whether the caller waited for it."""
    from botocore.client import BaseClient

    original: Callable[..., Any] = BaseClient._make_api_call

    def timed(client: Any, operation: str, parameters: Any) -> Any:
        began = time.perf_counter()
        try:
            return original(client, operation, parameters)
        finally:
            waited = threading.current_thread() is threading.main_thread()
            calls.append({"operation": operation, "seconds": time.perf_counter() - began, "waited": waited})

    BaseClient._make_api_call = timed
    try:
        yield
    finally:
        BaseClient._make_api_call = original


def answer(events: Iterator[str], write: Callable[[str], None]) -> None:
    from lambdas.prediction.predict import handler

    for line in events:
        calls: list[dict[str, Any]] = []
        with recorded(calls):
            began = time.perf_counter()
            answered = handler.handler(json.loads(line), CONTEXT)
            seconds = time.perf_counter() - began
        write(json.dumps({"status": answered["statusCode"], "seconds": seconds, "calls": calls}))


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    sys.stdout = io.StringIO()  # the function's log lines

    def write(line: str) -> None:
        out.write(f"{line}\n")
        out.flush()

    what = sys.argv[1]
    if what == "calls":
        answer(iter(sys.stdin.readline, ""), write)
    else:
        write(json.dumps(start_with_boto3() if what == "boto3" else start(json.loads(sys.argv[2]))))


if __name__ == "__main__":
    main()
