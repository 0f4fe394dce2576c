"""The hosted review service: who gets which task, what becomes of answers, and how tasks end."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hosted_service import TEAM, Service, changed, choice, person
from memory_table import MemoryTable

from lambdas.common.answers_wanted import AnswerRule
from lambdas.common.review import ReviewReason
from lambdas.review.hosted_tasks.desk import Desk
from lambdas.review.hosted_tasks.items import Content
from lambdas.review.hosted_tasks.queue import Page
from lambdas.review.hosted_tasks.taking import Busy
from lambdas.review.hosted_tasks.task import State, Task, take
from lambdas.review.port import ReviewStatus
from review_page.tasks import ENDED, NO_LONGER_YOURS, NOT_ANSWERED, SkipReason, TaskRefused


@pytest.fixture
def service() -> Service:
    return Service(MemoryTable())


def test_a_review_is_started_once(service: Service) -> None:
    first = service.ask("first", "p")
    service.answer("ann")
    assert service.ask("second", "p") == first
    assert service.tasks.input(first)["text"] == "first"
    assert service.read(first).answers.keys() == {"ann"}


def test_the_oldest_task_comes_first_and_one_query_finds_it(service: Service) -> None:
    ids = []
    for _ in range(3):
        ids.append(service.ask())
        service.wait(1)
    service.table.queries.clear()
    assert service.next("ann") == ids[0]
    [query] = service.table.queries
    assert (query["IndexName"], query["Limit"], query["ProjectionExpression"]) == ("open-tasks", 100, "waiting_since, skipped_by")
    assert service.next("ann") == ids[0], "who has a task in work keeps it"
    assert service.next("bob") == ids[0]
    assert service.next("eve") == ids[1], "two people are enough until they differ"


def test_a_task_is_taken_with_four_requests_and_the_one_ahead_begun_with_three(service: Service) -> None:
    """Each is some milliseconds that somebody waits for."""
    service.ask()
    service.ask()
    service.table.requests.clear()
    assert service.next("ann") is not None
    assert service.table.requests == ["get_item", "query", "batch_get_item", "transact_write_items"]
    assert service.store.ahead_for(person("ann"), [TEAM]) is not None
    service.answer("ann")
    service.table.requests.clear()
    assert service.next("ann") is not None
    assert service.table.requests == ["get_item", "batch_get_item", "transact_write_items"]
    service.table.requests.clear()
    assert service.next("ann") is not None, "the page is loaded again"
    assert service.table.requests == ["get_item", "batch_get_item"]


def test_nobody_answers_a_task_twice_or_gets_what_they_skipped(service: Service) -> None:
    first, second = service.ask(), service.ask()
    done = service.answer("ann")
    other = ({first, second} - {done}).pop()
    assert service.next("ann") == other
    service.store.skip(other, person("ann"), SkipReason.LANGUAGE, "Finnish?")
    assert service.next("ann") is None
    assert service.store.summary(person("ann"), [TEAM], 0).workload.skipped == 1
    assert service.read(other).skips == {"language": 1}
    assert service.next("ann", with_skipped=True) == other
    assert not service.read(other).skipped_by


def test_a_second_task_is_held_ahead_and_its_time_begins_later(service: Service) -> None:
    for _ in range(3):
        service.ask()
    assert service.store.ahead_for(person("ann"), [TEAM]) is None, "first there must be one in work"
    first = service.next("ann")
    ahead = service.store.ahead_for(person("ann"), [TEAM])
    again = service.store.ahead_for(person("ann"), [TEAM])
    assert ahead is not None and again is not None
    assert first != ahead.task.task_id == again.task.task_id
    service.wait(1_000)
    assert service.answer("ann") == first
    lease = service.store.next_for(person("ann"), [TEAM])
    assert lease is not None
    assert (lease.task.task_id, lease.seconds_left) == (ahead.task.task_id, 3_600)


def seen_by(service: Service, name: str) -> Page:
    return service.tasks.open_tasks(TEAM, name, service.now)


def test_an_index_that_is_behind_gives_nobody_a_taken_task(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    only = service.ask()
    stale = seen_by(service, "eve")
    service.next("ann"), service.next("bob")
    monkeypatch.setattr(service.tasks, "open_tasks", lambda *_: stale)
    assert service.next("eve") is None
    assert service.read(only).assignments.keys() == {"ann", "bob"}


def test_who_reads_taken_tasks_only_looks_at_the_index_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(service, rule=AnswerRule.FIXED, most=1)
    for _ in range(12):
        service.ask()
    stale, look = seen_by(service, "eve"), service.tasks.open_tasks
    for number in range(11):
        service.next(f"p{number}")
    [free] = seen_by(service, "eve").waiting
    looks = iter([stale])
    monkeypatch.setattr(service.tasks, "open_tasks", lambda *given: next(looks, None) or look(*given))
    assert service.next("eve") == free.task_id


def test_who_loses_a_race_takes_another_task(service: Service) -> None:
    ids = {service.ask() for _ in range(4)}
    oldest = seen_by(service, "eve").waiting[0].task_id

    def others_are_quicker() -> None:
        service.table.before_write = lambda: None
        for name in ("ann", "bob"):
            assert service.next(name) == oldest

    service.table.before_write = others_are_quicker
    assert service.next("eve") in ids - {oldest}


def all_at_once(service: Service, people: int) -> list[str | None]:
    """The tasks of people of whom each has read the oldest task before anybody takes one, in the order in which they get one."""
    names, got = [f"p{number}" for number in range(people)], list[str | None]()

    def before_write() -> None:
        if names:
            got.append(service.next(names.pop()))

    service.table.before_write = before_write
    got.append(service.next("first"))
    service.table.before_write = lambda: None
    return got


def test_all_who_ask_at_once_lose_one_task_at_most_and_look_once(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(service, rule=AnswerRule.FIXED, most=1)
    ids = []
    monkeypatch.setattr("lambdas.review.hosted_tasks.table._PAGE", 30)
    for _ in range(40):
        ids.append(service.ask())
        service.wait(1)
    service.table.queries.clear()
    refused = counted(service, monkeypatch)
    got = all_at_once(service, 9)
    assert got[0] == ids[0], "the oldest goes first"
    assert len(set(got)) == 10
    assert set(got) <= set(ids[:30]), "nobody goes past a page"
    assert (len(service.table.queries), len(refused)) == (10, 9)


def counted(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fills with the id of each task that somebody could not take because another person was quicker."""
    refused, outdated = list[str](), service.tasks.outdated

    def write(*records: Task | Desk, content: Content | None = None) -> list[Task | Desk]:
        late = outdated(*records, content=content)
        refused.extend(one.task_id for one in late if isinstance(one, Task))
        return late

    monkeypatch.setattr(service.tasks, "outdated", write)
    return refused


def test_who_is_too_late_gets_a_review_while_one_waits_and_then_a_text_of_a_bulk_labelling(service: Service) -> None:
    changed(service, rule=AnswerRule.FIXED, most=1)
    for number in range(6):
        bulk = replace(service.read(service.ask()), task_id=f"bulk-{number}", job="job", created_at=service.now - 10_000, version=0)
        service.tasks.add(bulk, service.tasks.input(service.ask()))
    reviews = 12
    got = all_at_once(service, 15)
    assert [str(one).startswith("bulk") for one in got] == [False] * reviews + [True] * 4


def outrun(service: Service, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else is quicker at so many tasks."""
    outdated, others = service.tasks.outdated, iter(range(times))

    def write(*records: Task | Desk, content: Content | None = None) -> list[Task | Desk]:
        number = next(others, None)
        if number is not None:
            [task] = [one for one in records if isinstance(one, Task)]
            assert not outdated(take(service.read(task.task_id), f"quick-{number}", "", service.now))
        return outdated(*records, content=content)

    monkeypatch.setattr(service.tasks, "outdated", write)


def test_who_loses_two_tasks_looks_at_the_index_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        service.ask()
    outrun(service, 3, monkeypatch)
    service.table.queries.clear()
    assert service.next("eve") is not None
    assert len(service.table.queries) == 2


def test_who_always_loses_may_ask_again_and_is_not_told_that_nothing_waits(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(20):
        service.ask()
    outrun(service, 10**6, monkeypatch)
    with pytest.raises(Busy):
        service.next("eve")
    assert service.tasks.desk("eve").in_work is None


def test_tasks_whose_time_is_over_do_not_hide_the_others(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambdas.review.hosted_tasks.table._PAGE", 5)
    changed(service, availability_seconds=100)
    for _ in range(6):
        service.ask()
    service.wait(100)
    newer = service.ask()
    assert service.next("eve") == newer


def test_two_windows_of_one_person_get_one_task(service: Service) -> None:
    for _ in range(4):
        service.ask()

    def other_window() -> None:
        service.table.before_write = lambda: None
        service.next("ann")

    service.table.before_write = other_window
    mine = service.next("ann")
    held = [task.task_id for task in service.tasks.due(10**15) if "ann" in task.assignments]
    assert held == [mine]


def test_two_who_agree_are_enough_and_the_end_waits_until_nobody_can_undo(service: Service) -> None:
    task_id = service.ask("fine", "p")
    service.answer("ann")
    service.wait(5)
    assert service.answer("bob") == task_id
    service.wait(59)
    service.sweep()
    assert (service.read(task_id).state, service.sent) == (State.OPEN, [])
    service.wait(1)
    service.sweep()
    service.sweep()
    [ended] = service.sent
    assert (ended.review_id, ended.status, ended.failure) == ("p-1", ReviewStatus.COMPLETED, None)
    assert [(one.worker_id, one.label) for one in ended.answers or ()] == [("ann", "positive"), ("bob", "positive")]
    [(key, body)] = service.files.items()
    assert key == "hosted/2027/01/15/08/00/00/p-1/output.json"
    document = json.loads(body)
    assert document["humanLoopName"] == "p-1"
    assert document["inputContent"]["labelIds"] == ["negative", "positive"]
    first, second = document["humanAnswers"]
    assert first["answerContent"] == choice("Good")
    assert first["workerMetadata"]["identityData"]["sub"] == "ann"
    assert second["submissionTime"] == "2027-01-15T08:00:05.000Z"


def test_a_third_is_asked_when_two_differ(service: Service) -> None:
    task_id = service.ask()
    service.answer("ann", "Good"), service.answer("bob", "Bad")
    service.wait(600)
    service.sweep()
    assert service.read(task_id).state is State.OPEN
    assert service.answer("eve", "Bad") == task_id
    service.wait(60)
    service.sweep()
    assert [one.label for one in service.sent[0].answers or ()] == ["positive", "negative", "negative"]


def test_without_time_to_undo_the_last_answer_ends_the_task(service: Service) -> None:
    changed(service, undo_seconds=0, rule=AnswerRule.FIXED, most=1)
    task_id = service.ask()
    service.answer("ann")
    assert service.read(task_id).state is State.ENDED
    assert len(service.sent) == 1
    with pytest.raises(TaskRefused, match=ENDED):
        service.store.undo(task_id, person("ann"), [TEAM])


def test_of_a_long_queue_the_page_says_that_more_may_wait(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is ahead of the second reviewer has answered the oldest tasks of the queue, which are all that is counted."""
    monkeypatch.setattr("lambdas.review.hosted_tasks.table._PAGE", 5)
    for _ in range(12):
        service.ask()

    def workload() -> tuple[int, bool]:
        found = service.store.summary(person("ann"), [TEAM], 0).workload
        return found.waiting, found.more

    assert workload() == (5, True)
    for _ in range(5):
        service.answer("ann")
    assert workload() == (0, True), "not: nothing waits"
    assert service.store.summary(person("ann"), [], 0).workload.more is False


def test_what_stands_beside_a_task_takes_one_read_of_the_desk_and_one_small_query(service: Service) -> None:
    for _ in range(3):
        service.ask()
    service.answer("ann", "Bad")
    service.table.requests.clear()
    service.table.queries.clear()
    found = service.store.summary(person("ann"), [TEAM], 0)
    assert (found.workload.waiting, found.progress.answered, len(found.recent)) == (2, 1, 1)
    assert service.table.requests == ["get_item", "query", "batch_get_item"]
    assert [one["ProjectionExpression"] for one in service.table.queries] == ["waiting_since, skipped_by"]


def test_an_answer_can_be_taken_back_while_its_task_is_open(service: Service) -> None:
    ids = [service.ask() for _ in range(3)]
    done = service.answer("ann", "Bad")
    in_work = service.next("ann")
    ahead = service.store.ahead_for(person("ann"), [TEAM])
    assert ahead is not None
    assert service.store.summary(person("ann"), [TEAM], 0).progress.answered == 1
    lease = service.store.undo(done, person("ann"), [TEAM])
    assert (lease.task.task_id, lease.earlier) == (done, choice("Bad"))
    assert service.next("ann") == done
    now_ahead = service.store.ahead_for(person("ann"), [TEAM])
    assert now_ahead is not None
    assert now_ahead.task.task_id == in_work
    assert not service.read(ahead.task.task_id).assignments
    nothing = service.store.summary(person("ann"), [TEAM], 0)
    assert (nothing.progress.answered, nothing.recent) == (0, [])
    assert service.store.answered(done, person("ann"), [TEAM]) is None
    service.store.submit(done, person("ann"), choice("Good"))
    [again] = service.store.summary(person("ann"), [TEAM], 0).recent
    assert (again.task_id, again.fixed) == (done, "")
    assert service.store.answered(done, person("ann"), [TEAM]) == choice("Good")
    assert service.store.answered(done, person("ann"), ["another"]) is None
    assert service.store.answered(done, person("bob"), [TEAM]) is None
    assert done in ids


def test_only_the_last_ten_answers_can_be_taken_back(service: Service) -> None:
    for _ in range(12):
        service.ask()
    done = [service.answer("ann") for _ in range(11)]
    shown = service.store.summary(person("ann"), [TEAM], 0).recent
    assert [one.task_id for one in shown] == done[:0:-1]
    with pytest.raises(TaskRefused, match=NOT_ANSWERED):
        service.store.undo(done[0], person("ann"), [TEAM])
    with pytest.raises(TaskRefused, match=NOT_ANSWERED):
        service.store.undo(done[5], person("bob"), [TEAM])


def test_a_lease_runs_out_and_the_task_goes_to_others(service: Service) -> None:
    changed(service, rule=AnswerRule.FIXED, most=1)
    task_id = service.ask()
    assert service.next("ann") == task_id
    assert service.next("bob") is None
    service.wait(3_600)
    with pytest.raises(TaskRefused, match=NO_LONGER_YOURS):
        service.store.submit(task_id, person("ann"), choice("Good"))
    service.sweep()
    assert service.next("bob") == task_id
    assert service.next("ann") is None


def test_a_task_that_is_open_for_too_long_fails_with_the_answers_in_its_file(service: Service) -> None:
    task_id = service.ask("fine", "late")
    service.answer("ann")
    assert service.next("bob") == task_id
    service.wait(86_400)
    service.sweep()
    [ended] = service.sent
    assert (ended.status, ended.answers) == (ReviewStatus.FAILED, None)
    assert ended.failure == "Expired: the task expired with 1 of 2 answers."
    assert len(json.loads(next(iter(service.files.values())))["humanAnswers"]) == 1
    assert service.next("bob") is None
    assert service.store.held(task_id, person("bob"), [TEAM]) is None


def test_who_leaves_the_team_gives_back_and_gets_nothing(service: Service) -> None:
    task_id = service.ask()
    assert service.next("ann") == task_id
    assert service.store.held(task_id, person("ann"), ["other"]) is None
    assert not service.read(task_id).assignments
    assert service.store.next_for(person("ann"), ["other"]) is None
    service.next("bob")
    service.store.ahead_for(person("bob"), [TEAM])
    service.store.give_back(person("bob"))
    assert not service.read(task_id).assignments


def test_a_task_that_cannot_be_shown_fails_and_the_next_one_comes(service: Service) -> None:
    broken = service.ask("broken", "broken")
    item = service.table.items[broken, "input"]
    item["input"] = json.dumps({"text": "x", "labels": "no list"})
    service.wait(1)
    whole = service.ask()
    assert service.next("ann") == whole
    [ended] = service.sent
    assert ended.status is ReviewStatus.FAILED
    assert (ended.failure or "").startswith("ValidationError: crowd-classifier")


def test_an_ended_task_is_deleted_in_time_with_all_that_belongs_to_it(service: Service) -> None:
    changed(service, undo_seconds=0)
    task_id = service.ask()
    service.answer("ann", "Bad"), service.answer("bob", "Bad")
    gone = service.now // 1_000 + 30 * 86_400
    of_task = {sk: item["delete_after"] for (pk, sk), item in service.table.items.items() if pk == task_id}
    assert of_task == dict.fromkeys(("task", "input", "answer#ann", "answer#bob"), gone)
    assert not {"queue", "due"} & service.table.items[task_id, "task"].keys()


def test_a_flag_is_kept_once_for_a_person(service: Service) -> None:
    task_id = service.answer("ann") if service.ask() else ""
    for note in ("odd", "very odd"):
        service.store.flag(task_id, person("ann"), note)
    with pytest.raises(TaskRefused):
        service.store.flag(task_id, person("bob"), "mine")
    [flag] = [item for (_, sk), item in service.table.items.items() if sk.startswith("flag#")]
    assert (flag["queue"], flag["note"]) == (f"flags#{TEAM}", "very odd")


def suggestions(service: Service, name: str, **asked: Any) -> list[Any]:
    """What a person sees of the model's label, over many tasks."""
    seen = []
    for _ in range(60):
        service.ask(**asked)
        lease = service.store.next_for(person(name), [TEAM])
        assert lease is not None
        seen.append(lease.suggestion)
        service.store.submit(lease.task.task_id, person(name), choice("Good"))
    return seen


def test_a_random_share_of_people_and_tasks_sees_the_models_label_and_the_answer_says_so(service: Service) -> None:
    changed(service, suggestion_share=0.4, rule=AnswerRule.FIXED, most=1, undo_seconds=0)

    seen = suggestions(service, "ann")

    assert {json.dumps(one) for one in seen} == {'{"category": "Bad"}', "{}"}
    assert 10 <= sum(bool(one) for one in seen) <= 40
    documents = [json.loads(body) for body in service.files.values()]
    assert [one["humanAnswers"][0]["suggestion"] for one in documents] == seen
    assert [one.answers[0].suggestion_shown for one in service.sent if one.answers] == [bool(one) for one in seen]


def test_a_person_sees_the_same_each_time_and_another_person_may_see_something_else(service: Service) -> None:
    changed(service, suggestion_share=0.5, rule=AnswerRule.FIXED, most=3)
    ids = [service.ask() for _ in range(12)]
    drawn = {}
    for name in ("ann", "bob"):
        leases = []
        for _ in ids:
            lease, again = (service.store.next_for(person(name), [TEAM]) for _ in range(2))
            assert lease is not None and again is not None and lease.suggestion == again.suggestion
            service.store.submit(lease.task.task_id, person(name), choice("Good"))
            leases.append(bool(lease.suggestion))
        drawn[name] = leases
    assert drawn["ann"] != drawn["bob"]


@pytest.mark.parametrize(
    ("share", "asked"),
    [
        *((1.0, {"reason": reason}) for reason in ReviewReason if reason is not ReviewReason.LOW_CONFIDENCE),
        (1.0, {"said": "gone"}),
        (0.0, {}),
    ],
)
def test_audits_and_pairs_never_show_the_models_label(service: Service, share: float, asked: Any) -> None:
    changed(service, suggestion_share=share, rule=AnswerRule.FIXED, most=1, undo_seconds=0)

    assert not any(suggestions(service, "ann", **asked))
    assert not any("suggestion" in json.loads(body)["humanAnswers"][0] for body in service.files.values())
    assert all(one.answers[0].suggestion_shown is None for one in service.sent if one.answers)
