"""What the demo measured, as one typed object: the source of ``summary.json``, the report and the closing lines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Interval:
    """A point estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, data: dict[str, float]) -> Interval:
        return cls(data["value"], data["low"], data["high"])

    def percent(self) -> str:
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f})"


@dataclass(frozen=True)
class Score:
    """Accuracy and macro-F1 of one classifier on the frozen test set."""

    accuracy: Interval
    macro_f1: Interval

    @classmethod
    def of(cls, data: dict[str, dict[str, float]]) -> Score:
        return cls(Interval.of(data["accuracy"]), Interval.of(data["macro_f1"]))


@dataclass(frozen=True)
class Trial:
    """One training job of the tuning job."""

    name: str
    status: str
    objective: float | None
    hyperparameters: dict[str, str]
    seconds: float


@dataclass(frozen=True)
class DriftPoint:
    """One drift assessment: texts sent so far in the new domain, and the score (1 = the champion's own threshold)."""

    domain: str
    texts_sent: int
    score: float | None
    values: dict[str, float]
    alarm: str


@dataclass
class Summary:
    """Everything that ``summary.json`` holds. Fields of steps that were not reached keep their empty value."""

    outcome: str = "unfinished"
    reason: str = ""
    seed: int = 0
    labels_shuffled: bool = False
    quick: bool = False
    dataset: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    """Names of the texts that the first model learnt (``name``) and of those that came ``later``, and who the ``people`` are."""
    trials: list[Trial] = field(default_factory=list)
    best_trial: str | None = None
    scores: dict[str, Score] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    verdict: str = ""
    """Of a team's own texts: whether the model is better than TF-IDF with logistic regression, and if not, why it may not be."""
    data_report: str = ""
    """File name of the evaluation's page about the data."""
    predictions: dict[str, int] = field(default_factory=dict)
    review_rate: float | None = None
    review_threshold: float | None = None
    """The one that serves: the champion's own, or that of the settings for all models."""
    serving_review: dict[str, Any] = field(default_factory=dict)
    """What a threshold that the settings fix does with the test texts (``contracts/report/serving.py``); empty where none is fixed."""
    confidences: dict[str, list[float]] = field(default_factory=dict)
    """By the review status of the answers."""
    reviewer_agreement: float | None = None
    drift: list[DriftPoint] = field(default_factory=list)
    drift_detected_after: int | None = None
    drift_alarm_after: int | None = None
    drift_score_after_retraining: float | None = None
    drift_alarm_after_retraining: str | None = None
    retraining: dict[str, Any] = field(default_factory=dict)
    retraining_trials: list[Trial] = field(default_factory=list)
    before_after: dict[str, dict[str, Interval]] = field(default_factory=dict)
    compared_texts: dict[str, int] = field(default_factory=dict)
    """Held-out texts behind each of ``before_after``."""
    rollout: dict[str, Any] = field(default_factory=dict)
    iam: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write atomically: a reader never sees half a summary."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(path)
