"""Mishaps and attacks at the hosted page as a whole, from its routes to its table: each task ends with one valid set of answers,
and nobody reads or changes what they must not."""

from __future__ import annotations

import json
import random
import threading
import unicodedata
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from hosted_service import TEAM, Service, changed, choice, html, person
from memory_table import MemoryTable

from lambdas.common.answers_wanted import AnswerRule
from lambdas.common.labels import Labels
from lambdas.common.review import ReviewReason, ReviewRequest
from lambdas.review.hosted import HostedStarter
from lambdas.review.hosted_tasks.gold import GoldText
from lambdas.review.hosted_tasks.lead import HostedLead
from lambdas.review.hosted_tasks.store import HostedTasks
from lambdas.review.hosted_tasks.taking import Busy
from lambdas.review.hosted_tasks.task import State, task_id_of
from lambdas.review.review_page.cognito import PageAddress, Standing
from lambdas.review.review_page.sessions import Session, Sessions, worker_id_of
from lambdas.review.review_page.sign_in import SESSION, Groups, HostedSignIn
from review_page.answers import Worker
from review_page.http import PageRequest, PageResponse
from review_page.pages import ReviewPage

ADDRESS = PageAddress("https://page.example", "https://pool.example", "client", "us-east-1_Pool")


@dataclass
class Site:
    """The service behind its page. ``groups``: name -> groups in the user pool now; ``None`` for an account that is gone."""

    service: Service
    groups: dict[str, tuple[str, ...] | None] = field(default_factory=dict)
    render: Callable[[Mapping[str, Any]], str] = html

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.service.table, TEAM)
        self._live: dict[str, Session] = {}

    def session(self, name: str) -> Session:
        if name not in self._live:
            found = self.groups.setdefault(name, (TEAM,)) or ()
            roles = TEAM in found, "leads" in found
            self._live[name] = self.sessions.begin(name, name, "pool", roles, self.service.now // 1_000)
        return self._live[name]

    def forget(self, name: str) -> Session:
        """Another browser of theirs has none of this session."""
        return self._live.pop(name)

    def standing(self, name: str) -> Standing:
        found = self.groups.get(name)
        return Standing(found is not None, found or ())

    def send(self, name: str, method: str, path: str, body: Any = None, *, session: Session | None = None) -> PageResponse:
        service, session = self.service, session or self.session(name)
        table = service.tasks.of_one_request()
        store = HostedTasks(table, self.render, service.finish, lambda: service.now, service.chance)
        sign_in = HostedSignIn(
            self.sessions, ADDRESS, Groups(TEAM, "leads"), redeem=lambda *_: pytest.fail(),
            standing=lambda one: self.standing(one.username), give_back=store.give_back, has_read=table.has_read,
            clock=lambda: service.now / 1_000,
        )  # fmt: skip
        headers = {"cookie": f"{SESSION}={session.token}", "x-csrf-token": session.csrf}
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        path, _, query = path.partition("?")
        request = PageRequest(method, path, headers, content, {"skipped": "1"} if query else {}, ADDRESS.url)
        lead = HostedLead(service.tasks, service.finish, lambda: service.now)
        return ReviewPage(store, sign_in, brand="Reviews", lead=lead).handle(request)

    def state(self, name: str, path: str = "/worker/next") -> dict[str, Any]:
        answer = self.send(name, "GET", path)
        assert answer.status == 200, answer.body
        found: dict[str, Any] = json.loads(answer.body)
        return found

    def next(self, name: str) -> str:
        found = self.state(name)["task"]
        assert found is not None
        return str(found["id"])

    def answer(self, name: str, task_id: str, label: str = "Good", **more: Any) -> int:
        return self.send(name, "POST", "/worker/answers", {"task": task_id, "answer": choice(label)}, **more).status

    def undo(self, name: str, task_id: str) -> int:
        return self.send(name, "POST", "/worker/undos", {"task": task_id}).status

    def said(self, task_id: str) -> dict[str, str | None]:
        """Who has answered what."""
        return {one.name: one.label for one in self.service.read(task_id).answers.values()}

    def meanwhile(self, happens: Callable[[], object]) -> None:
        """Another request comes in between what the next one reads and what it writes."""

        def once() -> None:
            self.service.table.before_write = lambda: None
            happens()

        self.service.table.before_write = once


@pytest.fixture
def site() -> Site:
    made = Site(Service(MemoryTable()))
    made.groups["lea"] = (TEAM, "leads")
    return made


# -- the same person twice ------------------------------------------------------------------------


def test_two_windows_that_answer_in_the_same_moment_give_one_answer(site: Site) -> None:
    task_id = site.service.ask()
    assert site.next("ann") == task_id
    site.meanwhile(lambda: site.answer("ann", task_id, "Bad"))
    assert site.answer("ann", task_id, "Good") == 409
    assert site.said(task_id) == {"ann": "Bad"}


def test_the_same_answer_from_two_windows_is_one_answer_and_no_refusal(site: Site) -> None:
    task_id = site.service.ask()
    site.next("ann")
    site.meanwhile(lambda: site.answer("ann", task_id))
    assert site.answer("ann", task_id) == 200
    assert (site.said(task_id), site.state("ann")["answered"]) == ({"ann": "Good"}, 1)


def test_two_windows_that_ask_in_the_same_moment_hold_one_task(site: Site) -> None:
    for number in range(4):
        site.service.ask(f"text {number}")
    site.meanwhile(lambda: site.next("ann"))
    shown = site.next("ann")
    held = [one for one in site.service.table.items.values() if one["sk"] == "task" and one["assignments"]]
    assert [one["pk"] for one in held] == [shown]


def test_an_answer_that_is_replayed_after_its_undo_is_of_its_holder_and_counts_once(site: Site) -> None:
    task_id = site.service.ask()
    site.next("ann")
    assert [site.answer("ann", task_id), site.undo("ann", task_id), site.answer("ann", task_id)] == [200, 200, 200]
    assert site.answer("ann", task_id, "Bad") == 409, "what the page shows by then is chosen for a task that is answered"
    assert (site.said(task_id), site.state("ann")["answered"]) == ({"ann": "Good"}, 1)


def test_an_undo_that_is_sent_twice_undoes_once(site: Site) -> None:
    first = site.service.ask("one")
    site.service.wait(1)
    site.service.ask("two")
    site.next("ann")
    site.answer("ann", first)
    site.meanwhile(lambda: site.undo("ann", first))
    assert site.undo("ann", first) == 409
    state = site.state("ann")
    assert (state["task"]["id"], state["task"]["earlier"], site.said(first)) == (first, choice("Good"), {})


def test_a_skip_that_is_sent_twice_skips_one_task(site: Site) -> None:
    ids = []
    for number in range(3):
        ids.append(site.service.ask(f"text {number}"))
        site.service.wait(1)
    site.next("ann")
    body = {"task": ids[0], "reason": "other"}
    states = [json.loads(site.send("ann", "POST", "/worker/skips", body).body) for _ in range(2)]
    assert [(one["task"]["id"], one["skipped"]) for one in states] == [(ids[1], 1)] * 2
    assert [site.service.read(one).skips for one in ids] == [{"other": 1}, {}, {}]


class AtOnce(MemoryTable):
    """A table that 200 threads may ask: one call at a time, and nobody writes before all have read."""

    def __init__(self, people: int) -> None:
        super().__init__()
        self._one, self._start, self._begun = threading.RLock(), threading.Barrier(people), threading.local()

    def query(self, **arguments: Any) -> dict[str, Any]:
        with self._one:
            return super().query(**arguments)

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        with self._one:
            return super().get_item(**arguments)

    def batch_get_item(self, **arguments: Any) -> dict[str, Any]:
        with self._one:
            return super().batch_get_item(**arguments)

    def transact_write_items(self, **arguments: Any) -> None:
        if threading.current_thread() is not threading.main_thread() and not hasattr(self._begun, "first"):
            self._begun.first = True
            self._start.wait(60)
        with self._one:
            super().transact_write_items(**arguments)


def test_two_hundred_people_who_ask_in_the_same_moment_get_no_task_twice() -> None:
    """One answer is wanted of each task. All see the same queue, and all try to take its oldest task first."""
    people, table = 200, AtOnce(200)
    service = changed(Service(table), rule=AnswerRule.FIXED, most=1)
    ids = {service.ask(f"text {number}") for number in range(people)}

    def take(name: str) -> str:
        store = HostedTasks(service.tasks, html, service.finish, lambda: service.now, random.Random(name))  # noqa: S311  (no secret)
        for _ in range(20):  # as a browser does, which is told to try again
            try:
                lease = store.next_for(person(name), [TEAM])
            except Busy:
                continue
            if lease is not None:
                return lease.task.task_id
        raise AssertionError(f"{name} got none of as many tasks as people")

    with ThreadPoolExecutor(people) as pool:
        taken = list(pool.map(take, [f"person-{number}" for number in range(people)]))
    assert (len(taken), set(taken)) == (people, ids)
    assert {name: [*service.read(name).leases] for name in taken} == {name: [f"person-{number}"] for number, name in enumerate(taken)}


# -- time ---------------------------------------------------------------------------------------------


def test_a_lease_that_runs_out_between_reading_and_writing_gives_no_answer(site: Site) -> None:
    task_id = site.service.ask()
    site.next("ann")

    def time_passes() -> None:
        site.service.wait(3_601)
        site.service.sweep()

    site.meanwhile(time_passes)
    assert site.answer("ann", task_id) == 409
    assert site.said(task_id) == {}
    assert site.next("bob") == task_id


def test_an_undo_and_the_end_of_the_minute_in_the_same_moment(site: Site) -> None:
    """Whoever writes first is right: the answer is final, or it is not there."""
    task_id = site.service.ask()
    for name in ("ann", "bob"):
        site.next(name)
        site.answer(name, task_id)

    def the_minute_is_over() -> None:
        site.service.wait(61)
        site.service.sweep()

    site.meanwhile(the_minute_is_over)
    assert site.undo("ann", task_id) == 409
    assert (site.service.read(task_id).state, site.said(task_id)) == (State.ENDED, {"ann": "Good", "bob": "Good"})

    other = site.service.ask("another")
    for name in ("ann", "bob"):
        site.next(name)
        site.answer(name, other)
    site.service.wait(61)
    site.meanwhile(lambda: site.service.wait(-30) or site.undo("ann", other))  # type: ignore[func-returns-value]
    site.service.sweep()
    assert (site.service.read(other).state, site.said(other)) == (State.OPEN, {"bob": "Good"})


def test_an_answer_is_not_undone_while_its_file_is_written(site: Site) -> None:
    task_id, refused = site.service.ask(), list[int]()
    for name in ("ann", "bob"):
        site.next(name)
        site.answer(name, task_id)
    write = site.service.write

    def writes(key: str, body: bytes) -> None:
        refused.append(site.undo("ann", task_id))
        write(key, body)

    site.service.ports = type(site.service.ports)(site.service.tasks, writes, site.service.send)
    site.service.wait(61)
    site.service.sweep()
    assert refused == [409]
    [document] = [json.loads(body) for body in site.service.files.values()]
    assert [one["workerId"] for one in document["humanAnswers"]] == [worker_id_of("ann"), worker_id_of("bob")]


def test_a_clock_that_goes_back_between_two_requests_harms_no_answer(site: Site) -> None:
    """Another machine of the function may be a moment behind the one that gave the lease."""
    changed(site.service, rule=AnswerRule.FIXED, most=1, undo_seconds=0)
    task_id = site.service.ask()
    site.next("ann")
    site.service.now -= 1_500
    assert site.answer("ann", task_id) == 200
    [ended] = site.service.sent
    assert [(one.label, one.seconds) for one in ended.answers or ()] == [("positive", 0.0)]
    assert (site.service.read(task_id).state, site.state("ann")["seconds_per_answer"]) == (State.ENDED, 0)


def test_a_function_that_is_stopped_at_any_write_leaves_one_set_of_answers(site: Site) -> None:
    """Between each two writes of an answer that ends its task, and of the sweep that goes on with it; the browser repeats the answer."""
    for stopped_at in range(1, 7):
        service = Service(MemoryTable())
        again = Site(changed(service, rule=AnswerRule.FIXED, most=1, undo_seconds=0))
        task_id, left = service.ask(f"text {stopped_at}"), [stopped_at]
        again.next("ann")

        def stops(left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise OSError("stopped")

        service.table.after_write = stops
        for _ in range(3):
            try:
                assert again.answer("ann", task_id) == 200
                break
            except OSError:
                continue
        service.wait(61)
        for _ in range(2):
            try:
                service.sweep()
            except OSError:
                continue
        assert service.read(task_id).state == State.ENDED
        assert [[one.label for one in ended.answers or ()] for ended in service.sent][:1] == [["positive"]]
        assert len({ended.to_json() for ended in service.sent}) == len(service.files) == 1, "whatever came twice says the same"


# -- the lead -----------------------------------------------------------------------------------------


def test_a_task_that_is_released_while_it_is_answered(site: Site) -> None:
    """Either the answer is there, or it is refused; nobody's desk keeps what they no longer hold."""
    task_id = site.service.ask()
    site.next("ann")
    release = {"task": task_id}
    site.meanwhile(lambda: site.send("lea", "POST", "/worker/lead/released", release))
    assert site.answer("ann", task_id) == 409
    assert (site.said(task_id), site.service.read(task_id).leases) == ({}, {})
    site.next("ann")
    site.meanwhile(lambda: site.answer("ann", task_id))
    assert site.send("lea", "POST", "/worker/lead/released", release).status == 200
    assert site.said(task_id) == {"ann": "Good"}


def test_a_dispute_about_a_task_that_ends_in_the_same_moment_changes_no_answer(site: Site) -> None:
    task_id = site.service.ask()
    for name in ("ann", "bob"):
        site.next(name)
        site.answer(name, task_id)
    site.service.wait(61)
    site.meanwhile(site.service.sweep)
    assert site.send("lea", "POST", "/worker/lead/disputes", {"task": task_id, "note": "sure?"}).status == 200
    assert (site.service.read(task_id).state, len(site.service.sent)) == (State.ENDED, 1)
    assert [one["note"] for one in site.state("lea", "/worker/lead/overview")["disputes"]] == ["sure?"]


# -- who is out ------------------------------------------------------------------------------------


def test_who_is_removed_answers_for_a_minute_at_most_and_never_again(site: Site) -> None:
    first = site.service.ask("one")
    site.service.wait(1)
    second = site.service.ask("two")
    assert site.next("ann") == first
    site.groups["ann"] = None
    site.service.wait(30)
    assert site.answer("ann", first) == 200, "the page asks the user pool once a minute"
    site.service.wait(31)
    assert site.answer("ann", second) == 401
    assert (site.said(first), site.said(second), site.service.read(second).leases) == ({"ann": "Good"}, {}, {})
    site.groups["ann"] = (TEAM,)
    assert site.answer("ann", second) == 401, "an ended session does not come back"


def test_sessions_that_were_ended_are_of_no_use_in_any_order(site: Site) -> None:
    task_id = site.service.ask()
    site.next("ann")
    old = site.forget("ann")
    form = f"csrf={old.csrf}".encode()
    assert site.send("ann", "POST", "/worker/sign-out", form, session=old).status == 200
    assert site.service.read(task_id).leases == {}
    assert [site.answer("ann", task_id, session=old), site.send("ann", "GET", "/worker/next", session=old).status] == [401, 401]
    new = site.session("ann")
    assert new.token != old.token and new.csrf != old.csrf
    mixed = type(old)(**{**vars(new), "token": old.token})
    assert site.answer("ann", task_id, session=mixed) == 401


def test_a_session_with_the_secret_of_another_person_is_none(site: Site) -> None:
    mine, theirs = site.session("eve"), site.session("ann")
    forged = f"{theirs.token.partition('.')[0]}.{mine.token.partition('.')[2]}"
    assert site.send("eve", "GET", "/worker/next", session=type(mine)(**{**vars(mine), "token": forged})).status == 401


# -- what is not theirs ----------------------------------------------------------------------------


def test_who_guesses_the_id_of_a_task_learns_and_changes_nothing(site: Site) -> None:
    """The id follows from the review's, which whoever called the prediction API knows."""
    secret = "only ann may read this"
    site.service.ask(secret, "known-to-eve")
    task_id = task_id_of(ReviewRequest("known-to-eve", secret, "negative", 0.5, ReviewReason.LOW_CONFIDENCE).review_id)
    changed(site.service, rule=AnswerRule.FIXED, most=1)
    assert site.next("ann") == task_id
    site.session("eve")
    before = json.dumps(sorted(site.service.table.items.values(), key=str), default=str)
    answers = [
        site.send("eve", "GET", f"/worker/tasks/{task_id}"),
        site.send("eve", "POST", "/worker/answers", {"task": task_id, "answer": choice("Good")}),
        site.send("eve", "POST", "/worker/undos", {"task": task_id}),
        site.send("eve", "POST", "/worker/flags", {"task": task_id, "note": "what is it?"}),
        site.send("eve", "POST", "/worker/lead/released", {"task": task_id}),
        site.send("eve", "POST", "/worker/lead/disputes", {"task": task_id, "note": "what is it?"}),
    ]
    assert [one.status for one in answers] == [404, 409, 409, 409, 404, 404]
    assert not [one for one in answers if secret.encode() in one.body]
    assert json.dumps(sorted(site.service.table.items.values(), key=str), default=str) == before


@pytest.mark.parametrize("name", ["input", "desk", "session", "worker", "gold#reviewers", "notice#reviewers", "task"])
def test_other_records_of_the_table_are_no_tasks(site: Site, name: str) -> None:
    site.service.ask()
    site.next("ann")
    keys = [pk for pk, sk in site.service.table.items if sk.startswith(name) or pk.startswith(name)] or [name]
    for given in keys:
        if len(given) != 32:  # an id of a task is one
            assert site.send("eve", "POST", "/worker/answers", {"task": given, "answer": choice("Good")}).status == 409
            assert site.send("lea", "POST", "/worker/lead/released", {"task": given}).status == 409
        assert site.send("lea", "POST", "/worker/lead/closed", {"remark": f"{given}:{name}"}).status == 409


def test_nobody_reads_texts_that_they_do_not_hold_and_have_not_answered(site: Site) -> None:
    changed(site.service, rule=AnswerRule.FIXED, most=1)
    texts = [f"the text number {number}" for number in range(6)]
    for text in texts:
        site.service.ask(text)
        site.service.wait(1)
    mine = site.next("ann")
    site.answer("ann", mine)
    site.state("ann")
    seen = json.dumps(site.state("bob"))
    assert not [text for text in texts if text in seen], "the state has titles of the own last answers only"
    assert json.dumps(site.state("ann")).count("the text number") == 1


def test_a_gold_task_looks_like_any_other_one(site: Site) -> None:
    service = site.service
    service.tasks.put_gold(TEAM, [GoldText("the known one", "positive")])
    changed(service, gold_share=1.0)
    review = service.ask("an ordinary one")
    ids = sorted(pk for pk, sk in service.table.items if sk == "task")
    assert len(ids) == 2
    shown: dict[str, Any] = {}
    for _ in ids:
        state = site.state("ann")
        task_id = state["task"].pop("id")
        frame = site.send("ann", "GET", f"/worker/tasks/{task_id}")
        text = "an ordinary one" if task_id == review else "the known one"
        shown[task_id] = state["task"], frame.headers, frame.body.decode().replace(text, "")
        assert site.answer("ann", task_id) == 200
    assert shown[ids[0]] == shown[ids[1]]
    assert {(one["fixed"], len(one["id"]), tuple(one)) for one in site.state("ann")["recent"]} == {
        ("", 32, ("id", "title", "submitted_at", "fixed"))
    }


# -- texts and labels ------------------------------------------------------------------------------


def test_a_label_in_another_normal_form_is_another_label(site: Site) -> None:
    composed, apart = unicodedata.normalize("NFC", "Café"), unicodedata.normalize("NFD", "Café")
    request = ReviewRequest("p-labels", "text", "a", 0.5, ReviewReason.LOW_CONFIDENCE)
    labels = Labels(("a", "b"), (composed, "Bar"))
    HostedStarter(site.service.tasks, site.service.terms, labels, lambda: site.service.now / 1_000).start(request)
    task_id = site.next("ann")
    refused = site.send("ann", "POST", "/worker/answers", {"task": task_id, "answer": choice(apart)})
    assert (refused.status, json.loads(refused.body)["message"]) == (400, f"category: {apart!r} is not one of {composed}, Bar")
    assert site.answer("ann", task_id, composed) == 200


def test_a_template_that_fails_for_one_text_ends_that_task_with_the_reason_and_holds_up_nobody(site: Site) -> None:
    broken = site.service.ask("broken")
    site.service.wait(1)
    whole = site.service.ask("whole")

    def render(task_input: Mapping[str, Any]) -> str:
        if task_input["text"] == "broken":
            return '<crowd-input name="a" min-length="9" max-length="3"></crowd-input>'
        return html(task_input)

    site.render = render
    assert site.next("ann") == whole
    assert (site.service.read(broken).state, site.service.sent[0].failure) == (
        State.ENDED,
        "ValidationError: no answer fits 'a': its bounds or options leave none",
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"task": "%s", "answer": {"category": {"label": "Good"}}, "workerId": "bob", "team": "others", "until": 9999999999999}',
        b'{"answer": {"category": {"label": "Good"}}, "task": "x", "task": "%s"}',
    ],
)
def test_fields_that_nobody_asks_for_decide_nothing(site: Site, body: bytes) -> None:
    task_id = site.service.ask()
    site.next("ann")
    assert site.send("ann", "POST", "/worker/answers", body.replace(b"%s", task_id.encode())).status == 200
    assert site.said(task_id) == {"ann": "Good"}
    assert [one.team for one in [site.service.read(task_id)]] == [TEAM]


@pytest.mark.parametrize("since", ["nan", "-1", "1e308", "", "0x10", "\uff19"])
def test_a_midnight_that_is_none_counts_from_that_of_utc(site: Site, since: str) -> None:
    site.service.ask()
    session = site.session("ann")
    headers = {"cookie": f"{SESSION}={session.token}"}
    request = PageRequest("GET", "/worker/next", headers, b"", {"since": since}, ADDRESS.url)
    table = site.service.tasks.of_one_request()
    store = HostedTasks(table, html, site.service.finish, lambda: site.service.now, site.service.chance)
    sign_in = HostedSignIn(
        site.sessions, ADDRESS, Groups(TEAM, "leads"), redeem=lambda *_: pytest.fail(), standing=lambda _: pytest.fail(),
        give_back=store.give_back, has_read=table.has_read, clock=lambda: site.service.now / 1_000,
    )  # fmt: skip
    assert ReviewPage(store, sign_in, brand="Reviews").handle(request).status == 200


def test_a_worker_is_the_person_of_the_session_whatever_they_are_called(site: Site) -> None:
    """Names that mean something elsewhere: to the table's keys, to HTML, to JavaScript."""
    changed(site.service, rule=AnswerRule.FIXED, most=9)
    task_id = site.service.ask()
    names = ["lea#desk", "session#x", "<script>alert(1)</script>", "__proto__", "ann\u202eeil", "gold#reviewers"]
    for name in names:
        assert site.next(name) == task_id
        assert site.answer(name, task_id) == 200
        page = site.send(name, "GET", "/worker").body.decode()
        assert "<script>alert" not in page
    assert site.said(task_id).keys() == set(names)
    assert site.service.read(task_id).answers.keys() == {worker_id_of(name) for name in names}
    assert person("x") == Worker("x", {"identityProviderType": "Cognito", "issuer": "pool", "sub": "x"})
