"""The prediction table: one item a prediction, and the only transitions that its review may take.

Every write is conditional, so events that arrive twice or out of order change nothing (see docs/contracts.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from lambdas.common.review import Consolidated, HumanAnswer, ReviewState

OPEN_REVIEWS = "open-reviews"
LABELS_BY_DAY = "labels-by-day"
REVIEWED_BY_MODEL = "reviewed-by-model"


@dataclass(frozen=True)
class Prediction:
    """One answered prediction. Times are ISO 8601 UTC; ``expires_at`` is epoch seconds."""

    prediction_id: str
    text: str
    label: str
    confidence: float
    review_threshold: float
    variant: str
    model_version: str
    created_at: str
    expires_at: int
    review_state: ReviewState
    review_reason: str | None = None
    subject: str | None = None
    attempt: int = 1


class PredictionStore:
    """DynamoDB implementation; ``table`` is a boto3 Table resource."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def put(self, prediction: Prediction) -> bool:
        """Store a new prediction; False when it is already there (a retry)."""
        item: dict[str, Any] = {key: value for key, value in vars(prediction).items() if value is not None}
        item["confidence"] = _decimal(prediction.confidence)
        item["review_threshold"] = _decimal(prediction.review_threshold)
        item["review_state"] = prediction.review_state.value
        if prediction.review_state is ReviewState.REQUESTED:
            item["open_state"] = ReviewState.REQUESTED.value
        return self._write(lambda: self._table.put_item(Item=item, ConditionExpression=Attr("prediction_id").not_exists()))

    def get(self, prediction_id: str) -> dict[str, Any] | None:
        """The item, numbers as Decimal, or None."""
        item: dict[str, Any] | None = self._table.get_item(Key={"prediction_id": prediction_id}, ConsistentRead=True).get("Item")
        return item

    def mark_in_review(self, prediction_id: str, review_id: str, attempt: int) -> bool:
        """requested | dead_lettered -> in_review; False when a result (or a later attempt) was quicker."""
        return self._update(
            prediction_id,
            {
                "review_state": ReviewState.IN_REVIEW.value,
                "open_state": ReviewState.IN_REVIEW.value,
                "review_id": review_id,
                "attempt": attempt,
            },
            condition=Attr("review_state").is_in([ReviewState.REQUESTED.value, ReviewState.DEAD_LETTERED.value])
            & Attr("attempt").lte(attempt),
        )

    def mark_dead_lettered(self, prediction_id: str, attempt: int, reason: str) -> bool:
        """Any open state of this attempt -> dead_lettered, with the reason; False when already final or retried since."""
        return self._update(
            prediction_id,
            {"review_state": ReviewState.DEAD_LETTERED.value, "open_state": ReviewState.DEAD_LETTERED.value, "review_outcome": reason},
            condition=Attr("review_state").is_in([ReviewState.REQUESTED.value, ReviewState.IN_REVIEW.value]) & Attr("attempt").lte(attempt),
        )

    def store_label(
        self, prediction_id: str, consolidated: Consolidated, answers: list[HumanAnswer], *, reviewed_at: str, source: str
    ) -> bool:
        """Any open state -> reviewed, once; an undecided review has no ``human_label``. False when already reviewed."""
        values: dict[str, Any] = {
            "review_state": ReviewState.REVIEWED.value,
            "review_outcome": consolidated.reason,
            "votes": dict(consolidated.votes),
            "agreement": _decimal(consolidated.agreement),
            "answers": [{"worker_id": a.worker_id, "label": a.label, "seconds": _decimal(a.seconds)} for a in answers],
            "reviewed_at": reviewed_at,
            "label_source": source,
        }
        if consolidated.label is not None:
            values |= {"human_label": consolidated.label, "label_day": reviewed_at[:10]}
        return self._update(
            prediction_id,
            values,
            condition=Attr("prediction_id").exists() & Attr("review_state").ne(ReviewState.REVIEWED.value),
            remove=("open_state",),
        )

    def open_reviews(self, state: ReviewState, *, before: str | None = None) -> Iterator[dict[str, Any]]:
        """Items whose review is ``requested``, ``in_review`` or ``dead_lettered``, oldest first; ``before`` bounds created_at."""
        key = Key("open_state").eq(state.value)
        yield from self._query(OPEN_REVIEWS, key & Key("created_at").lt(before) if before else key)

    def labels_of_day(self, day: str, *, after: str | None = None) -> Iterator[dict[str, Any]]:
        """Items with a human label reviewed on ``day`` (yyyy-mm-dd), after the time stamp ``after``."""
        key = Key("label_day").eq(day)
        yield from self._query(LABELS_BY_DAY, key & Key("reviewed_at").gt(after) if after else key)

    def reviewed_by_model(self, model_version: str, *, after: str) -> Iterator[dict[str, Any]]:
        """Reviewed items that ``model_version`` had answered, reviewed after ``after``."""
        yield from self._query(REVIEWED_BY_MODEL, Key("model_version").eq(model_version) & Key("reviewed_at").gt(after))

    def _query(self, index: str, condition: Any) -> Iterator[dict[str, Any]]:
        arguments: dict[str, Any] = {"IndexName": index, "KeyConditionExpression": condition}
        while True:
            page = self._table.query(**arguments)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _update(self, prediction_id: str, values: Mapping[str, Any], *, condition: Any, remove: tuple[str, ...] = ()) -> bool:
        names = {f"#{key}": key for key in (*values, *remove)}
        expression = "SET " + ", ".join(f"#{key} = :{key}" for key in values)
        if remove:
            expression += " REMOVE " + ", ".join(f"#{key}" for key in remove)
        return self._write(
            lambda: self._table.update_item(
                Key={"prediction_id": prediction_id},
                UpdateExpression=expression,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={f":{key}": value for key, value in values.items()},
                ConditionExpression=condition,
            )
        )

    @staticmethod
    def _write(write: Any) -> bool:
        try:
            write()
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True


def _decimal(value: float) -> Decimal:
    return Decimal(repr(round(float(value), 6)))
