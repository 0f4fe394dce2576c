"""A person at the hosted review page, without a browser: sign-in with an authenticator app, and one task after another.

Everything goes through the page's own routes under its public host name, as a browser would send it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import http.client
import json
import re
import struct
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from embedded_aws.public_hosts import names

_STEP_SECONDS = 30
_MOST_REDIRECTS = 10


class PageFailed(RuntimeError):
    """The page did not do what a person expects of it; the text has its answer."""


@dataclass(frozen=True)
class Answered:
    """One answer of a server."""

    url: str
    status: int
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


def code(secret: str, now: float) -> str:
    """An authenticator's six digits (RFC 6238)."""
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(now // _STEP_SECONDS)), hashlib.sha1).digest()
    offset = mac[-1] & 0x0F
    return f"{(struct.unpack('>I', mac[offset : offset + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


@dataclass
class Visitor:
    """One browser. ``port`` is the embedded AWS's; cookies go by host."""

    port: int
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)
    _open: dict[str, http.client.HTTPConnection] = field(default_factory=dict)

    def get(self, url: str) -> Answered:
        return self._follow("GET", url, None, {"Accept": "text/html"})

    def submit(self, page: Answered, **fields: str) -> Answered:
        """The page's form with what it hides, and these fields."""
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
        action = re.search(r'<form[^>]* action="([^"]+)"', page.text)
        body = urlencode({**{name: html.unescape(value) for name, value in hidden}, **fields}).encode()
        target = urljoin(page.url, html.unescape(action[1]) if action else "/login")
        head = {"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}
        return self._follow("POST", target, body, head)

    def json(self, url: str, csrf: str, value: Any = None) -> tuple[int, Any]:
        """GET without a value, else POST."""
        body = None if value is None else json.dumps(value).encode()
        answer, _ = self._ask("GET" if body is None else "POST", url, body, {"Content-Type": "application/json", "X-CSRF-Token": csrf})
        return answer.status, json.loads(answer.body)

    def _follow(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> Answered:
        for _ in range(_MOST_REDIRECTS):
            answer, location = self._ask(method, url, body, headers)
            if not location:
                return answer
            method, url, body = "GET", urljoin(url, location), None
        raise PageFailed(f"{url} leads in a circle")

    def _ask(self, method: str, url: str, body: bytes | None, headers: dict[str, str]) -> tuple[Answered, str]:
        parts = urlsplit(url)
        host = parts.netloc if parts.scheme == "http" else f"{parts.netloc}{names.SUFFIX}:{self.port}"
        jar = self.cookies.setdefault(host, {})
        sent = {"Host": host, **headers, **({"Cookie": "; ".join(f"{name}={value}" for name, value in jar.items())} if jar else {})}
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection = self._open.setdefault(host, http.client.HTTPConnection("127.0.0.1", self.port, timeout=120))
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            content = response.read()
        except (http.client.HTTPException, OSError):
            connection.close()
            del self._open[host]
            raise
        for cookie in response.headers.get_all("set-cookie") or ():
            name, _, value = cookie.partition(";")[0].partition("=")
            jar.pop(name, None)
            if value:
                jar[name] = value
        return Answered(url, response.status, content), response.headers.get("location") or ""


@dataclass
class Reviewer:
    """Somebody who is signed in at the page (``page_url`` ends in ``/worker``)."""

    visitor: Visitor
    page_url: str
    csrf: str = ""

    def sign_in(self, username: str, password: str) -> str:
        """The first sign-in; returns the key of the authenticator app that is set up in it, if the user pool asks for one.

        Raises:
            PageFailed: no session came of it.
        """
        page = self.visitor.submit(self.visitor.get(self.page_url), username=username, password=password)
        key = re.search(r'<code id="secret">([A-Z2-7]+)</code>', page.text)
        if key is not None:
            page = self.visitor.submit(page, code=code(key[1], time.time()))
        found = re.search(r'<meta name="csrf-token" content="([^"]+)"', page.text)
        if found is None:
            raise PageFailed(f"{username} is not signed in: {page.status} at {page.url}: {page.text[:2_000]}")
        self.csrf = found[1]
        return "" if key is None else key[1]

    def next(self) -> dict[str, Any]:
        """The page's state: ``task`` is None when nothing waits. Raises PageFailed."""
        return self._state(*self.visitor.json(f"{self.page_url}/next", self.csrf))

    def text(self, task_id: str) -> str:
        """What the task's frame shows."""
        frame = self.visitor.get(f"{self.page_url}/tasks/{task_id}").text
        found = re.search(r"<classification-target>\s*<p[^>]*>(.*?)</p>", frame, re.DOTALL)
        if found is None:
            raise PageFailed(f"task {task_id} shows no text: {frame[:500]}")
        return html.unescape(found[1])

    def answer(self, task_id: str, label: str) -> dict[str, Any]:
        """Answer, and the state afterwards. Raises PageFailed."""
        return self._state(*self.post("answers", {"task": task_id, "answer": {"category": {"label": label}}}))

    def skip(self, task_id: str, reason: str = "other") -> dict[str, Any]:
        return self._state(*self.post("skips", {"task": task_id, "reason": reason}))

    def post(self, route: str, value: dict[str, Any]) -> tuple[int, Any]:
        return self.visitor.json(f"{self.page_url}/{route}", self.csrf, value)

    @staticmethod
    def _state(status: int, state: Any) -> dict[str, Any]:
        if status != 200:
            raise PageFailed(f"the page answers {status}: {state}")
        found: dict[str, Any] = state
        return found
