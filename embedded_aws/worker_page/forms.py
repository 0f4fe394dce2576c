"""Signing in at the worker page: forms for the user name and password, a first password, and an authenticator's code.

==== ======================================= =========================================
POST ``/worker/sign-in``                     form; also ``/worker/first-password`` and ``/worker/code``
==== ======================================= =========================================
"""

from __future__ import annotations

import html
import secrets
from collections.abc import Callable
from functools import cache
from pathlib import Path
from string import Template

from embedded_aws.sagemaker.people.task_queue import QUEUE
from embedded_aws.worker_page import sign_in
from embedded_aws.worker_page.attempts import TooManyAttempts
from embedded_aws.worker_page.challenges import CHALLENGES, Challenge, Challenged, SignInRefused
from embedded_aws.worker_page.sign_in import Session
from review_page.http import PageError, PageRequest, PageResponse, html_response, is_secret, redirect

ASSETS = Path(__file__).parent / "assets"
BRAND = "Reviews"
"""The page's name."""
SESSION_COOKIE = "worker_session"
FORM_COOKIE = "worker_form"
_COOKIE_RULES = "Path=/worker; HttpOnly; SameSite=Strict"


class PasswordSignIn:
    """``review_page.sessions.SignIn`` for this emulator's workforce and its user pool."""

    def open_route(self, request: PageRequest) -> PageResponse | None:
        form = _FORMS.get(request.path.rstrip("/")) if request.method == "POST" else None
        return form(request) if form else None

    def session_of(self, request: PageRequest) -> Session | None:
        """Who is no worker any more holds no task either."""
        session = sign_in.session_of(request.cookie(SESSION_COOKIE))
        if session is None or sign_in.is_still_a_worker(session):
            return session
        QUEUE.give_back(session.worker)
        return None

    def ask(self, _: PageRequest) -> PageResponse:
        return _sign_in_form()

    def end(self, request: PageRequest) -> PageResponse:
        session = sign_in.session_of(request.cookie(SESSION_COOKIE))
        if session is not None:
            sign_in.sign_out(session)
        return redirect("/worker", extra={"Set-Cookie": f"{SESSION_COOKIE}=; {_COOKIE_RULES}; Max-Age=0"})


@cache
def _page(name: str) -> Template:
    return Template((ASSETS / name).read_text(encoding="utf-8"))


def _sign_in_form(message: str = "", username: str = "", status: int = 200) -> PageResponse:
    """The form's own token, also in a cookie, so that no other site can sign a visitor in."""
    token = secrets.token_urlsafe(24)
    focus = {"focus_username": "", "focus_password": " autofocus"} if username else {"focus_username": " autofocus", "focus_password": ""}
    page = _page("sign-in.html").substitute(brand=BRAND, token=token, message=_alert(message), username=html.escape(username), **focus)
    return html_response(page, status, extra={"Set-Cookie": f"{FORM_COOKIE}={token}; {_COOKIE_RULES}"})


def _challenge_form(need: Challenged, token: str, message: str = "", status: int = 200) -> PageResponse:
    name = {Challenge.FIRST_PASSWORD: "first-password.html", Challenge.CODE: "code.html"}[need.challenge]
    page = _page(name).substitute(
        brand=BRAND,
        token=html.escape(token),
        message=_alert(message),
        username=html.escape(need.username),
        challenge=CHALLENGES.issue(need),
    )
    return html_response(page, status)


def _alert(message: str) -> str:
    return f'<p class="alert" role="alert">{html.escape(message)}</p>' if message else ""


def _checked_form(request: PageRequest) -> dict[str, str]:
    fields, cookie = request.form(), request.cookie(FORM_COOKIE)
    if not cookie or not is_secret(fields.get("token"), cookie):
        raise PageError(403, "The form is out of date. Please load the page again.")
    return fields


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


_FORMS: dict[str, Callable[[PageRequest], PageResponse]] = {
    "/worker/sign-in": _sign_in,
    "/worker/first-password": _first_password,
    "/worker/code": _code,
}
