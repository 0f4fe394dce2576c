"""Mail that tasks wait: one for all of them, not before its time, and not too often."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from hosted_service import TEAM, Service
from memory_table import MemoryTable

from lambdas.review.announce_tasks import handler as entry
from lambdas.review.announce_tasks.notice import Rule, notice

NOW, MINUTE, HOUR = 1_800_000_000_000, 60_000, 3_600_000
RULE = Rule(30, 24)


def told(ages: list[int], last: int | None = None) -> str | None:
    found = notice([NOW - age for age in ages], None if last is None else NOW - last, NOW, RULE, page="https://p/worker", most=3)
    return None if found is None else f"{found.subject}: {found.text}"


@pytest.mark.parametrize(
    ("ages", "last", "expected"),
    [
        ([], None, None),
        ([29 * MINUTE], None, None),
        ([30 * MINUTE], None, "1 text waits for an answer, the oldest for 30 minutes."),
        ([MINUTE, 3 * HOUR], None, "2 texts wait for answers, the oldest for 3 hours."),
        ([49 * HOUR] * 3, None, "At least 3 texts wait for answers, the oldest for 2 days."),
        ([40 * HOUR], 24 * HOUR - 1, None),
        ([40 * HOUR], 24 * HOUR, "1 text waits for an answer, the oldest for 40 hours."),
    ],
)
def test_one_mail_tells_of_all_tasks_that_wait(ages: list[int], last: int | None, expected: str | None) -> None:
    said = told(ages, last)
    assert (said is None) is (expected is None)
    assert expected is None or (expected in str(said) and "https://p/worker" in str(said))


class Aws:
    """The topic and the page's parameter."""

    def __init__(self) -> None:
        self.mails: list[dict[str, str]] = []

    def publish(self, **mail: str) -> None:
        self.mails.append(mail)

    def get_parameter(self, **_: str) -> dict[str, Any]:
        return {"Parameter": {"Value": json.dumps({"url": "https://page/"})}}


def test_a_mail_goes_out_once_until_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    service, aws = Service(MemoryTable()), Aws()
    monkeypatch.setattr(entry, "_environment", lambda: entry.Environment("tasks", 30, TEAM, "arn:topic", "/page", 30, 24))
    monkeypatch.setattr(entry, "task_table", lambda *_: service.tasks)
    monkeypatch.setattr(entry, "client", lambda _: aws)
    monkeypatch.setattr(entry, "_now", lambda: service.now)
    monkeypatch.setattr(entry.metrics, "add_metric", lambda *_: None)

    def run() -> bool:
        sent: bool = inspect.unwrap(entry.handler)({}, None)["sent"]
        return sent

    assert not run(), "nothing waits"
    service.ask()
    service.wait(3_600)
    service.ask()
    assert run()
    assert aws.mails[0]["TopicArn"] == "arn:topic"
    assert (aws.mails[0]["Subject"], "https://page/worker" in aws.mails[0]["Message"]) == ("2 texts wait for answers", True)
    assert not run(), "the next mail comes a day later"
    service.wait(22 * 3_600)
    assert not run()
    service.wait(2 * 3_600)
    assert not run(), "the tasks have expired"
    service.ask()
    service.wait(3_600)
    assert run()
    assert len(aws.mails) == 2
