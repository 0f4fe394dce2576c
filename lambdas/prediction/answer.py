"""What the model answered, checked: pure. A model that answers in another form is a failed prediction, never a broken record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class InvalidAnswer(ValueError):
    """The answer is not of the form in docs/contracts.md ("Inference"); the text names the field and its value."""


@dataclass(frozen=True)
class ModelAnswer:
    """One text's answer. ``confidence``, ``review_threshold`` and every probability lie within 0..1.

    ``label_name`` is what people see of the label: the label itself where the model has no name for it.
    ``tokens`` and ``oov_tokens`` are for the drift check alone: None where the model gave no counts, which fails no prediction.
    ``truncated``: the model did not read all of the text; None where it does not say.
    """

    label: str
    confidence: float
    probabilities: Mapping[str, float]
    model_version: str
    review_threshold: float
    label_name: str
    tokens: int | None = None
    oov_tokens: int | None = None
    truncated: bool | None = None

    @classmethod
    def parse(cls, body: bytes) -> ModelAnswer:
        """The answer to one text: a JSON list with one object.

        Raises:
            InvalidAnswer: naming what is missing or out of bounds; other fields are ignored.
        """
        try:
            document = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise InvalidAnswer(f"the answer is not JSON ({type(error).__name__}): {body[:80]!r}") from None
        if not isinstance(document, list) or len(document) != 1 or not isinstance(document[0], dict):
            raise InvalidAnswer(f"the answer must be a list of one object: {body[:80]!r}")
        (raw,) = document
        probabilities = raw.get("probabilities")
        if not isinstance(probabilities, dict) or not probabilities:
            raise InvalidAnswer(f"probabilities {probabilities!r} must be an object of label and number")
        return cls(
            label=_text(raw, "label"),
            label_name=_text({"label_name": raw.get("label"), **raw}, "label_name"),
            confidence=_share("confidence", raw.get("confidence")),
            probabilities={label: _share(f"probabilities.{label}", value) for label, value in probabilities.items()},
            model_version=_text(raw, "model_version"),
            review_threshold=_share("review_threshold", raw.get("review_threshold")),
            tokens=_count(raw.get("tokens")),
            oov_tokens=_count(raw.get("oov_tokens")),
            truncated=raw["truncated"] if isinstance(raw.get("truncated"), bool) else None,
        )


def _text(raw: Mapping[str, Any], field: str) -> str:
    value = raw.get(field)
    if not isinstance(value, str) or not value:
        raise InvalidAnswer(f"{field} {value!r} must be a text")
    return value


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None


def _share(field: str, value: Any) -> float:
    """Refuses NaN too, which json reads and DynamoDB does not take."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidAnswer(f"{field} {value!r} must be a number within 0..1")
    return float(value)
