"""Captured lines made of the prediction table's own records: pure, and in the form of the endpoint's data capture.

Whatever reads captured data (the drift query, the reference of a dataset version) reads both alike.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from contracts.names import VARIANTS

_DRAWS = 2**32


class UnusableRecord(ValueError):
    """The record makes no captured line; the text names the field, its value and what is allowed."""


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


def captured(item: Mapping[str, Any]) -> CapturedPrediction:
    """The captured line of one item of the prediction table, whose numbers are Decimal.

    ``tokens`` and ``oov_tokens`` are left out where the model gave none: the drift check counts such an answer as left out.

    Raises:
        UnusableRecord: a field is missing or of another form.
    """
    prediction_id, text = _text(item, "prediction_id"), _text(item, "text")
    variant = _text(item, "variant")
    if variant not in VARIANTS:
        raise UnusableRecord(f"variant {variant!r} is unknown: allowed are {' and '.join(VARIANTS)}")
    at = _moment(_text(item, "created_at"))
    answer = {
        "label": _text(item, "label"),
        "confidence": _number(item, "confidence"),
        "model_version": _text(item, "model_version"),
        "review_threshold": _number(item, "review_threshold"),
        **{name: int(_number(item, name)) for name in ("tokens", "oov_tokens") if item.get(name) is not None},
    }
    document = {
        "captureData": {"endpointInput": _side("INPUT", {"inputs": text}), "endpointOutput": _side("OUTPUT", [answer])},
        "eventMetadata": {"eventId": prediction_id, "inferenceId": prediction_id, "inferenceTime": f"{at:%Y-%m-%dT%H:%M:%SZ}"},
        "eventVersion": "0",
    }
    return CapturedPrediction(at, prediction_id, variant, json.dumps(document, ensure_ascii=False, allow_nan=False))


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


def _text(item: Mapping[str, Any], field: str) -> str:
    value = item.get(field)
    if not isinstance(value, str) or not value:
        raise UnusableRecord(f"{field} {value!r} must be a text that is not empty")
    return value


def _number(item: Mapping[str, Any], field: str) -> float:
    try:
        return float(item[field])
    except (KeyError, TypeError, ValueError):
        raise UnusableRecord(f"{field} {item.get(field)!r} must be a number") from None


def _moment(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise UnusableRecord(f"created_at {value!r} must be a time in ISO 8601 with its offset")
    return moment.astimezone(UTC)
