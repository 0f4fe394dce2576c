"""The event with which A2I says that a human loop has ended.

Source: A2I developer guide, "Use Amazon CloudWatch Events in Amazon Augmented AI".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from lambdas.common.review import shown

_LONGEST_FAILURE = 1_000


class LoopStatus(StrEnum):
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"


class InvalidEvent(ValueError):
    """The message is not an A2I status event; the text says what is missing."""


@dataclass(frozen=True)
class LoopResult:
    """``ended_at`` is ISO 8601; ``output_uri`` is None when the loop has no output."""

    review_id: str
    status: LoopStatus
    ended_at: str
    output_uri: str | None
    failure: str | None

    @classmethod
    def of_event(cls, event: Mapping[str, Any]) -> LoopResult:
        """Raises InvalidEvent."""
        try:
            detail = event["detail"]
            failure = ": ".join(
                shown(str(detail[key]), longest=_LONGEST_FAILURE) for key in ("failureCode", "failureReason") if detail.get(key)
            )
            output_uri = (detail.get("humanLoopOutput") or {}).get("outputS3Uri")
            return cls(
                review_id=str(detail["humanLoopName"]),
                status=LoopStatus(detail["humanLoopStatus"]),
                ended_at=_time(event["time"]),
                output_uri=None if output_uri is None else str(output_uri),
                failure=shown(failure, longest=_LONGEST_FAILURE) or None,
            )
        except KeyError as error:
            raise InvalidEvent(f"the A2I event has no field {error}") from None
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidEvent(f"not an A2I status event: {error}") from None


def _time(value: str) -> str:
    """It names the ground-truth object, so it must be a time."""
    datetime.fromisoformat(value)
    return value
