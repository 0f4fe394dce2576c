"""Recorded raters at the hosted page: which vote each one gives, and what they do without one."""

from __future__ import annotations

from typing import Any, cast

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


def test_the_authenticator_gives_the_codes_of_the_standard() -> None:
    """RFC 6238, appendix B: SHA-1, the last six of eight digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert [code(secret, at) for at in (59, 1_111_111_109, 20_000_000_000)] == ["287082", "081804", "353130"]
