"""The worker's routes: one task at a time; answer, skip, undo or flag.

==== ================================= =====================================================================================
GET  ``/worker``                       the page around the tasks; without a session, what :class:`SignIn` asks for
POST ``/worker/sign-out``              form; what the worker holds goes back to the others
GET  ``/worker/next``                  JSON: the state (below); ``?skipped=1`` offers skipped tasks
GET  ``/worker/ahead``                 JSON ``{"task"}``: the task after the one in work, leased too; null without one
GET  ``/worker/tasks/<id>``            the task's rendered template, for a sandboxed frame
POST ``/worker/answers``               JSON ``{"task", "answer"}``; the same again is accepted again, another answer is refused;
                                       with ``?ahead=1`` the state has ``"ahead"``, too: what ``/worker/ahead`` would give then
POST ``/worker/skips``                 JSON ``{"task", "reason", "note"?}``; the reasons are those of :class:`SkipReason`
POST ``/worker/undos``                 JSON ``{"task"}``: takes one of the last ten answers back
POST ``/worker/flags``                 JSON ``{"task", "note"}``: shows the task to the lead
GET  ``/worker/lead``                  the lead's page, for who leads a team; ``/worker/lead/overview``: its JSON
POST ``/worker/lead/released``         JSON ``{"task"}``; ``.../disputes`` ``{"task", "note"}``; ``.../closed`` ``{"remark"}``
GET  ``/worker/assets/<name>``         scripts and styles
==== ================================= =====================================================================================

What is posted as JSON needs the CSRF token in the header ``X-CSRF-Token``, and is answered with the state, but for flags (``{}``)::

    {"task": {"id", "title", "description", "scripts", "seconds_left", "earlier", "suggestion"} | null, "waiting", "more", "skipped",
     "answered", "seconds_per_answer" | null, "recent": [{"id", "title", "submitted_at", "fixed"}, ...]}

``more``: at least ``waiting`` tasks wait, as a long queue is not counted to its end. ``scripts``: the template's own scripts run in the
task's frame. ``answered`` and ``seconds_per_answer`` are about the answers since ``?since=<epoch seconds>``, the browser's midnight.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from review_page.elements import HOSTED_ELEMENTS
from review_page.fields import TemplateError
from review_page.http import (
    MOST_BYTES,
    PageError,
    PageRequest,
    PageResponse,
    asset_response,
    at_origin,
    check_origin,
    html_response,
    id_of,
    is_secret,
    json_response,
    note_of,
)
from review_page.lead import LeadPage
from review_page.sessions import Session, SignIn
from review_page.tasks import NO_LONGER_YOURS, Lead, Lease, SkipReason, Task, TaskRefused, TaskStore

ASSETS = Path(__file__).parent / "assets"
CONTENT_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
FRAME_SCRIPTS = ("keys.js", "frame.js", "classifier.js", "fields.js", "entities.js", "layout.js", "crowd-elements.js")
"""Stand in, in this order, for the hosted script, which is not published as a package and cannot be had offline."""


_DAY = 86_400.0


class ReviewPage:
    """The page over a store of tasks and a way to sign in.

    Args:
        brand: the page's name, in its head and in the browser's title.
        lead: what the lead's page shows and does; without it there is no such page.
    """

    def __init__(self, store: TaskStore, sign_in: SignIn, *, brand: str, lead: Lead | None = None) -> None:
        self._store, self._sign_in, self._brand = store, sign_in, html.escape(brand)
        self._lead = LeadPage(lead) if lead is not None else None
        self._routes: tuple[tuple[str, str, Callable[..., PageResponse]], ...] = (
            ("GET", "/worker", self._shell),
            ("POST", "/worker/sign-out", self._sign_out),
            ("GET", "/worker/next", self._next_task),
            ("GET", "/worker/ahead", self._ahead),
            ("POST", "/worker/answers", self._answer),
            ("POST", "/worker/skips", self._skip),
            ("POST", "/worker/undos", self._undo),
            ("POST", "/worker/flags", self._flag),
            ("GET", "/worker/tasks/([0-9a-f]{32})", self._task_frame),
        )

    def handle(self, request: PageRequest) -> PageResponse:
        """Answer one request: 401 without a session where one is needed, 404 for an unknown path, 400 at an address that is none."""
        try:
            check_origin(request.origin)
        except PageError as error:
            return json_response({"message": error.message}, error.status)
        try:
            return at_origin(self._route(request), request.origin)
        except PageError as error:
            return self.refusal(request, error)

    def refusal(self, request: PageRequest, error: PageError) -> PageResponse:
        """A page for a person whose browser followed a link or sent a form, JSON for a script."""
        if "text/html" not in request.headers.get("accept", ""):
            return json_response({"message": error.message}, error.status)
        path, words = map(html.escape, error.also or ("", ""))
        link = f'<a class="onward" href="{path}">{words}</a>' if words else ""
        page = _page("error.html").substitute(brand=self._brand, message=html.escape(error.message), also=link)
        return at_origin(html_response(page, error.status), request.origin)

    def _route(self, request: PageRequest) -> PageResponse:
        if len(request.body) > MOST_BYTES:
            raise PageError(413, f"The request is larger than the {MOST_BYTES} bytes that this path takes.")
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
                return self._sign_in.ask(request)
            raise PageError(401, "Your session is over. Please sign in again.")
        if path == "/worker/lead" or path.startswith("/worker/lead/"):
            return self._lead_route(request, session, path)
        for method, pattern, function in self._routes:
            match = re.fullmatch(pattern, path)
            if match and method == request.method:
                return function(request, session, *match.groups())
        raise PageError(404, "There is no such page.")

    def _shell(self, _request: PageRequest, session: Session) -> PageResponse:
        link = '<a class="quiet" href="/worker/lead">Lead</a>' if self._lead is not None and session.leads() else ""
        return html_response(_page("shell.html").substitute(self._who(session), lead=link))

    def _who(self, session: Session) -> dict[str, str]:
        return {"brand": self._brand, "csrf": html.escape(session.csrf), "username": html.escape(session.username)}

    def _lead_route(self, request: PageRequest, session: Session, path: str) -> PageResponse:
        """Who leads nobody learns nothing: not even that there is such a page."""
        if self._lead is None or not session.leads():
            raise PageError(404, "There is no such page.")
        if (request.method, path) == ("GET", "/worker/lead"):
            return html_response(_page("lead.html").substitute(self._who(session)))
        if request.method == "POST":
            _check_csrf(session, request.headers.get("x-csrf-token"))
        return self._lead.handle(request, session, path.removeprefix("/worker/lead/"))

    def _sign_out(self, request: PageRequest, session: Session) -> PageResponse:
        _check_csrf(session, request.form().get("csrf"))
        self._store.give_back(session.worker)
        return self._sign_in.end(request)

    def _next_task(self, request: PageRequest, session: Session) -> PageResponse:
        return self._state(request, session, with_skipped=request.query.get("skipped") == "1")

    def _state(self, request: PageRequest, session: Session, *, with_skipped: bool = False, with_ahead: bool = False) -> PageResponse:
        worker, teams = session.worker, session.teams()
        lease = self._store.next_for(worker, teams, with_skipped=with_skipped)
        ahead = {"ahead": _shown(self._store.ahead_for(worker, teams))} if with_ahead else {}
        summary = self._store.summary(worker, teams, _since(request))
        left, progress, recent = summary.workload, summary.progress, summary.recent
        return json_response(
            {
                "task": _shown(lease),
                "waiting": left.waiting,
                "more": left.more,
                "skipped": left.skipped,
                "answered": progress.answered,
                "seconds_per_answer": progress.seconds_per_answer,
                "recent": [{"id": one.task_id, "title": one.title, "submitted_at": one.submitted_at, "fixed": one.fixed} for one in recent],
                **ahead,
            }
        )

    def _ahead(self, _request: PageRequest, session: Session) -> PageResponse:
        return json_response({"task": _shown(self._store.ahead_for(session.worker, session.teams()))})

    def _answer(self, request: PageRequest, session: Session) -> PageResponse:
        task_id, body = _posted_task(request, session)
        task, ahead = self._store.held(task_id, session.worker, session.teams()), request.query.get("ahead") == "1"
        try:
            if task is not None:
                answer = task.questions.check(body.get("answer"))
                self._store.submit(task_id, session.worker, answer, session.teams(), ahead=ahead)
            elif not self._is_stored(task_id, session, body.get("answer")):
                raise PageError(409, NO_LONGER_YOURS)
        except TemplateError as error:
            raise PageError(400, str(error)) from None
        except TaskRefused as error:
            # The same request may have come twice at once.
            if not self._is_stored(task_id, session, body.get("answer")):
                raise PageError(409, str(error)) from None
        return self._state(request, session, with_ahead=ahead)

    def _is_stored(self, task_id: str, session: Session, content: Any) -> bool:
        """Whether this is the worker's answer to the task already: the browser repeats what it has heard nothing of."""
        stored = self._store.answered(task_id, session.worker, session.teams())
        return stored is not None and stored == content

    def _skip(self, request: PageRequest, session: Session) -> PageResponse:
        task_id, body = _posted_task(request, session)
        try:
            reason = SkipReason(str(body.get("reason")))
        except ValueError:
            raise PageError(400, f"reason must be one of {', '.join(SkipReason)}.") from None
        self._store.skip(task_id, session.worker, reason, note_of(body))
        return self._state(request, session)

    def _undo(self, request: PageRequest, session: Session) -> PageResponse:
        task_id, _ = _posted_task(request, session)
        try:
            self._store.undo(task_id, session.worker, session.teams())
        except TaskRefused as error:
            raise PageError(409, str(error)) from None
        return self._state(request, session)

    def _flag(self, request: PageRequest, session: Session) -> PageResponse:
        task_id, body = _posted_task(request, session)
        note = note_of(body)
        if not note:
            raise PageError(400, "Say what your lead should look at.")
        try:
            self._store.flag(task_id, session.worker, note)
        except TaskRefused as error:
            raise PageError(409, str(error)) from None
        return json_response({})

    def _task_frame(self, _request: PageRequest, session: Session, task_id: str) -> PageResponse:
        task = self._store.held(task_id, session.worker, session.teams())
        if task is None:
            raise PageError(404, NO_LONGER_YOURS)
        try:
            content = task.render()
        except TemplateError as error:
            raise PageError(422, str(error)) from None
        return html_response(_frame_document(task, content), policy=_frame_policy(task))


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
        raise PageError(403, "This page is out of date. Please load it again.")


def _shown(lease: Lease | None) -> dict[str, Any] | None:
    if lease is None:
        return None
    return {
        "id": lease.task.task_id,
        "title": lease.task.title,
        "description": lease.task.description,
        "scripts": bool(lease.task.scripts),
        "seconds_left": max(lease.seconds_left, 0.0),
        "earlier": lease.earlier,
        "suggestion": dict(lease.suggestion),
    }


def _since(request: PageRequest) -> float:
    """The time since which answers are counted: the browser's midnight, or that of UTC; at most 36 hours ago."""
    now = time.time()
    try:
        asked = float(request.query.get("since", ""))
    except ValueError:
        asked = now - now % _DAY
    return asked if now - 1.5 * _DAY <= asked <= now else now - now % _DAY


def _posted_task(request: PageRequest, session: Session) -> tuple[str, dict[str, Any]]:
    _check_csrf(session, request.headers.get("x-csrf-token"))
    body = request.json()
    return id_of(body, "task"), body


def _frame_document(task: Task, content: str) -> str:
    """The rendered template as SageMaker puts it into a page of its own, with the page's own elements in place of the hosted script."""
    scripts = "\n".join(f'<script src="/worker/assets/{name}" defer></script>' for name in FRAME_SCRIPTS)
    return _page("task.html").substitute(title=html.escape(task.title), scripts=scripts, content=_HOSTED_SCRIPT.sub("", content))


_HOSTED_SCRIPT = re.compile(rf"""<script\s[^>]*src\s*=\s*["']?{re.escape(HOSTED_ELEMENTS)}["']?[^>]*>\s*</script\s*>""", re.IGNORECASE)


def _frame_policy(task: Task) -> str:
    """The frame may run the local elements and, of the template's own scripts, those that the task names by hash: no other inline script,
    no request, no form target, no navigation. Pictures come from the page's own origin, which in the embedded AWS is that of S3's objects
    too.
    """
    scripts = " ".join((*(f"{{origin}}/worker/assets/{name}" for name in FRAME_SCRIPTS), *task.scripts))
    return (
        f"sandbox allow-scripts; default-src 'none'; script-src {scripts}; connect-src 'none'; "
        "style-src {origin}/worker/assets/ 'unsafe-inline'; img-src data: {origin}; media-src {origin}; "
        "form-action 'none'; base-uri 'none'; frame-ancestors {origin}"
    )
