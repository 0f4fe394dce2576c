"""Who is ahead of the other reviewers: how far they have passed the queue, and that nothing is lost behind that."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hosted_service import TEAM, TERMS, Service, person
from memory_table import MemoryTable

from lambdas.common.answers_wanted import AnswerRule
from lambdas.review.hosted_tasks.lead import HostedLead
from lambdas.review.hosted_tasks.queue import MOST_BACK
from lambdas.review.hosted_tasks.task import give_back, take, task_id_of
from review_page.tasks import SkipReason, Workload

PAGE = 4


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """Tasks for two answers, and a third one if these differ; nobody can undo, so the second one ends a task on which two agree."""
    monkeypatch.setattr("lambdas.review.hosted_tasks.table._PAGE", PAGE)
    return Service(MemoryTable(), replace(TERMS, undo_seconds=0, availability_seconds=10**7))


def ask(service: Service, tasks: int) -> list[str]:
    ids = []
    for _ in range(tasks):
        ids.append(service.ask())
        service.wait(1)
    return ids


def ask_in_bulk(service: Service, tasks: int) -> list[str]:
    """Texts of a bulk labelling, which come after all reviews."""
    ids = []
    for number in range(tasks):
        service.wait(1)
        name = task_id_of(f"bulk-{service.now}-{number}")
        like = Service(MemoryTable(), service.terms, service.now)
        like_id = like.ask()
        service.tasks.add(replace(like.read(like_id), task_id=name, review_id=name, job="job", version=0), like.tasks.input(like_id))
        ids.append(name)
    return ids


def queries_of(service: Service, name: str) -> tuple[str | None, int]:
    """The person's next task, and how many queries it took."""
    service.table.queries.clear()
    return service.next(name), len(service.table.queries)


def left_beside_the_next_task(service: Service, name: str) -> Workload:
    service.next(name)
    return left_for(service, name)


def left_for(service: Service, name: str) -> Workload:
    return service.store.summary(person(name), [TEAM], 0).workload


def test_the_next_task_of_who_is_far_ahead_is_one_query_more_however_far(service: Service) -> None:
    ids = ask(service, 12 * PAGE)
    counts = []
    for expected in ids[:-1]:
        got, queries = queries_of(service, "ann")
        assert got == expected
        counts.append(queries)
        service.answer("ann")
    assert counts == [1] * PAGE + [2] * (11 * PAGE - 1)
    assert queries_of(service, "bob") == (ids[0], 1)


def test_the_task_ahead_of_who_is_far_ahead_is_as_few_queries(service: Service) -> None:
    ids = ask(service, 5 * PAGE)
    for _ in range(3 * PAGE):
        service.answer("ann")
    assert service.next("ann") == ids[3 * PAGE]
    service.table.queries.clear()
    lease = service.store.ahead_for(person("ann"), [TEAM])
    assert lease is not None and lease.task.task_id == ids[3 * PAGE + 1]
    assert len(service.table.queries) == 2


def test_what_is_left_is_counted_from_where_the_person_is(service: Service) -> None:
    ask(service, 5 * PAGE)
    for _ in range(2 * PAGE):
        service.answer("ann")
    assert left_beside_the_next_task(service, "ann") == Workload(PAGE, 0, more=True)
    for _ in range(2 * PAGE):
        service.answer("ann")
    assert left_beside_the_next_task(service, "ann") == Workload(PAGE, 0, more=False)
    assert left_for(service, "bob") == Workload(PAGE, 0, more=True)


def test_who_is_a_page_ahead_no_more_reads_from_the_begin_again(service: Service) -> None:
    ask(service, 4 * PAGE)
    for _ in range(2 * PAGE):
        service.answer("ann")
    for _ in range(2 * PAGE):
        service.answer("bob")
    while queries_of(service, "ann")[1] > 1:
        service.answer("ann")
    assert not service.tasks.desk("ann").passed
    service.answer("ann")
    assert queries_of(service, "ann")[1] == 1


@pytest.mark.parametrize("pages", [1, 3, 8])
def test_a_task_that_others_had_and_give_back_is_found_among_what_was_passed(service: Service, pages: int) -> None:
    """It was not in the index when the person came past it, and comes back under its old key."""
    first, *_ = ask(service, (2 * pages + 4) * PAGE)
    assert service.next("bob") == service.next("eve") == first
    for _ in range(pages * PAGE + PAGE // 2):
        service.answer("ann")
    service.store.give_back(person("eve"))
    assert first in {service.answer("ann") for _ in range(pages + 3)}


def test_a_lease_that_runs_out_is_found_among_what_was_passed(service: Service) -> None:
    first, *_ = ask(service, 6 * PAGE)
    assert service.next("bob") == service.next("eve") == first
    for _ in range(3 * PAGE):
        service.answer("ann")
    service.wait(3_600)
    service.sweep()
    assert first in {service.answer("ann") for _ in range(6)}


def test_a_third_answer_that_is_wanted_is_found_among_what_was_passed(service: Service) -> None:
    first, *_ = ask(service, 6 * PAGE)
    assert service.next("bob") == service.next("eve") == first
    for _ in range(3 * PAGE):
        service.answer("ann")
    service.answer("bob", "Good"), service.answer("eve", "Bad")
    assert first in {service.answer("ann") for _ in range(6)}


def test_a_dispute_of_the_lead_is_found_among_what_was_passed(service: Service) -> None:
    first, *_ = ask(service, 6 * PAGE)
    assert service.next("bob") == service.next("eve") == first
    for _ in range(3 * PAGE):
        service.answer("ann")
    HostedLead(service.tasks, service.finish, lambda: service.now).dispute(first, [TEAM], person("lea"), "look again")
    assert first in {service.answer("ann") for _ in range(6)}


def test_a_task_that_is_written_late_is_found_among_what_was_passed(service: Service) -> None:
    ask(service, 6 * PAGE)
    for _ in range(3 * PAGE):
        service.answer("ann")
    now, service.now = service.now, service.now - (6 * PAGE - 5) * 1_000
    late = service.ask()
    service.now = now
    assert late in {service.answer("ann") for _ in range(6)}


def test_all_that_comes_back_is_found_within_one_round(service: Service) -> None:
    back = ask(service, 8 * PAGE)[:4]
    for pair in (("bob", "eve"), ("dan", "fay")):
        for name in pair:
            service.next(name)
            assert service.store.ahead_for(person(name), [TEAM]) is not None
    for _ in range(3 * PAGE):
        service.answer("ann")
    for name in ("bob", "eve", "dan", "fay"):
        service.store.give_back(person(name))
    assert set(back) <= {service.answer("ann") for _ in range(len(back) + 3)}


def test_reviews_go_before_the_bulk_labelling_of_who_is_far_ahead_there(service: Service) -> None:
    ask_in_bulk(service, 5 * PAGE + 2)
    for _ in range(4 * PAGE):
        service.answer("ann")
    review = service.ask()
    got, queries = queries_of(service, "ann")
    assert (got, queries) == (review, 2)
    assert left_beside_the_next_task(service, "ann") == Workload(PAGE, 0, more=True), "one is the last that was answered"
    service.answer("ann")
    assert queries_of(service, "ann")[1] <= 3
    service.answer("ann"), service.answer("ann")
    assert left_beside_the_next_task(service, "ann") == Workload(PAGE, 0, more=False)


def test_who_is_far_ahead_in_reviews_and_in_bulk_labelling_gets_the_new_of_both(service: Service) -> None:
    ask(service, 3 * PAGE)
    bulk = ask_in_bulk(service, 4 * PAGE)
    for _ in range(5 * PAGE):
        service.answer("ann")
    review = service.ask()
    assert [service.answer("ann"), service.answer("ann")] == [review, bulk[2 * PAGE]]
    assert queries_of(service, "ann")[1] <= 3


def test_what_the_person_gives_back_themselves_comes_first_again(service: Service) -> None:
    ids = ask(service, 6 * PAGE)
    for _ in range(3 * PAGE):
        service.answer("ann")
    held = [service.next("ann"), service.store.ahead_for(person("ann"), [TEAM])]
    assert held[0] == ids[3 * PAGE] and held[1] is not None
    service.store.give_back(person("ann"))
    assert [service.answer("ann"), service.answer("ann")] == ids[3 * PAGE : 3 * PAGE + 2]


def test_a_lease_of_their_own_that_runs_out_comes_first_again(service: Service) -> None:
    ids = ask(service, 6 * PAGE)
    for _ in range(3 * PAGE):
        service.answer("ann")
    assert service.next("ann") == ids[3 * PAGE]
    assert service.store.ahead_for(person("ann"), [TEAM]) is not None
    service.wait(3_600)
    service.sweep()
    assert service.next("ann") == ids[3 * PAGE]


def test_what_the_person_has_skipped_and_passed_is_still_offered(service: Service) -> None:
    ids = ask(service, 6 * PAGE)
    assert service.next("ann") == ids[0]
    service.store.skip(ids[0], person("ann"), SkipReason.UNCLEAR)
    for expected in ids[1 : 4 * PAGE]:
        assert service.answer("ann") == expected
        assert left_for(service, "ann").skipped == 1
    assert service.next("ann", with_skipped=True) == ids[0]
    assert left_for(service, "ann").skipped == 0
    service.store.skip(ids[0], person("ann"), SkipReason.OTHER)
    assert left_for(service, "ann").skipped == 1
    for _ in range(2 * PAGE):
        service.answer("ann")
    assert service.next("ann") is None
    assert left_for(service, "ann") == Workload(0, 1)
    service.terms = TERMS
    for name in ("bob", "eve"):
        assert service.answer(name) == ids[0]
    for _ in range(2):
        assert service.next("ann") is None
    assert left_for(service, "ann") == Workload(0, 0), "others have answered it, and the look back has seen that"


def test_who_is_told_that_nothing_waits_has_seen_all_that_was_passed(service: Service) -> None:
    first, *_ = ask(service, (MOST_BACK - 1) * PAGE)
    assert service.next("bob") == service.next("eve") == first
    while service.next("ann") is not None:
        service.answer("ann")
    service.store.give_back(person("eve"))
    assert service.next("ann") == first


def test_of_very_much_that_was_passed_a_request_reads_some_pages_and_the_next_one_goes_on(service: Service) -> None:
    late = ask(service, 3 * MOST_BACK * PAGE)[-PAGE]
    for name in ("bob", "eve"):
        assert service.tasks.commit(take(service.read(late), name, name, service.now))
    while service.next("ann") is not None:
        service.answer("ann")
    assert queries_of(service, "ann")[1] <= MOST_BACK + 1
    assert service.tasks.commit(give_back(service.read(late), "eve"))
    asked = [queries_of(service, "ann") for _ in range(4)]
    assert late in [got for got, _ in asked]
    assert max(queries for _, queries in asked) <= MOST_BACK + 1


def test_who_waits_for_a_task_writes_nothing(service: Service) -> None:
    ask(service, (MOST_BACK - 1) * PAGE)
    while service.next("ann") is not None:
        service.answer("ann")
    service.next("ann")
    service.table.requests.clear()
    assert service.next("ann") is None
    assert set(service.table.requests) == {"get_item", "query"}


def test_a_desk_without_what_was_passed_is_read(service: Service) -> None:
    """As an earlier version of the function has written it."""
    ids = ask(service, 4 * PAGE)
    for _ in range(2 * PAGE):
        service.answer("ann")
    desk = service.table.items["worker#ann", "desk"]
    assert desk.pop("passed")
    assert service.next("ann") == ids[2 * PAGE]


def test_one_answer_is_enough_and_nobody_is_ever_ahead(service: Service) -> None:
    service.terms = replace(service.terms, rule=AnswerRule.FIXED, most=1)
    for expected in ask(service, 3 * PAGE):
        assert queries_of(service, "ann") == (expected, 1)
        service.answer("ann")
    assert not service.tasks.desk("ann").passed
