"""Who is at the page: what it must know of a signed-in worker, and how one signs in. Both are ports; each server has its own way."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from review_page.answers import Worker
from review_page.http import PageRequest, PageResponse


class Session(Protocol):
    """A signed-in worker."""

    @property
    def worker(self) -> Worker: ...

    @property
    def username(self) -> str:
        """Shown on the page."""

    @property
    def csrf(self) -> str:
        """The secret that the session's own pages send along with whatever they change."""

    def teams(self) -> Collection[str]:
        """Ids of the teams that the worker is a member of now: a team made after the sign-in is among them."""

    def leads(self) -> Collection[str]:
        """Ids of the teams that the person leads now; empty for everybody else. Only with one of them there is a lead's page."""


class SignIn(Protocol):
    """How workers sign in to this page, and out."""

    def open_route(self, request: PageRequest) -> PageResponse | None:
        """The answer to a request that is part of signing in (a posted form, a redirect's return); None if it is not. Raises PageError."""

    def session_of(self, request: PageRequest) -> Session | None:
        """The live session behind the request, of somebody who still is a worker. Asked at every request."""

    def ask(self, request: PageRequest) -> PageResponse:
        """What somebody who is not signed in gets at the page's address: a form, or a redirect to one."""

    def end(self, request: PageRequest) -> PageResponse:
        """End the session behind the request, and go back to the page's address. The page has given back what the worker held."""
