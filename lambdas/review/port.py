"""The review port: how people are asked, and the one message that says how a review ended.

Behind it is an adapter, which knows the service that asks people. There are two. For Amazon A2I, :mod:`lambdas.review.a2i` starts reviews
and :mod:`lambdas.review.a2i_ended` makes the messages. For the hosted service, :mod:`lambdas.review.hosted` starts them, and
:mod:`lambdas.review.hosted_tasks.ending` makes the messages.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from contracts.text import parse_json
from lambdas.common.answers_wanted import ModelPrior
from lambdas.common.review import HumanAnswer, ReviewRequest


class ReviewStarter(Protocol):
    """Asks people."""

    def start(self, request: ReviewRequest, *, in_experiment: bool = False) -> None:
        """Start the review ``request.review_id``. Starting it again changes nothing.

        Args:
            in_experiment: a rollout may compare its two models by the answers, so no model may have a part in them.

        Raises:
            ReviewRefused: this request will never be taken (bad input); do not retry.
            Exception: anything that may pass; try again later.
        """
        ...


class ReviewRefused(Exception):
    """A starter refuses a request for good; the text says why."""


class ReviewStatus(StrEnum):
    """How a review ended. ``STOPPED``: an operator ended it before people had answered."""

    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


class InvalidMessage(ValueError):
    """A message of the queue ``review-results`` is no :class:`ReviewEnded`; the text names the field."""


@dataclass(frozen=True)
class ReviewEnded:
    """One message of the queue ``review-results`` (a JSON object with these keys). It may come more than once, and in any order.

    It has either ``answers``, which may be empty, or ``failure``, which says why there are none. ``ended_at`` is ISO 8601. ``prior`` is
    what the model said, by label id, where that decided with the answers how many there are.
    """

    review_id: str
    status: ReviewStatus
    ended_at: str
    answers: tuple[HumanAnswer, ...] | None = None
    failure: str | None = None
    prior: ModelPrior | None = None

    def __post_init__(self) -> None:
        if (self.answers is None) == (self.failure is None):
            raise InvalidMessage(f"review {self.review_id!r} must have either answers or a failure")
        try:
            # It names the ground-truth object, so it must be a time.
            datetime.fromisoformat(self.ended_at)
        except (TypeError, ValueError) as error:
            raise InvalidMessage(f"ended_at {self.ended_at!r} of review {self.review_id!r} is no time: {error}") from None

    def to_json(self) -> str:
        """``prior``, and ``suggestion_shown`` of an answer, only where they are known."""
        message = asdict(self)
        if self.prior is None:
            del message["prior"]
        for answer in message["answers"] or ():
            if answer["suggestion_shown"] is None:
                del answer["suggestion_shown"]
        return json.dumps(message, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, body: str) -> ReviewEnded:
        """Read a queue message.

        Raises:
            InvalidMessage: not a JSON object with these fields.
        """
        try:
            raw = parse_json(body)
            answers, failure, prior = raw.get("answers"), raw.get("failure"), raw.get("prior")
            return cls(
                review_id=str(raw["review_id"]),
                status=ReviewStatus(raw["status"]),
                ended_at=raw["ended_at"],
                answers=None if answers is None else tuple(_answer(answer) for answer in answers),
                failure=None if failure is None else str(failure),
                prior=None if prior is None else ModelPrior(**prior),
            )
        except InvalidMessage:
            raise
        except KeyError as error:
            raise InvalidMessage(f"the message has no field {error}") from None
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidMessage(f"the message does not say how a review ended: {error}") from None


def _answer(raw: Any) -> HumanAnswer:
    return HumanAnswer.given(raw["worker_id"], raw["label"], raw["seconds"], raw.get("suggestion_shown"))
