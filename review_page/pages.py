"""The worker's routes: one task at a time, answer or skip.

=== ================================== =====================================================================
GET  ``/worker``                       the page around the tasks; without a session, what :class:`SignIn` asks for
POST ``/worker/sign-out``              form
GET  ``/worker/next``                  JSON: the worker's task (or none) and what is left; ``?skipped=1`` offers skipped ones
GET  ``/worker/tasks/<id>``            the task's rendered template, for a sandboxed frame
POST ``/worker/answers``               JSON ``{"task", "answer"}``; ``/worker/skips`` JSON ``{"task"}``; both with the CSRF token
GET  ``/worker/assets/<name>``         scripts and styles
=== ================================== =====================================================================
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from review_page.http import PageError, PageRequest, PageResponse, asset_response, at_origin, html_response, is_secret, json_response
from review_page.questions import TemplateError, check_answer
from review_page.sessions import Session, SignIn
from review_page.tasks import NO_LONGER_YOURS, Task, TaskRefused, TaskStore

ASSETS = Path(__file__).parent / "assets"
CONTENT_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
HOSTED_ELEMENTS = "https://assets.crowd.aws/crowd-html-elements.js"
LOCAL_ELEMENTS = "/worker/assets/crowd-elements.js"
"""Stands in for the hosted script, which is not published as a package and cannot be had offline."""


class ReviewPage:
    """The page over a store of tasks and a way to sign in.

    Args:
        brand: the page's name, in its head and in the browser's title.
    """

    def __init__(self, store: TaskStore, sign_in: SignIn, *, brand: str) -> None:
        self._store, self._sign_in, self._brand = store, sign_in, html.escape(brand)
        self._routes: tuple[tuple[str, str, Callable[..., PageResponse]], ...] = (
            ("GET", "/worker", self._shell),
            ("POST", "/worker/sign-out", self._sign_out),
            ("GET", "/worker/next", self._next_task),
            ("POST", "/worker/answers", self._answer),
            ("POST", "/worker/skips", self._skip),
            ("GET", "/worker/tasks/([0-9a-f]{32})", self._task_frame),
        )

    def handle(self, request: PageRequest) -> PageResponse:
        """Answer one request: 401 without a session where one is needed, 404 for an unknown path."""
        try:
            return at_origin(self._route(request), request.origin)
        except PageError as error:
            return self.refusal(request, error)

    def refusal(self, request: PageRequest, error: PageError) -> PageResponse:
        """A page for a person whose browser followed a link or sent a form, JSON for a script."""
        if "text/html" not in request.headers.get("accept", ""):
            return json_response({"message": error.message}, error.status)
        page = _page("error.html").substitute(brand=self._brand, message=html.escape(error.message))
        return at_origin(html_response(page, error.status), request.origin)

    def _route(self, request: PageRequest) -> PageResponse:
        path = request.path.rstrip("/")
        asset = re.fullmatch(r"/worker/assets/([a-z-]+\.(?:js|css|svg))", path)
        if asset and request.method == "GET":
            return _asset(asset[1])
        opened = self._sign_in.open_route(request)
        if opened is not None:
            return opened
        session = self._sign_in.session_of(request)
        if session is None:
            if (request.method, path) == ("GET", "/worker"):
                return self._sign_in.ask()
            raise PageError(401, "Your session is over. Please sign in again.")
        for method, pattern, function in self._routes:
            match = re.fullmatch(pattern, path)
            if match and method == request.method:
                return function(request, session, *match.groups())
        raise PageError(404, "There is no such page.")

    def _shell(self, _request: PageRequest, session: Session) -> PageResponse:
        page = _page("shell.html").substitute(brand=self._brand, csrf=html.escape(session.csrf), username=html.escape(session.username))
        return html_response(page)

    def _sign_out(self, request: PageRequest, session: Session) -> PageResponse:
        _check_csrf(session, request.form().get("csrf"))
        return self._sign_in.end(request)

    def _next_task(self, request: PageRequest, session: Session) -> PageResponse:
        return json_response(self._next(session, with_skipped=request.query.get("skipped") == "1"))

    def _next(self, session: Session, *, with_skipped: bool = False) -> dict[str, Any]:
        teams = session.teams()
        task = self._store.next_for(session.worker, teams, with_skipped=with_skipped)
        left = self._store.workload(session.worker, teams)
        return {
            "task": {"id": task.task_id, "title": task.title, "description": task.description} if task else None,
            "waiting": left.waiting,
            "skipped": left.skipped,
            "answered": session.answered,
        }

    def _held(self, task_id: str, session: Session, *, refusal: int) -> Task:
        """Raises PageError, with the status ``refusal``: the worker does not hold the task."""
        task = self._store.held(task_id, session.worker, session.teams())
        if task is None:
            raise PageError(refusal, NO_LONGER_YOURS)
        return task

    def _answer(self, request: PageRequest, session: Session) -> PageResponse:
        task_id, body = _posted_task(request, session)
        task = self._held(task_id, session, refusal=409)
        try:
            self._store.submit(task_id, session.worker, check_answer(task.classifiers, body.get("answer")))
        except TemplateError as error:
            raise PageError(400, str(error)) from None
        except TaskRefused as error:
            raise PageError(409, str(error)) from None
        session.count_answer()
        return json_response(self._next(session))

    def _skip(self, request: PageRequest, session: Session) -> PageResponse:
        task_id, _ = _posted_task(request, session)
        self._store.skip(task_id, session.worker)
        return json_response(self._next(session))

    def _task_frame(self, _request: PageRequest, session: Session, task_id: str) -> PageResponse:
        task = self._held(task_id, session, refusal=404)
        try:
            content = task.render()
        except TemplateError as error:
            raise PageError(500, str(error)) from None
        return html_response(_frame_document(task, content), policy=_FRAME_POLICY)


@cache
def _page(name: str) -> Template:
    return Template((ASSETS / name).read_text(encoding="utf-8"))


def _asset(name: str) -> PageResponse:
    """Kept by the browser for five minutes: the frame of every task loads its script and style anew."""
    path = ASSETS / name
    if not path.is_file():
        raise PageError(404, "There is no such file.")
    return asset_response(path.read_bytes(), CONTENT_TYPES[path.suffix], cache="private, max-age=300")


def _check_csrf(session: Session, token: str | None) -> None:
    if not is_secret(token, session.csrf):
        raise PageError(403, "The page is out of date. Please load it again.")


def _posted_task(request: PageRequest, session: Session) -> tuple[str, dict[str, Any]]:
    _check_csrf(session, request.headers.get("x-csrf-token"))
    body = request.json()
    return str(body.get("task", "")), body


def _frame_document(task: Task, content: str) -> str:
    """The rendered template as SageMaker puts it into a page of its own; the hosted script's address becomes the local one."""
    return _page("task.html").substitute(title=html.escape(task.title), content=content.replace(HOSTED_ELEMENTS, LOCAL_ELEMENTS))


_FRAME_POLICY = (
    f"sandbox allow-scripts; default-src 'none'; script-src {{origin}}{LOCAL_ELEMENTS}; "
    "style-src {origin}/worker/assets/ 'unsafe-inline'; img-src data: {origin}; media-src {origin}; "
    "form-action 'none'; base-uri 'none'; frame-ancestors {origin}"
)
"""The frame may run the local elements and nothing else: no inline script, no request, no form target, no navigation. Pictures come from
the page's own origin, which in the embedded AWS is that of S3's objects too."""
