"""Who looks at a prediction: what is below the threshold, and a fair draw from the rest that anyone can check afterwards."""

from __future__ import annotations

import math
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.common.review import ReviewReason, ReviewState
from lambdas.prediction.predict.review_policy import first_state, review_reason, review_threshold

IDS = st.uuids(version=4).map(lambda value: value.hex)
SHARES = st.floats(0, 1)
AUDITED = (ReviewReason.AUDIT_SAMPLE, ReviewReason.AUDIT_UNSURE)


def reason(prediction_id: str = "0" * 32, confidence: float = 0.9, **changes: Any) -> ReviewReason | None:
    arguments: dict[str, Any] = {"threshold": 0.6, "audit_share": 0.0, **changes}
    return review_reason(prediction_id, confidence, **arguments)


@pytest.mark.parametrize(
    ("confidence", "model", "fixed", "asks"),
    [
        (0.59, 0.6, None, True),
        (0.6, 0.6, None, False),  # at the threshold the model is sure enough
        (0.7, 0.6, 0.8, True),  # a fixed threshold replaces the model's, in both directions
        (0.5, 0.6, 0.4, False),
        (0.0, 0.0, None, False),
        (0.5, 0.6, 0.0, False),  # 0 is a threshold, not a missing one
        (1.0, 0.6, 1.0, True),  # 1 sends everything to people
        (1.0, 1.0, None, True),
    ],
)
def test_below_the_threshold_people_are_asked(confidence: float, model: float, fixed: float | None, asks: bool) -> None:
    found = reason(confidence=confidence, threshold=review_threshold(model, fixed))
    assert found is (ReviewReason.LOW_CONFIDENCE if asks else None)


@given(IDS, SHARES, SHARES)
def test_the_draw_depends_on_the_id_and_the_share_alone(prediction_id: str, share: float, confidence: float) -> None:
    """So the drawn texts, sure and unsure, are a sample of all texts. Drawn from the sure ones alone, they would be the easy ones."""
    drawn = reason(prediction_id, 1.0, audit_share=share) in AUDITED
    assert (reason(prediction_id, confidence, audit_share=share) in AUDITED) == drawn


@pytest.mark.parametrize(
    ("confidence", "threshold", "found"),
    [(0.59, 0.6, "audit_unsure"), (0.6, 0.6, "audit_sample"), (0.0, 0.0, "audit_sample"), (1.0, 1.0, "audit_unsure")],
)
def test_a_drawn_text_of_which_the_model_is_unsure_says_nothing_about_the_sure_answers(
    confidence: float, threshold: float, found: str
) -> None:
    assert reason(confidence=confidence, threshold=threshold, audit_share=1.0) == found


@given(IDS, SHARES, SHARES)
def test_a_larger_share_draws_whatever_a_smaller_one_drew(prediction_id: str, one: float, other: float) -> None:
    smaller, larger = sorted((one, other))
    if reason(prediction_id, audit_share=smaller) is not None:
        assert reason(prediction_id, audit_share=larger) is ReviewReason.AUDIT_SAMPLE


@given(IDS)
def test_no_share_draws_nothing_and_a_full_one_everything(prediction_id: str) -> None:
    assert reason(prediction_id, audit_share=0.0) is None
    assert reason(prediction_id, audit_share=1.0) is ReviewReason.AUDIT_SAMPLE


@pytest.mark.parametrize("share", [0.02, 0.05, 0.5])
def test_the_drawn_share_is_the_wanted_one(share: float) -> None:
    """Of 20 000 ids, all of them fixed: within four standard deviations of the binomial distribution."""
    number = 20_000
    ids = [uuid.UUID(int=(index * 0x9E3779B97F4A7C15F39CC0605CEDC835) % 2**128, version=4).hex for index in range(number)]
    drawn = sum(reason(one, audit_share=share) is not None for one in ids)
    assert abs(drawn - share * number) < 4 * math.sqrt(number * share * (1 - share))


def test_a_budget_holds_back_what_the_model_chose_and_nothing_that_was_drawn() -> None:
    waits = {reason for reason in ReviewReason if first_state(reason, daily_budget=1) is ReviewState.WAITING}
    assert waits == {ReviewReason.LOW_CONFIDENCE}
    assert {first_state(reason, daily_budget=0) for reason in ReviewReason} == {ReviewState.REQUESTED}
    assert {first_state(None, daily_budget=budget) for budget in (0, 1)} == {ReviewState.NOT_REQUIRED}
