"""Schedules in scaled time: EventBridge rules and EventBridge Scheduler, ``rate(...)`` and ``cron(...)``.

ministack fires both by itself, in real time and looking every ten seconds; the targets and the "Scheduled Event" document are
its own. Hooks: the two tick intervals, ``eventbridge._parse_rate_seconds`` and ``_cron_next_fire`` (the Scheduler calls these
as well), and ``_tick_scheduled_rules``.

A ``rate`` counts from the rule's creation. A ``cron`` is read on a clock that shows the real time when the emulator starts and
then runs ``1 / TIME_SCALE`` times as fast; the ``time`` of an event stays real. ``at(...)`` names one moment and is not scaled.

Not emulated: the ``DeadLetterConfig`` and ``RetryPolicy`` of a rule's targets, which ministack keeps and never uses (a target that
cannot be reached is logged). What an asynchronously invoked function fails at still goes to that function's own destination.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from embedded_aws.core.clock import TIME_SCALE, now

LEAST_SECONDS = 1.0
"""Real seconds between two runs of one schedule, however small the scale is: no busy loop."""
_TICKS_A_MINUTE = 6
"""How often ministack looks at its schedules in a declared minute."""
_LEAST_TICK_SECONDS = 0.2
_STARTED = now()


def tick_seconds(scale: float) -> float:
    """Real seconds between two looks at the schedules."""
    return max(_LEAST_TICK_SECONDS, scale * 60 / _TICKS_A_MINUTE)


def real_interval(declared: float, scale: float) -> float:
    """Real seconds between two runs of a ``rate`` of ``declared`` seconds."""
    return declared if scale == 1 else max(LEAST_SECONDS, declared * scale)


def shown(real: dt.datetime, started: float, scale: float) -> dt.datetime:
    """What the scaled clock shows at a real time."""
    return dt.datetime.fromtimestamp(started + (real.timestamp() - started) / scale, tz=dt.UTC)


def real(shown_at: dt.datetime, started: float, scale: float) -> dt.datetime:
    """When the scaled clock shows a time; the reverse of :func:`shown`."""
    return dt.datetime.fromtimestamp(started + (shown_at.timestamp() - started) * scale, tz=dt.UTC)


def install() -> None:
    """Put the hooks in place."""
    from ministack.services import eventbridge, scheduler

    parse_rate, next_fire, tick = eventbridge._parse_rate_seconds, eventbridge._cron_next_fire, eventbridge._tick_scheduled_rules

    def scaled_rate(expression: str) -> float | None:
        declared = parse_rate(expression)
        return None if declared is None else real_interval(declared, TIME_SCALE)

    def scaled_next_fire(fields: Any, after: dt.datetime) -> dt.datetime | None:
        following: dt.datetime | None
        if TIME_SCALE == 1:
            following = next_fire(fields, after)
            return following
        following = next_fire(fields, shown(after, _STARTED, TIME_SCALE))
        return following and max(real(following, _STARTED, TIME_SCALE), after + dt.timedelta(seconds=LEAST_SECONDS))

    def tick_present_rules() -> None:
        """A rule that is made again under its old name starts to count again."""
        for key in eventbridge._rule_last_fired.keys() - eventbridge._rules._data.keys():
            del eventbridge._rule_last_fired[key]
        tick()

    eventbridge._parse_rate_seconds, eventbridge._cron_next_fire = scaled_rate, scaled_next_fire
    eventbridge._tick_scheduled_rules = tick_present_rules
    eventbridge._SCHEDULER_TICK_INTERVAL = scheduler._SCHEDULE_TICK_INTERVAL = tick_seconds(TIME_SCALE)
