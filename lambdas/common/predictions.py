"""The records of the prediction table as types, and the conversions between record, prediction and review request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from decimal import Decimal
from typing import Any, TypeVar

from lambdas.common.review import Consolidated, HumanAnswer, Origin, ReviewReason, ReviewRequest, ReviewState

T = TypeVar("T")

BY_SUBJECT = "subject"
"""``assigned_by`` of a prediction whose variant was chosen by the hash of its subject."""


@dataclass(frozen=True)
class Prediction:
    """One answered prediction. Times are ISO 8601 UTC; ``expires_at`` is epoch seconds; ``tokens`` and ``oov_tokens`` count words.

    ``review_threshold`` is the threshold that the confidence was compared with: the model's own, or the one of the settings.
    ``experiment`` is the id of the experiment that it belongs to. ``assigned_by`` is :data:`BY_SUBJECT` where the hash of the subject
    chose the variant, and None where the endpoint's weights did.
    """

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
    tokens: int | None = None
    oov_tokens: int | None = None
    experiment: str | None = None
    assigned_by: str | None = None

    def item(self) -> dict[str, Any]:
        """The item of the table, with numbers as Decimal and without the fields that are None."""
        item: dict[str, Any] = {key: value for key, value in vars(self).items() if value is not None}
        item["confidence"] = decimal(self.confidence)
        item["review_threshold"] = decimal(self.review_threshold)
        item["review_state"] = self.review_state.value
        if self.review_state in (ReviewState.REQUESTED, ReviewState.WAITING):
            item["open_state"] = self.review_state.value
        return item

    def review_request(self) -> ReviewRequest:
        """The question to people about this prediction, at its attempt; it carries all that the record holds.

        A prediction that the review policy did not choose has no reason. When an operator asks about it, it counts as unsure.

        Raises:
            ValueError: ``review_reason`` is none of :class:`ReviewReason`, or the text has a character that is not allowed.
        """
        return ReviewRequest(
            prediction_id=self.prediction_id,
            text=self.text,
            predicted_label=self.label,
            confidence=self.confidence,
            reason=ReviewReason(self.review_reason or ReviewReason.LOW_CONFIDENCE),
            attempt=self.attempt,
            origin=Origin(
                variant=self.variant,
                model_version=self.model_version,
                review_threshold=self.review_threshold,
                created_at=self.created_at,
                expires_at=self.expires_at,
                subject=self.subject,
                tokens=self.tokens,
                oov_tokens=self.oov_tokens,
            ),
        )

    @classmethod
    def of_request(cls, request: ReviewRequest) -> Prediction | None:
        """The prediction that a request is about, as far as the request carries it; None without an origin."""
        origin = request.origin
        if origin is None:
            return None
        return cls(
            prediction_id=request.prediction_id,
            text=request.text,
            label=request.predicted_label,
            confidence=request.confidence,
            review_threshold=origin.review_threshold,
            variant=origin.variant,
            model_version=origin.model_version,
            created_at=origin.created_at,
            expires_at=origin.expires_at,
            review_state=ReviewState.REQUESTED,
            review_reason=request.reason.value,
            subject=origin.subject,
            tokens=origin.tokens,
            oov_tokens=origin.oov_tokens,
            attempt=request.attempt,
        )


class InvalidPrediction(ValueError):
    """A record of the table cannot be used. The text names the prediction, the field and what is wrong with it."""

    def __init__(self, prediction_id: Any, field: str, problem: str) -> None:
        super().__init__(f"prediction {prediction_id}: {field} {problem}")
        self.prediction_id, self.field, self.problem = str(prediction_id), field, problem


@dataclass(frozen=True)
class StoredPrediction:
    """One record of the table, as the functions read it. A field is None where the record does not have it.

    A text that people labelled in bulk has a record too, and no model answered it: it has no ``label``, ``confidence``,
    ``review_threshold``, ``variant`` and ``model_version``. The fields from ``review_outcome`` on come with the end of a review.
    A record that was forgotten has an empty ``text``, and nothing that a model or a person said.
    """

    prediction_id: str
    text: str
    created_at: str
    expires_at: int
    review_state: ReviewState
    attempt: int
    subject: str | None = None
    label: str | None = None
    confidence: float | None = None
    review_threshold: float | None = None
    variant: str | None = None
    model_version: str | None = None
    tokens: int | None = None
    oov_tokens: int | None = None
    experiment: str | None = None
    assigned_by: str | None = None
    review_reason: str | None = None
    chosen_at: str | None = None
    review_id: str | None = None
    asked_at: str | None = None
    review_outcome: str | None = None
    human_label: str | None = None
    votes: Mapping[str, int] | None = None
    agreement: float | None = None
    reviewed_at: str | None = None
    label_source: str | None = None
    label_basis: Mapping[str, Any] | None = None
    model_prior: float | None = None
    answers: tuple[HumanAnswer, ...] | None = None

    @classmethod
    def parse(cls, item: Mapping[str, Any]) -> StoredPrediction:
        """An item of the table, whose numbers are Decimal.

        Raises:
            InvalidPrediction: a field is missing or has another form.
        """
        values: dict[str, Any] = {}
        if item.get("review_state") == ReviewState.FORGOTTEN:
            item = {"text": "", **item}
        for field in fields(cls):
            value = item.get(field.name)
            if value is not None:
                values[field.name] = _read(item, field.name, _READ.get(field.name, _text))
            elif field.default is MISSING:
                raise InvalidPrediction(item.get("prediction_id"), field.name, "is missing")
        return cls(**values)

    def prediction(self) -> Prediction:
        """What the model answered, with the record's attempt and state.

        Raises:
            InvalidPrediction: the record has no answer of a model; the text names the first field that is missing.
        """
        return Prediction(
            prediction_id=self.prediction_id,
            text=self.text,
            label=self.given("label", self.label),
            confidence=self.given("confidence", self.confidence),
            review_threshold=self.given("review_threshold", self.review_threshold),
            variant=self.given("variant", self.variant),
            model_version=self.given("model_version", self.model_version),
            created_at=self.created_at,
            expires_at=self.expires_at,
            review_state=self.review_state,
            review_reason=self.review_reason,
            subject=self.subject,
            attempt=self.attempt,
            tokens=self.tokens,
            oov_tokens=self.oov_tokens,
            experiment=self.experiment,
            assigned_by=self.assigned_by,
        )

    def given(self, field: str, value: T | None) -> T:
        """``value``, which is that of ``field``.

        Raises:
            InvalidPrediction: it is None.
        """
        if value is None:
            raise InvalidPrediction(self.prediction_id, field, "is missing")
        return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


def _votes(value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise ValueError("must be an object of label and count")
    return {_text(label): int(count) for label, count in value.items()}


def _basis(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("must be an object")
    return {_text(name): float(one) if isinstance(one, Decimal) else one for name, one in value.items()}


def _answers(value: Any) -> tuple[HumanAnswer, ...]:
    if not isinstance(value, list):
        raise ValueError("must be a list")
    given = (answer if isinstance(answer, Mapping) else {} for answer in value)
    return tuple(
        HumanAnswer.given(one.get("worker_id"), one.get("label"), float(one.get("seconds", 0)), one.get("suggestion_shown"))
        for one in given
    )


_READ: Mapping[str, Callable[[Any], Any]] = {
    "expires_at": int,
    "attempt": int,
    "tokens": int,
    "oov_tokens": int,
    "confidence": float,
    "review_threshold": float,
    "agreement": float,
    "model_prior": float,
    "review_state": ReviewState,
    "votes": _votes,
    "label_basis": _basis,
    "answers": _answers,
}
"""How each field is read; the others are texts."""


def _read(item: Mapping[str, Any], field: str, read: Callable[[Any], T]) -> T:
    try:
        return read(item[field])
    except (ArithmeticError, TypeError, ValueError) as error:
        raise InvalidPrediction(item.get("prediction_id"), field, f"{item[field]!r}: {error}") from None


@dataclass(frozen=True)
class Forgotten:
    """Somebody was forgotten ``at`` this time (ISO 8601 UTC); ``expires_at`` is epoch seconds. What came later is theirs again."""

    at: str
    expires_at: int

    def covers(self, created_at: str) -> bool:
        return created_at <= self.at


@dataclass(frozen=True)
class ImportedLabel:
    """A text that people labelled in bulk, without a prediction."""

    prediction_id: str
    text: str
    consolidated: Consolidated
    answers: tuple[HumanAnswer, ...]
    reviewed_at: str
    source: str
    expires_at: int
    subject: str | None = None


def decimal(value: float) -> Decimal:
    """The number in the form that the table accepts (Decimal), with six digits after the point."""
    return Decimal(repr(round(float(value), 6)))
