"""Sign-ins that wait for a second answer. The server keeps them; the browser has only a random id.

So only a person who has just given the right password can continue, once, as that user, and with the step that Cognito asked for.
ministack does not check this: it accepts a first password for any user name, whatever the ``Session``, and any code of a user without
an authenticator.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum

from embedded_aws.core import clock

CHALLENGE_SECONDS = 180
"""How long a sign-in waits for its second answer. Cognito's default is the same (CreateUserPoolClient, AuthSessionValidity)."""
OVER = "This sign-in took too long or has been used already. Please start again."


class SignInRefused(Exception):
    """The text is for the person who signs in."""


class Challenge(StrEnum):
    """What Cognito may ask for after the password, as far as the page offers it."""

    FIRST_PASSWORD = "NEW_PASSWORD_REQUIRED"  # noqa: S105  (a challenge's name)
    CODE = "SOFTWARE_TOKEN_MFA"


@dataclass(frozen=True)
class Challenged:
    """The sign-in of ``username`` continues with an answer to ``challenge``; ``session`` is Cognito's token for it."""

    challenge: Challenge
    username: str
    session: str
    expires_at: float = field(default_factory=lambda: time.monotonic() + clock.for_people(CHALLENGE_SECONDS))


class OpenChallenges:
    """Issued challenges by their id; thread-safe."""

    def __init__(self) -> None:
        self._open: dict[str, Challenged] = {}
        self._lock = threading.Lock()

    def issue(self, challenged: Challenged) -> str:
        """The id under which the challenge can be taken once. After a wrong answer it is issued again; it does not last longer by that."""
        identifier = secrets.token_urlsafe(24)
        with self._lock:
            self._forget_expired()
            self._open[identifier] = challenged
        return identifier

    def take(self, identifier: str, challenge: Challenge) -> Challenged:
        """Raises SignInRefused: never issued, expired, taken before, or issued for another kind of answer."""
        with self._lock:
            self._forget_expired()
            found = self._open.pop(identifier, None)
        if found is None or found.challenge is not challenge:
            raise SignInRefused(OVER)
        return found

    def clear(self) -> None:
        with self._lock:
            self._open.clear()

    def _forget_expired(self) -> None:
        now = time.monotonic()
        self._open = {key: challenged for key, challenged in self._open.items() if challenged.expires_at > now}


CHALLENGES = OpenChallenges()
"""Those of this emulator."""
