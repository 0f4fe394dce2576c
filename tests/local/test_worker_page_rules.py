"""The worker page: who may sign in, what a session may do, who sees and answers which task."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
import time
import urllib.parse

from review_setup import PASSWORD, Portal, Review, person, team_arn

# -- the worker page's rules -----------------------------------------------------------------------


def test_a_wrong_password_and_an_unknown_user_read_the_same(review: Review) -> None:
    review.add_worker("careful")

    pages = [Portal(review).sign_in(name, "Wrong-password-1") for name in ("careful", "nobody")]

    assert all("The user name or the password is wrong." in page for page in pages)


def test_a_user_outside_every_team_is_told_so(review: Review) -> None:
    review.client("cognito-idp").create_group(UserPoolId=review.pool, GroupName="no-team")
    review.add_worker("outsider", group="no-team")

    assert "not a member of a work team" in Portal(review).sign_in("outsider")


def test_an_invited_worker_chooses_a_password_first(review: Review) -> None:
    cognito = review.client("cognito-idp")
    cognito.admin_create_user(UserPoolId=review.pool, Username="invited", TemporaryPassword="Temporary-1!", MessageAction="SUPPRESS")
    cognito.admin_add_user_to_group(UserPoolId=review.pool, Username="invited", GroupName=review.group)
    portal = Portal(review)
    page = portal.sign_in("invited", "Temporary-1!")
    assert "Choose your password" in page
    fields = dict(re.findall(r'name="(token|session|username)" value="([^"]*)"', page))

    form = {**fields, "password": PASSWORD, "repeated": PASSWORD}
    status, _, page = portal.fetch("/worker/first-password", urllib.parse.urlencode(form).encode())

    assert (status, "csrf-token" in page) == (200, True)
    assert "csrf-token" in Portal(review).sign_in("invited"), "the chosen password works from now on"


def test_a_worker_with_an_authenticator_is_asked_for_its_code(review: Review) -> None:
    cognito = review.client("cognito-idp")
    review.add_worker("with-authenticator")
    secret = enrol_authenticator(review, "with-authenticator")
    cognito.set_user_pool_mfa_config(UserPoolId=review.pool, MfaConfiguration="OPTIONAL", SoftwareTokenMfaConfiguration={"Enabled": True})
    portal = Portal(review)
    page = portal.sign_in("with-authenticator")
    assert "Enter your code" in page and not portal.csrf
    fields = dict(re.findall(r'name="(token|session|username)" value="([^"]*)"', page))

    wrong = portal.fetch("/worker/code", urllib.parse.urlencode({**fields, "code": "000000"}).encode())
    right = portal.fetch("/worker/code", urllib.parse.urlencode({**fields, "code": one_time_code(secret)}).encode())

    assert (wrong[0], "csrf-token" in wrong[2]) == (400, False)
    assert (right[0], "csrf-token" in right[2]) == (200, True)


def enrol_authenticator(review: Review, username: str) -> str:
    """The shared secret of an authenticator that the user has enrolled."""
    cognito, client = review.client("cognito-idp"), review.pool_client
    key = cognito.describe_user_pool_client(UserPoolId=review.pool, ClientId=client)["UserPoolClient"]["ClientSecret"]
    digest = hmac.new(key.encode(), f"{username}{client}".encode(), hashlib.sha256).digest()
    parameters = {"USERNAME": username, "PASSWORD": PASSWORD, "SECRET_HASH": base64.b64encode(digest).decode()}
    tokens = cognito.initiate_auth(ClientId=client, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters)["AuthenticationResult"]
    secret = str(cognito.associate_software_token(AccessToken=tokens["AccessToken"])["SecretCode"])
    cognito.verify_software_token(AccessToken=tokens["AccessToken"], UserCode=one_time_code(secret))
    return secret


def one_time_code(secret: str) -> str:
    """RFC 6238 with SHA-1, 30 seconds, six digits."""
    counter = struct.pack(">Q", int(time.time() // 30))
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF) % 1_000_000:06d}"


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(review: Review) -> None:
    headers = Portal(review).fetch("/worker")[1]

    assert "httponly" in headers["set-cookie"].lower()
    assert "samesite=strict" in headers["set-cookie"].lower()
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "'unsafe-inline'" not in headers["content-security-policy"]


def test_a_post_needs_the_sessions_token(review: Review) -> None:
    portal = person(review, "forged", "forged-team")
    review.ask(review.flow("csrf", WorkteamArn=team_arn(review, "forged-team")), "csrf", "text")
    body = {"task": portal.take(), "answer": {"category": {"label": "positive"}}}

    assert portal.post("/worker/answers", body, csrf="guessed")[0] == 403
    assert review.loop("csrf")["HumanLoopStatus"] == "InProgress"
    assert portal.post("/worker/answers", body)[0] == 200


def test_nobody_reads_or_answers_a_task_without_signing_in(review: Review) -> None:
    portal = Portal(review)

    assert portal.fetch("/worker/next")[0] == 401
    assert portal.fetch(f"/worker/tasks/{'0' * 32}")[0] == 401
    assert portal.fetch("/worker/assets/../pages.py")[0] in (401, 404)


def test_a_worker_sees_only_their_own_teams_tasks(review: Review) -> None:
    member, other = person(review, "member", "members"), person(review, "other", "others")
    review.ask(review.flow("for-members", WorkteamArn=team_arn(review, "members")), "for-members", "text")

    assert other.next()["task"] is None
    assert member.next()["task"] is not None


def test_a_skipped_task_is_not_lost(review: Review) -> None:
    portal = person(review, "skipper", "skippers")
    review.ask(review.flow("skips", WorkteamArn=team_arn(review, "skippers")), "skipped", "text")
    task = portal.take()

    _, state = portal.post("/worker/skips", {"task": task})
    assert (state["task"], state["waiting"], state["skipped"]) == (None, 0, 1)

    assert portal.next(skipped=True)["task"]["id"] == task
    portal.answer("neutral")
    assert review.ended("skipped")["HumanLoopStatus"] == "Completed"


def test_an_answer_outside_the_categories_is_refused_and_the_task_stays(review: Review) -> None:
    portal = person(review, "inventive", "inventors")
    review.ask(review.flow("invents", WorkteamArn=team_arn(review, "inventors")), "invents", "text")
    task = portal.take()

    status, refusal = portal.post("/worker/answers", {"task": task, "answer": {"category": {"label": "great"}}})

    assert (status, refusal["message"]) == (400, "category: 'great' is not one of negative, neutral, positive")
    assert portal.next()["task"]["id"] == task
