"""Writes one prediction with DynamoDB's plain client: boto3's Table would cost the first caller of a process a tenth of a second."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from lambdas.common.predictions import Prediction


def attribute(value: str | int | float | Any) -> dict[str, str]:
    """A value of an item in DynamoDB's form: texts as ``S``, numbers, Decimal among them, as ``N``."""
    return {"S": value} if isinstance(value, str) else {"N": str(value)}


class PredictionRecords:
    """The table of predictions as ``predict`` needs it. ``client`` is botocore's client ``dynamodb``."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def put(self, prediction: Prediction) -> bool:
        """Store a new prediction; False when it is already there (a retry), as ``PredictionStore.put`` does."""
        item = {name: attribute(value) for name, value in prediction.item().items()}
        try:
            self._client.put_item(TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(prediction_id)")
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True
