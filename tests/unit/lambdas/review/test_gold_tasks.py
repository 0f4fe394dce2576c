"""Gold tasks: mixed in at the declared share, counted for each person, and never a label."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hosted_service import LABELS, TEAM, TERMS, Service
from memory_table import MemoryTable

from contracts.labels import CANNOT_TELL
from lambdas.custom_resources.open_reviews import handler as guard
from lambdas.review.hosted_tasks.gold import GoldText, draw, gold_id
from lambdas.review.hosted_tasks.lead import HostedLead
from lambdas.review.hosted_tasks.task import State, task_id_of

GOLD = [GoldText("surely good", "positive"), GoldText("surely bad", "negative")]


@pytest.fixture
def service() -> Service:
    made = Service(MemoryTable(), replace(TERMS, gold_share=1.0))
    made.tasks.put_gold(TEAM, GOLD[:1])
    return made


def test_gold_comes_with_the_declared_share_of_reviews_and_each_text_is_used() -> None:
    drawn = [draw(f"p{number}-1", 0.1, GOLD) for number in range(2_000)]
    count = sum(one is not None for one in drawn)
    assert 150 < count < 250
    assert min(drawn.count(one) for one in GOLD) > count // 3
    assert drawn == [draw(f"p{number}-1", 0.1, GOLD) for number in range(2_000)]
    assert draw("p-1", 1.0, []) is None


def test_a_review_that_is_started_twice_has_one_gold_task(service: Service) -> None:
    service.ask(prediction_id="p")
    service.ask(prediction_id="p")
    gold = service.read(task_id_of(gold_id("p-1")))
    assert (gold.gold, gold.rule, gold.most, len(list(service.tasks.soon_due(10)))) == ("Good", "fixed", 3, 2)
    assert service.tasks.input(gold.task_id)["text"] == "surely good"
    assert gold.known_as == "surely good"


def test_without_a_share_or_a_label_that_people_can_choose_there_is_none(service: Service) -> None:
    service.tasks.put_gold(TEAM, [GoldText("neither", "neutral")])
    service.ask()
    assert "neutral" not in LABELS.ids
    service.terms = TERMS
    service.tasks.put_gold(TEAM, GOLD)
    service.ask()
    assert [task.gold for task in service.tasks.soon_due(10)] == [None, None]


def test_gold_answers_are_counted_for_their_people_and_become_no_label(service: Service) -> None:
    service.ask(prediction_id="p")
    gold = task_id_of(gold_id("p-1"))
    for name, label in (("ann", "Good"), ("bob", "Bad"), ("cyd", "Good")):
        for _ in range(2):
            service.answer(name, label) if service.next(name) is not None else None
    service.wait(61)
    service.sweep()
    assert service.read(gold).state is State.ENDED
    assert [one.review_id for one in service.sent] == ["p-1"]
    assert all("gold" not in key for key in service.files)
    people = {one.name: one for one in HostedLead(service.tasks, service.finish, lambda: service.now).overview([TEAM]).people}
    assert {name: (one.gold_right, one.gold_answered) for name, one in people.items()} == {"ann": (1, 1), "bob": (0, 1), "cyd": (1, 1)}
    assert (people["bob"].compared, people["bob"].answered) == (1, 2), "with others only the review is compared"


def test_who_cannot_tell_in_a_gold_task_is_not_right_and_is_counted_as_such(service: Service) -> None:
    service.ask(prediction_id="p")
    gold = task_id_of(gold_id("p-1"))
    for name in ("ann", "bob", "cyd"):
        while (task := service.next(name)) is not None:
            service.answer(name, CANNOT_TELL if task == gold else "Good")
    service.wait(61)
    service.sweep()
    people = HostedLead(service.tasks, service.finish, lambda: service.now).overview([TEAM]).people
    assert {(one.gold_right, one.gold_answered, one.cannot_tell) for one in people} == {(0, 1, 1)}


def test_an_open_gold_task_keeps_no_stack(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.ask(prediction_id="p")
    monkeypatch.setattr(guard, "dynamodb_table", lambda _: service.table)
    assert guard._tasks("tasks") == ["p-1"]
