"""Drift statistics against the champion's baseline."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.monitoring.detect_drift.statistics import LabelCounts, assess, jensen_shannon

BASELINE = {
    "window": 100,
    "oov_rate": {"mean": 0.04, "threshold": 0.08, "direction": "above"},
    "mean_confidence": {"mean": 0.80, "threshold": 0.70, "direction": "below"},
    "class_divergence": {"mean": 0.0, "threshold": 0.02, "direction": "above"},
    "class_share": {"negative": 0.5, "positive": 0.5},
}
SHARES = st.lists(st.floats(0.01, 1), min_size=3, max_size=3).map(lambda v: {str(i): x / sum(v) for i, x in enumerate(v)})


def window(negative: int, positive: int, confidence: float, oov: float) -> list[LabelCounts]:
    return [
        LabelCounts(label, n, n * confidence, n * 20, round(n * 20 * oov)) for label, n in (("negative", negative), ("positive", positive))
    ]


def test_window_like_the_baseline_scores_below_the_threshold() -> None:
    report = assess(window(50, 50, 0.80, 0.04), BASELINE)
    assert report.score is not None
    assert report.score == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("rows", "statistic"),
    [
        (window(50, 50, 0.80, 0.20), "oov_rate"),
        (window(50, 50, 0.55, 0.04), "mean_confidence"),
        (window(95, 5, 0.80, 0.04), "class_divergence"),
    ],
)
def test_each_kind_of_drift_crosses_its_threshold(rows: list[LabelCounts], statistic: str) -> None:
    report = assess(rows, BASELINE)
    assert report.scores[statistic] > 1
    assert report.score == max(report.scores.values())


def test_window_that_is_not_full_is_neither_drift_nor_its_absence() -> None:
    report = assess(window(30, 30, 0.1, 0.9), BASELINE)
    assert report.score is None
    assert report.filled == pytest.approx(0.6)


def test_no_traffic_is_not_full() -> None:
    assert assess([], BASELINE).score is None


def baseline(**changes: dict[str, object]) -> dict[str, object]:
    """``BASELINE`` with fields of some statistics changed."""
    return BASELINE | {name: {**BASELINE[name], **change} for name, change in changes.items()}  # type: ignore[dict-item]


def test_a_statistic_that_cannot_speak_is_left_out_and_named() -> None:
    given_baseline = baseline(oov_rate={"mean": None, "threshold": None, "unusable": "the baseline's texts have no words"})
    report = assess(window(50, 50, 0.55, 0.9), given_baseline)
    assert set(report.values) == set(report.scores) == {"mean_confidence", "class_divergence"}
    assert dict(report.unusable) == {"oov_rate": "the baseline's texts have no words"}
    assert report.score == report.scores["mean_confidence"]


def test_a_window_without_a_word_has_no_rate_of_unknown_ones() -> None:
    rows = [LabelCounts("negative", 50, 40.0, 0, 0), LabelCounts("positive", 50, 40.0, 0, 0)]
    report = assess(rows, BASELINE)
    assert dict(report.unusable) == {"oov_rate": "the window's texts have no words"}
    assert "oov_rate" not in report.scores
    assert report.score is not None


@pytest.mark.parametrize("noise", [0.0, 1e-16, -1e-16, 3e-9])
def test_rounding_is_no_threshold(noise: float) -> None:
    constant = baseline(mean_confidence={"mean": 0.8, "threshold": 0.8 - 1e-16}, oov_rate={"mean": 0.04, "threshold": 0.04 + 1e-16})
    report = assess(window(50, 50, 0.8 + noise, 0.04), constant)
    assert (report.scores["mean_confidence"], report.scores["oov_rate"]) == (0.0, 0.0)


def test_a_constant_statistic_that_really_moves_is_drift() -> None:
    constant = baseline(mean_confidence={"mean": 0.8, "threshold": 0.8})
    assert assess(window(50, 50, 0.7, 0.04), constant).scores["mean_confidence"] == 2.0
    assert assess(window(50, 50, 0.9, 0.04), constant).scores["mean_confidence"] == -2.0


@given(SHARES, SHARES)
def test_divergence_is_symmetric_and_within_a_bit(p: dict[str, float], q: dict[str, float]) -> None:
    assert math.isclose(jensen_shannon(p, q), jensen_shannon(q, p), abs_tol=1e-12)
    assert 0 <= jensen_shannon(p, q) <= 1 + 1e-12
    assert jensen_shannon(p, p) == pytest.approx(0, abs=1e-12)
