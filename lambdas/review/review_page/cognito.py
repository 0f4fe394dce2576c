"""The user pool: where people sign in, who they are, and whether they still may be here.

Source: Cognito developer guide, "User pool endpoints reference"; RFC 7636 (PKCE); OpenID Connect Core 1.0, section 3.1.3.7.
"""

from __future__ import annotations

import base64
import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

CALL_BACK = "/worker/signed-in"
SIGNED_OUT = "/worker"
"""The address to which the sign-in pages send people back. The client allows no other address."""
_SECONDS = 10


class SignInRefused(Exception):
    """The user pool does not know the code, or its token is not for this page; the text says what is wrong."""


@dataclass(frozen=True)
class PageAddress:
    """The value of the parameter ``review-page``. ``url`` and ``sign_in_url`` are origins."""

    url: str
    sign_in_url: str
    client_id: str
    user_pool_id: str

    @classmethod
    def parse(cls, text: str) -> PageAddress:
        given = json.loads(text)
        return cls(given["url"].rstrip("/"), given["sign_in_url"].rstrip("/"), given["client_id"], given["user_pool_id"])

    @property
    def issuer(self) -> str:
        return f"https://cognito-idp.{self.user_pool_id.split('_')[0]}.amazonaws.com/{self.user_pool_id}"


@dataclass(frozen=True)
class Person:
    """``sub`` never changes, whatever the user's name and mail address become. ``signed_in_at``: epoch seconds, where it is known."""

    sub: str
    username: str
    signed_in_at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Standing:
    """What the user pool says about somebody now."""

    active: bool
    groups: tuple[str, ...]


def authorize_url(address: PageAddress, state: str, verifier: str) -> str:
    """The address to which the browser goes to sign in."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": address.client_id,
        "redirect_uri": address.url + CALL_BACK,
        "scope": "openid",
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"{address.sign_in_url}/oauth2/authorize?{urlencode(query)}"


def sign_out_url(address: PageAddress) -> str:
    """The address to which the browser goes to end the user pool's own session."""
    return f"{address.sign_in_url}/logout?{urlencode({'client_id': address.client_id, 'logout_uri': address.url + SIGNED_OUT})}"


def redeem(address: PageAddress, code: str, verifier: str, now: float) -> Person:
    """The person behind an authorization code.

    The token comes straight from the user pool over TLS, so its signature need not be checked; issuer, audience and time are.

    Raises:
        SignInRefused: the code is unknown, used, or of somebody who began elsewhere.
    """
    form = {
        "grant_type": "authorization_code",
        "client_id": address.client_id,
        "code": code,
        "redirect_uri": address.url + CALL_BACK,
        "code_verifier": verifier,
    }
    request = urllib.request.Request(  # noqa: S310  (the address is our own pool's, and begins with https)
        f"{address.sign_in_url}/oauth2/token",
        urlencode(form).encode(),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310  (as above)
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        if 400 <= error.code < 500:
            raise SignInRefused(f"the user pool answers {error.code}") from error
        raise
    return _person(_claims(answer.get("id_token")), address, now)


def _claims(token: Any) -> Mapping[str, Any]:
    try:
        payload = str(token).split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError) as error:
        raise SignInRefused(f"the user pool gave no readable id token: {error}") from error
    if not isinstance(claims, dict):
        raise SignInRefused("the id token holds no claims")
    return claims


def _person(claims: Mapping[str, Any], address: PageAddress, now: float) -> Person:
    wanted = {"iss": address.issuer, "aud": address.client_id, "token_use": "id"}
    for name, value in wanted.items():
        if claims.get(name) != value:
            raise SignInRefused(f"the id token has {name} {claims.get(name)!r}, not {value!r}")
    if not isinstance(claims.get("exp"), int | float) or claims["exp"] <= now:
        raise SignInRefused("the id token is over")
    if not isinstance(claims.get("sub"), str) or not isinstance(claims.get("cognito:username"), str):
        raise SignInRefused("the id token names nobody")
    if not isinstance(claims.get("auth_time"), int | float):
        raise SignInRefused("the id token does not say when the person signed in")
    return Person(claims["sub"], claims["cognito:username"], int(claims["auth_time"]))


def standing(client: Any, address: PageAddress, person: Person) -> Standing:
    """Asks the user pool; somebody who is not there is not active, and neither is an earlier account of the same name.

    Args:
        client: boto3 client ``cognito-idp``.
    """
    try:
        user = client.admin_get_user(UserPoolId=address.user_pool_id, Username=person.username)
        if not user["Enabled"] or {"Name": "sub", "Value": person.sub} not in user["UserAttributes"]:
            return Standing(False, ())
        # A user may be in more groups than one answer holds.
        pages = client.get_paginator("admin_list_groups_for_user").paginate(UserPoolId=address.user_pool_id, Username=person.username)
        groups = tuple(group["GroupName"] for page in pages for group in page["Groups"])
    except client.exceptions.UserNotFoundException:
        return Standing(False, ())
    return Standing(True, groups)
