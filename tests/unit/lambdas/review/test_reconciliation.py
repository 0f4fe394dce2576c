"""The reconciler's account of open reviews."""

from __future__ import annotations

from dataclasses import replace

from review_fakes import prediction

from lambdas.common.predictions import StoredPrediction
from lambdas.review.reconcile.reconciliation import take_account


def stored(prediction_id: str, created_at: str) -> StoredPrediction:
    return StoredPrediction.parse(replace(prediction(), prediction_id=prediction_id, created_at=created_at).item())


def test_only_requests_older_than_the_limit_are_sent_again() -> None:
    waiting = [stored("old", "2026-01-01T00:00:00"), stored("new", "2026-01-02T00:00:00")]
    asked = [stored("late", "2025-12-01"), stored("fine", "2026-01-02")]
    dead = [stored("dead", "2026-01-01")]
    account = take_account(waiting, asked, dead, resend_before="2026-01-01T12:00:00", overdue_before="2026-01-01")
    assert account.to_resend == (replace(prediction(), prediction_id="old", created_at="2026-01-01T00:00:00").review_request(),)
    assert account.overdue == ("late",)
    assert (account.requested, account.in_review, account.dead_lettered) == (2, 2, 1)


def test_a_review_that_was_asked_again_is_overdue_by_its_own_time() -> None:
    """The prediction may be weeks old when its dead letter is redriven."""
    asked = [replace(stored(name, "2025-11-01"), asked_at=at) for name, at in (("redriven", "2026-01-02"), ("late", "2025-12-01"))]
    account = take_account([], asked, [], resend_before="2026-01-01T12:00:00", overdue_before="2026-01-01")
    assert account.overdue == ("late",)


def test_a_record_that_makes_no_request_is_named_and_the_others_are_sent() -> None:
    broken = {
        "reason": replace(stored("reason", "2025-01-01"), review_reason="boredom"),
        "label": replace(stored("label", "2025-01-01"), label=None),
        "text": replace(stored("text", "2025-01-01"), text="a\0"),
    }
    account = take_account(
        [*broken.values(), stored("good", "2025-01-01")], [], [], resend_before="2026-01-01", overdue_before="2026-01-01"
    )
    assert [request.prediction_id for request in account.to_resend] == ["good"]
    assert [problem.split(":")[0] for problem in account.unusable] == list(broken)
    assert account.requested == 4
