"""The review stack stays while people are asked, and goes when nobody is, or when an operator says so."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.custom_resources.open_reviews import handler as entry
from lambdas.custom_resources.open_reviews.guard import PHYSICAL_ID, ReviewsAreOpen, guard


def event(kind: str, physical_id: str = PHYSICAL_ID) -> dict[str, Any]:
    return {
        "RequestType": kind,
        "PhysicalResourceId": physical_id,
        "ResourceProperties": {"Parameter": "/reviewloop/dev/give-up-open-reviews"},
    }


def nobody_asks() -> list[str]:
    raise AssertionError("nothing is read")


def test_creating_and_updating_look_at_nothing() -> None:
    for kind in ("Create", "Update"):
        assert guard(event(kind), nobody_asks, lambda: False).physical_id == PHYSICAL_ID


def test_the_stack_goes_when_nothing_is_open_or_when_the_open_reviews_are_given_up() -> None:
    assert guard(event("Delete"), list, lambda: False).physical_id == PHYSICAL_ID
    assert guard(event("Delete"), nobody_asks, lambda: True).physical_id == PHYSICAL_ID, "also when the table is gone"


def test_the_stack_stays_while_reviews_are_open_and_the_reason_lists_them() -> None:
    names = [f"p{number}-1" for number in range(13)]
    with pytest.raises(ReviewsAreOpen, match=r"or will be: p0-1, .*p9-1 and at least 3 more\..*--value yes --overwrite") as refused:
        guard(event("Delete"), lambda: names, lambda: False)
    assert "put-parameter --name /reviewloop/dev/give-up-open-reviews" in str(refused.value)


def test_a_first_deploy_that_failed_can_be_removed() -> None:
    assert guard(event("Delete", "Guard-not-created"), nobody_asks, lambda: False).physical_id == PHYSICAL_ID


class Store:
    def __init__(self, code: str) -> None:
        self._code = code

    def open_reviews(self, state: Any) -> list[Any]:
        raise ClientError({"Error": {"Code": self._code, "Message": "no"}}, "Query")


def test_a_table_that_is_gone_keeps_no_stack_and_one_that_cannot_be_read_does(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = {"PredictionsTable": "predictions", "TasksTable": ""}
    monkeypatch.setattr(entry, "prediction_store", lambda _: Store("ResourceNotFoundException"))
    assert entry._found(properties) == []
    monkeypatch.setattr(entry, "prediction_store", lambda _: Store("AccessDeniedException"))
    with pytest.raises(ClientError):
        entry._found(properties)
