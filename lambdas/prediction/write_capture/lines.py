"""Captured lines made of the prediction table's own records: pure, and in the form of the endpoint's data capture.

Whatever reads captured data (the drift query, the reference of a dataset version) reads both alike.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from contracts.shared_words import VARIANTS
from lambdas.common.predictions import InvalidPrediction, StoredPrediction

_DRAWS = 2**32


@dataclass(frozen=True, order=True)
class CapturedPrediction:
    """One prediction as it is captured. ``at``: when it was answered, UTC."""

    at: datetime
    prediction_id: str
    variant: str
    line: str


def is_sampled(prediction_id: str, percent: int) -> bool:
    """Whether a prediction is among the ``percent`` that are captured: a hash of its id, so every retry decides alike.

    The draw is not that of the review's audit sample: one of them says nothing about the other.
    """
    draw = int.from_bytes(hashlib.sha256(f"capture {prediction_id}".encode()).digest()[:4], "big")
    return draw * 100 < percent * _DRAWS


def captured(stored: StoredPrediction) -> CapturedPrediction:
    """The captured line of one record.

    ``tokens`` and ``oov_tokens`` are left out where the model gave none: the drift check counts such an answer as left out.

    Raises:
        InvalidPrediction: a field is missing, or is not one to capture.
    """
    prediction, at = stored.prediction(), _moment(stored)
    if prediction.variant not in VARIANTS:
        problem = f"{prediction.variant!r} is unknown: allowed are {' and '.join(VARIANTS)}"
        raise InvalidPrediction(stored.prediction_id, "variant", problem)
    for field in ("text", "label", "model_version"):
        if not getattr(prediction, field):
            raise InvalidPrediction(stored.prediction_id, field, "is empty")
    counts = {"tokens": prediction.tokens, "oov_tokens": prediction.oov_tokens}
    answer = {
        "label": prediction.label,
        "confidence": prediction.confidence,
        "model_version": prediction.model_version,
        "review_threshold": prediction.review_threshold,
        **{name: count for name, count in counts.items() if count is not None},
    }
    prediction_id = prediction.prediction_id
    document = {
        "captureData": {"endpointInput": _side("INPUT", {"inputs": prediction.text}), "endpointOutput": _side("OUTPUT", [answer])},
        "eventMetadata": {"eventId": prediction_id, "inferenceId": prediction_id, "inferenceTime": f"{at:%Y-%m-%dT%H:%M:%SZ}"},
        "eventVersion": "0",
    }
    return CapturedPrediction(at, prediction_id, prediction.variant, json.dumps(document, ensure_ascii=False, allow_nan=False))


def objects(predictions: Iterable[CapturedPrediction], endpoint: str) -> dict[str, bytes]:
    """S3 key -> content: one object for each variant and hour, ``capture/<endpoint>/<variant>/yyyy/mm/dd/hh/mm-ss-fff-<digest>.jsonl``.

    The name begins with the time of the first line, as that of the endpoint's capture does, and ends with a digest of the
    predictions inside: the same batch, written again, is the same object.
    """
    folders: dict[str, list[CapturedPrediction]] = defaultdict(list)
    for one in sorted(set(predictions)):
        folders[f"capture/{endpoint}/{one.variant}/{one.at:%Y/%m/%d/%H}"].append(one)
    return {f"{folder}/{_name(inside)}": "".join(f"{one.line}\n" for one in inside).encode() for folder, inside in folders.items()}


def _name(inside: list[CapturedPrediction]) -> str:
    first = inside[0].at
    digest = hashlib.sha256("\n".join(one.prediction_id for one in inside).encode()).hexdigest()[:32]
    return f"{first:%M-%S}-{first.microsecond // 1000:03d}-{digest}.jsonl"


def _side(mode: str, data: Any) -> dict[str, str]:
    return {
        "observedContentType": "application/json",
        "mode": mode,
        "data": json.dumps(data, ensure_ascii=False, allow_nan=False),
        "encoding": "JSON",
    }


def _moment(stored: StoredPrediction) -> datetime:
    try:
        moment = datetime.fromisoformat(stored.created_at)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        problem = f"{stored.created_at!r} must be a time in ISO 8601 with its offset"
        raise InvalidPrediction(stored.prediction_id, "created_at", problem)
    return moment.astimezone(UTC)
