"""A corpus of attacks on the page's routes, for any store behind it: what is sent, and with which status it may be answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from memory_store import HeaderSignIn, MemoryLead, MemoryStore, task

from review_page.http import PageRequest, PageResponse
from review_page.pages import ReviewPage

ORIGIN = "https://reviews.example"
POSITIVE = {"category": {"label": "positive"}}


class World:
    """Ann holds ``held``, has answered ``done``; Bob holds ``bobs``; ``foreign`` is another team's. Lea leads the readers."""

    def __init__(self) -> None:
        self.foreign, self.done, self.held, self.bobs = (task(name, title=name) for name in ("foreign", "done", "held", "bobs"))
        self.foreign.team = "others"
        self.held.holder, self.bobs.holder = "ann", "bob"
        self.done.answer, self.done.answered_by, self.done.answered_at, self.done.ended = POSITIVE, "ann", 1.0, True
        self.store = MemoryStore(self.foreign, self.done, self.held, self.bobs)
        self.sign_in = HeaderSignIn("ann", "bob", "lea")
        self.sign_in.sessions["ann"].csrf, self.sign_in.sessions["bob"].csrf = "ann's", "bob's"
        self.sign_in.sessions["lea"].led = {"readers"}
        self.lead = MemoryLead(self.store)
        self.page = ReviewPage(self.store, self.sign_in, brand="Reviews", lead=self.lead)

    def send(
        self, method: str, path: str, body: bytes | Any = b"", *, user: str = "ann", csrf: str | None = "ann's", **more: Any
    ) -> PageResponse:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"user": user, **({} if csrf is None else {"x-csrf-token": csrf}), **more.pop("headers", {})}
        return self.page.handle(PageRequest(method, path, headers, content, more.pop("query", {}), more.pop("origin", ORIGIN)))

    def answer(self, content: Any, **more: Any) -> PageResponse:
        return self.send("POST", "/worker/answers", {"task": self.held.task_id, "answer": content}, **more)

    def raw(self, answer: str) -> PageResponse:
        return self.send("POST", "/worker/answers", f'{{"task": "{self.held.task_id}", "answer": {answer}}}'.encode())

    @property
    def kept(self) -> Any:
        """Everything that an attack could change."""
        tasks = [(one.holder, one.ahead, one.answer, tuple(one.skips), tuple(one.flags), one.earlier) for one in self.store.tasks.values()]
        return tasks, list(self.lead.disputes), sorted(self.sign_in.sessions)


Attack = Callable[[World], PageResponse]
POSTS = {
    "answers": lambda world: {"task": world.held.task_id, "answer": POSITIVE},
    "skips": lambda world: {"task": world.held.task_id, "reason": "other"},
    "undos": lambda world: {"task": world.done.task_id},
    "flags": lambda world: {"task": world.held.task_id, "note": "look"},
}
LEADS = {
    "released": lambda world: {"task": world.held.task_id},
    "disputes": lambda world: {"task": world.held.task_id, "note": "look"},
    "closed": lambda world: {"remark": f"{world.held.task_id}-0"},
}


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth - 1):
        found = [found]
    return found


def post(route: str, body: Callable[[World], Any], **more: Any) -> Attack:
    return lambda world: world.send("POST", f"/worker/{route}", body(world), **more)


def on_task(name: str, route: str, user: str = "ann") -> Attack:
    """The route's action on a task that is not the worker's."""

    def attack(world: World) -> PageResponse:
        body = {**POSTS[route](world), "task": getattr(world, name).task_id}
        return world.send("POST", f"/worker/{route}", body, user=user, csrf=world.sign_in.sessions[user].csrf)

    return attack


ATTACKS: dict[str, tuple[Attack, tuple[int, ...]]] = {
    # Cross-site requests: no token, a guess, another session's, one that is no ASCII.
    **{f"{route} without the token": (post(route, body, csrf=None), (403,)) for route, body in POSTS.items()},
    **{f"{route} with an empty token": (post(route, body, csrf=""), (403,)) for route, body in POSTS.items()},
    **{f"{route} with another session's token": (post(route, body, csrf="bob's"), (403,)) for route, body in POSTS.items()},
    "a token that is no ASCII": (post("answers", POSTS["answers"], csrf="ann\u2019s"), (403,)),
    "a token with half a surrogate pair": (post("answers", POSTS["answers"], csrf="\ud800"), (403,)),
    "signing out without the token": (lambda world: world.send("POST", "/worker/sign-out", b"csrf="), (403,)),
    "signing out with another's token": (lambda world: world.send("POST", "/worker/sign-out", b"csrf=bob%27s"), (403,)),
    "signing out by a link": (lambda world: world.send("GET", "/worker/sign-out"), (404,)),
    # Sessions that are none.
    **{f"{route} without a session": (post(route, body, user="nobody"), (401,)) for route, body in POSTS.items()},
    "the next task without a session": (lambda world: world.send("GET", "/worker/next", user=""), (401,)),
    "a task's page without a session": (lambda world: world.send("GET", f"/worker/tasks/{world.held.task_id}", user="eve"), (401,)),
    "a cookie that is none": (lambda world: world.send("GET", "/worker/next", user="", headers={"cookie": "user=\x00;;=;\"'"}), (401,)),
    "a cookie of 60 KB": (lambda world: world.send("GET", "/worker/next", user="", headers={"cookie": "user=" + "a" * 60_000}), (401,)),
    # Tasks of others.
    "answering a colleague's task": (on_task("bobs", "answers"), (409,)),
    "flagging a colleague's task": (on_task("bobs", "flags"), (409,)),
    "undoing a colleague's answer": (on_task("done", "undos", user="bob"), (409,)),
    "skipping a colleague's task": (on_task("bobs", "skips"), (200,)),
    "answering another team's task": (on_task("foreign", "answers"), (409,)),
    "flagging another team's task": (on_task("foreign", "flags"), (409,)),
    "undoing in another team": (on_task("foreign", "undos"), (409,)),
    "reading a colleague's task": (lambda world: world.send("GET", f"/worker/tasks/{world.bobs.task_id}"), (404,)),
    "reading another team's task": (lambda world: world.send("GET", f"/worker/tasks/{world.foreign.task_id}"), (404,)),
    "reading an ended task": (lambda world: world.send("GET", f"/worker/tasks/{world.done.task_id}"), (404,)),
    # Forged and replayed answers.
    "no answer": (lambda world: world.answer(None), (400,)),
    "an empty answer": (lambda world: world.answer({}), (400,)),
    "a category that is none": (lambda world: world.answer({"category": {"label": "Positive"}}), (400,)),
    "a category with a space": (lambda world: world.answer({"category": {"label": "positive "}}), (400,)),
    "a list of categories": (lambda world: world.answer({"category": {"label": ["positive"]}}), (400,)),
    "an answer with more keys": (lambda world: world.answer({**POSITIVE, "workerId": "bob"}), (400,)),
    "a label with more keys": (lambda world: world.answer({"category": {"label": "positive", "confidence": 1}}), (400,)),
    "a key of JavaScript's": (lambda world: world.answer({**POSITIVE, "__proto__": {"admin": True}}), (400,)),
    "an answer that is not a number": (lambda world: world.raw("NaN"), (400,)),
    "an answer without end": (lambda world: world.raw('{"category": {"label": Infinity}}'), (400,)),
    "a number of a thousand digits": (lambda world: world.raw('{"category": {"label": ' + "9" * 5_000 + "}}"), (400,)),
    "half a surrogate pair": (lambda world: world.raw('{"category": {"label": "\\ud800"}}'), (400,)),
    "half a surrogate pair as a key": (lambda world: world.raw('{"\\udfff": 1, "category": {"label": "positive"}}'), (400,)),
    "two labels under one key": (lambda world: world.raw('{"category": {"label": "positive", "label": "neither"}}'), (400,)),
    "an answer 51 deep": (lambda world: world.answer({"category": {"label": nested(48)}}), (400,)),
    "a note 51 deep": (lambda world: world.send("POST", "/worker/flags", {"task": world.held.task_id, "note": nested(50)}), (400,)),
    "a key nobody reads 51 deep": (
        lambda world: world.send("POST", "/worker/undos", {"task": world.held.task_id, "x": nested(50)}),
        (400,),
    ),
    "a lead's body 51 deep": (
        lambda world: world.send("POST", "/worker/lead/closed", {"remark": "a", "x": nested(50)}, user="lea", csrf="secret"),
        (400,),
    ),
    "an answer 20,000 deep": (lambda world: world.raw("[" * 20_000 + "]" * 20_000), (400,)),
    "an answer of 64 KB": (lambda world: world.answer({"category": {"label": "x" * 65_536}}), (413,)),
    "a form instead of JSON": (lambda world: world.send("POST", "/worker/answers", b"task=1&answer=positive"), (400,)),
    "another answer to an ended task": (on_task("done", "answers"), (200,)),
    "a changed answer to an ended task": (
        lambda world: world.send("POST", "/worker/answers", {"task": world.done.task_id, "answer": {"category": {"label": "negative"}}}),
        (409,),
    ),
    "undoing an ended task": (on_task("done", "undos"), (409,)),
    # Reasons and notes.
    "a skip without a reason": (post("skips", lambda world: {"task": world.held.task_id}), (400,)),
    "a skip for a reason of one's own": (post("skips", lambda world: {"task": world.held.task_id, "reason": "<script>"}), (400,)),
    "a note of 501 characters": (post("flags", lambda world: {"task": world.held.task_id, "note": "x" * 501}), (400,)),
    "a note that is no text": (post("flags", lambda world: {"task": world.held.task_id, "note": {"$gt": ""}}), (400,)),
    "a note of blanks": (post("flags", lambda world: {"task": world.held.task_id, "note": " \t\n"}), (400,)),
    # Names of tasks that are none.
    **{
        f"the task {name!r}": (lambda world, name=name: world.send("GET", f"/worker/tasks/{name}"), (404,))
        for name in ("../next", "..%2fnext", "0" * 33, "G" * 32, "", "' OR 1=1 --", "\x00" * 32, "{{ 7 | times: 7 }}")
    },
    "a task that is a list": (post("answers", lambda world: {"task": [world.held.task_id], "answer": POSITIVE}), (400,)),
    "a task that is no name": (post("undos", lambda world: {"task": {"$ne": None}}), (400,)),
    "a task without a name": (post("answers", lambda world: {"task": "", "answer": POSITIVE}), (400,)),
    "a task whose name is longer than a key": (post("skips", lambda world: {"task": "a" * 2_049, "reason": "other"}), (400,)),
    "a task of half a character": (post("undos", lambda world: {"task": "\ud800"}), (400,)),
    # Files.
    **{
        f"the file {name!r}": (lambda world, name=name: world.send("GET", f"/worker/assets/{name}"), (404,))
        for name in (
            "../pages.py",
            "..%2f..%2fpages.py",
            "shell.html",
            "lead.html",
            ".",
            "worker.js/../../pages.py",
            "WORKER.JS",
            "worker.js\x00.css",
        )
    },
    # Methods.
    **{
        f"{method} {path}": (lambda world, method=method, path=path: world.send(method, path), (404,))
        for method, path in (
            ("GET", "/worker/answers"),
            ("PUT", "/worker/answers"),
            ("DELETE", "/worker/answers"),
            ("POST", "/worker/next"),
        )
    },
    "a method that a header overrides": (
        lambda world: world.send("GET", "/worker/undos", headers={"x-http-method-override": "POST"}),
        (404,),
    ),
    # Addresses that are none.
    **{
        f"the address {origin!r}": (lambda world, origin=origin: world.send("GET", "/worker", origin=origin), (400,))
        for origin in ("https://a;script-src *", "https://a b", "null", "", "https://a'unsafe-inline'", "https://a\r\nSet-Cookie: x=y")
    },
    # The lead's.
    **{f"{route} of who leads nobody": (post(f"lead/{route}", body), (404,)) for route, body in LEADS.items()},
    "the lead's page of who leads nobody": (lambda world: world.send("GET", "/worker/lead"), (404,)),
    "the overview of who leads nobody": (lambda world: world.send("GET", "/worker/lead/overview"), (404,)),
    **{
        f"{route} without the lead's token": (post(f"lead/{route}", body, user="lea", csrf="ann's"), (403,))
        for route, body in LEADS.items()
    },
    "releasing another team's task": (
        lambda world: world.send("POST", "/worker/lead/released", {"task": world.foreign.task_id}, user="lea", csrf="secret"),
        (409,),
    ),
    "disputing another team's task": (
        lambda world: world.send("POST", "/worker/lead/disputes", {"task": world.foreign.task_id, "note": "x"}, user="lea", csrf="secret"),
        (409,),
    ),
    # Floods.
    "a form of a thousand fields": (lambda world: world.send("POST", "/worker/sign-out", b"a=1&" * 1_000), (400,)),
    "a body of a megabyte": (lambda world: world.send("POST", "/worker/skips", b" " * 1_048_576), (413,)),
    "a midnight that is none": (lambda world: world.send("GET", "/worker/next", query={"since": "1e999", "skipped": "__proto__"}), (200,)),
}


def check(world: World, name: str) -> None:
    """The attack is refused with a reason, or is none, and has changed nothing."""
    attack, statuses = ATTACKS[name]
    before = world.kept

    response = attack(world)

    assert response.status in statuses
    assert world.kept == before
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert not [header for header in response.headers if header.lower().startswith("access-control")]
    if response.status >= 400:
        assert json.loads(response.body)["message"], "a reason for people"
    assert b"Traceback" not in response.body
