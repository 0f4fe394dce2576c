"""The reconciliation of open reviews."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from review_fakes import prediction

from lambdas.common.predictions import StoredPrediction
from lambdas.review.reconcile.reconciliation import reconcile, waited_seconds


def stored(prediction_id: str, created_at: str) -> StoredPrediction:
    return StoredPrediction.parse(replace(prediction(), prediction_id=prediction_id, created_at=created_at).item())


def test_only_requests_older_than_the_limit_are_sent_again() -> None:
    waiting = [stored("old", "2026-01-01T00:00:00"), stored("new", "2026-01-02T00:00:00")]
    asked = [stored("late", "2025-12-01"), stored("fine", "2026-01-02")]
    dead = [stored("dead", "2026-01-01")]
    found = reconcile(waiting, asked, dead, resend_before="2026-01-01T12:00:00", overdue_before="2026-01-01")
    assert found.to_resend == (replace(prediction(), prediction_id="old", created_at="2026-01-01T00:00:00").review_request(),)
    assert found.overdue == ("late",)
    assert (found.requested, found.in_review, found.dead_lettered) == (2, 2, 1)


def test_a_review_that_was_asked_again_is_overdue_by_its_own_time() -> None:
    """The prediction may be weeks old when its dead letter is redriven."""
    asked = [replace(stored(name, "2025-11-01"), asked_at=at) for name, at in (("redriven", "2026-01-02"), ("late", "2025-12-01"))]
    found = reconcile([], asked, [], resend_before="2026-01-01T12:00:00", overdue_before="2026-01-01")
    assert found.overdue == ("late",)


def test_a_record_that_makes_no_request_is_named_and_the_others_are_sent() -> None:
    broken = {
        "reason": replace(stored("reason", "2025-01-01"), review_reason="boredom"),
        "label": replace(stored("label", "2025-01-01"), label=None),
        "text": replace(stored("text", "2025-01-01"), text="a\0"),
    }
    found = reconcile([*broken.values(), stored("good", "2025-01-01")], [], [], resend_before="2026-01-01", overdue_before="2026-01-01")
    assert [request.prediction_id for request in found.to_resend] == ["good"]
    assert [problem.split(":")[0] for problem in found.unusable] == list(broken)
    assert found.requested == 4


def test_the_oldest_review_is_told_by_the_time_at_which_people_were_asked() -> None:
    asked = [replace(stored("again", "2025-11-01"), asked_at="2026-01-02"), stored("old", "2026-01-01")]
    given = {"resend_before": "2026-01-01T12:00:00", "overdue_before": "2026-01-01"}
    assert reconcile([stored("new", "2026-01-03")], asked, [stored("dead", "2025-01-01")], **given).oldest == "2026-01-01"
    assert reconcile([], [], [], **given).oldest is None


@pytest.mark.parametrize(
    ("since", "seconds"),
    [("2026-01-01T11:59:00+00:00", 60), ("2026-01-01T11:00:00", 3_600), (None, 0), ("2027-01-01T00:00:00+00:00", 0), ("soon", 0)],
)
def test_a_wait_is_whole_seconds(since: str | None, seconds: int) -> None:
    assert waited_seconds(since, datetime(2026, 1, 1, 12, tzinfo=UTC)) == seconds
