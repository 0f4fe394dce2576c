"""Bounds that more than one field, rule or stack needs, so that each number is written once.

Bounds of hyper-parameters are in ``contracts/bounds.py``, because the training container reads them too.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

AlarmPeriods = Annotated[int, Field(ge=1, le=10)]
Instances = Annotated[int, Field(ge=1, le=100)]
TrainingJobs = Annotated[int, Field(ge=1, le=100)]
UpToAnHour = Annotated[int, Field(ge=0, le=3_600)]
"""Seconds."""

TaskSeconds = Annotated[int, Field(ge=30, le=28_800)]
"""A worker's time for one task. Ground Truth allows eight hours for texts (API reference, HumanTaskConfig); reviews keep to the same."""

MINUTES_OF_A_DAY = 1_440
ScheduleMinutes = Annotated[int, Field(ge=5, le=MINUTES_OF_A_DAY)]

LARGEST_STEP_PERCENT = 50
"""The largest part of a fleet that one step of a shift may take. Source: SageMaker API reference, TrafficRoutingConfig."""

API_TIMEOUT_SECONDS = 29
"""API Gateway waits for an integration no longer than this; the function's own tries are shorter (``lambdas/prediction/predict``)."""
LONGEST_MODEL_DEADLINE_SECONDS = 18
CONNECT_SECONDS = 1
"""Part of the deadline for connecting. The prediction function has the same number (``lambdas/prediction/model.py``)."""


def slowest_answer_ms(deadline_seconds: int) -> int:
    """The latency, in milliseconds, after which the API no longer waits for the model."""
    return (deadline_seconds - CONNECT_SECONDS) * 1_000


DEFAULT_CONCURRENCY, UNRESERVED_CONCURRENCY = 1_000, 100
"""Lambda's default quota of an account, and the part that no function may reserve. Source: Lambda developer guide, quotas."""
RESERVABLE_CONCURRENCY = DEFAULT_CONCURRENCY - UNRESERVED_CONCURRENCY
