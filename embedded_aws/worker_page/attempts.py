"""Wrong passwords and codes of one user are slowed down, as Cognito does it; ministack takes any number of them.

Source: Amazon Cognito developer guide, "Authentication with Amazon Cognito user pools", lockout behavior: after five failed sign-in
attempts the user is locked out for one second, and each further failure doubles that, up to about 15 minutes.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from embedded_aws.core import clock

FREE = 5
LONGEST_SECONDS = 900
_MOST_USERS = 10_000


class TooManyAttempts(Exception):
    """The user is locked out for a while; the text is for the person who signs in."""


class Attempts:
    """Failures by user name; thread-safe.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()

    def check(self, username: str) -> None:
        """Raises TooManyAttempts while the user is locked out."""
        with self._lock:
            _, until = self._failures.get(username.lower(), (0, 0.0))
            left = until - self._now()
        if left > 0:
            raise TooManyAttempts(f"Too many wrong attempts. Please wait {math.ceil(left)} seconds, then try again.")

    def failed(self, username: str) -> None:
        """One more wrong password or code."""
        with self._lock:
            count = self._failures.pop(username.lower(), (0, 0.0))[0] + 1
            wait = min(2.0 ** (count - FREE), LONGEST_SECONDS) if count >= FREE else 0.0
            while len(self._failures) >= _MOST_USERS:
                del self._failures[next(iter(self._failures))]
            self._failures[username.lower()] = (count, self._now() + clock.for_people(wait))

    def succeeded(self, username: str) -> None:
        with self._lock:
            self._failures.pop(username.lower(), None)

    def clear(self) -> None:
        with self._lock:
            self._failures.clear()


ATTEMPTS = Attempts()
"""Those of this emulator."""
