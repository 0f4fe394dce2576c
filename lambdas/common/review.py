"""What is asked of people and what they answer: the types that several processes share (the port is ``lambdas/review/port.py``)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from contracts.text import InvalidText, character_problem, checked_text, parse_json

_PREDICTION_ID = re.compile(r"[a-z0-9](-*[a-z0-9])*")
_REVIEW_ID = re.compile(rf"(?P<prediction_id>{_PREDICTION_ID.pattern})-(?P<attempt>[1-9][0-9]*)")
_LONGEST_PREDICTION_ID = 100  # ours have 32; a review backend may take fewer, and then refuses the request
_LONGEST_SECONDS = 10**9
PREDICTION_ID_FORM = f"1 to {_LONGEST_PREDICTION_ID} lower-case letters, digits and inner hyphens"

DISPUTED = "disputed"
"""``open_state`` of a review that ended without a label: a lead has to settle it."""
PLURALITY, DAWID_SKENE, BY_MODEL_PRIOR, SETTLED = "plurality", "dawid-skene", "model-prior", "settled"
"""How a label was found: by the most votes, by what is known of the workers, by people and the model's answer together, or by a lead."""
MODEL_PRIOR = "model_prior"
"""In a record, and in ``label_basis`` of a dataset row: the model's confidence, where its answer decided with people's how many of them
were asked (``review.answers.adaptive``). Such a label judges no model."""


class ReviewState(StrEnum):
    """The state of a prediction's review. ``WAITING``, ``REQUESTED`` and ``IN_REVIEW`` are open. The others are final, except
    ``DEAD_LETTERED``, which a redrive of the dead-letter queue reopens. ``FORGOTTEN``: `labels forget` has deleted the record, and what is
    left says only that nothing may bring it back.

    Only with ``review.daily_budget``: a text that the model is unsure of is ``WAITING`` until `reconcile` chooses it. If others came first
    for too long, it is ``NOT_CHOSEN``."""

    NOT_REQUIRED = "not_required"
    WAITING = "waiting"
    NOT_CHOSEN = "not_chosen"
    REQUESTED = "requested"
    IN_REVIEW = "in_review"
    REVIEWED = "reviewed"
    DEAD_LETTERED = "dead_lettered"
    FORGOTTEN = "forgotten"


class ReviewReason(StrEnum):
    LOW_CONFIDENCE = "low_confidence"
    AUDIT_SAMPLE = "audit_sample"
    """Drawn at random, although the model was sure."""
    AUDIT_UNSURE = "audit_unsure"
    """Drawn by the same rule, and the model was unsure, so people would be asked anyway. The two together are a random sample of all texts,
    so they may compare models. People are therefore asked without any help of the model."""
    PAIR = "pair"
    """Champion and challenger gave it different labels (``lambdas/prediction/score_pair``). Such texts are no sample of the traffic:
    nothing but the comparison of these two models may be concluded from them."""


class InvalidRequest(ValueError):
    """A message of the review queue is not a review request; the text names the field."""


@dataclass(frozen=True)
class Origin:
    """Which answer a request is about: what the table holds besides the request's own fields.

    It travels with the request, so that a prediction whose record could not be written in the hot path is
    recorded when its review starts. ``created_at`` is ISO 8601 UTC, ``expires_at`` epoch seconds.
    """

    variant: str
    model_version: str
    review_threshold: float
    created_at: str
    expires_at: int
    subject: str | None = None
    tokens: int | None = None
    oov_tokens: int | None = None


@dataclass(frozen=True)
class ReviewRequest:
    """One message of the review queue (JSON object with these keys)."""

    prediction_id: str
    text: str
    predicted_label: str
    confidence: float
    reason: ReviewReason
    attempt: int = 1
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if not is_prediction_id(self.prediction_id):
            raise InvalidRequest(f"prediction_id {self.prediction_id[:200]!r} must have {PREDICTION_ID_FORM}")
        if self.attempt < 1:
            raise InvalidRequest(f"attempt {self.attempt} must be at least 1")
        if not 0 <= self.confidence <= 1:
            raise InvalidRequest(f"confidence {self.confidence} must be within 0..1")
        try:
            checked_text("text", self.text)
        except InvalidText as error:
            raise InvalidRequest(str(error)) from None

    @property
    def review_id(self) -> str:
        """``<prediction_id>-<attempt>``: known before the review starts, and the same on every retry."""
        return f"{self.prediction_id}-{self.attempt}"

    def again(self) -> ReviewRequest:
        """The same question, asked once more under a new review id."""
        return replace(self, attempt=self.attempt + 1)

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, body: str) -> ReviewRequest:
        """Read a queue message.

        Raises:
            InvalidRequest: not a JSON object with these fields.
        """
        try:
            raw = parse_json(body)
            origin = raw.get("origin")
            return cls(
                prediction_id=str(raw["prediction_id"]),
                text=raw["text"],
                predicted_label=str(raw["predicted_label"]),
                confidence=float(raw["confidence"]),
                reason=ReviewReason(raw["reason"]),
                attempt=int(raw.get("attempt", 1)),
                origin=Origin(**origin) if origin else None,
            )
        except KeyError as error:
            raise InvalidRequest(f"the message has no field {error}") from None
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidRequest(f"the message is not a review request: {error}") from None


def is_prediction_id(value: Any) -> bool:
    """Whether a value that came from outside has the form of our ids (:data:`PREDICTION_ID_FORM`)."""
    return isinstance(value, str) and len(value) <= _LONGEST_PREDICTION_ID and _PREDICTION_ID.fullmatch(value) is not None


def parse_review_id(review_id: str) -> tuple[str, int] | None:
    """``<prediction_id>-<attempt>`` -> its parts; None for a review that was not started by this system."""
    match = _REVIEW_ID.fullmatch(review_id)
    return (match["prediction_id"], int(match["attempt"])) if match else None


@dataclass(frozen=True)
class HumanAnswer:
    """One person's answer to one task. ``label`` is None when the page gave no usable answer.

    ``suggestion_shown``: whether the page showed the model's label beside the text. None: the task has no suggestion.
    """

    worker_id: str
    label: str | None
    seconds: float
    suggestion_shown: bool | None = None

    @classmethod
    def given(cls, worker_id: Any, label: Any, seconds: Any = 0.0, suggestion_shown: Any = None) -> HumanAnswer:
        """An answer that a service gave, whatever its fields are. An answer that cannot be read counts, but has no label."""
        return cls(
            worker_id=shown(worker_id) if isinstance(worker_id, str) and worker_id else "unknown",
            label=shown(label) if isinstance(label, str) else None,
            seconds=_seconds(seconds),
            suggestion_shown=suggestion_shown if isinstance(suggestion_shown, bool) else None,
        )


def shown(text: str, *, longest: int = 200) -> str:
    """A text from outside in a form that every store accepts: without characters that are not allowed, and short."""
    return "".join("\ufffd" if character_problem(character) else character for character in text[:longest])


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LONGEST_SECONDS:
        return 0.0
    return float(value)


@dataclass(frozen=True)
class Consolidated:
    """All answers of one review as one label. ``label`` is None when undecided, and ``reason`` says why.

    ``plurality`` is the label with the most votes, whatever the ``method``. ``certainty`` is the probability of the label, where the
    method has one. ``model_prior`` is :data:`MODEL_PRIOR`, also where the votes alone decide in the end.
    """

    label: str | None
    votes: Mapping[str, int]
    agreement: float
    reason: str
    method: str = PLURALITY
    plurality: str | None = None
    certainty: float | None = None
    model_prior: float | None = None

    @property
    def basis(self) -> dict[str, Any]:
        """How the label was found, for the record and for the dataset row: ``{"method", "plurality", "certainty"?}``."""
        if self.method == PLURALITY:
            return {"method": self.method, "plurality": self.label}
        return {"method": self.method, "plurality": self.plurality, **({} if self.certainty is None else {"certainty": self.certainty})}
