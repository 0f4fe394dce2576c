"""What a verdict makes of the progress. Pure."""

from __future__ import annotations

from dataclasses import replace

from lambdas.rollout.judge_rollout.policy import Decision, Policy
from lambdas.rollout.progress import Progress


def after(decision: Decision, progress: Progress, policy: Policy) -> Progress:
    """The next step's share after ``ADVANCE``, one hold more after ``HOLD`` and ``AWAIT_APPROVAL``; otherwise unchanged."""
    if decision is Decision.ADVANCE:
        step = progress.step + 1
        return replace(progress, step=step, share=policy.weight_steps[step], holds=0)
    if decision in (Decision.HOLD, Decision.AWAIT_APPROVAL):
        return replace(progress, holds=progress.holds + 1)
    return progress
