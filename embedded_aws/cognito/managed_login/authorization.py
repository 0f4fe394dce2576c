"""What an app asks for when it sends a browser to sign in. Pure, except that it reads the pool's client to compare the request with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ministack.services import cognito


class Refused(Exception):
    """The request is refused, and there is no address to which the browser may be sent back. The text is for the app's author."""


class SentBack(Exception):
    """The app asked for something that it cannot have; the browser goes back to it with the error."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


@dataclass(frozen=True)
class Authorization:
    """A valid request of ``/oauth2/authorize``; the browser goes back to ``redirect_uri`` in the end."""

    pool_id: str
    client_id: str
    redirect_uri: str
    scope: str
    state: str
    nonce: str
    code_challenge: str
    code_challenge_method: str

    def query(self) -> str:
        """The same request again, for a page of the same domain."""
        named = {"response_type": "code", **{name: value for name, value in vars(self).items() if value and name != "pool_id"}}
        return urlencode(named)

    def grant(self, username: str) -> str:
        """Address of the app with a code that it can exchange once, within five minutes."""
        status, headers, body = cognito._issue_auth_code_redirect(
            self.client_id, self.pool_id, self.redirect_uri, self.scope, username, self.nonce,
            self.code_challenge, self.code_challenge_method, self.state,
        )  # fmt: skip
        if status != 302:
            raise Refused(body.decode())
        return str(headers["Location"])


def client_of(pool_id: str, client_id: str) -> dict[str, Any]:
    """Raises Refused: the pool has no such client."""
    found: dict[str, Any] | None = (cognito._user_pools.get(pool_id) or {}).get("_clients", {}).get(client_id)
    if found is None:
        raise Refused("Client does not exist: the domain's user pool has no app client with this client_id.")
    return found


def read(pool_id: str, query: Mapping[str, str]) -> Authorization:
    """The request, compared with the client's settings.

    Raises:
        Refused: unknown client, or a redirect_uri that it has not registered.
        SentBack: anything else that is wrong.
    """
    client = client_of(pool_id, query.get("client_id", ""))
    redirect_uri = query.get("redirect_uri", "") or str(client.get("DefaultRedirectURI") or "")
    if redirect_uri not in client.get("CallbackURLs", []):
        raise Refused(f"redirect_mismatch: {redirect_uri or 'no redirect_uri'} is not among the app client's callback URLs.")
    asked = Authorization(
        pool_id,
        query["client_id"],
        redirect_uri,
        *(query.get(name, "") for name in ("scope", "state", "nonce", "code_challenge", "code_challenge_method")),
    )
    problem = _problem(client, query, asked)
    if problem:
        error = dict(zip(("error", "error_description"), problem, strict=False)) | ({"state": asked.state} if asked.state else {})
        raise SentBack(f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(error)}")
    return asked


def _problem(client: Mapping[str, Any], query: Mapping[str, str], asked: Authorization) -> tuple[str, ...]:
    """``error`` and ``error_description`` of RFC 6749, 4.1.2.1; empty when nothing is wrong."""
    if query.get("identity_provider", "COGNITO") != "COGNITO":
        return "invalid_request", "the embedded AWS signs in users of the pool only"
    if query.get("response_type") != "code":
        return ("unsupported_response_type",) if query.get("response_type") else ("invalid_request", "response_type is required")
    if not client.get("AllowedOAuthFlowsUserPoolClient") or "code" not in client.get("AllowedOAuthFlows", []):
        return ("unauthorized_client",)
    allowed = client.get("AllowedOAuthScopes") or []
    if any(scope not in allowed for scope in asked.scope.split()):
        return "invalid_request", "invalid_scope"
    if bool(asked.code_challenge) != bool(asked.code_challenge_method) or asked.code_challenge_method not in ("", "S256"):
        return "invalid_request", "code_challenge needs code_challenge_method=S256"
    return ()
