"""The control record, by which people pause a running rollout, let it go on, or approve its promotion.

It is one SSM String parameter: ``none``, or ``{"rollout", "paused", "approved", "by"}`` as JSON. People write it, with the command line
or by hand. The judge reads it at each look, and a rollout's end clears its own. A record for another execution counts as ``none``, so a
forgotten one does no harm.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

NONE = "none"
"""The record when nobody wants anything of a rollout."""

_FIELDS = {"rollout": str, "paused": bool, "approved": bool, "by": str, "paused_by": str, "approved_by": str}


class InvalidControl(ValueError):
    """The record is not of the documented form."""


@dataclass(frozen=True)
class RolloutControl:
    """What people want of one rollout.

    Attributes:
        rollout: name of the execution.
        paused: it keeps its weights and decides nothing; alarms and failures still roll it back.
        approved: a person agrees to the promotion.
        by: who wrote the record, and why; for people.
        paused_by, approved_by: who paused it, and who approved it; empty in a record that says ``by`` alone.
    """

    rollout: str
    paused: bool = False
    approved: bool = False
    by: str = ""
    paused_by: str = ""
    approved_by: str = ""

    @property
    def pauser(self) -> str:
        return self.paused_by or self.by

    @property
    def approver(self) -> str:
        return self.approved_by or self.by

    @classmethod
    def parse(cls, record: str) -> RolloutControl | None:
        """Read the record's text; None for ``none``.

        Raises:
            InvalidControl: neither ``none`` nor a JSON object of these fields.
        """
        if record == NONE:
            return None
        try:
            raw: Any = json.loads(record)
        except ValueError:
            raw = None
        if not isinstance(raw, dict) or set(raw) - set(_FIELDS) or "rollout" not in raw:
            raise InvalidControl(f"control record {record!r} must be {NONE!r} or a JSON object of {', '.join(_FIELDS)}")
        for field, value in raw.items():
            if not isinstance(value, _FIELDS[field]):
                raise InvalidControl(f"control record: {field} {value!r} must be a {_FIELDS[field].__name__}")
        return cls(**raw)

    @classmethod
    def of(cls, rollout: str, record: str) -> RolloutControl:
        """What people want of this rollout; nothing when the record is ``none`` or another execution's.

        A record that cannot be read pauses every rollout, and ``by`` says why: somebody wanted something.

        Args:
            rollout: name of the execution that asks.
        """
        try:
            control = cls.parse(record)
        except InvalidControl as error:
            return cls(rollout, paused=True, by=str(error))
        return control if control is not None and control.rollout == rollout else cls(rollout)

    def format(self) -> str:
        return json.dumps(asdict(self), allow_nan=False)
