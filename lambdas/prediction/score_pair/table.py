"""How pairs are written: one transaction for each prediction, which its mark ``done#<prediction id>`` makes happen once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from lambdas.common.pairs import Missed, asked_key, differ_key, done_key, missed_key, slot_key
from lambdas.common.prediction_store import PredictionStore
from lambdas.common.predictions import BY_SUBJECT, decimal
from lambdas.common.review import ReviewReason
from lambdas.prediction.score_pair.scoring import Outcome, Pair, StateChanged

_TRIES = 5
_FAILED, _CONFLICT, _FINE = "ConditionalCheckFailed", "TransactionConflict", "None"
"""Reasons of a cancelled transaction (DynamoDB API reference, TransactWriteItems)."""


class PairTable:
    """Writes the table of pairs (``lambdas/common/pairs.py`` reads it).

    Args:
        table: boto3 Table resource.
        predictions: where a review is requested, in the same transaction.
        pause: waits so many seconds between two tries of a transaction that met another one.
    """

    def __init__(self, table: Any, predictions: PredictionStore, pause: Callable[[float], None] = time.sleep) -> None:
        self._table, self._predictions, self._pause = table, predictions, pause

    def outcome(self, experiment_id: str, prediction_id: str) -> str | None:
        """What became of a prediction that is dealt with, else None."""
        item = self._item(experiment_id, done_key(prediction_id))
        return None if item is None else str(item["outcome"])

    def asked_on(self, experiment_id: str, day: str) -> int:
        """Reviews that pairs have asked for on a UTC day."""
        item = self._item(experiment_id, asked_key(day))
        return 0 if item is None else int(item["reviews"])

    def write(self, pair: Pair) -> bool:
        """Write a pair with its counts; False when the prediction was dealt with before.

        Raises:
            StateChanged: people were to be asked, and the prediction's review is no longer ``not_required`` or ``waiting``.
            ClientError: what may pass.
        """
        prediction, name = pair.prediction, pair.experiment_id
        expires_at, agreed = prediction.expires_at, pair.outcome is Outcome.AGREED
        calls = f"calls_{prediction.variant}" + ("_by_subject" if prediction.assigned_by == BY_SUBJECT else "")
        writes = [
            self._done(name, prediction.prediction_id, pair.outcome.value, expires_at),
            self._add(name, slot_key(prediction.created_at), {"pairs": int(agreed), calls: 1}, expires_at),
        ]
        if not agreed:
            writes.append(self._put(_differing(pair)))
        if pair.ask:
            writes += [
                self._add(name, asked_key(pair.day), {"reviews": 1}, expires_at),
                self._predictions.request_review(prediction.prediction_id, ReviewReason.PAIR),
            ]
        return self._transact(writes)

    def miss(self, experiment_id: str, prediction_id: str, why: Missed, expires_at: int) -> bool:
        """Count a prediction that is not paired; False when it was dealt with before."""
        return self._transact(
            [
                self._done(experiment_id, prediction_id, why.value, expires_at),
                self._add(experiment_id, missed_key(why), {"predictions": 1}, expires_at),
            ]
        )

    def _item(self, experiment_id: str, at: str) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self._table.get_item(Key={"experiment": experiment_id, "at": at}, ConsistentRead=True).get("Item")
        return found

    def _done(self, experiment_id: str, prediction_id: str, outcome: str, expires_at: int) -> dict[str, Any]:
        item = {"experiment": experiment_id, "at": done_key(prediction_id), "outcome": outcome, "expires_at": expires_at}
        put = self._put(item)
        put["Put"]["ConditionExpression"] = "attribute_not_exists(outcome)"
        return put

    def _put(self, item: Mapping[str, Any]) -> dict[str, Any]:
        return {"Put": {"TableName": self._table.name, "Item": dict(item)}}

    def _add(self, experiment_id: str, at: str, counts: Mapping[str, int], expires_at: int) -> dict[str, Any]:
        """Counts expire with the last prediction that was counted."""
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": {"experiment": experiment_id, "at": at},
                "UpdateExpression": "SET expires_at = :expires_at ADD " + ", ".join(f"{name} :{name}" for name in counts),
                "ExpressionAttributeValues": {":expires_at": expires_at, **{f":{name}": count for name, count in counts.items()}},
            }
        }

    def _transact(self, writes: Sequence[Mapping[str, Any]]) -> bool:
        """Raises StateChanged, ClientError. The first of ``writes`` is the mark; no other but the prediction's own has a condition."""
        client = self._table.meta.client
        for attempt in range(_TRIES):
            try:
                client.transact_write_items(TransactItems=writes)
            except ClientError as error:
                codes = [one["Code"] for one in error.response.get("CancellationReasons", ())]
                if codes and codes[0] == _FAILED:
                    return False
                if _FAILED in codes:
                    raise StateChanged(f"the review of {writes[0]['Put']['Item']['at']} moved on") from None
                if set(codes) - {_FINE} != {_CONFLICT} or attempt == _TRIES - 1:
                    raise
                self._pause(0.05 * 2**attempt * random.random())  # noqa: S311  (spreads tries, no secret)
            else:
                return True
        raise AssertionError("the last try returns or raises")


def _differing(pair: Pair) -> dict[str, Any]:
    prediction = pair.prediction
    return {
        "experiment": pair.experiment_id,
        "at": differ_key(prediction.created_at, prediction.prediction_id),
        "variant": prediction.variant,
        "champion_label": pair.champion.label,
        "challenger_label": pair.challenger.label,
        "champion_confidence": decimal(pair.champion.confidence),
        "challenger_confidence": decimal(pair.challenger.confidence),
        "expires_at": prediction.expires_at,
    }
