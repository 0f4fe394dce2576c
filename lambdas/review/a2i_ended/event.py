"""The event with which A2I says that a human loop has ended: pure.

Source: A2I developer guide, "Use Amazon CloudWatch Events in Amazon Augmented AI".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lambdas.common.review import shown
from lambdas.review.output import UnreadableOutput, answers
from lambdas.review.port import ReviewEnded, ReviewStatus

_LONGEST_FAILURE = 1_000
_STATUS = {"Completed": ReviewStatus.COMPLETED, "Failed": ReviewStatus.FAILED, "Stopped": ReviewStatus.STOPPED}


class InvalidEvent(ValueError):
    """The message is not an A2I status event; the text says what is missing."""


@dataclass(frozen=True)
class HumanLoopEnded:
    """``ended_at`` is ISO 8601; ``output_uri`` is None when the loop has no output."""

    name: str
    status: ReviewStatus
    ended_at: str
    output_uri: str | None
    failure: str | None

    @classmethod
    def of_event(cls, event: Mapping[str, Any]) -> HumanLoopEnded:
        """Raises InvalidEvent."""
        try:
            detail = event["detail"]
            failure = ": ".join(
                shown(str(detail[key]), longest=_LONGEST_FAILURE) for key in ("failureCode", "failureReason") if detail.get(key)
            )
            output_uri = (detail.get("humanLoopOutput") or {}).get("outputS3Uri")
            return cls(
                name=str(detail["humanLoopName"]),
                status=_STATUS[detail["humanLoopStatus"]],
                ended_at=_time(event["time"]),
                output_uri=None if output_uri is None else str(output_uri),
                failure=shown(failure, longest=_LONGEST_FAILURE) or None,
            )
        except KeyError as error:
            raise InvalidEvent(f"the A2I event has no field, or no known status, {error}") from None
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidEvent(f"not an A2I status event: {error}") from None


def review_ended(loop: HumanLoopEnded, read_output: Callable[[str], Any]) -> ReviewEnded:
    """The end of the loop as a message of the review port.

    An ``output.json`` that cannot be read stays where it is. Its review is a failure, so people are asked again.

    Args:
        read_output: URI -> the parsed file. Raises :class:`~lambdas.review.output.OutputMissing` or ``UnreadableOutput`` of that module.

    Raises:
        OutputMissing: the answers are not readable yet.
    """
    given, failure = None, None
    if loop.status is not ReviewStatus.COMPLETED:
        failure = loop.failure or "no reason given"
    elif loop.output_uri is None:
        failure = "there is no output.json"
    else:
        try:
            given = answers(read_output(loop.output_uri))
        except UnreadableOutput as error:
            failure = f"{loop.output_uri} cannot be read: {error}"
    return ReviewEnded(loop.name, loop.status, loop.ended_at, given, failure)


def _time(value: str) -> str:
    datetime.fromisoformat(value)
    return value
