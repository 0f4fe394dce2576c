"""What one gate says of a candidate."""

from __future__ import annotations

from dataclasses import dataclass

_DIGITS = 9


@dataclass(frozen=True)
class GateResult:
    """One gate: the measured value against its limit.

    ``value`` is None when it is undefined: what cannot be shown is refused, unless the limit asks for nothing (``waived``).
    ``refused_since``: words for a refusal that the two numbers do not explain. ``unjudged``: why there is too little to judge; such a
    gate refuses nothing, and its reason says so.
    """

    gate: str
    value: float | None
    limit: float
    refused_since: str = ""
    waived: bool = False
    unjudged: str = ""

    @property
    def passed(self) -> bool:
        if self.unjudged:
            return True
        # A difference of two figures of four digits may be a little below the limit that it is equal to.
        return self.waived if self.value is None else round(self.value, _DIGITS) >= self.limit

    @property
    def reason(self) -> str:
        if self.unjudged or self.value is None:
            return self.unjudged or self.refused_since
        if self.refused_since and not self.passed:
            return self.refused_since
        relation, value, limit = "at least" if self.passed else "below", f"{self.value:.3f}", f"{self.limit:.3f}"
        if value == limit and not self.passed:
            value, limit = f"{self.value:.4f}", f"{self.limit:.4f}"
        return f"{self.gate} is {value}, {relation} the limit {limit}"
