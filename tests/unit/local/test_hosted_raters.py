"""Recorded raters at the hosted page: which vote each one gives, and what they do without one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from local.demo import hosted_raters
from local.demo.hosted_raters import HostedRaters, draw
from local.demo.people_page import Reviewer, code

VOTES = {"fine": ["Good", "Bad", "Good"], "odd": ["Bad"]}


class Page:
    """A reviewer's page with one text."""

    def __init__(self, text: str) -> None:
        self.shown, self.done = text, ""

    def text(self, task_id: str) -> str:
        return self.shown

    def answer(self, task_id: str, label: str) -> dict[str, Any]:
        self.done = label
        return {"task": None}

    def skip(self, task_id: str) -> dict[str, Any]:
        self.done = "skipped"
        return {"task": None}


def done(text: str, number: int) -> str:
    page = Page(text)
    HostedRaters(cast(Any, None), VOTES, seed=3)._answer(number, cast(Reviewer, page), "t")
    return page.done


def test_every_rater_takes_a_vote_of_their_own() -> None:
    drawn = draw(VOTES["fine"], "fine", 3)
    assert sorted(drawn) == sorted(VOTES["fine"])
    assert [done("fine", number) for number in range(3)] == drawn
    assert draw(VOTES["fine"], "fine", 3) == drawn


def test_who_has_no_vote_for_a_text_skips_it() -> None:
    assert [done("odd", 0), done("odd", 1), done("unknown", 0)] == ["Bad", "skipped", "skipped"]


class Queue:
    """The index of open tasks, in which a task appears at the third look; ``looks`` has the conditions that were asked for."""

    def __init__(self) -> None:
        self.looks: list[dict[str, Any]] = []

    def query(self, **asked: Any) -> dict[str, Any]:
        self.looks.append(asked)
        return {"Count": int(len(self.looks) == 3)}


class PageWithoutTasks(Page):
    """Shows nothing, then the text once, and ends the raters' work after that."""

    def __init__(self, raters: HostedRaters) -> None:
        super().__init__("fine")
        self.raters, self.looked = raters, 0

    def next(self) -> dict[str, Any]:
        self.looked += 1
        return {"task": None if self.looked == 1 else {"id": "t"}}

    def answer(self, task_id: str, label: str) -> dict[str, Any]:
        self.raters._over.set()
        return super().answer(task_id, label)


def test_who_was_told_that_nothing_waits_looks_at_the_page_when_a_task_is_open_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosted_raters, "IDLE_SECONDS", 0.0)
    queue = Queue()
    session = SimpleNamespace(client=lambda _: queue, names=SimpleNamespace(review_tasks_table="tasks"))
    raters = HostedRaters(cast(Any, session), VOTES, seed=3)
    page = PageWithoutTasks(raters)
    raters._work(0, cast(Reviewer, page), "worker-1")
    assert (page.done, page.looked, len(queue.looks)) == (draw(VOTES["fine"], "fine", 3)[0], 2, 3)
    assert queue.looks[0]["ExpressionAttributeValues"] == {":team": {"S": "reviewers"}, ":me": {"S": "worker-1"}}


def test_the_authenticator_gives_the_codes_of_the_standard() -> None:
    """RFC 6238, appendix B: SHA-1, the last six of eight digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert [code(secret, at) for at in (59, 1_111_111_109, 20_000_000_000)] == ["287082", "081804", "353130"]
