"""The page's routes over a small store: who gets which task, what is refused, what a browser may load."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from memory_store import HeaderSignIn, MemoryLead, MemoryStore, task

from review_page.fields import TemplateError
from review_page.http import PageError, PageRequest, PageResponse
from review_page.pages import ASSETS, FRAME_SCRIPTS, ReviewPage
from review_page.tasks import MOST_RECENT, SkipReason

ORIGIN = "https://reviews.example"
POSITIVE = {"category": {"label": "positive"}}


class Browser:
    """One person at the page."""

    def __init__(self, page: ReviewPage, user: str = "ann") -> None:
        self._page, self._user = page, user

    def send(self, method: str, path: str, body: bytes = b"", *, query: dict[str, str] | None = None, **headers: str) -> PageResponse:
        sent = {"user": self._user, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self._page.handle(PageRequest(method, path, sent, body, query or {}, ORIGIN))

    def next(self, **query: str) -> Any:
        return json.loads(self.send("GET", "/worker/next", query=query).body)

    def post(self, path: str, body: dict[str, Any], csrf: str = "secret", **query: str) -> tuple[int, Any]:
        response = self.send("POST", path, json.dumps(body).encode(), query=query, x_csrf_token=csrf)
        return response.status, json.loads(response.body)

    def ahead(self) -> str | None:
        shown = json.loads(self.send("GET", "/worker/ahead").body)["task"]
        return str(shown["id"]) if shown else None

    def take(self) -> str:
        return str(self.next()["task"]["id"])


def page(store: MemoryStore, sign_in: HeaderSignIn | None = None, brand: str = "Reviews") -> ReviewPage:
    return ReviewPage(store, sign_in or HeaderSignIn("ann", "bob"), brand=brand)


def policy(response: PageResponse) -> dict[str, str]:
    parts = (directive.strip().partition(" ") for directive in response.headers["Content-Security-Policy"].split(";"))
    return {name: value for name, _, value in parts}


# -- tasks -----------------------------------------------------------------------------------------


def test_one_task_at_a_time_until_nothing_is_left() -> None:
    store = MemoryStore(task("first"), task("second"))
    ann = Browser(page(store))

    first = ann.next()
    assert (first["task"]["title"], first["waiting"], first["skipped"], first["answered"]) == ("Judge a text", 2, 0, 0)
    assert first["more"] is False
    assert ann.next() == first, "a task stays until it is answered"
    status, second = ann.post("/worker/answers", {"task": first["task"]["id"], "answer": POSITIVE})
    assert (status, second["waiting"], second["answered"]) == (200, 1, 1)
    _, last = ann.post("/worker/answers", {"task": second["task"]["id"], "answer": POSITIVE})

    assert (last["task"], last["waiting"], last["skipped"], last["answered"]) == (None, 0, 0, 2)
    assert [one.answer for one in store.tasks.values()] == [POSITIVE, POSITIVE]


def test_a_skipped_task_is_offered_to_others_and_again_on_request() -> None:
    store = MemoryStore(task("only"))
    served = page(store)
    ann, bob = Browser(served), Browser(served, "bob")
    taken = ann.take()

    _, after = ann.post("/worker/skips", {"task": taken, "reason": "language"})
    assert (after["task"], after["waiting"], after["skipped"], after["answered"]) == (None, 0, 1, 0)
    assert ann.next(skipped="1")["task"]["id"] == taken
    assert bob.next()["task"] is None, "ann holds it again"
    ann.post("/worker/skips", {"task": taken, "reason": "other", "note": " no idea "})
    assert bob.take() == taken
    assert store.tasks[taken].skips == [(SkipReason.LANGUAGE, ""), (SkipReason.OTHER, "no idea")]


def test_a_task_of_another_team_is_neither_offered_nor_shown() -> None:
    store = MemoryStore(task("secret", team="others"))
    ann = Browser(page(store))

    assert ann.next()["task"] is None
    assert ann.send("GET", f"/worker/tasks/{next(iter(store.tasks))}").status == 404


def test_who_leaves_the_team_gives_the_task_back() -> None:
    store, sign_in = MemoryStore(task("text")), HeaderSignIn("ann", "bob")
    served = page(store, sign_in)
    ann, bob = Browser(served), Browser(served, "bob")
    taken = ann.take()

    sign_in.sessions["ann"].team_names.clear()

    assert ann.post("/worker/answers", {"task": taken, "answer": POSITIVE})[0] == 409
    assert bob.take() == taken


@pytest.mark.parametrize(
    "answer", [None, [], "positive", {}, {"category": "positive"}, {"category": {"label": "great"}}, {"category": {"label": None}}]
)
def test_an_answer_that_does_not_fit_is_refused_and_the_task_stays(answer: object) -> None:
    store = MemoryStore(task("text"))
    ann = Browser(page(store))
    taken = ann.take()

    status, refusal = ann.post("/worker/answers", {"task": taken, "answer": answer})

    assert status == 400
    assert refusal["message"]
    assert (store.tasks[taken].answer, ann.take(), ann.next()["answered"]) == (None, taken, 0)


def test_a_task_that_somebody_else_holds_cannot_be_answered_or_seen() -> None:
    served = page(MemoryStore(task("text")))
    ann, bob = Browser(served), Browser(served, "bob")
    taken = ann.take()

    assert bob.post("/worker/answers", {"task": taken, "answer": POSITIVE})[0] == 409
    assert bob.send("GET", f"/worker/tasks/{taken}").status == 404


def test_an_answer_that_comes_again_is_accepted_and_another_one_is_refused() -> None:
    """The network may be lost after the answer has arrived: the browser sends it again."""
    store = MemoryStore(task("first"), task("second"))
    ann = Browser(page(store))
    sent = {"task": ann.take(), "answer": POSITIVE}
    ann.post("/worker/answers", sent)

    status, again = ann.post("/worker/answers", sent)
    changed, _ = ann.post("/worker/answers", {**sent, "answer": {"category": {"label": "negative"}}})

    assert (status, again["answered"], changed) == (200, 1, 409)
    assert [one.answer for one in store.tasks.values()] == [POSITIVE, None]


def test_one_task_is_held_ahead_of_the_one_in_work() -> None:
    served = page(MemoryStore(task("first"), task("second"), task("third")))
    ann, bob = Browser(served), Browser(served, "bob")

    assert ann.ahead() is None, "without a task in work there is none ahead"
    first, second = ann.take(), ann.ahead()
    assert second not in (first, None)
    assert (ann.ahead(), ann.take()) == (second, first), "both stay"
    assert bob.take() not in (first, second)
    assert ann.send("GET", f"/worker/tasks/{second}").status == 200
    assert ann.post("/worker/answers", {"task": first, "answer": POSITIVE})[1]["task"]["id"] == second


def test_an_answer_brings_the_task_ahead_with_it_where_the_browser_asks() -> None:
    ann = Browser(page(MemoryStore(task("first"), task("second"), task("third"))))
    first = ann.take()
    assert "ahead" not in ann.next()
    _, state = ann.post("/worker/answers", {"task": first, "answer": POSITIVE}, ahead="1")
    assert state["ahead"]["id"] == ann.ahead() != state["task"]["id"]
    _, state = ann.post("/worker/answers", {"task": state["task"]["id"], "answer": POSITIVE}, ahead="1")
    assert (state["task"] is None, state["ahead"]) == (False, None)


def test_the_last_answers_can_be_undone_until_their_tasks_have_ended() -> None:
    store = MemoryStore(*(task(f"text {number}") for number in range(12)))
    ann = Browser(page(store))
    for _ in range(MOST_RECENT + 1):
        ann.post("/worker/answers", {"task": ann.take(), "answer": POSITIVE})
    ids = list(store.tasks)
    store.tasks[ids[9]].ended = True
    in_work, recent = ann.take(), ann.next()["recent"]

    assert [one["id"] for one in recent] == ids[MOST_RECENT:0:-1]
    assert [bool(one["fixed"]) for one in recent] == [one["id"] == ids[9] for one in recent]
    refused = [ann.post("/worker/undos", {"task": one}) for one in (ids[0], ids[9], ids[11], "0" * 32)]
    assert [status for status, _ in refused] == [409] * 4
    assert [answer["message"].split(":")[0].split(",")[0] for _, answer in refused[:2]] == [
        "This is none of your last ten answers",
        "This task has ended",
    ]
    status, state = ann.post("/worker/undos", {"task": ids[5]})
    assert (status, state["task"]["id"], state["task"]["earlier"]) == (200, ids[5], POSITIVE)
    assert ann.ahead() == in_work, "what was in work comes next"
    ann.post("/worker/answers", {"task": ids[5], "answer": {"category": {"label": "negative"}}})
    assert store.tasks[ids[5]].answer == {"category": {"label": "negative"}}
    assert ann.take() == in_work


@pytest.mark.parametrize("body", [{}, {"reason": "bored"}, {"reason": ["other"]}, {"reason": "other", "note": "x" * 501}, {"note": 1}])
def test_a_skip_needs_a_reason_that_the_lead_can_count(body: dict[str, Any]) -> None:
    store = MemoryStore(task("text"))
    ann = Browser(page(store))
    taken = ann.take()

    assert ann.post("/worker/skips", {"task": taken, **body})[0] == 400
    assert (store.tasks[taken].holder, store.tasks[taken].skips) == ("ann", [])


def test_a_task_in_work_or_answered_lately_can_be_shown_to_the_lead() -> None:
    store = MemoryStore(task("text"), task("another"))
    served = page(store)
    ann, bob = Browser(served), Browser(served, "bob")
    taken = ann.take()

    assert ann.post("/worker/flags", {"task": taken, "note": "two labels fit"}) == (200, {})
    ann.post("/worker/answers", {"task": taken, "answer": POSITIVE})
    assert ann.post("/worker/flags", {"task": taken, "note": "sorry, wrong"})[0] == 200
    assert ann.post("/worker/flags", {"task": taken, "note": "  "})[0] == 400
    assert bob.post("/worker/flags", {"task": taken, "note": "not mine"})[0] == 409
    assert store.tasks[taken].flags == ["two labels fit", "sorry, wrong"]


def test_progress_is_that_of_the_browsers_day() -> None:
    store = MemoryStore(task("first"), task("second"))
    ann = Browser(page(store))
    ann.post("/worker/answers", {"task": ann.take(), "answer": POSITIVE})
    next(iter(store.tasks.values())).answered_at = now = time.time() - 100

    assert (ann.next()["seconds_per_answer"], ann.next(since=str(now - 1))["answered"]) == (4.0, 1)
    assert (ann.next(since=str(now + 1))["answered"], ann.next(since=str(now + 1))["seconds_per_answer"]) == (0, None)
    for odd in ("nan", "inf", "-1", "1e400", "yesterday", str(now + 1_000)):
        assert ann.next(since=odd)["answered"] in (0, 1)


def test_a_suggestion_is_the_stores_to_give() -> None:
    ann = Browser(page(MemoryStore(task("first", suggestion={"category": "positive"}), task("second"))))

    assert ann.next()["task"]["suggestion"] == {"category": "positive"}
    assert ann.post("/worker/skips", {"task": ann.take(), "reason": "other"})[1]["task"]["suggestion"] == {}


# -- sessions --------------------------------------------------------------------------------------


def test_without_a_session_the_page_asks_to_sign_in_and_everything_else_is_refused() -> None:
    nobody = Browser(page(MemoryStore(task("text"))), "nobody")

    assert nobody.send("GET", "/worker").body == b"Sign in, please"
    refused = [nobody.send("GET", path) for path in ("/worker/next", f"/worker/tasks/{'0' * 32}", "/worker/nowhere")]
    refused += [nobody.send("POST", path, b"{}") for path in ("/worker/answers", "/worker/skips", "/worker/sign-out")]
    assert [one.status for one in refused] == [401] * 6


def test_signing_in_has_routes_of_its_own() -> None:
    nobody = Browser(page(MemoryStore()), "nobody")

    assert nobody.send("POST", "/worker/sign-in", b"token=right").headers["Location"] == "/worker"
    assert nobody.send("POST", "/worker/sign-in", b"token=guessed").status == 403


@pytest.mark.parametrize("csrf", ["", "guessed", "\u00e4"])
def test_what_changes_something_needs_the_sessions_token(csrf: str) -> None:
    store, sign_in = MemoryStore(task("text")), HeaderSignIn("ann")
    ann = Browser(page(store, sign_in))
    taken = ann.take()

    assert ann.post("/worker/answers", {"task": taken, "answer": POSITIVE}, csrf)[0] == 403
    assert ann.post("/worker/skips", {"task": taken, "reason": "other"}, csrf)[0] == 403
    assert ann.post("/worker/undos", {"task": taken}, csrf)[0] == 403
    assert ann.post("/worker/flags", {"task": taken, "note": "look"}, csrf)[0] == 403
    assert ann.send("POST", "/worker/sign-out", f"csrf={csrf}".encode()).status == 403
    assert (store.tasks[taken].answer, store.tasks[taken].holder, list(sign_in.sessions)) == (None, "ann", ["ann"])


def test_signing_out_ends_the_session_and_gives_back_what_was_held() -> None:
    served = page(MemoryStore(task("first"), task("second")))
    ann, bob = Browser(served), Browser(served, "bob")
    taken = ann.take()
    ann.send("GET", "/worker/ahead")

    assert bob.next()["task"] is None
    assert ann.send("POST", "/worker/sign-out", b"csrf=secret").status == 303
    assert ann.send("GET", "/worker/next").status == 401
    assert bob.take() == taken


# -- the lead --------------------------------------------------------------------------------------


def led(store: MemoryStore) -> tuple[ReviewPage, HeaderSignIn]:
    sign_in = HeaderSignIn("ann", "lead", "stranger")
    sign_in.sessions["lead"].led = {"readers"}
    sign_in.sessions["stranger"].led = {"others"}
    return ReviewPage(store, sign_in, brand="Reviews", lead=MemoryLead(store)), sign_in


def test_who_leads_nobody_has_no_leads_page() -> None:
    served, sign_in = led(MemoryStore(task("text")))
    ann, lead = Browser(served), Browser(served, "lead")

    for path in ("/worker/lead", "/worker/lead/overview", "/worker/lead/nothing"):
        assert ann.send("GET", path).status == 404
    assert ann.post("/worker/lead/released", {"task": "x"})[0] == 404
    assert ("Lead</a>" in ann.send("GET", "/worker").body.decode(), "Lead</a>" in lead.send("GET", "/worker").body.decode()) == (
        False,
        True,
    )
    sign_in.sessions["lead"].led.clear()
    assert lead.send("GET", "/worker/lead/overview").status == 404, "asked at every request"
    assert Browser(page(MemoryStore())).send("GET", "/worker/lead").status == 404, "a server without a lead's port"


def test_a_lead_acts_within_their_teams_and_with_their_own_token() -> None:
    store = MemoryStore(task("held"))
    served, _ = led(store)
    ann, lead, stranger = Browser(served), Browser(served, "lead"), Browser(served, "stranger")
    held = ann.take()
    ann.post("/worker/flags", {"task": held, "note": "look"})
    seen = json.loads(lead.send("GET", "/worker/lead/overview").body)

    assert (seen["open"], seen["queue"][0]["id"], seen["flags"][0]["note"]) == (1, held, "look")
    assert lead.post("/worker/lead/released", {"task": held}, csrf="guessed")[0] == 403
    for path, body in (("released", {"task": held}), ("disputes", {"task": held, "note": "x"}), ("closed", {"remark": f"{held}-0"})):
        assert stranger.post(f"/worker/lead/{path}", body)[0] == 409
    assert json.loads(stranger.send("GET", "/worker/lead/overview").body)["queue"] == []
    assert lead.post("/worker/lead/disputes", {"task": held, "note": ""})[0] == 400
    assert lead.post("/worker/lead/released", {"task": held})[1]["queue"][0]["holders"] == []
    assert lead.post("/worker/lead/disputes", {"task": held, "note": "both wrong"})[1]["disputes"][0]["note"] == "both wrong"
    assert lead.post("/worker/lead/closed", {"remark": f"{held}-0"})[1]["flags"] == []


# -- what a browser gets ---------------------------------------------------------------------------


def test_the_page_has_the_name_that_its_server_gives_it() -> None:
    shell = Browser(page(MemoryStore(), brand="Texts & more")).send("GET", "/worker").body.decode()

    assert "<title>Texts &amp; more</title>" in shell
    assert "<span>Texts &amp; more</span>" in shell
    assert "$" not in shell, "every place is filled in"


def test_a_refusal_is_a_page_for_a_person_and_json_for_a_script() -> None:
    ann = Browser(page(MemoryStore(), brand="Reviews"))

    shown, told = ann.send("GET", "/worker/nowhere", accept="text/html"), ann.send("GET", "/worker/nowhere")

    assert (shown.status, told.status) == (404, 404)
    assert "There is no such page." in shown.body.decode()
    assert "<title>Not possible - Reviews</title>" in shown.body.decode()
    assert json.loads(told.body) == {"message": "There is no such page."}


def test_a_refusal_may_lead_to_one_more_page() -> None:
    asked = PageRequest("GET", "/worker", {"accept": "text/html"}, b"", {}, "https://reviews.example")
    made = page(MemoryStore())
    shown = made.refusal(asked, PageError(403, "no", also=("/worker/leave", "Somebody <else>")))

    assert '<a class="onward" href="/worker/leave">Somebody &lt;else&gt;</a>' in shown.body.decode()
    assert made.refusal(asked, PageError(403, "no")).body.decode().count("<a ") == 1


def test_every_page_loads_from_its_own_origin_only() -> None:
    ann = Browser(page(MemoryStore(task("text"))))
    shell, frame = ann.send("GET", "/worker"), ann.send("GET", f"/worker/tasks/{ann.take()}")
    refused = ann.send("GET", "/worker/nowhere", accept="text/html")

    for response in (shell, refused):
        assert {policy(response)[kind] for kind in ("script-src", "style-src")} == {f"{ORIGIN}/worker/assets/"}
        assert (policy(response)["default-src"], policy(response)["frame-ancestors"]) == ("'none'", "'none'")
    assert policy(frame)["sandbox"] == "allow-scripts"
    assert policy(frame)["script-src"].split() == [f"{ORIGIN}/worker/assets/{name}" for name in FRAME_SCRIPTS]
    assert "'unsafe-inline'" not in policy(frame)["script-src"]
    assert "{origin}" not in "".join(one.headers["Content-Security-Policy"] for one in (shell, frame, refused))
    assert {one.headers["Cache-Control"] for one in (shell, frame, refused)} == {"no-store"}


def test_a_frame_runs_the_scripts_that_its_task_names_and_the_page_around_is_told() -> None:
    source = "'sha256-R38xvY5qwpST7+qf6nrWlmYytlTPV5Bj1JUdFAeZNog='"
    ann = Browser(page(MemoryStore(task("text", scripts=(source,)))))
    shown, frame = ann.next()["task"], ann.send("GET", f"/worker/tasks/{ann.take()}")

    assert shown["scripts"] is True
    assert policy(frame)["script-src"].split()[len(FRAME_SCRIPTS) :] == [source]
    assert {policy(frame)[kind] for kind in ("default-src", "connect-src", "form-action", "base-uri")} == {"'none'"}
    assert policy(frame)["sandbox"] == "allow-scripts"


def test_a_tasks_frame_holds_its_template_with_the_local_elements() -> None:
    content = '<script src="https://assets.crowd.aws/crowd-html-elements.js"></script>\n<p>$text {origin}</p>'
    ann = Browser(page(MemoryStore(task("", title="<Judge>", render=lambda: content))))

    shown = ann.send("GET", f"/worker/tasks/{ann.take()}").body.decode()

    assert "</h1>\n\n<p>$text {origin}</p>" in shown
    assert re.findall('src="([^"]+)"', shown) == [f"/worker/assets/{name}" for name in FRAME_SCRIPTS]
    assert "<title>&lt;Judge&gt;</title>" in shown


def test_a_template_that_cannot_be_rendered_is_told_to_the_person() -> None:
    def broken() -> str:
        raise TemplateError("the worker template cannot be rendered: line 3")

    ann = Browser(page(MemoryStore(task("", render=broken))))

    shown = ann.send("GET", f"/worker/tasks/{ann.take()}", accept="text/html")

    assert (shown.status, "line 3" in shown.body.decode()) == (422, True)


def test_assets_need_no_session_and_nothing_else_is_one() -> None:
    nobody = Browser(page(MemoryStore()), "nobody")

    scripts = [path for path in ASSETS.iterdir() if path.suffix in (".js", ".css", ".svg")]
    assert len(scripts) == 13
    for path in scripts:
        served = nobody.send("GET", f"/worker/assets/{path.name}")
        assert (served.status, served.body) == (200, path.read_bytes())
        assert served.headers["Cache-Control"] == "private, max-age=300"
    for name in ("shell.html", "../pages.py", "nothing.js", "..%2fpages.py", ""):
        assert nobody.send("GET", f"/worker/assets/{name}").status in (401, 404)


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1;script-src *", "http://x.localhost/;", "http://a b.localhost", "http://", "null", "http://ä.localhost",
        "http://x.localhost:80 'unsafe-inline'", "http://x.localhost\r\nSet-Cookie: a=b", "javascript:alert(1)",
    ],
)  # fmt: skip
def test_an_address_that_is_none_gets_no_policy_of_its_own(origin: str) -> None:
    """An embedded server makes it of the header Host."""
    response = page(MemoryStore()).handle(PageRequest("GET", "/worker", {"user": "ann"}, b"", {}, origin))

    assert (response.status, response.headers["Content-Security-Policy"]) == (400, "default-src 'none'")


def test_a_body_beyond_64_kb_is_refused() -> None:
    ann = Browser(page(MemoryStore(task("text"))))
    answer = {"task": ann.take(), "answer": {"category": {"label": "positive"}, "filling": "x" * 65_536}}

    assert ann.post("/worker/answers", answer)[0] == 413


@pytest.mark.parametrize(
    "body",
    [b"[" * 20_000, b"{", b"\xff", b"[]", b"3", b'{"answer": NaN}', b'{"answer": -Infinity}'],
    ids=["deep", "cut", "no text", "a list", "a number", "not a number", "endless"],
)
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    response = Browser(page(MemoryStore())).send("POST", "/worker/answers", body, x_csrf_token="secret")

    assert (response.status, "JSON" in json.loads(response.body)["message"]) == (400, True)
