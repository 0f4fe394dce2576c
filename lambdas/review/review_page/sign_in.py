"""How people sign in to the page: through the user pool's own pages, and back with a code (authorization code with PKCE).

GET ``/worker/signed-in`` is where they come back; GET ``/worker/leave`` ends the user pool's session after the page's own.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from lambdas.common.observability import logger
from lambdas.review.hosted_tasks.table import Record, RecordKey
from lambdas.review.review_page.cognito import CALL_BACK, PageAddress, Person, SignInRefused, Standing, authorize_url, sign_out_url
from lambdas.review.review_page.first_read import first_read
from lambdas.review.review_page.sessions import CHECKED_SECONDS, HOURS, Session, Sessions, claimed_worker_id
from review_page.answers import Worker
from review_page.http import PageError, PageRequest, PageResponse, html_response, is_secret, redirect

SESSION = "__Host-session"
BEGUN = "__Host-sign-in"
LEAVE = "/worker/leave"
_BEGUN_SECONDS = 600
_MOST_BEGUN = 4
"""Sign-ins that one browser may have begun at a time: each of its tabs begins one."""
_ONE_BEGUN = re.compile(r"([\w-]{32})\.([\w-]{64})\.(\d{1,12})", re.ASCII)
_LEAVING = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={LEAVE}"><title>Signed out</title></head>
<body><p>You are signed out. <a href="{LEAVE}">Go on</a></p></body>
</html>
"""
"""A page instead of a redirect: browsers hold the redirects of a form against ``form-action``, and the user pool is another origin."""


@dataclass(frozen=True)
class Groups:
    """Names of the user pool's groups: who answers, and who leads them."""

    members: str
    leads: str


@dataclass(frozen=True)
class Begun:
    """A sign-in that a browser has begun: the state that comes back, PKCE's verifier, and when (epoch seconds)."""

    state: str
    verifier: str
    at: int


class HostedSignIn:
    """The page's ``SignIn``.

    Args:
        redeem: code, verifier -> person. Raises SignInRefused.
        standing: what the user pool says of somebody now.
        give_back: what somebody holds goes back to the others.
        has_read: is given what was read along with the session: keys, and the records that are there.
        clock: epoch seconds.
    """

    def __init__(
        self,
        sessions: Sessions,
        address: PageAddress,
        groups: Groups,
        *,
        redeem: Callable[[str, str], Person],
        standing: Callable[[Person], Standing],
        give_back: Callable[[Worker], None],
        has_read: Callable[[Sequence[RecordKey], Iterable[Record]], None],
        clock: Callable[[], float],
    ) -> None:
        self._sessions, self._address, self._groups = sessions, address, groups
        self._redeem, self._standing, self._give_back, self._has_read, self._clock = redeem, standing, give_back, has_read, clock

    def open_route(self, request: PageRequest) -> PageResponse | None:
        path = request.path.rstrip("/")
        if (request.method, path) == ("GET", CALL_BACK):
            return self._come_back(request)
        if (request.method, path) == ("GET", LEAVE):
            return redirect(sign_out_url(self._address))
        return None

    def session_of(self, request: PageRequest) -> Session | None:
        token, now = request.cookie(SESSION), int(self._clock())
        if not token:
            return None
        along = first_read(request, claimed_worker_id(token))
        session, records = self._sessions.find(token, now, along)
        if session is None:
            return None
        if now - session.checked_at < CHECKED_SECONDS:
            self._has_read(along, records)
            return session
        found = self._standing(Person(session.sub, session.username))
        member, lead = self._roles(found)
        if not member:
            self._give_back(session.worker)
        if not (member or lead) or self._sessions.is_void(session.sub, session.signed_in_at):
            self._sessions.end(session.token)
            return None
        session = replace(session, member=member, lead=lead, checked_at=now)
        self._sessions.checked(session)
        return session

    def ask(self, request: PageRequest) -> PageResponse:
        """The newest sign-ins that the browser's other tabs have begun stay possible."""
        one = Begun(secrets.token_urlsafe(24), secrets.token_urlsafe(48), int(self._clock()))
        cookie = "~".join(f"{each.state}.{each.verifier}.{each.at}" for each in (one, *self._begun(request)[: _MOST_BEGUN - 1]))
        return redirect(authorize_url(self._address, one.state, one.verifier), extra={"Set-Cookie": _cookie(BEGUN, cookie, _BEGUN_SECONDS)})

    def _begun(self, request: PageRequest) -> list[Begun]:
        """Sign-ins that this browser has begun in the last ten minutes, the newest first. What has another form is none."""
        now = int(self._clock())
        found = [_ONE_BEGUN.fullmatch(one) for one in (request.cookie(BEGUN) or "").split("~")[:_MOST_BEGUN]]
        begun = [Begun(one[1], one[2], int(one[3])) for one in found if one is not None]
        return [one for one in begun if 0 <= now - one.at < _BEGUN_SECONDS]

    def end(self, request: PageRequest) -> PageResponse:
        self._sessions.end(request.cookie(SESSION) or "")
        return html_response(_LEAVING, extra={"Set-Cookie": _cookie(SESSION, "", 0)})

    def _come_back(self, request: PageRequest) -> PageResponse:
        """Raises PageError: another browser began, the user pool refuses, or the person is in neither group."""
        here = self._begun(request)
        begun = [one for one in here if is_secret(request.query.get("state"), one.state)]
        code = request.query.get("code", "")
        if not begun:
            return self._overtaken(request, here)
        if not re.fullmatch(r"[\x21-\x7e]{1,2000}", code):
            raise PageError(403, "The sign-in was not finished. Please open the page again.")
        try:
            person = self._redeem(code, begun[0].verifier)
        except SignInRefused as error:
            if self.session_of(request) is not None:
                return redirect("/worker")  # the page of the code was loaded again: a code is taken once
            logger.warning("sign-in refused", extra={"reason": str(error)})
            raise PageError(403, "The sign-in could not be finished. Please open the page again.") from None
        member, lead = self._roles(self._standing(person))
        if not (member or lead):
            ask = "Ask the person who invited you to add you to one, then open the page again."
            raise PageError(403, f"{person.username} is in no team yet. {ask}", also=(LEAVE, "Sign in with another account"))
        if self._sessions.is_void(person.sub, person.signed_in_at):
            return redirect(LEAVE)  # the user pool remembers this browser from before; after this it asks anew
        earlier = request.cookie(SESSION)
        if earlier:
            self._sessions.end(earlier)
        now, groups = int(self._clock()), (member, lead)
        session = self._sessions.begin(person.sub, person.username, self._address.issuer, groups, now, signed_in_at=person.signed_in_at)
        return redirect("/worker", extra={"Set-Cookie": _cookie(SESSION, session.token, HOURS * 3_600)})

    def _overtaken(self, request: PageRequest, here: Sequence[Begun]) -> PageResponse:
        """A browser that opens several tabs at once keeps the sign-in that one of them has begun. The others go on with that one, or with
        the session that it has given. What the request brings along counts for nothing.

        Raises:
            PageError: this browser has begun none.
        """
        if self.session_of(request) is not None:
            return redirect("/worker")
        if not here:
            raise PageError(403, "The sign-in took too long, or was begun in another browser. Please open the page again.")
        return redirect(authorize_url(self._address, here[0].state, here[0].verifier))

    def _roles(self, found: Standing) -> tuple[bool, bool]:
        return found.active and self._groups.members in found.groups, found.active and self._groups.leads in found.groups


def _cookie(name: str, value: str, seconds: int) -> str:
    return f"{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}"
