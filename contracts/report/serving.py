"""What a review threshold that the settings fix would do with the test texts: the evaluation chose another, which does not serve."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from contracts.review_promise import EVERYTHING

PREDICTIONS = "predictions.jsonl"
"""File of an evaluation with the answer to each test text."""


def at_fixed_threshold(threshold: float, predictions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """``{"threshold","texts","alone","wrong"}``: of so many test texts, how many are answered without people, and how many of these wrong.

    Args:
        threshold: ``review.threshold`` of the settings, 0..1.
        predictions: the lines of an evaluation's ``predictions.jsonl``. Those of ordinary texts count, as in all its figures; lines of an
            earlier version do not say which these are.
    """
    rows = [one for one in predictions if one.get("ordinary", True)]
    alone = [one for one in rows if one["confidence"] >= threshold and threshold < EVERYTHING]
    wrong = sum(one["label"] != one["truth"] for one in alone)
    return {"threshold": threshold, "texts": len(rows), "alone": len(alone), "wrong": wrong}


def shares_of(serving: Mapping[str, Any]) -> tuple[float, float | None]:
    """The share of the texts that is answered without people, and the share of these that is wrong; None where people answer all."""
    alone = serving["alone"]
    return alone / max(1, serving["texts"]), serving["wrong"] / alone if alone else None


def said_of_fixed(serving: Mapping[str, Any]) -> str:
    """What serves, in words; the answers are counted where they are known."""
    said = f"The settings fix the review threshold at {serving['threshold']:g} for all models (review.threshold)."
    if "alone" not in serving:
        return said
    return (
        f"{said} With it, {serving['alone']:,} of {serving['texts']:,} test texts are answered without people, and {serving['wrong']:,} of "
        "these answers are wrong. It promises nothing about the errors of other texts."
    )
