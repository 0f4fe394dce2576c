"""The judge's rules, a row a case: evidence in, decision and reason out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambdas.rollout.judge_rollout.agreement import Reviews, Sample
from lambdas.rollout.judge_rollout.policy import Decision, Evidence, Policy, VariantEvidence, WithoutReviews, judge
from lambdas.rollout.judge_rollout.progress import after
from lambdas.rollout.progress import Progress

POLICY = Policy(
    weight_steps=(0.1, 0.5),
    min_invocations=50,
    max_error_rate=0.05,
    max_agreement_loss=0.1,
    max_holds=2,
    min_reviewed=20,
    without_reviews=WithoutReviews.ADVANCE,
)
HOLDING = replace(POLICY, without_reviews=WithoutReviews.HOLD)
START = Progress.begin(0.1, "2026-11-24T10:00:00.000+00:00")
LAST = replace(START, step=1, share=0.5)


def people(agreed: int, labelled: int, **silent: int) -> Reviews:
    """Reviews that all have the same weight."""
    answers = ((1.0, number < agreed) for number in range(labelled))
    return Reviews(labelled, agreed, **silent, sample=Sample.of(answers, heaviest=1.0))


WELL = VariantEvidence(500, 2, people(166, 200))


def challenger(agreed: int, labelled: int, **silent: int) -> VariantEvidence:
    return VariantEvidence(60, 0, people(agreed, labelled, **silent))


@pytest.mark.parametrize(
    ("evidence", "progress", "decision", "reason"),
    [
        (Evidence(WELL, VariantEvidence(60, 1)), START, Decision.ADVANCE, "1 of 60 calls failed"),
        (Evidence(WELL, VariantEvidence(60, 1)), LAST, Decision.PROMOTE, "at 50.0 %"),
        (Evidence(WELL, VariantEvidence(60, 3)), START, Decision.ADVANCE, "3 of 60 calls failed (5.0 %)"),
        (Evidence(WELL, VariantEvidence(60, 4)), START, Decision.ROLL_BACK, "5.0 % are allowed"),
        (Evidence(WELL, VariantEvidence(60, 0), ("x-errors",)), START, Decision.ROLL_BACK, "x-errors in ALARM"),
        # No traffic is neither pass nor fail.
        (Evidence(WELL, VariantEvidence(49, 0)), START, Decision.HOLD, "49 calls of the challenger at 10.0 %, 50 are needed"),
        (Evidence(WELL, VariantEvidence(0, 0)), replace(START, holds=2), Decision.INCONCLUSIVE, "held 2 times"),
        # Failures that both share are not the challenger's.
        (Evidence(VariantEvidence(500, 100), VariantEvidence(60, 12)), START, Decision.HOLD, "champion fails as often"),
        (Evidence(VariantEvidence(500, 20), VariantEvidence(60, 12)), START, Decision.ROLL_BACK, "12 of 60"),
        (Evidence(VariantEvidence(0, 0), VariantEvidence(60, 12)), START, Decision.ROLL_BACK, "12 of 60"),
        # A loss above the limit ends it when chance does not explain it.
        (Evidence(WELL, challenger(125, 200)), START, Decision.ROLL_BACK, "a loss of 20.5 %, where 10.0 % is allowed, and chance"),
        (Evidence(WELL, challenger(25, 40)), START, Decision.ROLL_BACK, "with the challenger on 62.5 % (25 of 40 reviewed answers"),
        (Evidence(WELL, challenger(29, 40)), START, Decision.ADVANCE, "a loss of 10.5 %, where chance explains up to"),
        (Evidence(WELL, challenger(33, 40)), START, Decision.ADVANCE, "33 of 40"),
        # Whatever the number of reviews, a loss within the limit is allowed.
        (Evidence(replace(WELL, reviews=people(16_600, 20_000)), challenger(15_000, 20_000)), LAST, Decision.PROMOTE, "15000 of 20000"),
        # Too few reviews on either side: not judged, and said so.
        (Evidence(WELL, challenger(0, 19)), START, Decision.ADVANCE, "without enough reviews to judge agreement (19 of 20)"),
        (Evidence(WELL, challenger(0, 19)), LAST, Decision.PROMOTE, "without enough reviews to judge agreement (19 of 20): at 50"),
        (Evidence(VariantEvidence(500, 2), challenger(0, 40)), LAST, Decision.PROMOTE, "without enough reviews"),
        (Evidence(WELL, challenger(0, 20)), START, Decision.ROLL_BACK, "0 of 20"),
        # Whoever was asked and said nothing is counted.
        (
            Evidence(WELL, challenger(33, 40, waiting=5, undecided=2, dead_lettered=1)),
            START,
            Decision.ADVANCE,
            "asked about and without a label: 8 of the challenger (5 waiting, 2 undecided, 1 dead letters)",
        ),
    ],
)
def test_a_verdict_follows_from_the_evidence(evidence: Evidence, progress: Progress, decision: Decision, reason: str) -> None:
    verdict = judge(evidence, progress, POLICY)
    assert verdict.decision is decision, verdict.reason
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("reviewed", "holds", "decision", "reason"),
    [
        (19, 0, Decision.HOLD, "without enough reviews to judge agreement (19 of 20)"),
        (19, 2, Decision.INCONCLUSIVE, "(19 of 20): people agree with the challenger on 100.0 % (19 of 19 reviewed answers, worth 19)"),
        (20, 0, Decision.PROMOTE, "20 of 20"),
    ],
)
def test_where_reviews_are_required_a_step_waits_for_them(reviewed: int, holds: int, decision: Decision, reason: str) -> None:
    verdict = judge(Evidence(WELL, challenger(reviewed, reviewed)), replace(LAST, holds=holds), HOLDING)
    assert verdict.decision is decision
    assert reason in verdict.reason
    assert "promoted" not in verdict.reason


def test_a_failing_challenger_is_rolled_back_whether_or_not_people_have_answered() -> None:
    assert judge(Evidence(WELL, VariantEvidence(60, 12)), START, HOLDING).decision is Decision.ROLL_BACK


def test_progress_moves_to_the_next_share_and_counts_holds() -> None:
    advanced = after(Decision.ADVANCE, replace(START, holds=1), POLICY)
    assert (advanced.step, advanced.share, advanced.holds) == (1, 0.5, 0)
    assert after(Decision.HOLD, START, POLICY).holds == 1
    assert after(Decision.ROLL_BACK, START, POLICY) == START


def test_progress_survives_the_state_machine_and_counts_a_change_once() -> None:
    progress = START.shifted(0.1, "2026-11-24T10:01:00+00:00").shifted(0.1, "2026-11-24T10:02:00+00:00")
    assert Progress.parse(progress.as_json()) == progress
    assert [(change.champion, change.challenger) for change in progress.weights] == [(0.9, 0.1)]
    assert progress.since == "2026-11-24T10:02:00+00:00"


def test_the_experiment_starts_when_the_challenger_is_in_place_and_not_again_at_a_later_step() -> None:
    opened = START.shifted(0.1, "2026-11-24T10:01:00+00:00")
    in_place = opened.shifted(0.1, "2026-11-24T10:20:00+00:00")
    later = replace(in_place, step=1, share=0.5).shifted(0.5, "2026-11-24T10:30:00+00:00")
    assert [one.started[11:16] for one in (START, opened, in_place, later)] == ["10:00", "10:01", "10:20", "10:20"]
    assert later.since == "2026-11-24T10:30:00+00:00"


@pytest.mark.parametrize(
    ("invocations", "model_errors", "evidence"),
    [
        (60.0, 3.0, VariantEvidence(60, 3)),
        (0.0, 0.0, VariantEvidence(0, 0)),
        (0.0, 60.0, VariantEvidence(60, 60)),  # a hung container: its failures came, its calls have not yet
    ],
)
def test_a_failure_that_one_metric_has_seen_was_a_call(invocations: float, model_errors: float, evidence: VariantEvidence) -> None:
    assert VariantEvidence.counted(invocations, model_errors, Reviews()) == evidence
