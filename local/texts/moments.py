"""When a text was written: what a time column may hold."""

from __future__ import annotations

import datetime as dt
import math
import re
from email.utils import parsedate_to_datetime
from typing import Any

ALLOWED = (
    "a date such as 2024-05-31, 2024/05/31 or 31.05.2024, a time such as 2024-05-31T12:00:00Z or 31.05.2024 12:00, a date as in e-mails, "
    "or a number that grows with time"
)
_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?=$|[ T,])")
_SLASHES = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(?=$|[ T])")
"""Only with the year first: 5/6/2024 is in May for some people, and in June for others."""


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
        found = dt.datetime.fromisoformat(_as_iso(text))
    except ValueError:
        try:
            found = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).timestamp()


def _as_iso(text: str) -> str:
    """The text in ISO's form, where it is one of the other forms that can be read in one way only."""
    if matched := _DAY_FIRST.match(text):
        day, month, year = matched.groups()
    elif matched := _SLASHES.match(text):
        year, month, day = matched.groups()
    else:
        return text
    clock = text[matched.end() :].lstrip(", T")
    clock = f"0{clock}" if re.match(r"\d:", clock) else clock
    return f"{year}-{month:0>2}-{day:0>2}" + (f"T{clock}" if clock else "")
