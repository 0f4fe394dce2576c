"""What the review functions meet at their ports, in memory: the prediction table's rules and a way to start reviews."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from lambdas.common.labels import Labels
from lambdas.common.predictions import Forgotten, ImportedLabel, Prediction, StoredPrediction
from lambdas.common.review import DISPUTED, Consolidated, HumanAnswer, ReviewReason, ReviewRequest, ReviewState

PREDICTION_ID = "0123456789abcdef0123456789abcdef"
LABELS = ("negative", "neutral", "positive")
CHOICES = Labels.of(LABELS)
NAMED = Labels.of(LABELS, {"positive": "Sehr gut!", "negative": "悪い"})
"""The same labels, two of which people see by another name."""
CONTEXT = SimpleNamespace(
    function_name="f",
    memory_limit_in_mb=128,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:f",
    aws_request_id="1",
)
"""Of a function's call."""


def prediction(state: ReviewState = ReviewState.REQUESTED, attempt: int = 1) -> Prediction:
    return Prediction(
        prediction_id=PREDICTION_ID,
        text="Not bad at all",
        label="negative",
        confidence=0.41,
        review_threshold=0.62,
        variant="champion",
        model_version="tuning-1",
        created_at="2026-11-23T10:00:00+00:00",
        expires_at=1_900_000_000,
        review_state=state,
        review_reason=ReviewReason.LOW_CONFIDENCE.value,
        attempt=attempt,
    )


@dataclass
class FakeStore:
    """The transitions that ``PredictionStore`` promises (``tests/app/test_prediction_store.py`` holds it to them)."""

    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: int = 0
    subjects: dict[str, Forgotten] = field(default_factory=dict)
    """Those that were forgotten."""

    @classmethod
    def holding(cls, *predictions: Prediction, **changes: Any) -> FakeStore:
        store = cls()
        for one in predictions:
            store.put(one)
            store.items[one.prediction_id].update(changes)
        return store

    def get(self, prediction_id: str) -> StoredPrediction | None:
        item = self.items.get(prediction_id)
        return StoredPrediction.parse(item) if item else None

    def put(self, one: Prediction) -> bool:
        if one.prediction_id in self.items:
            return False
        self.items[one.prediction_id] = one.item()
        return True

    def put_label(self, imported: ImportedLabel) -> bool:
        disputed = self.items.get(imported.prediction_id, {}).get("open_state") == DISPUTED
        if imported.prediction_id in self.items and (imported.consolidated.label is None or not disputed):
            return False
        names = ("prediction_id", "text", "expires_at")
        self.items[imported.prediction_id] = {name: getattr(imported, name) for name in names}
        self.items[imported.prediction_id].update(attempt=1, created_at=imported.reviewed_at)
        if imported.subject is not None:
            self.items[imported.prediction_id]["subject"] = imported.subject
        return self._label(imported.prediction_id, imported.consolidated, imported.answers, imported.reviewed_at, imported.source)

    def mark_in_review(self, prediction_id: str, review_id: str, attempt: int, *, asked_at: str) -> bool:
        item = self.items.get(prediction_id, {})
        state, recorded = item.get("review_state"), item.get("attempt", 0)
        waiting = state in ("requested", "dead_lettered", "not_required", "waiting", "not_chosen") and recorded <= attempt
        if not (waiting or (state == "in_review" and recorded < attempt)):
            return False
        item.update(review_state="in_review", review_id=review_id, attempt=attempt, asked_at=asked_at)
        return True

    def mark_waiting(self, prediction_id: str) -> bool:
        item = self.items.get(prediction_id, {})
        if (item.get("review_state"), item.get("review_reason")) != ("requested", "low_confidence") or "chosen_at" in item:
            return False
        item.update(review_state="waiting", open_state="waiting")
        return True

    def mark_chosen(self, prediction_id: str, *, chosen_at: str) -> bool:
        item = self.items.get(prediction_id, {})
        if item.get("review_state") != "waiting":
            return False
        item.update(review_state="requested", open_state="requested", chosen_at=chosen_at)
        return True

    def mark_not_chosen(self, prediction_id: str, reason: str) -> bool:
        item = self.items.get(prediction_id, {})
        if item.get("review_state") != "waiting":
            return False
        item.update(review_state="not_chosen", review_outcome=reason)
        item.pop("open_state", None)
        return True

    def mark_dead_lettered(self, prediction_id: str, attempt: int, reason: str, *, next_attempt: int) -> bool:
        item = self.items.get(prediction_id, {})
        if item.get("review_state") not in ("requested", "in_review") or item["attempt"] > attempt:
            return False
        item.update(review_state="dead_lettered", review_outcome=reason, attempt=next_attempt)
        return True

    def store_label(
        self, prediction_id: str, consolidated: Consolidated, answers: Sequence[HumanAnswer], *, reviewed_at: str, source: str
    ) -> bool:
        if self.items.get(prediction_id, {"review_state": "reviewed"})["review_state"] in ("reviewed", "forgotten"):
            return False
        return self._label(prediction_id, consolidated, answers, reviewed_at, source)

    def _label(self, prediction_id: str, consolidated: Consolidated, answers: Sequence[HumanAnswer], reviewed_at: str, source: str) -> bool:
        self.writes += 1
        self.items[prediction_id].update(
            review_state="reviewed",
            human_label=consolidated.label,
            votes=dict(consolidated.votes),
            agreement=consolidated.agreement,
            answers=[vars(answer) for answer in answers],
            label_basis=consolidated.basis,
            model_prior=consolidated.model_prior,
            review_outcome=consolidated.reason,
            reviewed_at=reviewed_at,
            label_source=source,
        )
        self.items[prediction_id].pop("open_state", None)
        if consolidated.label is None:
            self.items[prediction_id]["open_state"] = DISPUTED
        return True

    def settle(self, prediction_id: str, label: str, *, settled_by: str, settled_at: str) -> bool:
        item = self.items.get(prediction_id, {})
        if item.get("open_state") != DISPUTED:
            return False
        del item["open_state"]
        item.update(human_label=label, reviewed_at=settled_at, review_outcome=f"settled by {settled_by}")
        return True

    def forget(self, prediction_id: str, forgotten: Forgotten) -> None:
        self.items[prediction_id] = {
            "prediction_id": prediction_id, "review_state": "forgotten", "attempt": 1,
            "created_at": forgotten.at, "expires_at": forgotten.expires_at,
        }  # fmt: skip

    def forget_subject(self, subject: str, forgotten: Forgotten) -> None:
        self.subjects[subject] = forgotten

    def forgotten(self, subject: str) -> Forgotten | None:
        return self.subjects.get(subject)


@dataclass
class FakeStarter:
    """Records what it was asked; ``problem`` is raised instead, when given."""

    problem: Exception | None = None
    started: list[str] = field(default_factory=list)
    experiments: list[str] = field(default_factory=list)
    """Those of ``started`` whose prediction belongs to an experiment."""

    def start(self, request: ReviewRequest, *, in_experiment: bool = False) -> None:
        if self.problem:
            raise self.problem
        self.started.append(request.review_id)
        self.experiments += [request.review_id] if in_experiment else []


@dataclass
class DeadLetters:
    """Collects ``(request, reason)``."""

    sent: list[tuple[ReviewRequest, str]] = field(default_factory=list)

    def __call__(self, request: ReviewRequest, reason: str) -> None:
        self.sent.append((request, reason))
