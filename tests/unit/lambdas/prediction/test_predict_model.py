"""One deadline for all tries of a model call: a second try comes only early, for what may pass, and never beyond the deadline."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from lambdas.common.experiment import LONGEST_WAIT_SECONDS
from lambdas.prediction.model import CONNECT_SECONDS, client_config, invoke, read_timeouts
from lambdas.prediction.predict.handler import SIDE
from stacks.settings.api import ApiSettings
from stacks.settings.limits import API_TIMEOUT_SECONDS

DEADLINES = range(4, 19)


def refused(status: int) -> ClientError:
    return ClientError({"Error": {"Code": "Any", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "InvokeEndpoint")


LOST, SILENT = EndpointConnectionError(endpoint_url="x"), ReadTimeoutError(endpoint_url="x")


def tries(*outcomes: Exception | str, seconds: float) -> tuple[Any, list[float]]:
    """(answer or exception, read timeouts of the tries) when every try takes ``seconds``, of a deadline of 8."""
    left, waits, now = list(outcomes), list[float](), [0.0]

    def runtime(read: float) -> Any:
        def invoke_endpoint(**_: Any) -> Any:
            waits.append(read)
            now[0] += seconds
            outcome = left.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return SimpleNamespace(invoke_endpoint=invoke_endpoint)

    try:
        return invoke(runtime, {}, deadline=8, clock=lambda: now[0]), waits
    except (ClientError, EndpointConnectionError, ReadTimeoutError) as error:
        return error, waits


@pytest.mark.parametrize("first", [LOST, SILENT, refused(500), refused(503)], ids=repr)
def test_what_fails_early_and_may_pass_is_tried_once_more(first: Exception) -> None:
    assert tries(first, "answer", seconds=3.9) == ("answer", [7.0, 3.0])


@pytest.mark.parametrize("first", [LOST, SILENT, refused(503)], ids=repr)
def test_what_fails_late_has_no_second_try(first: Exception) -> None:
    assert tries(first, "answer", seconds=4.0) == (first, [7.0])


@pytest.mark.parametrize("first", [refused(400), refused(403), refused(424), refused(429)], ids=repr)
def test_a_refusal_is_not_repeated_and_a_throttled_call_adds_no_load(first: Exception) -> None:
    assert tries(first, "answer", seconds=0.1) == (first, [7.0])


@pytest.mark.parametrize("code", ["ValidationError", "ValidationException"])
def test_a_target_variant_that_is_gone_is_left_out_the_second_time(code: str) -> None:
    gone, asked = ClientError({"Error": {"Code": code, "Message": "no such variant"}}, "InvokeEndpoint"), list[dict[str, Any]]()

    def invoke_endpoint(**request: Any) -> Any:
        asked.append(request)
        if "TargetVariant" in request:
            raise gone
        return "answer"

    runtime = SimpleNamespace(invoke_endpoint=invoke_endpoint)
    assert invoke(lambda _: runtime, {"Body": b"x", "TargetVariant": "challenger"}, deadline=8, clock=lambda: 0.0) == "answer"
    assert asked == [{"Body": b"x", "TargetVariant": "challenger"}, {"Body": b"x"}]
    with pytest.raises(ClientError):
        invoke(lambda _: SimpleNamespace(invoke_endpoint=_raise(gone)), {"Body": b"x"}, deadline=8, clock=lambda: 0.0)


def test_a_target_variant_that_may_answer_is_asked_again() -> None:
    asked: list[str] = []

    def invoke_endpoint(**request: Any) -> Any:
        asked.append(request["TargetVariant"])
        if len(asked) == 1:
            raise refused(503)
        return "answer"

    runtime = SimpleNamespace(invoke_endpoint=invoke_endpoint)
    assert invoke(lambda _: runtime, {"TargetVariant": "challenger"}, deadline=8, clock=lambda: 0.0) == "answer"
    assert asked == ["challenger", "challenger"]


def _raise(error: Exception) -> Any:
    def invoke_endpoint(**_: Any) -> Any:
        raise error

    return invoke_endpoint


def test_a_second_failure_is_the_answer() -> None:
    assert tries(LOST, SILENT, seconds=0.1) == (SILENT, [7.0, 3.0])


@pytest.mark.parametrize("deadline", DEADLINES)
def test_no_order_of_failures_takes_longer_than_the_deadline(deadline: int) -> None:
    first, second = (CONNECT_SECONDS + read for read in read_timeouts(deadline))
    assert first <= deadline
    assert deadline / 2 + second <= deadline
    config = client_config(second)
    assert (config.retries, config.connect_timeout) == ({"mode": "standard", "total_max_attempts": 1}, CONNECT_SECONDS)


def test_every_deadline_that_the_settings_take_ends_before_the_gateway_stops_waiting() -> None:
    """Before the model there may be a wait for the experiment.

    After it the table and the queue have their tries; a retry waits up to a second before (standard mode).
    """
    longest = SIDE.retries["total_max_attempts"] * (SIDE.connect_timeout + SIDE.read_timeout) + 1
    bounds = [item for field in ("ge", "le") for item in [_bound(field)]]
    assert bounds == [DEADLINES[0], DEADLINES[-1]]
    assert all(after == before + 1 for before, after in pairwise(DEADLINES))
    assert LONGEST_WAIT_SECONDS + DEADLINES[-1] + 2 * longest < API_TIMEOUT_SECONDS


def _bound(name: str) -> int:
    return next(int(getattr(item, name)) for item in ApiSettings.model_fields["model_deadline_seconds"].metadata if hasattr(item, name))
