"""The prediction table: one item per prediction, and the only transitions that its review may take.

Every write is conditional, so events that arrive twice or out of order change nothing (see docs/contracts.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from contracts.amendments import group_digest
from contracts.groups import group_of
from contracts.shared_words import LABELS_BY_DAY, OPEN_REVIEWS
from lambdas.common.batch_get import batch_get
from lambdas.common.predictions import Forgotten, ImportedLabel, Prediction, StoredPrediction, decimal
from lambdas.common.review import DISPUTED, MODEL_PRIOR, SETTLED, Consolidated, HumanAnswer, ReviewReason, ReviewState


class PredictionStore:
    """DynamoDB implementation; ``table`` is a boto3 Table resource.

    ``guidelines``: version of the worker page, with its instructions, that people answer on now. Labels are stored with it.
    """

    def __init__(self, table: Any, guidelines: str = "") -> None:
        self._table, self._guidelines = table, guidelines

    def put(self, prediction: Prediction) -> bool:
        """Store a new prediction; False when it is already there (a retry)."""
        item = prediction.item()
        return self._write(lambda: self._table.put_item(Item=item, ConditionExpression=Attr("prediction_id").not_exists()))

    def get(self, prediction_id: str) -> StoredPrediction | None:
        """The record, or None.

        Raises:
            InvalidPrediction: a field of the record is missing or cannot be read. The methods below raise it too.
        """
        item = self._table.get_item(Key={"prediction_id": prediction_id}, ConsistentRead=True).get("Item")
        return None if item is None else StoredPrediction.parse(item)

    def subjects(self, prediction_ids: Collection[str]) -> dict[str, str | None]:
        """The subject of each prediction whose record is there with its text; None where its caller named nobody."""
        found = batch_get(
            self._table,
            [{"prediction_id": prediction_id} for prediction_id in sorted(prediction_ids)],
            ConsistentRead=False,
            ProjectionExpression="prediction_id, #subject, #text",
            ExpressionAttributeNames={"#subject": "subject", "#text": "text"},
        )
        return {item["prediction_id"]: item.get("subject") for item in found if item.get("text")}

    def request_review(self, prediction_id: str, reason: ReviewReason) -> dict[str, Any]:
        """The write not_required | waiting -> requested as a part of a transaction, which fails in any other state."""
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": {"prediction_id": prediction_id},
                "UpdateExpression": "SET review_state = :requested, open_state = :requested, review_reason = :reason",
                "ConditionExpression": "review_state IN (:not_required, :waiting)",
                "ExpressionAttributeValues": {
                    ":requested": ReviewState.REQUESTED.value,
                    ":not_required": ReviewState.NOT_REQUIRED.value,
                    ":waiting": ReviewState.WAITING.value,
                    ":reason": reason.value,
                },
            }
        }

    def mark_in_review(self, prediction_id: str, review_id: str, attempt: int, *, asked_at: str) -> bool:
        """Any open state -> in_review, for this or a newer attempt; False when a result (or a later attempt) was quicker.

        ``not_required`` and ``not_chosen`` count as open here: an operator may ask people about any prediction.
        """
        waiting = [
            ReviewState.REQUESTED.value,
            ReviewState.DEAD_LETTERED.value,
            ReviewState.NOT_REQUIRED.value,
            ReviewState.WAITING.value,
            ReviewState.NOT_CHOSEN.value,
        ]
        return self._update(
            prediction_id,
            {
                "review_state": ReviewState.IN_REVIEW.value,
                "open_state": ReviewState.IN_REVIEW.value,
                "review_id": review_id,
                "attempt": attempt,
                "asked_at": asked_at,
            },
            condition=(Attr("review_state").is_in(waiting) & Attr("attempt").lte(attempt))
            | (Attr("review_state").eq(ReviewState.IN_REVIEW.value) & Attr("attempt").lt(attempt)),
            remove=("review_outcome",),
        )

    def mark_waiting(self, prediction_id: str) -> bool:
        """requested -> waiting for a place in the daily budget; False when anything else has happened since."""
        state = ReviewState.WAITING.value
        return self._update(
            prediction_id,
            {"review_state": state, "open_state": state},
            condition=Attr("review_state").eq(ReviewState.REQUESTED.value)
            & Attr("review_reason").eq(ReviewReason.LOW_CONFIDENCE.value)
            & Attr("chosen_at").not_exists(),
        )

    def mark_chosen(self, prediction_id: str, *, chosen_at: str) -> bool:
        """waiting -> requested, once; False when it waits no more. ``chosen_at`` is ISO 8601 UTC."""
        state = ReviewState.REQUESTED.value
        return self._update(
            prediction_id,
            {"review_state": state, "open_state": state, "chosen_at": chosen_at},
            condition=Attr("review_state").eq(ReviewState.WAITING.value),
        )

    def mark_not_chosen(self, prediction_id: str, reason: str) -> bool:
        """waiting -> not_chosen, with the reason; False when it waits no more."""
        return self._update(
            prediction_id,
            {"review_state": ReviewState.NOT_CHOSEN.value, "review_outcome": reason},
            condition=Attr("review_state").eq(ReviewState.WAITING.value),
            remove=("open_state",),
        )

    def mark_dead_lettered(self, prediction_id: str, attempt: int, reason: str, *, next_attempt: int) -> bool:
        """requested | in_review, of this attempt or an older one -> dead_lettered, with the reason; False when already
        final or retried since.

        ``next_attempt`` is the attempt of the request that lies in the dead-letter queue; recording it here makes a late
        event about ``attempt`` harmless.
        """
        return self._update(
            prediction_id,
            {
                "review_state": ReviewState.DEAD_LETTERED.value,
                "open_state": ReviewState.DEAD_LETTERED.value,
                "review_outcome": reason,
                "attempt": next_attempt,
            },
            condition=Attr("review_state").is_in([ReviewState.REQUESTED.value, ReviewState.IN_REVIEW.value]) & Attr("attempt").lte(attempt),
        )

    def store_label(
        self, prediction_id: str, consolidated: Consolidated, answers: Sequence[HumanAnswer], *, reviewed_at: str, source: str
    ) -> bool:
        """Any other state -> reviewed, once; an undecided review has no ``human_label``, and is disputed. False when already reviewed."""
        disputed, final = consolidated.label is None, [ReviewState.REVIEWED.value, ReviewState.FORGOTTEN.value]
        return self._update(
            prediction_id,
            self._label_attributes(consolidated, answers, reviewed_at, source) | ({"open_state": DISPUTED} if disputed else {}),
            condition=Attr("prediction_id").exists() & ~Attr("review_state").is_in(final),
            remove=() if disputed else ("open_state",),
        )

    def disputed(self) -> Iterator[StoredPrediction]:
        """Reviews that ended without a label and wait for a lead, the oldest prediction first."""
        yield from self._query(OPEN_REVIEWS, Key("open_state").eq(DISPUTED))

    def settle(self, prediction_id: str, label: str, *, settled_by: str, settled_at: str) -> bool:
        """A disputed review gets the label that a lead decided on. False when it is not disputed (any more).

        ``settled_at`` is the new ``reviewed_at``: readers of new labels keep a watermark. The answers and votes stay as they are.
        """
        return self._update(
            prediction_id,
            {
                "human_label": label,
                "label_day": settled_at[:10],
                "reviewed_at": settled_at,
                "review_outcome": f"settled by {settled_by}",
                "label_basis": {"method": SETTLED, "plurality": None, "settled_by": settled_by},
            },
            condition=Attr("open_state").eq(DISPUTED),
            remove=("open_state",),
        )

    def put_label(self, imported: ImportedLabel) -> bool:
        """Store a text that people labelled and no prediction is behind; False when this text already has its record.

        Without a label it is disputed; a label of a later job takes the place of such a record.
        """
        label, condition = imported.consolidated.label, Attr("prediction_id").not_exists()
        item = {
            "prediction_id": imported.prediction_id,
            "text": imported.text,
            "created_at": imported.reviewed_at,
            "expires_at": imported.expires_at,
            "attempt": 1,
            **({} if imported.subject is None else {"subject": imported.subject}),
            **self._label_attributes(imported.consolidated, imported.answers, imported.reviewed_at, imported.source),
            **({"open_state": DISPUTED} if label is None else {}),
        }
        free = condition if label is None else condition | Attr("open_state").eq(DISPUTED)
        return self._write(lambda: self._table.put_item(Item=item, ConditionExpression=free))

    def forget(self, prediction_id: str, forgotten: Forgotten) -> None:
        """Whatever the record is -> forgotten: its id, the time and nothing else. No other method changes it, so nothing brings it back."""
        self._table.put_item(Item=_forgotten_item(prediction_id, forgotten))

    def forget_subject(self, subject: str, forgotten: Forgotten) -> None:
        """Remember by a digest that somebody was forgotten, for what comes late and has no record: a message, or a bulk label."""
        self._table.put_item(Item=_forgotten_item(_subject_key(subject), forgotten))

    def forgotten(self, subject: str) -> Forgotten | None:
        """When somebody was forgotten last."""
        item = self._table.get_item(Key={"prediction_id": _subject_key(subject)}, ConsistentRead=True).get("Item")
        return None if item is None else Forgotten(item["created_at"], int(item["expires_at"]))

    def forgotten_among(self, subjects: Collection[str]) -> set[str]:
        """Those that were forgotten, whenever that was."""
        keys: dict[str, list[str]] = {}
        for subject in subjects:
            keys.setdefault(_subject_key(subject), []).append(subject)
        found = batch_get(self._table, [{"prediction_id": key} for key in sorted(keys)], ProjectionExpression="prediction_id")
        return {subject for item in found for subject in keys[item["prediction_id"]]}

    def open_reviews(self, state: ReviewState, *, newest_first: bool = False) -> Iterator[StoredPrediction]:
        """Records whose review is ``waiting``, ``requested``, ``in_review`` or ``dead_lettered``, the oldest prediction first."""
        yield from self._query(OPEN_REVIEWS, Key("open_state").eq(state.value), newest_first=newest_first)

    def labels_of_day(self, day: str, *, after: str | None = None, newest_first: bool = False) -> Iterator[StoredPrediction]:
        """Records with a human label reviewed on ``day`` (yyyy-mm-dd), after the time stamp ``after``; the oldest of the day first."""
        key = Key("label_day").eq(day)
        yield from self._query(LABELS_BY_DAY, key & Key("reviewed_at").gt(after) if after else key, newest_first=newest_first)

    def _query(self, index: str, condition: Any, *, newest_first: bool = False) -> Iterator[StoredPrediction]:
        arguments: dict[str, Any] = {"IndexName": index, "KeyConditionExpression": condition, "ScanIndexForward": not newest_first}
        while True:
            page = self._table.query(**arguments)
            yield from map(StoredPrediction.parse, page["Items"])
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

    def _label_attributes(
        self, consolidated: Consolidated, answers: Sequence[HumanAnswer], reviewed_at: str, source: str
    ) -> dict[str, Any]:
        basis = {**consolidated.basis, **({"guidelines": self._guidelines} if self._guidelines else {})}
        values: dict[str, Any] = {
            "review_state": ReviewState.REVIEWED.value,
            "review_outcome": consolidated.reason,
            "votes": dict(consolidated.votes),
            "agreement": decimal(consolidated.agreement),
            "answers": [_answer_item(answer) for answer in answers],
            "reviewed_at": reviewed_at,
            "label_source": source,
            "label_basis": {name: decimal(value) if isinstance(value, float) else value for name, value in basis.items()},
        }
        if consolidated.model_prior is not None:
            values[MODEL_PRIOR] = decimal(consolidated.model_prior)
        if consolidated.label is not None:
            values |= {"human_label": consolidated.label, "label_day": reviewed_at[:10]}
        return values

    @staticmethod
    def _write(write: Any) -> bool:
        try:
            write()
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True


def _forgotten_item(key: str, forgotten: Forgotten) -> dict[str, Any]:
    state = ReviewState.FORGOTTEN.value
    return {"prediction_id": key, "review_state": state, "created_at": forgotten.at, "expires_at": forgotten.expires_at, "attempt": 1}


def _subject_key(subject: str) -> str:
    """No prediction's id has a colon."""
    return f"subject:{group_digest(group_of('', subject))}"


def _answer_item(answer: HumanAnswer) -> dict[str, Any]:
    shown = {} if answer.suggestion_shown is None else {"suggestion_shown": answer.suggestion_shown}
    return {"worker_id": answer.worker_id, "label": answer.label, "seconds": decimal(answer.seconds), **shown}
