"""Sign-ins under way and browsers that are signed in. Both are kept on this side; a browser holds a random id and nothing else."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Generic, TypeVar

from embedded_aws.cognito.managed_login.authorization import Authorization
from embedded_aws.core import clock
from embedded_aws.worker_page.attempts import Attempts

FORM_SECONDS = 3_600
SESSION_SECONDS = 3_600
"""How long managed login remembers a browser."""
_MOST = 10_000
ATTEMPTS = Attempts()
"""Wrong passwords and codes by pool and user, apart from those of the worker page."""


class Step(StrEnum):
    PASSWORD = "password"  # noqa: S105  (a step's name)
    NEW_PASSWORD = "new_password"  # noqa: S105  (a step's name)
    SET_UP_CODE = "set_up_code"
    CODE = "code"


@dataclass(frozen=True)
class SignIn:
    """One sign-in of one browser; ``username`` is known once the password was right, ``secret`` is that of an authenticator to set up."""

    authorization: Authorization
    browser: str
    step: Step = Step.PASSWORD
    username: str = ""
    sub: str = ""
    secret: str = ""
    expires_at: float = field(default_factory=lambda: time.monotonic() + clock.for_people(FORM_SECONDS))

    def of(self, username: str, sub: str) -> SignIn:
        """The same sign-in, of somebody whose password was right."""
        return replace(self, username=username, sub=sub)

    def challenged(self, step: Step, seconds: float, secret: str = "") -> SignIn:
        """The same sign-in at its next step, which is to be taken within ``seconds``."""
        return replace(self, step=step, secret=secret, expires_at=time.monotonic() + clock.for_people(seconds))


@dataclass(frozen=True)
class SignedIn:
    """Who a browser is signed in as; a user made anew under the same name has another ``sub``."""

    pool_id: str
    username: str
    sub: str
    expires_at: float = field(default_factory=lambda: time.monotonic() + clock.for_people(SESSION_SECONDS))


Item = TypeVar("Item", SignIn, SignedIn)


class Kept(Generic[Item]):
    """Items by random ids until they expire; thread-safe."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._lock = threading.Lock()

    def put(self, item: Item) -> str:
        identifier = secrets.token_urlsafe(32)
        with self._lock:
            self._forget_expired()
            while len(self._items) >= _MOST:
                del self._items[next(iter(self._items))]
            self._items[identifier] = item
        return identifier

    def find(self, identifier: str) -> Item | None:
        with self._lock:
            self._forget_expired()
            return self._items.get(identifier)

    def take(self, identifier: str) -> Item | None:
        """The item, once."""
        with self._lock:
            self._forget_expired()
            return self._items.pop(identifier, None)

    def clear(self) -> None:
        with self._lock:
            self._items.clear()

    def _forget_expired(self) -> None:
        now = time.monotonic()
        self._items = {key: item for key, item in self._items.items() if item.expires_at > now}


SIGN_INS = Kept[SignIn]()
BROWSERS = Kept[SignedIn]()


def clear() -> None:
    """Forget every sign-in, finished or not. A reset calls this."""
    SIGN_INS.clear()
    BROWSERS.clear()
    ATTEMPTS.clear()
