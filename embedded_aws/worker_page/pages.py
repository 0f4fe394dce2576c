"""The worker's routes: sign in, one task at a time, answer or skip.

=== ================================== =====================================================================
GET  ``/worker``                       the sign-in form, or the page around the tasks
POST ``/worker/sign-in``               form; also ``/worker/first-password``, ``/worker/code`` and ``/worker/sign-out``
GET  ``/worker/next``                  JSON: the worker's task (or none) and what is left; ``?skipped=1`` offers skipped ones
GET  ``/worker/tasks/<id>``            the task's rendered template, for a sandboxed frame
POST ``/worker/answers``               JSON ``{"task", "answer"}``; ``/worker/skips`` JSON ``{"task"}``; both with the CSRF token
GET  ``/worker/assets/<name>``         scripts and styles
=== ================================== =====================================================================
"""

from __future__ import annotations

import hmac
import html
import re
import secrets
from collections.abc import Callable
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from embedded_aws.sagemaker.people.task_queue import QUEUE, Task, TaskRefused
from embedded_aws.worker_page import sign_in
from embedded_aws.worker_page.attempts import TooManyAttempts
from embedded_aws.worker_page.challenges import CHALLENGES, Challenge, Challenged, SignInRefused
from embedded_aws.worker_page.sign_in import Session
from review_page.http import PageError, PageRequest, PageResponse, asset_response, html_response, json_response, redirect
from review_page.questions import TemplateError

ASSETS = Path(__file__).parent / "assets"
CONTENT_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
SESSION_COOKIE = "worker_session"
FORM_COOKIE = "worker_form"
HOSTED_ELEMENTS = "https://assets.crowd.aws/crowd-html-elements.js"
LOCAL_ELEMENTS = "/worker/assets/crowd-elements.js"
"""Stands in for the hosted script, which is not published as a package and cannot be had offline."""
_COOKIE_RULES = "Path=/worker; HttpOnly; SameSite=Strict"


def handle(request: PageRequest) -> PageResponse:
    """Raises PageError: 401 without a session where one is needed, 404 for an unknown path."""
    path = request.path.rstrip("/")
    asset = re.fullmatch(r"/worker/assets/([a-z-]+\.(?:js|css|svg))", path)
    if asset and request.method == "GET":
        return _asset(asset[1])
    if request.method == "POST" and path in _OPEN_FORMS:
        return _OPEN_FORMS[path](request)
    session = _session(request)
    if session is None:
        if (request.method, path) == ("GET", "/worker"):
            return _sign_in_form()
        raise PageError(401, "Your session is over. Please sign in again.")
    for method, pattern, function in _ROUTES:
        match = re.fullmatch(pattern, path)
        if match and method == request.method:
            return function(request, session, *match.groups())
    raise PageError(404, "There is no such page.")


def _session(request: PageRequest) -> Session | None:
    """The live session of somebody who still is a worker; who is none any more holds no task either."""
    session = sign_in.session_of(request.cookie(SESSION_COOKIE))
    if session is None or sign_in.is_still_a_worker(session):
        return session
    QUEUE.give_back_all(session.worker)
    return None


@cache
def _page(name: str) -> Template:
    return Template((ASSETS / name).read_text())


def _asset(name: str) -> PageResponse:
    """Kept by the browser for five minutes: the frame of every task loads its script and style anew."""
    path = ASSETS / name
    if not path.is_file():
        raise PageError(404, "There is no such file.")
    return asset_response(path.read_bytes(), CONTENT_TYPES[path.suffix], cache="private, max-age=300")


def error_page(error: PageError) -> PageResponse:
    """A refusal as a page, for a person whose browser followed a link or sent a form."""
    return html_response(_page("error.html").substitute(message=html.escape(error.message)), error.status)


# -- signing in ------------------------------------------------------------------------------------


def _sign_in_form(message: str = "", username: str = "", status: int = 200) -> PageResponse:
    """The form's own token, also in a cookie, so that no other site can sign a visitor in."""
    token = secrets.token_urlsafe(24)
    focus = {"focus_username": "", "focus_password": " autofocus"} if username else {"focus_username": " autofocus", "focus_password": ""}
    page = _page("sign-in.html").substitute(token=token, message=_alert(message), username=html.escape(username), **focus)
    return html_response(page, status, extra={"Set-Cookie": f"{FORM_COOKIE}={token}; {_COOKIE_RULES}"})


def _challenge_form(need: Challenged, token: str, message: str = "", status: int = 200) -> PageResponse:
    name = {Challenge.FIRST_PASSWORD: "first-password.html", Challenge.CODE: "code.html"}[need.challenge]
    page = _page(name).substitute(
        token=html.escape(token), message=_alert(message), username=html.escape(need.username), challenge=CHALLENGES.issue(need)
    )
    return html_response(page, status)


def _alert(message: str) -> str:
    return f'<p class="alert" role="alert">{html.escape(message)}</p>' if message else ""


def _checked_form(request: PageRequest) -> dict[str, str]:
    fields, cookie = request.form(), request.cookie(FORM_COOKIE)
    if not cookie or not _same(fields.get("token"), cookie):
        raise PageError(403, "The form is out of date. Please load the page again.")
    return fields


def _same(given: str | None, secret: str) -> bool:
    """In constant time. Bytes, since a text that is not ASCII has no such comparison."""
    return hmac.compare_digest((given or "").encode(errors="replace"), secret.encode())


def _sign_in(request: PageRequest) -> PageResponse:
    fields = _checked_form(request)
    username = fields.get("username", "").strip()
    if not username or not fields.get("password"):
        return _sign_in_form("Enter your user name and your password.", username, 400)
    try:
        result = sign_in.sign_in(username, fields["password"])
    except SignInRefused as refused:
        return _sign_in_form(str(refused), username, 401)
    except TooManyAttempts as locked:
        return _sign_in_form(str(locked), username, 429)
    previous = sign_in.session_of(request.cookie(SESSION_COOKIE))
    if previous is not None:
        sign_in.sign_out(previous)
    return _go_on(result, fields)


def _first_password(request: PageRequest) -> PageResponse:
    fields = _checked_form(request)
    password = fields.get("password", "")
    problem = None
    if not password:
        problem = "Choose a password."
    elif password != fields.get("repeated"):
        problem = "The two passwords differ."
    return _answer_challenge(Challenge.FIRST_PASSWORD, password, fields, problem)


def _code(request: PageRequest) -> PageResponse:
    fields = _checked_form(request)
    return _answer_challenge(Challenge.CODE, fields.get("code", "").strip(), fields)


def _answer_challenge(challenge: Challenge, answer: str, fields: dict[str, str], problem: str | None = None) -> PageResponse:
    """Go on with the challenge that the form names; ``problem`` is what is wrong with the answer, as far as it shows in the form."""
    try:
        need = CHALLENGES.take(fields.get("challenge", ""), challenge)
    except SignInRefused as refused:
        return _sign_in_form(str(refused), status=400)
    if problem:
        return _challenge_form(need, fields["token"], problem, 400)
    try:
        return _go_on(sign_in.answer_challenge(need, answer), fields)
    except SignInRefused as refused:
        return _challenge_form(need, fields["token"], str(refused), 400)
    except TooManyAttempts as locked:
        return _challenge_form(need, fields["token"], str(locked), 429)


def _go_on(result: Session | Challenged, fields: dict[str, str]) -> PageResponse:
    return _challenge_form(result, fields["token"]) if isinstance(result, Challenged) else _signed_in(result)


def _signed_in(session: Session) -> PageResponse:
    return redirect("/worker", extra={"Set-Cookie": f"{SESSION_COOKIE}={session.token}; {_COOKIE_RULES}"})


def _sign_out(request: PageRequest, session: Session) -> PageResponse:
    _check_csrf(session, request.form().get("csrf"))
    sign_in.sign_out(session)
    return redirect("/worker", extra={"Set-Cookie": f"{SESSION_COOKIE}=; {_COOKIE_RULES}; Max-Age=0"})


# -- tasks -----------------------------------------------------------------------------------------


def _shell(_request: PageRequest, session: Session) -> PageResponse:
    return html_response(_page("shell.html").substitute(csrf=session.csrf, username=html.escape(session.username)))


def _check_csrf(session: Session, token: str | None) -> None:
    if not _same(token, session.csrf):
        raise PageError(403, "The page is out of date. Please load it again.")


def _next_task(request: PageRequest, session: Session) -> PageResponse:
    return json_response(_next(session, with_skipped=request.query.get("skipped") == "1"))


def _next(session: Session, *, with_skipped: bool = False) -> dict[str, Any]:
    teams = session.team_arns()
    task = QUEUE.next_for(session.worker, teams, with_skipped=with_skipped)
    left = QUEUE.workload(session.worker, teams)
    return {
        "task": {"id": task.task_id, "title": task.title, "description": task.description} if task else None,
        "waiting": left.waiting,
        "skipped": left.skipped,
        "answered": session.answered,
    }


def _posted_task(request: PageRequest, session: Session) -> tuple[str, dict[str, Any]]:
    _check_csrf(session, request.headers.get("x-csrf-token"))
    body = request.json()
    return str(body.get("task", "")), body


def _own_task(task_id: str, session: Session, *, refusal: int) -> Task:
    """The task that the worker holds, for one of the teams that they are a member of now; who has left the team gives it back.

    Raises:
        PageError: with the status ``refusal``.
    """
    task = QUEUE.find(task_id)
    if task is not None and task.workteam_arn not in session.team_arns():
        QUEUE.skip(task_id, session.worker)
        task = None
    if task is None or session.worker.worker_id not in task.assignments:
        raise PageError(refusal, "This task is no longer yours: its time was up, it was stopped, or you have answered it.")
    return task


def _answer(request: PageRequest, session: Session) -> PageResponse:
    task_id, body = _posted_task(request, session)
    _own_task(task_id, session, refusal=409)
    try:
        QUEUE.submit(task_id, session.worker, body.get("answer"))
    except TemplateError as error:
        raise PageError(400, str(error)) from None
    except TaskRefused as error:
        raise PageError(409, str(error)) from None
    session.answered += 1
    return json_response(_next(session))


def _skip(request: PageRequest, session: Session) -> PageResponse:
    task_id, _ = _posted_task(request, session)
    QUEUE.skip(task_id, session.worker)
    return json_response(_next(session))


def _task_frame(request: PageRequest, session: Session, task_id: str) -> PageResponse:
    task = _own_task(task_id, session, refusal=404)
    try:
        content = task.render()
    except TemplateError as error:
        raise PageError(500, str(error)) from None
    return html_response(_frame_document(task, content), policy=_frame_policy(request.origin))


def _frame_document(task: Task, content: str) -> str:
    """The rendered template as SageMaker puts it into a page of its own; the hosted script's address becomes the local one."""
    return _page("task.html").substitute(title=html.escape(task.title), content=content.replace(HOSTED_ELEMENTS, LOCAL_ELEMENTS))


def _frame_policy(origin: str) -> str:
    """The frame may run the local elements and nothing else: no inline script, no request, no form target, no navigation."""
    assets = f"{origin}/worker/assets/"
    return (
        f"sandbox allow-scripts; default-src 'none'; script-src {origin}{LOCAL_ELEMENTS}; style-src {assets} 'unsafe-inline'; "
        f"img-src data: {origin}; media-src {origin}; form-action 'none'; base-uri 'none'; frame-ancestors {origin}"
    )


_OPEN_FORMS: dict[str, Callable[[PageRequest], PageResponse]] = {
    "/worker/sign-in": _sign_in,
    "/worker/first-password": _first_password,
    "/worker/code": _code,
}
_ROUTES: tuple[tuple[str, str, Callable[..., PageResponse]], ...] = (
    ("GET", "/worker", _shell),
    ("POST", "/worker/sign-out", _sign_out),
    ("GET", "/worker/next", _next_task),
    ("POST", "/worker/answers", _answer),
    ("POST", "/worker/skips", _skip),
    ("GET", "/worker/tasks/([0-9a-f]{32})", _task_frame),
)
