"""The attacks of :mod:`attack_corpus`: each is refused with a reason, or changes nothing; after each the store is as it was."""

from __future__ import annotations

import pytest
from attack_corpus import ATTACKS, POSITIVE, POSTS, World, check, nested


def test_the_corpus_is_not_small() -> None:
    assert len(ATTACKS) >= 60


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_with_a_reason_and_changes_nothing(name: str) -> None:
    check(World(), name)


@pytest.mark.parametrize("route", ["answers", "flags", "undos", "skips"])
def test_what_a_parser_without_a_limit_reads_is_refused(route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """How deep Python's own parser goes differs by version, and may be deeper than any function that calls itself."""
    world = World()
    body = {**POSTS[route](world), "answer": {"category": nested(50_000)}, "note": nested(50_000)}
    monkeypatch.setattr("review_page.http.json.loads", lambda *_, **__: body)
    refusal = world.send("POST", f"/worker/{route}", b"{}")
    assert (refusal.status, b"deep" in refusal.body) == (400, True)


def test_an_answer_is_not_brought_back_by_who_recorded_it() -> None:
    """Undone, then replayed: the task is in work again, so the replay is an ordinary answer of its holder and of nobody else."""
    world = World()
    world.done.ended = False
    recorded = {"task": world.done.task_id, "answer": POSITIVE}
    world.send("POST", "/worker/undos", {"task": world.done.task_id})
    world.sign_in.sessions["bob"].csrf = "bob's"

    assert world.send("POST", "/worker/answers", recorded, user="bob", csrf="bob's").status == 409
    assert world.done.answer is None


@pytest.mark.parametrize("path", ["/worker", "/worker/next", "/worker/nowhere", "/worker/lead"])
def test_no_page_can_be_framed_by_another_site_or_kept_by_a_cache(path: str) -> None:
    response = World().send("GET", path, headers={"accept": "text/html"})
    policy = response.headers["Content-Security-Policy"]

    assert "frame-ancestors 'none'" in policy or policy == "default-src 'none'"
    assert response.headers["Cache-Control"] == "no-store"
