"""When a text was written: what a time column may hold."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

ALLOWED = "a date such as 2024-05-31, a time such as 2024-05-31T12:00:00Z, or a number that grows with time"


def moment(value: Any) -> float | None:
    """A number that grows with time: seconds since 1970 for a date, the number itself for a number; None for anything else."""
    if isinstance(value, dt.datetime | dt.date):
        value = value.isoformat()
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return _of_date(str(value).strip())
    return number if math.isfinite(number) else None


def _of_date(text: str) -> float | None:
    """The moment of a date. Without a zone it is taken as UTC, because only the order matters."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()
