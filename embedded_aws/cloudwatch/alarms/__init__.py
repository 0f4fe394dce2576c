"""CloudWatch alarms as CloudWatch evaluates them: dimensions, M of N, missing data, percentiles, metric math, events.

``evaluation``, ``expressions`` and ``definition`` are pure; ``watcher`` ties them to the emulator.
"""

from __future__ import annotations


def install() -> None:
    """Put the hooks in place and start the timer."""
    from embedded_aws.cloudwatch.alarms import watcher

    watcher.install()
