"""What CloudWatch answers to the judge: pages are summed, no data is zero, and what could not be read is no zero."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from lambdas.rollout.judge_rollout import handler as entry

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> Stubber:
    client = boto3.client("cloudwatch", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    monkeypatch.setattr(entry, "client", lambda _: client)
    monkeypatch.setattr(entry, "_environment", lambda: SimpleNamespace(endpoint_name="reviewloop-dev"))
    stub = Stubber(client)
    stub.activate()
    return stub


def result(number: int, *values: float, status: str = "Complete", messages: list[dict[str, str]] | None = None) -> dict[str, Any]:
    told = {"Messages": messages} if messages else {}
    return {
        "Id": f"m{number}",
        "Label": entry._COUNTS[number],
        "Timestamps": [NOW] * len(values),
        "Values": values,
        "StatusCode": status,
        **told,
    }


def page(*results: dict[str, Any], more: str | None = None) -> dict[str, Any]:
    return {"MetricDataResults": list(results), **({"NextToken": more} if more else {})}


def sums(stub: Stubber, *pages: dict[str, Any]) -> list[float]:
    for number, answer in enumerate(pages):
        token = {"NextToken": ANY} if number else {}
        stub.add_response("get_metric_data", answer, {"MetricDataQueries": ANY, "StartTime": ANY, "EndTime": ANY, **token})
    return list(entry._sums("challenger", NOW.isoformat()))


def test_pages_are_summed(cloudwatch: Stubber) -> None:
    first = page(result(0, 10, 20, status="PartialData"), result(1, 1, status="PartialData"), more="next")
    assert sums(cloudwatch, first, page(result(0, 5), result(1, 2))) == [35, 3]


def test_no_data_is_zero(cloudwatch: Stubber) -> None:
    assert sums(cloudwatch, page(result(0), result(1))) == [0, 0]


@pytest.mark.parametrize("status", ["InternalError", "Forbidden"])
def test_what_could_not_be_read_is_no_zero(cloudwatch: Stubber, status: str) -> None:
    failed = result(1, status=status, messages=[{"Code": "ArithmeticError", "Value": "try later"}])
    with pytest.raises(entry.MetricsUnreadable, match=f"InvocationModelErrors is {status}: ArithmeticError: try later"):
        sums(cloudwatch, page(result(0, 10), failed))
