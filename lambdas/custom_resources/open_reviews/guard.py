"""The review stack is not deleted while people are asked: their answers would reach nobody. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lambdas.custom_resources.response import ResourceResult

PHYSICAL_ID = "open-reviews"
GIVEN_UP = "yes"
"""Value of the parameter with which an operator gives open reviews up."""
_NAMED = 10


class ReviewsAreOpen(RuntimeError):
    """CloudFormation shows the text as the reason why the stack was not deleted."""


def guard(event: Mapping[str, Any], found: Callable[[], Sequence[str]], given_up: Callable[[], bool]) -> ResourceResult:
    """Create and update do nothing. Delete fails while something is open.

    Args:
        found: names of open reviews and tasks; of many only the first ones.
        given_up: whether an operator gives them up.

    Raises:
        ReviewsAreOpen: with the list, and with what to do.
    """
    was_made = event.get("PhysicalResourceId") == PHYSICAL_ID
    if event["RequestType"] == "Delete" and was_made and not given_up() and (names := found()):
        more = f" and at least {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        parameter = event["ResourceProperties"]["Parameter"]
        raise ReviewsAreOpen(
            f"people are still asked, or will be: {', '.join(names[:_NAMED])}{more}. Wait until the reviews have ended, or give them up: "
            f"aws ssm put-parameter --name {parameter} --type String --value {GIVEN_UP} --overwrite"
        )
    return ResourceResult(PHYSICAL_ID)
