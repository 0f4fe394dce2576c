"""The table of review tasks on a real DynamoDB: every write is conditional there too, and no two people get one place."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hosted_service import TEAM, Service, choice, html, person

from embedded_aws.tools.clients import Clients
from lambdas.common.answers_wanted import AnswerRule
from lambdas.review.hosted import Terms
from lambdas.review.hosted_tasks.lead import HostedLead
from lambdas.review.hosted_tasks.store import HostedTasks
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.task import State, task_id_of
from review_page.tasks import SkipReason
from stacks.names import TASK_INDEXES

TERMS = Terms(TEAM, "Choose", "Read it.", AnswerRule.FIXED, 2, 3_600, 86_400, 60)


@pytest.fixture
def table(emulator: Any) -> Iterator[Any]:
    resource = Clients(emulator.url).resource("dynamodb")
    keys = {"pk": "HASH", "sk": "RANGE"}
    made = resource.create_table(
        TableName="review-tasks",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", *(one for pair in TASK_INDEXES.values() for one in pair))
        ],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys.items()],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in zip(pair, keys.values(), strict=True)],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, pair in TASK_INDEXES.items()
        ],
    )
    yield made
    made.delete()


def test_a_task_goes_its_whole_way(table: Any) -> None:
    service = Service(table, TERMS)
    first, second = service.ask("one"), service.ask("two")
    assert service.ask("again", "p-twice") == service.ask("and again", "p-twice") == task_id_of("p-twice-1")
    assert service.next("ann") in (first, second, task_id_of("p-twice-1"))
    service.store.give_back(person("ann"))
    done = service.answer("ann", "Bad")
    assert service.store.undo(done, person("ann"), [TEAM]).earlier == choice("Bad")
    assert service.answer("ann") == done
    [one] = service.store.summary(person("ann"), [TEAM], 0).recent
    assert service.store.answered(one.task_id, person("ann"), [TEAM]) == choice("Good")
    assert service.store.summary(person("ann"), [TEAM], 0).workload.waiting == 2
    while service.next("bob") != done:
        service.answer("bob")
    service.answer("bob")
    service.wait(61)
    assert service.sweep()[1] == 0
    assert service.read(done).state is State.ENDED
    assert [one.label for one in service.sent[0].answers or ()] == ["positive", "positive"]
    assert len(service.files) == 1
    service.sweep()
    assert len(service.sent) == 1


def test_who_is_far_ahead_goes_on_where_they_are_and_finds_what_comes_back(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambdas.review.hosted_tasks.table._PAGE", 2)
    service = Service(table, TERMS)
    ids = []
    for _ in range(10):
        ids.append(service.ask())
        service.wait(1)
    assert service.next("bob") == service.next("eve") == ids[0]
    assert [service.answer("ann") for _ in range(6)] == ids[1:7]
    passed = service.tasks.desk("ann").passed[TEAM]
    assert passed.has(f"{service.read(ids[5]).created_at:015d}#{ids[5]}")
    with monkeypatch.context() as whole:
        whole.setattr("lambdas.review.hosted_tasks.table._PAGE", 100)
        assert service.store.summary(person("ann"), [TEAM], 0).workload.waiting == 3
    service.store.give_back(person("eve"))
    assert sorted(service.answer("ann") for _ in range(4)) == sorted([ids[0], *ids[7:]])
    assert service.next("ann") is None
    service.store.give_back(person("bob"))
    assert service.next("bob") == ids[0]


def test_many_people_at_once_get_no_place_twice(table: Any) -> None:
    tasks = Service(table, TERMS)
    ids = [tasks.ask() for _ in range(10)]

    def work(name: str) -> list[str]:
        mine = Clients(table.meta.client.meta.endpoint_url).resource("dynamodb").Table(table.name)
        store = HostedTasks(TaskTable(mine, 30), html, tasks.finish, lambda: tasks.now, random.Random(name))  # noqa: S311  (no secret)
        done = []
        while (lease := store.next_for(person(name), [TEAM])) is not None:
            store.submit(lease.task.task_id, person(name), choice("Good"))
            done.append(lease.task.task_id)
        return done

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(work, [f"person-{number}" for number in range(6)]))
    assert all(len(one) == len(set(one)) for one in done), "nobody gets a task twice"
    assert Counter(task_id for one in done for task_id in one) == dict.fromkeys(ids, TERMS.most)


def test_the_lead_sees_who_did_what_once_and_closes_what_was_said(table: Any) -> None:
    service = Service(table, TERMS)
    done, waiting = service.ask("one"), service.ask("two")
    lead = HostedLead(service.tasks, service.finish, lambda: service.now)
    for name, label in (("ann", "Good"), ("bob", "Good")):
        while service.next(name) != done:
            service.store.skip(waiting, person(name), SkipReason.LANGUAGE)
        service.wait(10)
        service.answer(name, label)
    service.store.flag(done, person("ann"), "look")
    lead.dispute(waiting, [TEAM], person("lea"), "again")
    service.wait(61)
    service.sweep()
    service.sweep()
    seen = lead.overview([TEAM])
    assert [(one.task_id, one.wanted) for one in seen.queue] == [(waiting, 3)]
    assert {(one.name, one.answered, one.agreed, one.compared) for one in seen.people} == {("ann", 1, 1, 1), ("bob", 1, 1, 1)}
    assert [one.note for one in (*seen.flags, *seen.disputes)] == ["look", "again"]
    for one in (*seen.flags, *seen.disputes):
        lead.close(one.remark_id, [TEAM])
    assert (lead.overview([TEAM]).flags, lead.overview([TEAM]).disputes) == ([], [])
