"""When reviewers get a mail that tasks wait, and what it says: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Notice:
    subject: str
    """At most 100 ASCII characters, as SNS wants it."""
    text: str


@dataclass(frozen=True)
class Rule:
    """``after_minutes``: a task that waits for longer is announced. ``every_hours``: in this number of hours there is at most one mail."""

    after_minutes: int
    every_hours: int


def notice(asked_at: Sequence[int], last: int | None, now: int, rule: Rule, *, page: str, most: int) -> Notice | None:
    """One mail for all tasks that wait; None when none has waited for long enough, or the last mail is too recent.

    Args:
        asked_at: when each waiting task was asked for; epoch milliseconds, as all times here.
        last: when the last mail was sent.
        page: address of the page on which people answer.
        most: the number of tasks that are looked at. If it is reached, more may wait.
    """
    oldest = min(asked_at, default=now)
    if now - oldest < rule.after_minutes * 60_000:
        return None
    if last is not None and now - last < rule.every_hours * _HOUR_MS:
        return None
    count = len(asked_at)
    tasks = "1 text waits for an answer" if count == 1 else f"{count} texts wait for answers"
    tasks = f"At least {tasks}" if count >= most else tasks
    return Notice(
        tasks,
        f"{tasks}, the oldest for {_span(now - oldest)}.\n\nAnswer here: {page}\n\n"
        f"While texts wait, this mail comes at most once in {rule.every_hours} hours.\n",
    )


def _span(milliseconds: int) -> str:
    minutes = milliseconds // 60_000
    if minutes < 120:
        return f"{minutes} minutes"
    hours = minutes // 60
    return f"{hours} hours" if hours < 48 else f"{hours // 24} days"
