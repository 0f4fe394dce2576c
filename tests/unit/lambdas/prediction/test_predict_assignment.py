"""A subject keeps its variant, and moves to the challenger at most once while the share grows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.shared_words import VARIANTS
from lambdas.common.experiment import Experiment
from lambdas.prediction.predict.assignment import assigned_variant, place_of

EXPERIMENT = Experiment("rollout-1", "m1", "m2", 0.3, "2026-11-23T10:00:00+00:00")
SUBJECTS = [f"customer {number}" for number in range(10_000)]


@pytest.mark.parametrize("share", [0, 1])
def test_where_one_variant_answers_everybody_nobody_is_assigned(share: float) -> None:
    assert assigned_variant(replace(EXPERIMENT, share=share), "customer 1") is None


def test_without_an_experiment_or_a_subject_nobody_is_assigned() -> None:
    assert assigned_variant(None, "customer 1") is None
    assert assigned_variant(EXPERIMENT, None) is None


@settings(max_examples=50, deadline=None)
@given(st.text(), st.lists(st.floats(0.001, 0.999), min_size=2, max_size=6))
def test_a_growing_share_moves_a_subject_to_the_challenger_once_and_never_back(subject: str, shares: list[float]) -> None:
    assigned = [assigned_variant(replace(EXPERIMENT, share=share), subject) for share in sorted(shares)]
    assert assigned == sorted(assigned, key=VARIANTS.index)
    assert assigned_variant(EXPERIMENT, subject) == assigned_variant(EXPERIMENT, subject)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_as_many_subjects_as_the_share_says_meet_the_challenger(share: float) -> None:
    met = sum(assigned_variant(replace(EXPERIMENT, share=share), subject) == "challenger" for subject in SUBJECTS)
    assert met / len(SUBJECTS) == pytest.approx(share, abs=0.02)


def test_who_met_one_challenger_is_no_likelier_to_meet_the_next() -> None:
    other = replace(EXPERIMENT, id="rollout-2")
    first = [subject for subject in SUBJECTS if place_of(EXPERIMENT.id, subject) < 0.3]
    again = sum(assigned_variant(other, subject) == "challenger" for subject in first)
    assert again / len(first) == pytest.approx(0.3, abs=0.04)
