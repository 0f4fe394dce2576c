"""The queue of open tasks: two in hand, undo, skips by reason, flags, and what a lead sees."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from embedded_aws.core import clock
from embedded_aws.sagemaker.people.task_queue import Assignment, Task, TaskQueue
from review_page.answers import Worker
from review_page.fields import Classifier
from review_page.questions import CANNOT_TELL, Questions
from review_page.tasks import ENDED, Lease, SkipReason, TaskRefused

TEAM = {"team"}
ANN, BOB, CAT = (Worker(name, {"sub": name}, name) for name in ("ann", "bob", "cat"))
POSITIVE, NEGATIVE = ({"category": {"label": label}} for label in ("positive", "negative"))


def task(title: str, *, wanted: int = 1, team: str = "team", limit: float = 3_600) -> Task:
    return Task(
        title=title, description="", questions=Questions((Classifier("category", ("positive", "negative", CANNOT_TELL)),)),
        render=lambda: "", source="loop", workteam_arn=team, input={}, wanted=wanted, time_limit_seconds=limit, lifetime_seconds=3_600,
        finished=lambda task, ending: None,
    )  # fmt: skip


def queue(*tasks: Task) -> TaskQueue:
    made = TaskQueue()
    for one in tasks:
        made.add(one)
    return made


def title(lease: Lease | None) -> str | None:
    return lease.task.title if lease else None


def answer(made: TaskQueue, worker: Worker, content: dict[str, Any] = POSITIVE) -> str:
    lease = made.next_for(worker, TEAM)
    assert lease is not None
    made.submit(lease.task.task_id, worker, content)
    return lease.task.task_id


def test_a_worker_holds_one_task_in_work_and_one_ahead() -> None:
    made = queue(*(task(name) for name in "abcd"))

    assert made.ahead_for(ANN, TEAM) is None
    assert [title(made.next_for(ANN, TEAM)), title(made.ahead_for(ANN, TEAM)), title(made.ahead_for(ANN, TEAM))] == ["a", "b", "b"]
    assert title(made.next_for(BOB, TEAM)) == "c"
    answer(made, ANN)
    assert [title(made.next_for(ANN, TEAM)), title(made.ahead_for(ANN, TEAM))] == ["b", "d"]


def test_a_task_that_comes_into_work_begins_its_full_time() -> None:
    made = queue(task("a"), task("b"))
    made.next_for(ANN, TEAM)
    ahead = made.ahead_for(ANN, TEAM)
    assert ahead is not None
    second = made.find(ahead.task.task_id)
    assert second is not None
    held = second.assignments["ann"]
    second.assignments["ann"] = replace(held, accepted_at=held.accepted_at - 1_000, deadline=held.deadline - 1_000)

    answer(made, ANN)
    lease = made.next_for(ANN, TEAM)

    assert (title(lease), round(lease.seconds_left if lease else 0)) == ("b", 3_600)
    assert second.assignments["ann"].accepted_at > held.accepted_at - 1


def test_an_answer_is_undone_while_others_still_have_to_answer() -> None:
    made = queue(task("two", wanted=2), task("b"), task("c"))
    first = answer(made, ANN)
    assert [title(made.next_for(ANN, TEAM)), title(made.ahead_for(ANN, TEAM))] == ["b", "c"]

    undone = made.undo(first, ANN, TEAM)

    assert (undone.task.title, undone.earlier) == ("two", POSITIVE)
    nothing = made.summary(ANN, TEAM, 0)
    assert (nothing.recent, nothing.progress.answered, made.answered(first, ANN, TEAM)) == ([], 0, None)
    assert [title(made.next_for(ANN, TEAM)), title(made.ahead_for(ANN, TEAM)), title(made.next_for(BOB, TEAM))] == ["two", "b", "two"]
    made.submit(first, ANN, NEGATIVE)
    found = made.find(first)
    assert found is not None and [one.content for one in found.answers] == [NEGATIVE]


def test_an_answer_to_a_task_that_has_ended_stays() -> None:
    made = queue(task("one"), task("two", wanted=2), task("three", wanted=2))
    ended, other_team, stopped = (answer(made, ANN) for _ in range(3))
    made.stop(next(one for one in made.open_tasks() if one.task_id == stopped))

    assert [one.fixed for one in made.summary(ANN, TEAM, 0).recent] == [ENDED, "", ENDED]
    for task_id, teams, worker, said in (
        (ended, TEAM, ANN, "This task has ended"),
        (stopped, TEAM, ANN, "This task has ended"),
        (other_team, {"others"}, ANN, "none of your last ten answers"),
        (other_team, TEAM, BOB, "none of your last ten answers"),
    ):
        with pytest.raises(TaskRefused, match=said):
            made.undo(task_id, worker, teams)


def test_a_lease_that_is_over_is_nobodys() -> None:
    made = queue(task("a", limit=-1))
    (only,) = made.open_tasks()
    only.assignments["ann"] = Assignment(ANN, clock.now() - 2, clock.now() - 1)

    assert made.held(only.task_id, ANN, TEAM) is None


def test_who_signs_out_holds_nothing() -> None:
    made = queue(task("a"), task("b"))
    made.next_for(ANN, TEAM)
    made.ahead_for(ANN, TEAM)

    made.give_back(ANN)

    assert [title(made.next_for(BOB, TEAM)), title(made.ahead_for(BOB, TEAM))] == ["a", "b"]
    assert made.overview(TEAM).people == [], "giving back is no skip"


def test_a_lead_sees_the_queue_the_people_and_what_was_flagged() -> None:
    made = queue(task("agreed", wanted=3), task("open", wanted=2), task("of others", team="others"))
    agreed = answer(made, ANN)
    answer(made, BOB)
    answer(made, CAT, NEGATIVE)
    waiting = made.next_for(ANN, TEAM)
    assert waiting is not None
    made.skip(waiting.task.task_id, ANN, SkipReason.LANGUAGE, "Dutch?")
    made.next_for(BOB, TEAM)
    made.flag(agreed, BOB, "two labels fit")
    answer(made, CAT, {"category": {"label": CANNOT_TELL}})

    seen = made.overview(TEAM)

    assert (seen.open, [(one.title, one.answers, one.wanted, one.skips) for one in seen.queue]) == (
        1,
        [("open", 1, 2, {SkipReason.LANGUAGE: 1})],
    )
    assert [(name, left > 3_000) for name, left in seen.queue[0].holders] == [("bob", True)]
    assert {one.name: (one.answered, one.agreed, one.compared, one.cannot_tell, one.skipped) for one in seen.people} == {
        "ann": (1, 1, 1, 0, 1),
        "bob": (1, 1, 1, 0, 0),
        "cat": (2, 0, 1, 1, 0),
    }
    assert [(one.title, one.by, one.note) for one in seen.flags] == [
        ("agreed", "bob", "two labels fit"),
        ("open", "ann", "Skipped (language): Dutch?"),
    ]
    assert made.overview({"nobody's"}).people == []


def test_a_lead_releases_disputes_and_closes_within_their_teams() -> None:
    made = queue(task("held"))
    lease = made.next_for(ANN, TEAM)
    assert lease is not None
    held = lease.task.task_id

    for refused in (
        lambda: made.release(held, {"others"}),
        lambda: made.dispute(held, {"others"}, CAT, "no"),
        lambda: made.close("x", TEAM),
    ):
        with pytest.raises(TaskRefused):
            refused()
    made.release(held, TEAM)
    assert title(made.next_for(BOB, TEAM)) == "held"
    answer(made, BOB)
    made.dispute(held, TEAM, CAT, "look again")
    (dispute,) = made.overview(TEAM).disputes
    assert (dispute.title, dispute.by, dispute.note) == ("held", "cat", "look again")
    with pytest.raises(TaskRefused):
        made.close(dispute.remark_id, {"others"})
    made.close(dispute.remark_id, TEAM)
    assert made.overview(TEAM).disputes == []
