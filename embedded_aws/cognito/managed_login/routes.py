"""Routes of a user pool's domain, and the steps of a sign-in between them."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from functools import partial
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

from ministack.services import cognito

from embedded_aws.cognito.managed_login import pages, tokens, users
from embedded_aws.cognito.managed_login.authorization import Refused, SentBack, client_of, read
from embedded_aws.cognito.managed_login.state import ATTEMPTS, BROWSERS, SIGN_INS, SignedIn, SignIn, Step
from embedded_aws.cognito.managed_login.users import SignInRefused, User, Wrong
from embedded_aws.public_hosts.asked import Answer, Asked
from embedded_aws.worker_page.attempts import TooManyAttempts

FORM_COOKIE = "__Host-form"
SESSION_COOKIE = "__Host-cognito"
_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
_OVER = "This sign-in took too long or has been used already. Go back to the app and start again."
_MOST_BYTES = 64 * 1024
_one_at_a_time = threading.Lock()


FOR_APPS = (("POST", "/oauth2/token"), ("POST", "/oauth2/revoke"), ("GET", "/oauth2/userInfo"), ("POST", "/oauth2/userInfo"))
"""Routes that the app behind a sign-in asks, besides those that a browser does (:data:`FOR_BROWSERS`)."""


async def answer(pool_id: str, asked: Asked) -> Answer:
    """One request to the domain of this pool."""
    if len(asked.body) > _MOST_BYTES:
        return _page(413, pages.refusal("The request is too large."))
    form = _single(parse_qs(asked.body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        if asked.path == "/oauth2/token" and asked.method == "POST":
            return await tokens.token(pool_id, asked, form)
        if asked.path == "/oauth2/revoke" and asked.method == "POST":
            return tokens.revoke(pool_id, asked, form)
        if asked.path.lower() == "/oauth2/userinfo" and asked.method in ("GET", "POST"):
            found: Answer = cognito.handle_oauth2_userinfo(asked.method, asked.path, dict(asked.headers), asked.body, asked.query)
            return found
        return await asyncio.to_thread(partial(_answer_browser, pool_id, asked, form))
    except tokens.OAuthError as error:
        return error.answer()


def _answer_browser(pool_id: str, asked: Asked, form: Mapping[str, str]) -> Answer:
    handle = FOR_BROWSERS.get((asked.method, asked.path))
    if handle is None:
        return _page(404, pages.refusal("The embedded AWS has no such page of managed login."))
    try:
        return handle(pool_id, asked, _single(asked.query) if asked.method == "GET" else form)
    except Refused as refused:
        return _page(400, pages.refusal(str(refused)))
    except SentBack as back:
        return _redirect(back.location)


# -- the way of a sign-in --------------------------------------------------------------------------


def _authorize(pool_id: str, asked: Asked, query: Mapping[str, str]) -> Answer:
    """Straight back to the app from a browser that is signed in; the sign-in page otherwise."""
    authorization = read(pool_id, query)
    known = BROWSERS.find(_cookie(asked, SESSION_COOKIE))
    user = users.find(pool_id, known.username, known.sub) if known and known.pool_id == pool_id else None
    if user is not None and not user.must_change_password and (user.has_authenticator or not user.needs_code):
        return _redirect(authorization.grant(user.name))
    return _redirect(f"/login?{authorization.query()}")


def _first_page(pool_id: str, asked: Asked, query: Mapping[str, str]) -> Answer:  # noqa: ARG001  (one signature for every route)
    browser = secrets.token_urlsafe(32)
    return _ask(SignIn(read(pool_id, query), browser), "", f"{FORM_COOKIE}={browser}; {_ATTRIBUTES}")


def _go_on(pool_id: str, asked: Asked, form: Mapping[str, str]) -> Answer:
    """One posted form. Each page can be posted once, by the browser that got the first one."""
    sign_in = SIGN_INS.take(form.get("sign_in", ""))
    if sign_in is None or sign_in.authorization.pool_id != pool_id or sign_in.step != form.get("step"):
        return _page(400, pages.refusal(_OVER))
    if not hmac.compare_digest(sign_in.browser.encode(), _cookie(asked, FORM_COOKIE).encode("utf-8", "replace")):
        return _page(400, pages.refusal(_OVER))
    name = users.name_of(pool_id, form.get("username", "")) if sign_in.step is Step.PASSWORD else sign_in.username
    with _one_at_a_time:  # or a hundred tries at once would all come before the first failure
        try:
            ATTEMPTS.check(f"{pool_id} {name}")
            return _STEPS[sign_in.step](sign_in, form)
        except Wrong as wrong:
            ATTEMPTS.failed(f"{pool_id} {name}")
            return _ask(sign_in, str(wrong))
        except (SignInRefused, TooManyAttempts) as refused:
            return _ask(sign_in, str(refused))


def _password(sign_in: SignIn, form: Mapping[str, str]) -> Answer:
    user = users.authenticate(sign_in.authorization.pool_id, form.get("username", ""), form.get("password", ""))
    known = sign_in.of(user.name, user.sub)
    if user.must_change_password:
        return _challenge(known, Step.NEW_PASSWORD)
    return _second_factor(known, user)


def _new_password(sign_in: SignIn, form: Mapping[str, str]) -> Answer:
    user = _same_user(sign_in)
    if form.get("new_password") != form.get("again"):
        raise SignInRefused("The two passwords are not the same.")
    user.set_password(form.get("new_password", ""))
    return _second_factor(sign_in, user)


def _second_factor(sign_in: SignIn, user: User) -> Answer:
    if not user.needs_code:
        return _done(sign_in, user)
    if user.has_authenticator:
        return _challenge(sign_in, Step.CODE)
    user.require_authenticator_apps()
    return _challenge(sign_in, Step.SET_UP_CODE, pages.new_secret(secrets.token_bytes(20)))


def _challenge(sign_in: SignIn, step: Step, secret: str = "") -> Answer:
    client = client_of(sign_in.authorization.pool_id, sign_in.authorization.client_id)
    return _ask(sign_in.challenged(step, float(client.get("AuthSessionValidity") or 3) * 60, secret))


def _set_up_code(sign_in: SignIn, form: Mapping[str, str]) -> Answer:
    user = _same_user(sign_in)
    if user.has_authenticator:
        raise SignInRefused(_OVER)
    user.check_code(form.get("code", ""), sign_in.secret)
    user.set_up_authenticator(sign_in.secret)
    return _done(sign_in, user)


def _code(sign_in: SignIn, form: Mapping[str, str]) -> Answer:
    user = _same_user(sign_in)
    user.check_code(form.get("code", ""))
    return _done(sign_in, user)


_STEPS: dict[Step, Callable[[SignIn, Mapping[str, str]], Answer]] = {
    Step.PASSWORD: _password,
    Step.NEW_PASSWORD: _new_password,
    Step.SET_UP_CODE: _set_up_code,
    Step.CODE: _code,
}


def _same_user(sign_in: SignIn) -> User:
    user = users.find(sign_in.authorization.pool_id, sign_in.username, sign_in.sub)
    if user is None:
        raise SignInRefused("User is disabled.")
    return user


def _done(sign_in: SignIn, user: User) -> Answer:
    pool_id = sign_in.authorization.pool_id
    ATTEMPTS.succeeded(f"{pool_id} {user.name}")
    session = BROWSERS.put(SignedIn(pool_id, user.name, user.sub))
    cookies = [f"{SESSION_COOKIE}={session}; {_ATTRIBUTES}", f"{FORM_COOKIE}=; {_ATTRIBUTES}; Max-Age=0"]
    return _redirect(sign_in.authorization.grant(user.name), cookies)


def _log_out(pool_id: str, asked: Asked, query: Mapping[str, str]) -> Answer:
    """Ends the browser's session here; the app's own session and its tokens are the app's to end."""
    client = client_of(pool_id, query.get("client_id", ""))
    to = query.get("logout_uri", "")
    if "logout_uri" not in query and "redirect_uri" in query:
        to = f"/login?{read(pool_id, query).query()}"
    elif to not in client.get("LogoutURLs", []):
        raise Refused(f"{to or 'no logout_uri'} is not among the app client's sign-out URLs.")
    BROWSERS.take(_cookie(asked, SESSION_COOKIE))
    return _redirect(to, [f"{SESSION_COOKIE}=; {_ATTRIBUTES}; Max-Age=0"])


def _style(pool_id: str, asked: Asked, query: Mapping[str, str]) -> Answer:  # noqa: ARG001  (one signature for every route)
    return 200, {"Content-Type": "text/css", "X-Content-Type-Options": "nosniff"}, pages.STYLE.encode()


FOR_BROWSERS: dict[tuple[str, str], Callable[[str, Asked, Mapping[str, str]], Answer]] = {
    ("GET", "/oauth2/authorize"): _authorize,
    ("GET", "/login"): _first_page,
    ("POST", "/login"): _go_on,
    ("GET", "/logout"): _log_out,
    ("GET", pages.STYLE_PATH): _style,
}


# -- answers ---------------------------------------------------------------------------------------


def _ask(sign_in: SignIn, error: str = "", cookie: str = "") -> Answer:
    """The page of the sign-in's step, under a new id."""
    identifier = SIGN_INS.put(sign_in)
    if sign_in.step is Step.SET_UP_CODE:
        issuer = str((cognito._user_pools.get(sign_in.authorization.pool_id) or {}).get("Name", "user pool"))
        content = pages.set_up_code(identifier, sign_in.secret, sign_in.username, issuer, error)
    else:
        by_step = {Step.PASSWORD: pages.password, Step.NEW_PASSWORD: pages.new_password, Step.CODE: pages.code}
        content = by_step[sign_in.step](identifier, error)
    return _page(400 if error else 200, content, sign_in.authorization.redirect_uri, [cookie] if cookie else [])


def _page(status: int, content: bytes, redirect_uri: str = "", cookies: list[str] | None = None) -> Answer:
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": pages.policy(redirect_uri),
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    return status, {**headers, **({"Set-Cookie": cookies} if cookies else {})}, content


def _redirect(location: str, cookies: list[str] | None = None) -> Answer:
    headers = {"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return 302, {**headers, **({"Set-Cookie": cookies} if cookies else {})}, b""


def _single(values: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: given[0] for name, given in values.items()}


def _cookie(asked: Asked, name: str) -> str:
    try:
        found = SimpleCookie(asked.headers.get("cookie", "")).get(name)
    except Exception:
        return ""
    return found.value if found is not None else ""
