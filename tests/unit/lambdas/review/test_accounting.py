"""The reconciler's account of open reviews."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from lambdas.common.review import ReviewReason, ReviewRequest
from lambdas.review.reconcile.accounting import take_account


def item(prediction_id: str, created_at: str) -> dict[str, Any]:
    return {
        "prediction_id": prediction_id,
        "text": "t",
        "label": "positive",
        "confidence": Decimal("0.4"),
        "review_reason": "low_confidence",
        "attempt": Decimal(1),
        "created_at": created_at,
    }


def test_only_requests_older_than_the_limit_are_sent_again() -> None:
    account = take_account(
        [item("old", "2026-01-01T00:00:00"), item("new", "2026-01-02T00:00:00")], [item("late", "2025-12-01"), item("fine", "2026-01-02")],
        [item("dead", "2026-01-01")], resend_before="2026-01-01T12:00:00", overdue_before="2026-01-01",
    )  # fmt: skip
    assert account.to_resend == (ReviewRequest("old", "t", "positive", 0.4, ReviewReason.LOW_CONFIDENCE, 1),)
    assert account.overdue == ("late",)
    assert (account.requested, account.in_review, account.dead_lettered) == (2, 2, 1)


def test_a_review_that_was_asked_again_is_overdue_by_its_own_time() -> None:
    """The prediction may be weeks old when its dead letter is redriven."""
    asked = [item(name, "2025-11-01") | {"asked_at": at} for name, at in (("redriven", "2026-01-02"), ("late", "2025-12-01"))]
    account = take_account([], asked, [], resend_before="2026-01-01T12:00:00", overdue_before="2026-01-01")
    assert account.overdue == ("late",)


def test_a_record_that_makes_no_request_is_named_and_the_others_are_sent() -> None:
    broken = {
        "reason": item("reason", "2025-01-01") | {"review_reason": "boredom"},
        "label": {key: value for key, value in item("label", "2025-01-01").items() if key != "label"},
        "text": item("text", "2025-01-01") | {"text": "a\0"},
    }
    account = take_account([*broken.values(), item("good", "2025-01-01")], [], [], resend_before="2026-01-01", overdue_before="2026-01-01")
    assert [request.prediction_id for request in account.to_resend] == ["good"]
    assert [problem.split(":")[0] for problem in account.unusable] == list(broken)
    assert account.requested == 4
