"""The endpoints for tokens and their revocation: who gets tokens, and how long a refresh token is valid."""

from __future__ import annotations

import functools
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from ministack.core import responses
from ministack.services import cognito

from embedded_aws.public_hosts.asked import Answer, Asked

_JSON = {"Content-Type": "application/json;charset=UTF-8", "Cache-Control": "no-store", "Pragma": "no-cache"}


class OAuthError(Exception):
    """An error of RFC 6749, 5.2."""

    def __init__(self, error: str, status: int = 400) -> None:
        super().__init__(error)
        self.error, self.status = error, status

    def answer(self) -> Answer:
        return self.status, dict(_JSON), json.dumps({"error": self.error}).encode()


async def token(pool_id: str, asked: Asked, form: Mapping[str, str]) -> Answer:
    """``POST /oauth2/token``. Raises OAuthError."""
    grant = form.get("grant_type", "")
    client_id = _authenticated(pool_id, asked, form)
    if grant == "refresh_token":
        return _refreshed(pool_id, client_id, form.get("refresh_token", ""))
    if grant not in ("authorization_code", "client_credentials"):
        raise OAuthError("unsupported_grant_type")
    if grant == "authorization_code":
        _require_present_user(pool_id, form.get("code", ""))
    status, headers, body = await cognito.handle_oauth2_token("POST", asked.path, dict(asked.headers), asked.body, {})
    return status, {**headers, **_JSON}, body


def revoke(pool_id: str, asked: Asked, form: Mapping[str, str]) -> Answer:
    """``POST /oauth2/revoke`` of a refresh token, with every token that came of the same sign-in (RFC 7009). Raises OAuthError."""
    client_id = _authenticated(pool_id, asked, form)
    claims = cognito._token_claims(form.get("token", ""))
    if not form.get("token"):
        raise OAuthError("invalid_request")
    if claims.get("token_use") in ("id", "access"):
        raise OAuthError("unsupported_token_type")
    if claims and claims.get("client_id") != client_id:
        raise OAuthError("invalid_grant")
    cognito._revoke_token({"Token": form["token"], "ClientId": client_id, "ClientSecret": _client(pool_id, client_id).get("ClientSecret")})
    return 200, dict(_JSON), b""


def revoked_by_its_client(stock: Any) -> Any:
    """RevokeToken takes a token of the named client only, with the client's secret if it has one; ministack asks for neither."""

    @functools.wraps(stock)
    def revoke_token(data: dict[str, Any]) -> Any:
        found = cognito._find_pool_by_client_id(data.get("ClientId", ""))[2]
        claims = cognito._token_claims(data.get("Token", ""))
        if found is None:
            return _error("ResourceNotFoundException", f"User pool client {data.get('ClientId')} does not exist.")
        if not _same(found.get("ClientSecret") or "", data.get("ClientSecret") or ""):
            return _error("UnauthorizedException", "Invalid client credentials.")
        if claims.get("token_use") != "refresh":
            return _error("UnsupportedTokenTypeException", "Only refresh tokens can be revoked.")
        if claims.get("client_id") != data["ClientId"]:
            return _error("InvalidParameterException", "The token was issued to another client.")
        return stock(data)

    return revoke_token


def _error(code: str, message: str) -> Any:
    return responses.error_response_json(code, message, 400)


def _client(pool_id: str, client_id: str) -> dict[str, Any]:
    found: dict[str, Any] | None = (cognito._user_pools.get(pool_id) or {}).get("_clients", {}).get(client_id)
    if found is None:
        raise OAuthError("invalid_client")
    return found


def _authenticated(pool_id: str, asked: Asked, form: Mapping[str, str]) -> str:
    """Id of the client that asks: by HTTP Basic, or by the form; a client with a secret shows it."""
    client_id, secret = cognito._authenticate_client(dict(asked.headers), dict(form))
    if not _same(_client(pool_id, client_id).get("ClientSecret") or "", secret):
        raise OAuthError("invalid_client")
    return str(client_id)


def _same(expected: str, given: str) -> bool:
    return not expected or hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))


def _require_present_user(pool_id: str, code: str) -> None:
    """A code of another pool, or of a user who was disabled or deleted meanwhile, gives nothing."""
    entry = cognito._authorization_codes.get(code)
    users = (cognito._user_pools.get(pool_id) or {}).get("_users", {})
    user = users.get(entry["username"]) if entry and entry["pool_id"] == pool_id else None
    if user is None or not user.get("Enabled", True):
        raise OAuthError("invalid_grant")


def _refreshed(pool_id: str, client_id: str, refresh_token: str) -> Answer:
    """New tokens with the user's groups of now; none for who was disabled, deleted, signed out or revoked."""
    expires = cognito._token_claims(refresh_token).get("exp", 0)
    if not isinstance(expires, int | float) or expires <= time.time():
        raise OAuthError("invalid_grant")
    result, error = cognito._refresh_auth_result(cognito._user_pools.get(pool_id), pool_id, client_id, refresh_token)
    if error:
        raise OAuthError("invalid_grant")
    given = {"access_token": "AccessToken", "id_token": "IdToken", "expires_in": "ExpiresIn", "token_type": "TokenType"}
    body = {name: result[member] for name, member in given.items()}
    if not cognito._id_token_granted(cognito._token_claims(refresh_token).get("scope")):
        del body["id_token"]
    return 200, dict(_JSON), json.dumps(body).encode()
