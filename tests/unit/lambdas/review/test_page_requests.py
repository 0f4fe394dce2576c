"""Single requests to the hosted page: what each one reads and writes in the table, and what it keeps."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hosted_service import TEAM, Service, changed, choice, html, person
from memory_table import MemoryTable

from lambdas.common.answers_wanted import AnswerRule
from lambdas.review.hosted_tasks.desk import Desk
from lambdas.review.hosted_tasks.items import Content
from lambdas.review.hosted_tasks.store import HostedTasks
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.task import Task, take
from lambdas.review.review_page.cognito import PageAddress
from lambdas.review.review_page.sessions import Sessions
from lambdas.review.review_page.sign_in import SESSION, Groups, HostedSignIn
from review_page.http import PageRequest
from review_page.pages import ReviewPage
from review_page.tasks import ENDED, NO_LONGER_YOURS, TaskRefused


@pytest.fixture
def service() -> Service:
    return Service(MemoryTable())


class Browser:
    """One signed-in person at the page; ``asked`` has the requests to the table of their last request to the page."""

    def __init__(self, service: Service, name: str) -> None:
        self.service, self.over, self.asked = service, {}, []  # type: ignore[var-annotated]
        self.sessions = Sessions(service.table, TEAM)
        self.session = self.sessions.begin(name, name, "pool", (True, False), service.now // 1_000)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        service = self.service
        table = service.tasks.of_one_request()
        store = HostedTasks(table, html, service.finish, lambda: service.now, service.chance, over=self.over)
        address = PageAddress("https://page.example", "https://pool.example", "client", "us-east-1_Pool")
        sign_in = HostedSignIn(
            self.sessions, address, Groups(TEAM, "leads"), redeem=lambda *_: pytest.fail(), standing=lambda _: pytest.fail(),
            give_back=store.give_back, has_read=table.has_read, clock=lambda: service.now / 1_000,
        )  # fmt: skip
        headers = {"cookie": f"{SESSION}={self.session.token}", "x-csrf-token": self.session.csrf}
        service.table.requests.clear()
        path, _, query = path.partition("?")
        given = {query.removesuffix("=1"): "1"} if query else {}
        request = PageRequest(method, path, headers, json.dumps(body).encode() if body else b"", given, address.url)
        answer = ReviewPage(store, sign_in, brand="Reviews").handle(request)
        self.asked = list(service.table.requests)
        assert answer.status == 200, answer.body
        return json.loads(answer.body) if answer.headers["Content-Type"] == "application/json" else None

    def skip(self, task_id: str) -> Any:
        return self.ask("POST", "/worker/skips", {"task": task_id, "reason": "other"})

    def answer(self, task_id: str, *, ahead: bool = False) -> Any:
        return self.ask("POST", f"/worker/answers{'?ahead=1' if ahead else ''}", {"task": task_id, "answer": choice("Good")})


def test_an_answer_and_the_next_task_are_four_requests_to_the_table(service: Service) -> None:
    """The session, the task and the desk; the query for the next task; that task with those of the last answers; one transaction.

    The query counts the open tasks, too.
    """
    for _ in range(15):
        service.ask()
    ann = Browser(service, "ann")
    task = ann.ask("GET", "/worker/next")["task"]["id"]
    take = ["query", "batch_get_item", "transact_write_items"]
    for number in range(1, 13):
        state = ann.answer(task)
        assert ann.asked == ["batch_get_item", *take]
        assert (state["answered"], len(state["recent"]), state["waiting"]) == (number, min(number, 10), 15 - number)
        task = state["task"]["id"]
    ann.ask("GET", f"/worker/tasks/{task}")
    assert ann.asked == ["batch_get_item"]
    ann.ask("GET", "/worker/ahead")
    assert ann.asked == ["batch_get_item", *take]
    ann.answer(task)
    assert ann.asked == ["batch_get_item", "batch_get_item", "transact_write_items", "query"]


def test_the_query_for_the_next_task_counts_what_a_query_of_its_own_would(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every step of somebody who is far ahead of the others, skips tasks, and comes to what they have skipped."""
    monkeypatch.setattr("lambdas.review.hosted_tasks.table._PAGE", 8)
    for number in range(60):
        service.ask(f"text {number}")
        service.wait(1)
    ann = Browser(service, "ann")
    state = ann.ask("GET", "/worker/next")
    for number in range(60):
        task = state["task"]["id"]
        state = ann.skip(task) if number % 7 == 3 else ann.answer(task)
        again = ann.ask("GET", "/worker/next")
        assert (state["skipped"], state["task"]) == (again["skipped"], again["task"])
        assert state["waiting"] == again["waiting"] or (state["more"] and 4 <= state["waiting"] <= again["waiting"] <= 9)
    assert (state["task"], state["skipped"], state["waiting"], state["more"]) == (None, 9, 0, False)
    state = ann.ask("GET", "/worker/next?skipped=1")
    assert (state["skipped"], state["waiting"]) == (8, 1)


def test_an_answer_with_the_next_task_and_the_one_after_it_are_four_requests(service: Service) -> None:
    """As on the page in a browser, where one task is in work and one is loaded ahead."""
    for number in range(14):
        service.ask(f"text {number}")
        service.wait(1)
    ann = Browser(service, "ann")
    task = ann.ask("GET", "/worker/next")["task"]["id"]
    ahead = ann.ask("GET", "/worker/ahead")["task"]["id"]
    for number in range(1, 13):
        state = ann.answer(task, ahead=True)
        assert ann.asked == ["batch_get_item", "query", "batch_get_item", "transact_write_items"]
        assert (state["task"]["id"], state["answered"], state["waiting"]) == (ahead, number, 14 - number)
        desk = service.tasks.desk(ann.session.worker.worker_id)
        assert (desk.in_work, desk.ahead) == (ahead, state["ahead"]["id"])
        assert ann.ask("GET", "/worker/ahead")["task"] == state["ahead"]
        task, ahead = ahead, state["ahead"]["id"]
    state = ann.answer(task, ahead=True)
    assert (state["task"]["id"], state["ahead"], len(ann.asked)) == (ahead, None, 4)
    state = ann.answer(ahead, ahead=True)
    assert (state["task"], state["ahead"], state["waiting"]) == (None, None, 0)


def test_an_answer_is_stored_although_others_take_the_task_after_the_next_one(service: Service) -> None:
    changed(service, rule=AnswerRule.FIXED, most=1)
    ids = []
    for number in range(4):
        ids.append(service.ask(f"text {number}"))
        service.wait(1)
    ann = Browser(service, "ann")
    assert ann.ask("GET", "/worker/next")["task"]["id"] == ids[0]
    assert ann.ask("GET", "/worker/ahead")["task"]["id"] == ids[1]

    def quicker() -> None:
        service.table.before_write = lambda: None
        assert service.next("bob") == ids[2]

    service.table.before_write = quicker
    state = ann.answer(ids[0], ahead=True)
    assert (state["task"]["id"], state["ahead"]["id"], state["answered"]) == (ids[1], ids[3], 1)


def test_an_answer_after_which_nothing_waits_is_three_requests(service: Service) -> None:
    """The session, the task and the desk; the query; the answer."""
    service.ask()
    ann = Browser(service, "ann")
    state = ann.answer(ann.ask("GET", "/worker/next")["task"]["id"])
    assert (state["task"], state["waiting"], state["answered"]) == (None, 0, 1)
    assert ann.asked == ["batch_get_item", "query", "transact_write_items"]


def test_an_answer_is_stored_although_others_take_the_next_task(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(service, rule=AnswerRule.FIXED, most=1)
    for _ in range(9):
        service.ask()
    ann = Browser(service, "ann")
    first = ann.ask("GET", "/worker/next")["task"]["id"]
    outdated, others = service.tasks.outdated, iter(range(5))

    def write(table: TaskTable, *records: Task | Desk, content: Content | None = None) -> list[Task | Desk]:
        for one in records:
            free = isinstance(one, Task) and not service.read(one.task_id).assignments
            if free and (number := next(others, None)) is not None:
                assert not outdated(take(service.read(one.task_id), f"quick-{number}", "", service.now))
        return plain(table, *records, content=content)

    plain = TaskTable.outdated
    monkeypatch.setattr(TaskTable, "outdated", write)
    state, me = ann.answer(first), ann.session.worker.worker_id
    assert service.read(first).answers.keys() == {me}
    assert state["task"]["id"] != first
    assert service.read(state["task"]["id"]).leases.keys() == {me}
    assert next(others, None) is None, "five were taken before"


def test_others_who_answer_the_same_task_meanwhile_cost_no_second_try(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task is read once more along with the next one, right before the transaction."""
    changed(service, rule=AnswerRule.FIXED, most=3)
    for number in range(3):
        service.ask(f"text {number}")
        service.wait(1)
    ann = Browser(service, "ann")
    first, query = ann.ask("GET", "/worker/next")["task"]["id"], service.table.query
    assert service.next("bob") == first

    def meanwhile(**arguments: Any) -> dict[str, Any]:
        monkeypatch.setattr(service.table, "query", query)
        service.store.submit(first, person("bob"), choice("Bad"))
        return query(**arguments)

    monkeypatch.setattr(service.table, "query", meanwhile)
    assert ann.answer(first)["task"] is not None
    assert service.read(first).answers.keys() == {"bob", ann.session.worker.worker_id}
    assert ann.asked.count("transact_write_items") == 2, "one of each"


def test_an_answer_that_another_window_was_quicker_with_takes_no_next_task(service: Service) -> None:
    first, store = about_to_answer(service)

    def another_window() -> None:
        service.table.before_write = lambda: None
        service.store.submit(first, person("ann"), choice("Bad"))

    service.table.before_write = another_window
    with pytest.raises(TaskRefused, match=NO_LONGER_YOURS):
        store.submit(first, person("ann"), choice("Good"), [TEAM])
    assert service.tasks.desk("ann").in_work is None
    assert service.store.answered(first, person("ann"), [TEAM]) == choice("Bad")
    assert [one.fixed for one in store.summary(person("ann"), [TEAM], 0).recent] == [""]


def about_to_answer(service: Service) -> tuple[str, HostedTasks]:
    """The first of three tasks, which ann holds, and the store of a request of hers that has read it."""
    for _ in range(3):
        service.ask()
    first, store = service.next("ann"), service.store
    assert first is not None
    assert store.held(first, person("ann"), [TEAM]) is not None
    return first, store


def about_to_end(service: Service, tasks: int) -> tuple[Browser, str]:
    """A person whose next answer ends the first of so many tasks, and that task's id."""
    changed(service, undo_seconds=0, rule=AnswerRule.FIXED, most=1)
    for number in range(tasks):
        service.ask(f"text {number}")
    ann = Browser(service, "ann")
    return ann, ann.ask("GET", "/worker/next")["task"]["id"]


def test_last_answers_to_tasks_that_have_ended_are_not_read_again(service: Service) -> None:
    ann, task = about_to_end(service, 3)
    state = ann.answer(task)
    assert ann.asked[-1] == "transact_write_items", "its end was seen by the process that ended it, and nothing is read afterwards"
    assert [(one["id"], one["title"], one["fixed"]) for one in state["recent"]] == [(task, service.read(task).known_as, ENDED)]
    service.table.read.clear()
    assert ann.ask("GET", "/worker/next")["recent"] == state["recent"]
    assert (task, "task") not in service.table.read
    ann.over.clear()  # another process
    assert ann.ask("GET", "/worker/next")["recent"] == state["recent"]
    assert (task, "task") in service.table.read


def test_the_last_task_that_another_window_took_meanwhile_is_shown(service: Service) -> None:
    """The browser repeats an answer while the first request still runs."""
    for number in range(2):
        service.ask(f"text {number}")
    first = service.next("ann")
    assert first is not None
    repeated = HostedTasks(service.tasks, html, service.finish, lambda: service.now, service.chance)
    service.answer("ann")
    assert repeated.held(first, person("ann"), {TEAM}) is None, "this request has read the desk"
    last = service.next("ann")
    shown = repeated.next_for(person("ann"), {TEAM})
    assert shown is not None
    assert shown.task.task_id == last


def test_an_answer_whose_minute_ends_while_the_list_is_made_stays_in_the_list(service: Service) -> None:
    ann, task = about_to_end(service, 2)
    ann.answer(task)
    start, looks = service.now, itertools.count()
    store = HostedTasks(service.tasks, html, service.finish, lambda: start + 20_000 * next(looks), service.chance, over=ann.over)
    assert [len(store.summary(ann.session.worker, {TEAM}, 0).recent) for _ in range(6)] == [1] * 6


def test_a_task_that_was_deleted_goes_from_the_last_answers_after_a_minute(service: Service) -> None:
    ann, task = about_to_end(service, 2)
    assert [one["id"] for one in ann.answer(task)["recent"]] == [task]
    del service.table.items[task, "task"]
    service.now += 60_000
    ann.session = ann.sessions.begin("ann", "ann", "pool", (True, False), service.now // 1_000)
    assert ann.ask("GET", "/worker/next")["recent"] == []


def test_what_another_window_has_done_meanwhile_is_seen_although_the_request_has_read_before(service: Service) -> None:
    first, store = about_to_answer(service)
    service.store.submit(first, person("ann"), choice("Bad"))
    second = service.next("ann")
    with pytest.raises(TaskRefused, match=NO_LONGER_YOURS):
        store.submit(first, person("ann"), choice("Good"))
    lease = store.next_for(person("ann"), [TEAM])
    assert lease is not None
    assert lease.task.task_id == second
    summary = store.summary(person("ann"), [TEAM], 0)
    assert (summary.progress.answered, [one.task_id for one in summary.recent]) == (1, [first])
    assert service.store.answered(first, person("ann"), [TEAM]) == choice("Bad")
