"""Requests and responses of the worker page: headers that every page carries, and cookies."""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

from review_page.depth import MOST_DEPTH, is_too_deep


class PageError(Exception):
    """A refusal with an HTTP status; the text is for the person at the page. ``also``: path and words of one more link on its page."""

    def __init__(self, status: int, message: str, *, also: tuple[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.also = status, message, also


@dataclass(frozen=True)
class PageRequest:
    """``headers`` are lower case; ``query`` holds the first value of each parameter; ``origin`` is the page's, as the browser knows it."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    query: Mapping[str, str]
    origin: str

    def json(self) -> Any:
        """Raises PageError (400) when the body is no JSON object, or is nested too deep."""
        try:
            value = json.loads(self.body or b"{}", parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise PageError(400, "The body is not JSON.") from None
        if not isinstance(value, dict):
            raise PageError(400, "The body must be a JSON object.")
        if is_too_deep(value):
            raise PageError(400, f"The body is more than {MOST_DEPTH} levels deep.")
        return value

    def form(self) -> dict[str, str]:
        """Fields of a posted HTML form. Raises PageError (400): more fields than any form of ours has."""
        try:
            fields = parse_qs(self.body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
        except ValueError:
            raise PageError(400, "The form has too many fields.") from None
        return {key: values[0] for key, values in fields.items()}

    def cookie(self, name: str) -> str | None:
        """The value as it was set, and None for two of one name: a browser sends two only if somebody else has set one of them.

        Other applications of the domain may have set cookies in any form, which must not hide the page's own (RFC 6265, 5.4).
        """
        pairs = (one.partition("=") for one in self.headers.get("cookie", "").split(";"))
        found = [value.strip(" \t") for key, is_pair, value in pairs if is_pair and key.strip(" \t") == name]
        return found[0] if len(found) == 1 else None


def note_of(body: Mapping[str, Any]) -> str:
    """What a person has written along with a posted action; empty without. Raises PageError (400)."""
    note = body.get("note", "")
    if not isinstance(note, str) or len(note) > MOST_NOTE_CHARACTERS:
        raise PageError(400, f"A note is a text of at most {MOST_NOTE_CHARACTERS} characters.")
    return note.encode(errors="replace").decode().strip()


def id_of(body: Mapping[str, Any], name: str) -> str:
    """The id that a body names, in the form that all ids have: anything else would be an error of the table, which is no key of it.

    Raises:
        PageError: 400.
    """
    value = body.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise PageError(400, f"{name} must be an id as this page shows it.")
    return value


@dataclass(frozen=True)
class PageResponse:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def _no_number(constant: str) -> None:
    """NaN and Infinity are numbers to Python alone."""
    raise ValueError(f"{constant} is not JSON")


def is_secret(given: str | None, secret: str) -> bool:
    """In constant time. Bytes, since a text that is not ASCII has no such comparison."""
    return hmac.compare_digest((given or "").encode(errors="replace"), secret.encode())


MOST_FIELDS = 20
MOST_NOTE_CHARACTERS = 500
"""Longest text that a worker or a lead may write about a task."""
MOST_BYTES = 64 * 1024
"""Largest body of a request, in bytes. A server should refuse a larger one before reading it."""
_ASSETS = "{origin}/worker/assets/"
SHELL_POLICY = (
    f"default-src 'none'; script-src {_ASSETS}; style-src {_ASSETS}; img-src {_ASSETS} data:; connect-src {{origin}}/worker/; "
    "frame-src {origin}/worker/tasks/; form-action {origin}/worker/; base-uri 'none'; frame-ancestors 'none'"
)
"""Content security policy of the page around a task: no inline script or style, and nothing but the page's own paths. 'self' would be too
wide: in the embedded AWS S3's objects have the same origin. ``{origin}`` is filled in by :func:`at_origin`."""


_ID = re.compile(r"[0-9A-Za-z#:._-]{1,200}")
_ORIGIN = re.compile(r"https?://([a-z0-9-]+(\.[a-z0-9-]+)*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", re.IGNORECASE)


def check_origin(origin: str) -> None:
    """The origin becomes a part of policies, and may come from the header ``Host``. The sender must not be able to write a policy.

    Raises:
        PageError: 400.
    """
    if not _ORIGIN.fullmatch(origin):
        raise PageError(400, "The page has no such address.")


def at_origin(response: PageResponse, origin: str) -> PageResponse:
    """The response with its policy's ``{origin}`` as the browser knows it."""
    policy = response.headers["Content-Security-Policy"].replace("{origin}", origin)
    return replace(response, headers={**response.headers, "Content-Security-Policy": policy})


def _headers(content_type: str, policy: str, cache: str = "no-store") -> dict[str, str]:
    return {
        "Content-Type": content_type,
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        # Not no-referrer: with it a browser posts even this page's own forms with the origin "null".
        "Referrer-Policy": "same-origin",
        "Cache-Control": cache,
    }


def html_response(html: str, status: int = 200, *, policy: str = SHELL_POLICY, extra: Mapping[str, str] | None = None) -> PageResponse:
    # Half a surrogate pair, which a text may hold, has no bytes.
    return PageResponse(status, html.encode(errors="replace"), {**_headers("text/html; charset=utf-8", policy), **(extra or {})})


def json_response(value: Any, status: int = 200) -> PageResponse:
    return PageResponse(status, json.dumps(value).encode(), _headers("application/json", "default-src 'none'"))


def asset_response(body: bytes, content_type: str, *, cache: str = "no-store") -> PageResponse:
    return PageResponse(200, body, _headers(content_type, "default-src 'none'", cache))


def redirect(location: str, *, extra: Mapping[str, str] | None = None) -> PageResponse:
    return PageResponse(303, b"", {**_headers("text/plain", "default-src 'none'"), "Location": location, **(extra or {})})
