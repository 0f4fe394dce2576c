"""A prediction is written as boto3's Table would write it, and once."""

from __future__ import annotations

from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError

from lambdas.common.predictions import Prediction
from lambdas.common.review import ReviewState
from lambdas.prediction.predict.record import PredictionRecords

PREDICTION = Prediction(
    "p1", "Not bad at all", "positive", 0.912345678, 0.6, "champion", "tuning-1", "2026-11-01T00:00:00.000+00:00", 1_800_000_000,
    ReviewState.REQUESTED, "low_confidence", subject="product 7", tokens=4, oov_tokens=0, experiment="rollout-1", assigned_by="subject",
)  # fmt: skip


class Table:
    """Takes one item and refuses it afterwards, as the condition says; ``fault`` is another error's code."""

    def __init__(self, fault: str = "") -> None:
        self.requests: list[dict[str, Any]] = []
        self._fault = fault

    def put_item(self, **request: Any) -> None:
        self.requests.append(request)
        code = self._fault or ("ConditionalCheckFailedException" if len(self.requests) > 1 else "")
        if code:
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "PutItem")


def test_the_item_has_the_form_that_boto3_gives_it() -> None:
    table = Table()
    assert PredictionRecords(table, "predictions").put(PREDICTION)
    (request,) = table.requests
    serialize = TypeSerializer().serialize
    assert request["Item"] == {name: serialize(value) for name, value in PREDICTION.item().items()}
    assert (request["TableName"], request["ConditionExpression"]) == ("predictions", "attribute_not_exists(prediction_id)")


def test_a_second_write_changes_nothing_and_another_fault_is_told() -> None:
    records = PredictionRecords(Table(), "predictions")
    assert (records.put(PREDICTION), records.put(PREDICTION)) == (True, False)
    with pytest.raises(ClientError, match="Throttling"):
        PredictionRecords(Table("ThrottlingException"), "predictions").put(PREDICTION)
