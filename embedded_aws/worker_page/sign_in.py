"""Signing in against the workforce's Cognito user pool, with the calls that any client makes (no back door).

Source: Amazon Cognito API reference, InitiateAuth (``USER_PASSWORD_AUTH``) and RespondToAuthChallenge
(``NEW_PASSWORD_REQUIRED``, the first sign-in of an invited worker; ``SOFTWARE_TOKEN_MFA``, the authenticator's code).
ministack does not make a user enrol an authenticator where the pool requires one (no ``MFA_SETUP``): such a user signs in
with the password alone, which on AWS they could not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from ministack.core import responses

from embedded_aws.core import clock, sessions
from embedded_aws.sagemaker.people.workforce import cognito, only_workforce
from embedded_aws.sagemaker.people.workteams import teams_of
from embedded_aws.worker_page.attempts import ATTEMPTS
from embedded_aws.worker_page.challenges import CHALLENGES, Challenge, Challenged, SignInRefused
from review_page.answers import Worker

SESSION_SECONDS = 8 * 3_600
LEADS = "leads"
"""The user pool's group of those who lead their teams."""
_WRONG = ("NotAuthorizedException", "UserNotFoundException", "CodeMismatchException", "ExpiredCodeException")
WRONG_PASSWORD = "The user name or the password is wrong."  # noqa: S105  (a message)


@dataclass
class Session:
    """One signed-in worker. Their teams are looked up at each request, so a team made later is seen."""

    worker: Worker
    username: str
    user_pool: str
    groups: frozenset[str]
    """Those at the last look: :func:`is_still_a_worker` renews them."""
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    expires_at: float = field(default_factory=lambda: time.monotonic() + clock.for_people(SESSION_SECONDS))

    def teams(self) -> set[str]:
        """ARNs of the work teams."""
        return {team["WorkteamArn"] for team in teams_of(self.user_pool, self.groups)}

    def leads(self) -> set[str]:
        """The teams that this person leads: all their teams, if they are also in the group ``leads``."""
        return self.teams() if LEADS in self.groups else set()


_sessions: dict[str, Session] = {}
_lock = threading.Lock()


def session_of(token: str | None) -> Session | None:
    """The live session behind a cookie."""
    with _lock:
        session = _sessions.get(token or "")
        if session is not None and session.expires_at < time.monotonic():
            del _sessions[session.token]
            return None
        return session


def is_still_a_worker(session: Session) -> bool:
    """Whether the session's user is still in the user pool, enabled, and the same as at the sign-in. Reads the user's groups again.

    If not, the session ends. The page asks this at each request, because an earlier session must not outlive a removal from team or pool.
    """
    client, who = cognito(), {"UserPoolId": session.user_pool, "Username": session.username}
    try:
        user = client.admin_get_user(**who)
        pages = client.get_paginator("admin_list_groups_for_user").paginate(**who)
        session.groups = frozenset(group["GroupName"] for page in pages for group in page["Groups"])
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("UserNotFoundException", "ResourceNotFoundException"):
            raise
        sign_out(session)
        return False
    sub = next((item["Value"] for item in user["UserAttributes"] if item["Name"] == "sub"), None)
    if user.get("Enabled", True) and sub == session.worker.identity["sub"]:
        return True
    sign_out(session)
    return False


def sign_out(session: Session) -> None:
    with _lock:
        _sessions.pop(session.token, None)


def forget_everyone() -> None:
    """Forget every sign-in, finished or not. A reset calls this."""
    with _lock:
        _sessions.clear()
    CHALLENGES.clear()
    ATTEMPTS.clear()


def sign_in(username: str, password: str) -> Session | Challenged:
    """Raises SignInRefused, or TooManyAttempts while the user is locked out."""
    pool = _workforce_pool()
    ATTEMPTS.check(username)
    parameters = {"USERNAME": username, "PASSWORD": password, **pool.secret_hash(username)}
    response = _cognito_call(
        username, lambda: pool.client.initiate_auth(ClientId=pool.client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters)
    )
    return _go_on(pool, username, response)


def answer_challenge(challenged: Challenged, answer: str) -> Session | Challenged:
    """``answer`` is the new password or the authenticator's code. Raises SignInRefused, or TooManyAttempts as sign_in does."""
    pool = _workforce_pool()
    ATTEMPTS.check(challenged.username)
    key = {Challenge.FIRST_PASSWORD: "NEW_PASSWORD", Challenge.CODE: "SOFTWARE_TOKEN_MFA_CODE"}[challenged.challenge]
    answers = {"USERNAME": challenged.username, key: answer, **pool.secret_hash(challenged.username)}
    response = _cognito_call(
        challenged.username,
        lambda: pool.client.respond_to_auth_challenge(
            ClientId=pool.client_id, ChallengeName=challenged.challenge.value, Session=challenged.session, ChallengeResponses=answers
        ),
    )
    return _go_on(pool, challenged.username, response)


@dataclass(frozen=True)
class _Pool:
    user_pool: str
    client_id: str
    client_secret: str | None
    client: Any

    def secret_hash(self, username: str) -> dict[str, str]:
        if not self.client_secret:
            return {}
        digest = hmac.new(self.client_secret.encode(), f"{username}{self.client_id}".encode(), hashlib.sha256).digest()
        return {"SECRET_HASH": base64.b64encode(digest).decode()}


def _workforce_pool() -> _Pool:
    workforce = only_workforce()
    if workforce is None:
        raise SignInRefused("There is no private workforce in this account and region yet: deploy the review stack first.")
    config = workforce["CognitoConfig"]
    described = cognito().describe_user_pool_client(UserPoolId=config["UserPool"], ClientId=config["ClientId"])["UserPoolClient"]
    client = boto3.client(
        "cognito-idp",
        region_name=responses.get_region(),
        endpoint_url=sessions.ENDPOINT_URL,
        config=Config(signature_version=UNSIGNED, retries={"max_attempts": 1}),
    )
    return _Pool(config["UserPool"], config["ClientId"], described.get("ClientSecret"), client)


def _cognito_call(username: str, call: Any) -> Any:
    try:
        return call()
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        if code in _WRONG:
            ATTEMPTS.failed(username)
        if code in ("NotAuthorizedException", "UserNotFoundException"):
            raise SignInRefused(WRONG_PASSWORD) from None
        raise SignInRefused(message) from None


def _go_on(pool: _Pool, username: str, response: dict[str, Any]) -> Session | Challenged:
    asked = response.get("ChallengeName")
    if asked in list(Challenge):
        return Challenged(Challenge(asked), username, response["Session"])
    if "AuthenticationResult" not in response:
        raise SignInRefused(f"Cognito asks for {asked or 'more'}, which this page does not offer.")
    return _start_session(pool, username, response)


def _start_session(pool: _Pool, username: str, response: dict[str, Any]) -> Session:
    claims = _claims(response["AuthenticationResult"]["IdToken"])
    groups = frozenset(claims.get("cognito:groups", []))
    if not teams_of(pool.user_pool, groups):
        raise SignInRefused("You are not a member of a work team yet: ask whoever runs the reviews to add you to its group.")
    identity = {"identityProviderType": "Cognito", "issuer": claims["iss"], "sub": claims["sub"]}
    name = str(claims.get("cognito:username", username))
    worker = Worker(hashlib.sha256(f"{claims['iss']}#{claims['sub']}".encode()).hexdigest()[:16], identity, name)
    ATTEMPTS.succeeded(username)
    session = Session(worker, name, pool.user_pool, groups)
    with _lock:
        _sessions[session.token] = session
    return session


def _claims(id_token: str) -> dict[str, Any]:
    """The token comes straight from Cognito's own answer, so its signature is not checked again."""
    payload = id_token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims
