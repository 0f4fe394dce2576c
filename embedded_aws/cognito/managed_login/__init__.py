"""Managed login: the sign-in pages and the OAuth 2.0 endpoints of a user pool's domain, for a browser and for the app behind it.

Authorization code with PKCE; user name and password; a new password at the first sign-in; an authenticator app, set up on the way where the
pool requires one; the token, revocation and log-out endpoints. No other identity provider, no sign-up, no forgotten passwords, no codes by
mail or SMS: a page or an error says so.

Hooks: ``app._handle_cognito_get_request`` and ``_handle_cognito_body_request``, whose own pages ask for no authenticator and are closed on
every other host; ``app._reset_all_state``; ``cognito._revoke_token``. Sources: Amazon Cognito developer guide, "User pool endpoints and
managed login reference"; "Authentication with Amazon Cognito user pools", lockout behavior; RFC 6749, 7009 and 7636.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from ministack import app
from ministack.services import cognito

_CLOSED = {
    *(("GET", path) for path in ("/oauth2/authorize", "/logout", "/oauth2/userInfo", "/oauth2/userinfo")),
    *(("POST", path) for path in ("/oauth2/login", "/login", "/oauth2/token", "/oauth2/userInfo", "/oauth2/userinfo")),
}
_ELSEWHERE = {
    "message": "A user pool's sign-in pages and OAuth endpoints are at its own domain, such as "
    "http://<domain>.auth.<region>.amazoncognito.com.localhost:<port>/"
}


def install() -> None:
    """Put the hooks in place."""
    from embedded_aws.cognito.managed_login import state, tokens

    app._handle_cognito_get_request = _closed(app._handle_cognito_get_request)
    app._handle_cognito_body_request = _closed(app._handle_cognito_body_request)
    cognito._revoke_token = tokens.revoked_by_its_client(cognito._revoke_token)
    reset = app._reset_all_state

    def reset_all() -> Any:
        state.clear()
        return reset()

    app._reset_all_state = reset_all


def _closed(stock: Any) -> Any:
    @functools.wraps(stock)
    async def handle(method: str, path: str, *rest: Any) -> Any:
        if (method, path) in _CLOSED:
            return 404, {"Content-Type": "application/json"}, json.dumps(_ELSEWHERE).encode()
        return await stock(method, path, *rest)

    return handle
