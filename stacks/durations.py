"""How long the processes of one stack may take and look back, where another stack needs it too."""

from __future__ import annotations

import math

from stacks.settings import Settings
from stacks.settings.rollout import MOST_LOOKS

LOOKBACK_HOURS = 24 * 7
"""How far back the drift check, and the reference of a new champion, look for served texts."""


def judged_hours(settings: Settings) -> float:
    """From the start of an experiment to its deadline; less than ``max_hours`` where so many looks would not fit an execution.

    The settings refuse that themselves, but for a stage with blue/green, where a rollout's input may ask for another policy.
    """
    return min(settings.rollout.max_hours, MOST_LOOKS * settings.rollout.step_seconds / 3_600)


def longest_rollout_hours(settings: Settings) -> int:
    """Upper bound of a rollout in whole hours: the time until its deadline and a look after it, and three fleet shifts."""
    rollout, shift = settings.rollout, settings.hosting.fleet_shift
    steps = rollout.max_hours * 3_600 + 2 * rollout.step_seconds
    return math.ceil((steps + 3 * shift.max_execution_seconds) / 3_600) + 1


def longest_tuning_hours(settings: Settings) -> int:
    """Upper bound of one tuning execution: every wave of training jobs, the evaluations, and an hour of slack."""
    tuning = settings.tuning
    waves = math.ceil(most_tuning_jobs(settings) / tuning.max_parallel_jobs)
    return math.ceil((waves + 1) * tuning.max_runtime_seconds / 3_600) + 1


def most_tuning_jobs(settings: Settings) -> int:
    """Training jobs of the larger of the two kinds of tuning."""
    return max(settings.tuning.max_jobs, settings.tuning.retraining.max_jobs)
