"""The lead's page on the hosted service: what waits, who does how much, flags and disputes; of other teams nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hosted_service import TEAM, Service, choice, person
from memory_table import MemoryTable

from lambdas.review.hosted_tasks.lead import HostedLead
from review_page.tasks import Overview, SkipReason, TaskRefused

LEA = person("lea")


@pytest.fixture
def service() -> Service:
    return Service(MemoryTable())


def lead_of(service: Service) -> HostedLead:
    return HostedLead(service.tasks, service.finish, lambda: service.now)


def seen(service: Service, team: str = TEAM) -> Overview:
    return lead_of(service).overview([team])


def held(service: Service, name: str) -> str:
    task_id = service.next(name)
    assert task_id is not None
    return task_id


def test_what_waits_is_shown_with_its_age_its_holders_and_its_skips(service: Service) -> None:
    first = service.ask("one")
    service.wait(60)
    service.ask("two")
    service.store.skip(held(service, "bob"), person("bob"), SkipReason.LANGUAGE)
    assert held(service, "ann") == first
    service.wait(30)
    overview = seen(service)
    assert (overview.open, [one.age for one in overview.queue]) == (2, [90.0, 30.0])
    one = overview.queue[0]
    assert (one.task_id, one.answers, one.wanted, one.skips) == (first, 0, 2, {SkipReason.LANGUAGE: 1})
    assert list(one.holders) == [("ann", 3_570.0)]


def test_a_task_that_nobody_else_may_take_is_in_the_queue_too(service: Service) -> None:
    task_id = service.ask()
    for name in ("ann", "bob"):
        assert held(service, name) == task_id
    assert [len(one.holders) for one in seen(service).queue] == [2]


def test_people_are_counted_once_their_tasks_have_ended(service: Service) -> None:
    service.ask()
    service.ask()
    for name, label in (("ann", "Good"), ("bob", "Bad"), ("cyd", "Good")):
        held(service, name)
        service.wait(10)
        service.answer(name, label)
    held(service, "bob")
    assert seen(service).people == []
    service.wait(61)
    service.sweep()
    people = {one.name: one for one in seen(service).people}
    assert {name: (one.answered, one.seconds_per_answer, one.agreed, one.compared) for name, one in people.items()} == {
        "ann": (1, 10.0, 1, 1), "bob": (1, 10.0, 0, 1), "cyd": (1, 10.0, 1, 1)
    }  # fmt: skip
    service.sweep()
    assert {one.name: one.answered for one in seen(service).people} == {"ann": 1, "bob": 1, "cyd": 1}, "an end is counted once"


def test_who_cannot_tell_and_who_skips_is_counted(service: Service) -> None:
    service.ask()
    service.store.skip(held(service, "dee"), person("dee"), SkipReason.UNCLEAR)
    for name, label in (("ann", "cannot-tell"), ("bob", "cannot-tell")):
        service.answer(name, label)
    service.wait(61)
    service.sweep()
    people = {one.name: (one.cannot_tell, one.skipped) for one in seen(service).people}
    assert people == {"ann": (1, 0), "bob": (1, 0), "dee": (0, 1)}


def test_a_stuck_task_is_released_and_its_holders_lose_it(service: Service) -> None:
    task_id = service.ask()
    assert held(service, "ann") == task_id
    lead_of(service).release(task_id, [TEAM])
    assert service.read(task_id).leases == {}
    assert service.tasks.desk("ann").in_work is None
    with pytest.raises(TaskRefused, match="no longer yours"):
        service.store.submit(task_id, person("ann"), choice("Good"))
    assert held(service, "bob") == task_id


def test_flags_and_disputes_are_listed_until_they_are_closed(service: Service) -> None:
    task_id = service.ask()
    service.store.flag(held(service, "ann"), person("ann"), "two languages")
    service.wait(5)
    lead_of(service).dispute(task_id, [TEAM], LEA, "look again")
    overview = seen(service)
    assert [(one.task_id, one.by, one.note) for one in overview.flags] == [(task_id, "ann", "two languages")]
    assert [(one.by, one.note, one.made_at) for one in overview.disputes] == [("lea", "look again", service.now / 1_000)]
    for remark in (*overview.flags, *overview.disputes):
        lead_of(service).close(remark.remark_id, [TEAM])
        with pytest.raises(TaskRefused, match="or it is closed"):
            lead_of(service).close(remark.remark_id, [TEAM])
    assert (seen(service).flags, seen(service).disputes) == ([], [])


def test_a_disputed_task_gets_one_more_answer_while_it_is_open(service: Service) -> None:
    task_id = service.ask()
    for name in ("ann", "bob"):
        service.answer(name, "Good")
    lead_of(service).dispute(task_id, [TEAM], LEA, "sure?")
    service.wait(61)
    service.sweep()
    assert (service.read(task_id).wanted, service.read(task_id).state) == (3, "open")
    service.answer("cyd", "Bad")
    service.wait(61)
    service.sweep()
    assert [one.label for one in service.sent[0].answers or ()] == ["positive", "positive", "negative"]
    lead_of(service).dispute(task_id, [TEAM], LEA, "after its end only the note stays")
    assert (service.read(task_id).state, len(seen(service).disputes)) == ("ended", 1)


def test_a_dispute_that_is_said_twice_asks_one_more_person_once(service: Service) -> None:
    task_id = service.ask()
    for note in ("sure?", "are you sure?", "sure?"):
        lead_of(service).dispute(task_id, [TEAM], LEA, note)
    assert (service.read(task_id).wanted, [one.note for one in seen(service).disputes]) == (3, ["sure?"])
    lead_of(service).close(seen(service).disputes[0].remark_id, [TEAM])
    lead_of(service).dispute(task_id, [TEAM], LEA, "still not sure")
    assert service.read(task_id).wanted == 4, "it is another dispute"


def test_a_dispute_is_opened_whole_or_not_at_all_and_beside_an_answer(service: Service) -> None:
    task_id = service.ask()
    held(service, "ann")

    def fails() -> None:
        raise OSError("the function was stopped")

    service.table.after_write = fails
    with pytest.raises(OSError, match="stopped"):
        lead_of(service).dispute(task_id, [TEAM], LEA, "sure?")
    service.table.after_write = lambda: None
    lead_of(service).dispute(task_id, [TEAM], LEA, "sure?")
    assert service.read(task_id).wanted == 3, "its first try was whole"

    def answered_meanwhile() -> None:
        service.table.before_write = lambda: None
        service.store.submit(task_id, person("ann"), choice("Good"))

    service.table.before_write = answered_meanwhile
    lead_of(service).dispute(task_id, [TEAM], person("lou"), "and you?")
    assert (service.read(task_id).wanted, service.read(task_id).answers.keys()) == (4, {"ann"})


def test_a_note_that_is_written_anew_while_the_lead_closes_it_is_not_lost(service: Service) -> None:
    task_id = service.ask()
    service.store.flag(held(service, "ann"), person("ann"), "two languages")
    [flag] = seen(service).flags

    def anew() -> None:
        service.table.before_write = lambda: None
        service.wait(1)
        service.store.flag(task_id, person("ann"), "and it names a person")

    service.table.before_write = anew
    with pytest.raises(TaskRefused):
        lead_of(service).close(flag.remark_id, [TEAM])
    assert [one.note for one in seen(service).flags] == ["and it names a person"]


@pytest.mark.parametrize("action", ["release", "dispute", "close"])
def test_of_another_team_a_lead_learns_and_changes_nothing(service: Service, action: str) -> None:
    task_id = service.ask()
    service.store.flag(held(service, "ann"), person("ann"), "a note")
    [flag] = seen(service).flags
    other = seen(service, "others")
    assert (other.open, other.queue, other.people, other.flags, other.disputes) == (0, [], [], [], [])
    before = json.dumps([service.tasks.task(task_id), seen(service)], default=str)
    actions: dict[str, Any] = {
        "release": lambda: lead_of(service).release(task_id, ["others"]),
        "dispute": lambda: lead_of(service).dispute(task_id, ["others"], LEA, "x"),
        "close": lambda: lead_of(service).close(flag.remark_id, ["others"]),
    }
    with pytest.raises(TaskRefused):
        actions[action]()
    assert json.dumps([service.tasks.task(task_id), seen(service)], default=str) == before


@pytest.mark.parametrize("remark", ["", "x", "task:task", "worker#ann:desk", "nothing:flag#ann"])
def test_what_is_no_remark_is_not_closed(service: Service, remark: str) -> None:
    with pytest.raises(TaskRefused):
        lead_of(service).close(remark, [TEAM])


def test_the_overview_of_a_long_queue_is_a_few_queries(service: Service) -> None:
    for _ in range(250):
        service.ask()
    service.table.queries.clear()
    assert seen(service).open == 200
    assert len(service.table.queries) == 5


def test_tasks_of_one_title_are_told_apart_by_how_their_texts_begin(service: Service) -> None:
    service.ask("The room\nwas\u202e clean, " + "and quiet, " * 20)
    service.ask("Short.")

    begun = "The room was clean, and quiet, and quiet, and quiet, and qui..."
    assert {one.title for one in seen(service).queue} == {begun, "Short."}
    task_id = held(service, "ann")
    service.store.submit(task_id, person("ann"), choice("Good"))
    [answered] = service.store.summary(person("ann"), [TEAM], 0).recent
    service.store.flag(task_id, person("ann"), "which label?")
    [flag] = seen(service).flags
    assert answered.title == flag.title == service.read(task_id).excerpt
