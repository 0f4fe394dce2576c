"""The pages: small, without scripts, for keyboard and screen reader; every value is escaped. Pure."""

from __future__ import annotations

import base64
import html
import re
from urllib.parse import quote, urlencode, urlsplit

STYLE = """:root{color-scheme:light dark;font:100%/1.5 system-ui,sans-serif}
body{display:grid;min-height:100vh;margin:0;place-items:center}
main{box-sizing:border-box;width:min(26rem,100%);padding:1.5rem}
h1{font-size:1.5rem}
label{display:block;margin-top:1rem;font-weight:600}
input,button{box-sizing:border-box;width:100%;min-height:2.75rem;padding:.5rem;font:inherit}
button{margin-top:1.5rem;font-weight:600;cursor:pointer}
code{display:block;padding:.75rem;border:1px solid;overflow-wrap:anywhere}
.error{padding:.75rem;border:2px solid;border-left-width:.5rem}
"""
STYLE_PATH = "/assets/login.css"


def document(title: str, body: str, error: str = "") -> bytes:
    """One whole page; an error is heard first."""
    said = f'<p class="error" role="alert">{html.escape(error)}</p>' if error else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{"Error: " if error else ""}{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="{STYLE_PATH}"></head>'
        f"<body><main><h1>{html.escape(title)}</h1>{said}{body}</main></body></html>"
    ).encode()


def _form(sign_in: str, step: str, fields: str, button: str) -> str:
    hidden = f'<input type="hidden" name="sign_in" value="{html.escape(sign_in)}"><input type="hidden" name="step" value="{step}">'
    return f'<form method="post" action="/login">{hidden}{fields}<button type="submit">{button}</button></form>'


def _field(name: str, label: str, kind: str, autocomplete: str, more: str = "") -> str:
    return (
        f'<label for="{name}">{label}</label>'
        f'<input id="{name}" name="{name}" type="{kind}" autocomplete="{autocomplete}" required maxlength="256" {more}>'
    )


_CODE = _field("code", "Code from the app", "text", "one-time-code", 'inputmode="numeric" pattern="[0-9 ]{6,7}" autofocus')


def password(sign_in: str, error: str = "") -> bytes:
    fields = _field("username", "User name", "text", "username", 'autocapitalize="none" spellcheck="false" autofocus')
    fields += _field("password", "Password", "password", "current-password")
    return document("Sign in", _form(sign_in, "password", fields, "Sign in"), error)


def new_password(sign_in: str, error: str = "") -> bytes:
    fields = _field("new_password", "New password", "password", "new-password", "autofocus")
    fields += _field("again", "New password again", "password", "new-password")
    said = "<p>You have signed in with a temporary password. Choose your own now.</p>"
    return document("Choose a password", said + _form(sign_in, "new_password", fields, "Save password"), error)


def set_up_code(sign_in: str, secret: str, username: str, issuer: str, error: str = "") -> bytes:
    """Shows the secret as text and as an ``otpauth:`` link, for an app on the same device."""
    label = quote(f"{issuer}:{username}", safe="")
    link = f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': issuer})}"
    said = (
        "<p>Add this key to an authenticator app, then enter the code that the app shows.</p>"
        f'<p>Key: <code id="secret">{html.escape(secret)}</code></p>'
        f'<p><a id="otpauth" href="{html.escape(link)}">Open in an authenticator app</a></p>'
    )
    return document("Set up an authenticator app", said + _form(sign_in, "set_up_code", _CODE, "Continue"), error)


def code(sign_in: str, error: str = "") -> bytes:
    return document("Enter a code", _form(sign_in, "code", _CODE, "Sign in"), error)


def refusal(text: str) -> bytes:
    """A page for what cannot go on."""
    return document("This sign-in cannot go on", "", text)


def policy(redirect_uri: str) -> str:
    """Content security policy: a form leads to this domain and, by redirect, back to the app."""
    parts = urlsplit(redirect_uri)
    app = f" {parts.scheme}://{parts.netloc}" if re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", parts.netloc) else ""
    return f"default-src 'none'; style-src 'self'; form-action 'self'{app}; frame-ancestors 'none'; base-uri 'none'"


def new_secret(random: bytes) -> str:
    """An authenticator's key in base 32, as apps take it."""
    return base64.b32encode(random).decode()
