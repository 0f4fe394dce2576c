"""A visitor of managed login without a browser: cookies, forms, an authenticator app, and the app that a sign-in is for."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import re
import secrets
import struct
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from embedded_aws.testing.web import Reply, Site

STEP_SECONDS = 30


def totp(secret: str, step: int) -> str:
    """An authenticator's six digits (RFC 6238)."""
    mac = hmac.new(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1).digest()
    offset = mac[-1] & 0x0F
    return f"{(struct.unpack('>I', mac[offset : offset + 4])[0] & 0x7FFFFFFF) % 10**6:06d}"


@dataclass
class Authenticator:
    """An authenticator app that never shows a code twice: each one is of a later time step, as the next code would be."""

    secret: str
    used: int = 0

    def code(self) -> str:
        """Waits when the next two codes have been given, since a pool takes none that is further ahead."""
        step = max(int(time.time() // STEP_SECONDS), self.used + 1)
        time.sleep(max(0.0, (step - 1) * STEP_SECONDS - time.time()))
        self.used = step
        return totp(self.secret, step)


@dataclass
class Visitor:
    """One browser at the sign-in domain of a site."""

    site: Site
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str) -> Reply:
        return self._ask(path)

    def post(self, path: str, **fields: str) -> Reply:
        body = urllib.parse.urlencode(fields).encode()
        return self._ask(path, method="POST", body=body, Content_Type="application/x-www-form-urlencoded")

    def submit(self, page: Reply, **fields: str) -> Reply:
        """The page's form with what it hides, and these fields."""
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.body.decode())
        return self.post("/login", **{**{name: html.unescape(value) for name, value in hidden}, **fields})

    def open_sign_in(self, **more: str) -> Reply:
        """Authorize, and the page that follows if there is one."""
        reply = self.get(f"/oauth2/authorize?{urllib.parse.urlencode({**self.request(), **more})}")
        to = reply.header("location")
        return self.get(to) if to.startswith("/login") else reply

    def request(self) -> dict[str, str]:
        """The parameters of a request to ``/oauth2/authorize``, without PKCE."""
        return {"response_type": "code", "client_id": self.site.outputs["Client"], "redirect_uri": self.callback, "state": "s t&te"}

    @property
    def callback(self) -> str:
        return f"https://{self.site.outputs['Domain']}/api/signed-in"

    def _ask(self, path: str, **more: Any) -> Reply:
        sent = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if sent:
            more["Cookie"] = sent
        reply = self.site.ask(self.site.outputs["SignIn"], path, **more)
        for cookie in reply.headers.get("set-cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies.pop(name, None)
            if value:
                self.cookies[name] = value
        return reply


def code_of(reply: Reply) -> str:
    """The authorization code in a redirect back to the app."""
    return urllib.parse.parse_qs(urllib.parse.urlsplit(reply.header("location")).query)["code"][0]


def key_of(page: Reply) -> str:
    """The authenticator's key on the set-up page."""
    found = re.search(r'<code id="secret">([A-Z2-7]+)</code>', page.body.decode())
    assert found, page.body
    return found[1]


@dataclass
class App:
    """The app behind the redirect: it has the client's secret and talks to the token endpoint."""

    site: Site
    secret: str
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def pkce(self) -> dict[str, str]:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return {"code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), "code_challenge_method": "S256"}

    def ask(self, path: str = "/oauth2/token", **fields: str) -> Reply:
        """Ask for tokens. The client's id and secret go by HTTP Basic, unless ``fields`` name a client."""
        basic = base64.b64encode(f"{self.site.outputs['Client']}:{self.secret}".encode()).decode()
        head = {} if "client_id" in fields else {"Authorization": f"Basic {basic}"}
        form = {"Content_Type": "application/x-www-form-urlencoded"}
        body = urllib.parse.urlencode(fields).encode()
        return self.site.ask(self.site.outputs["SignIn"], path, method="POST", body=body, **form, **head)

    def exchange(self, code: str, **more: str) -> Reply:
        redirect_uri = f"https://{self.site.outputs['Domain']}/api/signed-in"
        return self.ask(grant_type="authorization_code", code=code, redirect_uri=redirect_uri, **{"code_verifier": self.verifier, **more})

    def refresh(self, token: str, **more: str) -> Reply:
        return self.ask(grant_type="refresh_token", refresh_token=token, **more)
