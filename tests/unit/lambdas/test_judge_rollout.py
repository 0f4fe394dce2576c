"""The judge's rules, a row a case: evidence in, decision and reason out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambdas.common.rollout import Progress
from lambdas.judge_rollout.policy import Decision, Evidence, Policy, VariantEvidence, judge
from lambdas.judge_rollout.progress import after

POLICY = Policy(weight_steps=(0.1, 0.5), min_invocations=50, max_error_rate=0.05, max_agreement_loss=0.1, max_holds=2)
START = Progress.begin(0.1, "2026-11-24T10:00:00.000+00:00")
LAST = replace(START, step=1, share=0.5)
WELL = VariantEvidence(500, 2, reviewed=60, agreed=50)


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
        # Agreement counts with enough reviews on both sides only.
        (Evidence(WELL, VariantEvidence(60, 0, 40, 25)), START, Decision.ROLL_BACK, "a loss of 10.0 % is allowed"),
        (Evidence(WELL, VariantEvidence(60, 0, 19, 0)), START, Decision.ADVANCE, "too few to judge"),
        (Evidence(replace(WELL, reviewed=19, agreed=19), VariantEvidence(60, 0, 40, 0)), START, Decision.ADVANCE, "too few to judge"),
        (Evidence(WELL, VariantEvidence(60, 0, 40, 33)), START, Decision.ADVANCE, "33 of 40"),
    ],
)
def test_a_verdict_follows_from_the_evidence(evidence: Evidence, progress: Progress, decision: Decision, reason: str) -> None:
    verdict = judge(evidence, progress, POLICY)
    assert verdict.decision is decision
    assert reason in verdict.reason


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
