"""Scaled time: waits, alarm periods and schedules may be shortened by one factor; results may not, nor the time that people have."""

from __future__ import annotations

import os
import time

TIME_SCALE = float(os.environ.get("EMBEDDED_AWS_TIME_SCALE", "1"))
"""Real seconds per declared second; 0.02 makes a 300 s wait take 6 s."""
PEOPLE_TIME_SCALE = float(os.environ.get("EMBEDDED_AWS_PEOPLE_TIME_SCALE", "1"))
"""Real seconds per declared second of what a person has: time limits and availability of tasks, sign-ins. Only tests hurry people."""


def scaled(seconds: float) -> float:
    """Declared seconds -> real seconds."""
    return seconds * TIME_SCALE


def for_people(seconds: float) -> float:
    """Declared seconds of a person's time -> real seconds."""
    return seconds * PEOPLE_TIME_SCALE


def sleep(seconds: float) -> None:
    """Sleep for ``seconds`` of declared time."""
    time.sleep(scaled(seconds))


def now() -> float:
    """Real time, epoch seconds: time stamps are never scaled."""
    return time.time()
