"""The corpus of attacks against the deployed function's own code: its handler, sessions, store and table, with events of the gateway."""

from __future__ import annotations

import base64
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from hosted_service import TEAM, TERMS, Service, html
from memory_table import MemoryTable

from lambdas.common.answers_wanted import AnswerRule
from lambdas.common.labels import Labels
from lambdas.common.review import ReviewReason, ReviewRequest
from lambdas.review.hosted import HostedStarter
from lambdas.review.hosted_tasks.task import task_id_of
from lambdas.review.review_page import handler
from lambdas.review.review_page.cognito import PageAddress, Standing
from lambdas.review.review_page.requests import api_response
from lambdas.review.review_page.sessions import Sessions
from lambdas.review.review_page.sign_in import SESSION
from review_page.http import PageResponse

sys.path.append(str(Path(__file__).resolve().parents[2] / "review_page"))
from attack_corpus import ATTACKS, ORIGIN, POSITIVE, World, check

LABELS = Labels(("negative", "positive"), ("negative", "positive"))
CSRF = {"ann": "ann's", "bob": "bob's", "lea": "secret"}
"""How the corpus calls the tokens."""


class DeployedWorld(World):
    """The same people and tasks, in a table, behind the function's handler."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        now = int(time.time() * 1_000)
        self.service = Service(MemoryTable(), now=now)
        sessions = Sessions(self.service.table, TEAM)
        self.sessions = {name: sessions.begin(name, name, "pool", (True, name == "lea"), now // 1_000) for name in CSRF}
        self.sign_in: Any = SimpleNamespace(sessions={name: SimpleNamespace(csrf=csrf) for name, csrf in CSRF.items()})
        self.address = ORIGIN
        patch.setattr(handler, "_page_address", lambda: PageAddress(self.address, "https://pool.example", "client", "us-east-1_Pool"))
        patch.setattr(handler, "_environment", lambda: SimpleNamespace(team=TEAM, leads_group="leads", brand="Reviews"))
        patch.setattr(handler, "ports", lambda _: self.service.ports)
        patch.setattr(handler, "_sessions", lambda: sessions)
        patch.setattr(handler, "_scripts", tuple)
        patch.setattr(handler, "_render", html)
        patch.setattr(handler.cognito, "standing", lambda *_: Standing(True, (TEAM,)))
        patch.setattr(handler, "client", lambda _: None)
        self.foreign, self.done = self._ask("foreign", "others"), self._ask("done")
        assert self._next("ann") == self.done.task_id
        assert self.send("POST", "/worker/answers", {"task": self.done.task_id, "answer": POSITIVE}).status == 200
        self.held = self._ask("held")
        assert self._next("ann") == self.held.task_id
        self.bobs = self._ask("bobs")
        assert self._next("bob") == self.bobs.task_id

    def _ask(self, name: str, team: str = TEAM) -> Any:
        terms = replace(TERMS, team=team, rule=AnswerRule.FIXED, most=1, undo_seconds=0)
        request = ReviewRequest(name, name, "negative", 0.5, ReviewReason.LOW_CONFIDENCE)
        HostedStarter(self.service.tasks, terms, LABELS, lambda: self.service.now / 1_000).start(request)
        return SimpleNamespace(task_id=task_id_of(request.review_id))

    def _next(self, user: str) -> str:
        return str(json.loads(self.send("GET", "/worker/next", user=user).body)["task"]["id"])

    def send(
        self, method: str, path: str, body: bytes | Any = b"", *, user: str = "ann", csrf: str | None = "ann's", **more: Any
    ) -> PageResponse:
        self.address = more.pop("origin", ORIGIN)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        tokens = {said: self.sessions[name].csrf for name, said in CSRF.items()}
        session = self.sessions.get(user)
        event = {
            "rawPath": path,
            "rawQueryString": urlencode(more.pop("query", {})),
            "headers": {**({} if csrf is None else {"X-CSRF-Token": tokens.get(csrf, csrf)}), **more.pop("headers", {})},
            "cookies": [] if session is None else [f"{SESSION}={session.token}"],
            "requestContext": {"http": {"method": method}},
            "body": base64.b64encode(content).decode(),
            "isBase64Encoded": True,
        }
        response = handler._answer(event)
        assert api_response(response)["statusCode"] == response.status
        return response

    @property
    def kept(self) -> Any:
        return self.service.table.items.copy(), list(self.service.files), list(self.service.sent)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_on_the_function_is_refused_with_a_reason_and_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check(DeployedWorld(monkeypatch), name)
