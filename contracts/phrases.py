"""Numbers in sentences: one place for the plural and for the sign, so that no sentence says "1 labels" or "less by -0.18"."""

from __future__ import annotations


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 record``, ``1,204 records``. ``many`` is the plural where it is not ``one`` with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def are(number: int) -> str:
    """The verb after :func:`counted`."""
    return "is" if number == 1 else "are"


def compared(value: float, more: str, less: str, equal: str) -> str:
    """A difference in words, with two digits and without a sign: ``more by 0.20``, ``less by 0.18``, or ``equal`` where it rounds to 0."""
    size = f"{abs(value):.2f}"
    return equal if float(size) == 0 else f"{more if value > 0 else less} by {size}"
