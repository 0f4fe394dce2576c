"""The worker page: who may sign in, what a session may do, who sees and answers which task."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import struct
import time
import urllib.parse

import pytest

from embedded_aws.testing.reviews import PASSWORD, PEOPLE_TIME_SCALE, Portal, Review, person, team_arn

# -- the worker page's rules -----------------------------------------------------------------------


def test_a_wrong_password_and_an_unknown_user_read_the_same(review: Review) -> None:
    review.add_worker("careful")

    pages = [Portal(review).sign_in(name, "Wrong-password-1") for name in ("careful", "nobody")]

    assert all("The user name or the password is wrong." in page for page in pages)


def test_a_user_outside_every_team_is_told_so(review: Review) -> None:
    review.client("cognito-idp").create_group(UserPoolId=review.pool, GroupName="no-team")
    review.add_worker("outsider", group="no-team")

    assert "not a member of a work team" in Portal(review).sign_in("outsider")


def invited(review: Review, username: str) -> tuple[Portal, dict[str, str]]:
    """An invited worker's browser at "Choose your password", and the fields of that form."""
    cognito = review.client("cognito-idp")
    cognito.admin_create_user(UserPoolId=review.pool, Username=username, TemporaryPassword="Temporary-1!", MessageAction="SUPPRESS")
    cognito.admin_add_user_to_group(UserPoolId=review.pool, Username=username, GroupName=review.group)
    portal = Portal(review)
    page = portal.sign_in(username, "Temporary-1!")
    assert "Choose your password" in page
    return portal, hidden_fields(page)


def hidden_fields(page: str) -> dict[str, str]:
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))


def submit(portal: Portal, path: str, fields: dict[str, str]) -> tuple[int, str]:
    status, _, page = portal.fetch(path, urllib.parse.urlencode(fields).encode())
    return status, page


def is_back_at_the_start(answer: tuple[int, str]) -> bool:
    status, page = answer
    return status == 400 and "Please start again." in page and 'action="/worker/sign-in"' in page


CHOSEN = {"password": PASSWORD, "repeated": PASSWORD}


def test_an_invited_worker_chooses_a_password_first(review: Review) -> None:
    portal, fields = invited(review, "invited")

    status, page = submit(portal, "/worker/first-password", {**fields, **CHOSEN})

    assert (status, "csrf-token" in page) == (200, True)
    assert "csrf-token" in Portal(review).sign_in("invited"), "the chosen password works from now on"


def test_two_passwords_that_differ_are_asked_for_again(review: Review) -> None:
    portal, fields = invited(review, "mistyped")

    status, page = submit(portal, "/worker/first-password", {**fields, "password": PASSWORD, "repeated": "Another-one-1"})
    assert (status, "The two passwords differ." in page) == (400, True)

    assert "csrf-token" in submit(portal, "/worker/first-password", {**hidden_fields(page), **CHOSEN})[1]


def test_a_worker_with_an_authenticator_is_asked_for_its_code(review: Review) -> None:
    secret, portal = with_authenticator(review, "with-authenticator")
    page = portal.sign_in("with-authenticator")
    assert "Enter your code" in page and not portal.csrf

    wrong = submit(portal, "/worker/code", {**hidden_fields(page), "code": "000000"})
    right = submit(portal, "/worker/code", {**hidden_fields(wrong[1]), "code": one_time_code(secret)})

    assert (wrong[0], "csrf-token" in wrong[1]) == (400, False)
    assert (right[0], "csrf-token" in right[1]) == (200, True)


def test_wrong_codes_are_slowed_down(review: Review) -> None:
    _, portal = with_authenticator(review, "code-guesser")
    page = portal.sign_in("code-guesser")

    answers = []
    for number in range(20):
        status, page = submit(portal, "/worker/code", {**hidden_fields(page), "code": f"{number:06d}"})
        answers.append(status)

    assert 429 in answers
    assert "Too many wrong attempts" in page or answers[-1] == 400


# -- nobody gets in beside the password ------------------------------------------------------------


@pytest.mark.parametrize("path", ["/worker/first-password", "/worker/code"])
@pytest.mark.parametrize("made_up", [{}, {"challenge": ""}, {"challenge": "made-up"}])
def test_a_challenge_that_the_page_has_not_issued_leads_nowhere(review: Review, path: str, made_up: dict[str, str]) -> None:
    victim = f"victim-{secrets.token_hex(4)}"
    review.add_worker(victim)
    portal = Portal(review)
    token = hidden_fields(portal.fetch("/worker")[2])

    answer = submit(portal, path, {**token, **made_up, "username": victim, "session": "any", "code": "123456", **CHOSEN})

    assert is_back_at_the_start(answer)
    assert portal.fetch("/worker/next")[0] == 401
    assert "csrf-token" in Portal(review).sign_in(victim), "the password is as it was"


def test_a_challenge_is_for_the_user_whom_it_was_issued_to(review: Review) -> None:
    review.add_worker("target")
    portal, fields = invited(review, "crafty")

    page = submit(
        portal, "/worker/first-password", {**fields, "username": "target", "password": "Taken-over-1", "repeated": "Taken-over-1"}
    )[1]

    assert re.search(r"<span[^>]*>crafty</span>", page), "the browser is signed in as the user whom the challenge was issued to"
    assert "csrf-token" in Portal(review).sign_in("target")


def test_a_challenge_is_answered_once(review: Review) -> None:
    portal, fields = invited(review, "twice")
    submit(portal, "/worker/first-password", {**fields, **CHOSEN})

    again = submit(portal, "/worker/first-password", {**fields, "password": "Replayed-pw-1", "repeated": "Replayed-pw-1"})

    assert is_back_at_the_start(again)
    assert "csrf-token" in Portal(review).sign_in("twice")


def test_a_challenge_is_not_answered_with_another_kind_of_answer(review: Review) -> None:
    portal, fields = invited(review, "other-kind")

    status, page = submit(portal, "/worker/code", {**fields, "code": "123456"})
    assert is_back_at_the_start((status, page))
    used_up = submit(portal, "/worker/first-password", {**fields, **hidden_fields(page), **CHOSEN})
    assert is_back_at_the_start(used_up)


def test_a_challenge_lasts_three_minutes_and_a_wrong_answer_does_not_prolong_it(review: Review) -> None:
    portal, fields = invited(review, "late")
    issued = time.monotonic()
    page = submit(portal, "/worker/first-password", {**fields, "password": "One-thing-1", "repeated": "Another-one-1"})[1]
    time.sleep(issued + 180 * PEOPLE_TIME_SCALE + 0.05 - time.monotonic())

    assert is_back_at_the_start(submit(portal, "/worker/first-password", {**hidden_fields(page), **CHOSEN}))


def with_authenticator(review: Review, username: str) -> tuple[str, Portal]:
    """The secret of a worker's authenticator, which the pool asks for, and the worker's browser."""
    review.add_worker(username)
    secret = enrol_authenticator(review, username)
    review.client("cognito-idp").set_user_pool_mfa_config(
        UserPoolId=review.pool, MfaConfiguration="OPTIONAL", SoftwareTokenMfaConfiguration={"Enabled": True}
    )
    return secret, Portal(review)


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
    portal = person(review, "cookie-owner", "cookie-team")
    review.ask(review.flow("cookie", WorkteamArn=team_arn(review, "cookie-team")), "cookie", "text")

    (cookie,) = [one for one in portal.cookies if one.name == "worker_session"]
    page, task = portal.fetch("/worker")[1], portal.fetch(f"/worker/tasks/{portal.take()}")[1]

    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "Strict"
    assert (cookie.path, cookie.domain_specified) == ("/worker", False)
    policies = [policy(headers) for headers in (page, task)]
    assert [one["default-src"] for one in policies] == ["'none'", "'none'"]
    assert [one["base-uri"] for one in policies] == ["'none'", "'none'"]
    assert policies[0]["frame-ancestors"] == "'none'"
    assert {policies[0][kind] for kind in ("script-src", "style-src")} == {f"{review.emulator.url}/worker/assets/"}
    assert policies[1]["sandbox"] == "allow-scripts", "the task's frame has an origin of its own"
    assert {source.rpartition("/")[0] for source in policies[1]["script-src"].split()} == {f"{review.emulator.url}/worker/assets"}
    assert policies[1]["form-action"] == "'none'"
    assert policies[1]["frame-ancestors"] == review.emulator.url


def policy(headers: dict[str, str]) -> dict[str, str]:
    """A page's content security policy by directive."""
    parts = (directive.strip().partition(" ") for directive in headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


def test_nobody_is_signed_in_after_signing_out(review: Review) -> None:
    portal = person(review, "leaver", "leavers")

    status, page = submit(portal, "/worker/sign-out", {"csrf": portal.csrf})

    assert (status, "Sign in to review" in page) == (200, True)
    assert portal.fetch("/worker/next")[0] == 401


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

    _, state = portal.post("/worker/skips", {"task": task, "reason": "unclear"})
    assert (state["task"], state["waiting"], state["skipped"]) == (None, 0, 1)

    assert portal.next(skipped=True)["task"]["id"] == task
    portal.answer("neutral")
    assert review.ended("skipped")["HumanLoopStatus"] == "Completed"


def test_an_answer_is_undone_while_a_colleague_still_has_to_answer(review: Review) -> None:
    portal = person(review, "undoer", "undoers")
    flow = review.flow("undoes", 2, WorkteamArn=team_arn(review, "undoers"))
    review.ask(flow, "undone", "text")
    task = portal.take()
    portal.answer("positive")

    status, state = portal.post("/worker/undos", {"task": task})

    assert (status, state["task"]["id"], state["task"]["earlier"]) == (200, task, {"category": {"label": "positive"}})
    portal.answer("neutral")
    review.add_worker("undoers-colleague", group="undoers")
    colleague = Portal(review)
    colleague.sign_in("undoers-colleague")
    colleague.answer("neutral")
    review.ended("undone")
    assert [one["answerContent"] for one in review.output("undone")["humanAnswers"]] == [{"category": {"label": "neutral"}}] * 2
    status, refusal = portal.post("/worker/undos", {"task": task})
    assert (status, refusal["message"][:19]) == (409, "This task has ended")


def test_who_is_in_the_group_of_leads_sees_their_teams_and_no_others(review: Review) -> None:
    review.client("cognito-idp").create_group(UserPoolId=review.pool, GroupName="leads")
    worker, lead = person(review, "led", "led-team"), person(review, "leader", "leaders-team")
    cognito = review.client("cognito-idp")
    for group in ("leads", "led-team"):
        cognito.admin_add_user_to_group(UserPoolId=review.pool, Username="leader", GroupName=group)
    review.ask(review.flow("led", WorkteamArn=team_arn(review, "led-team")), "led", "text")
    task = worker.take()

    assert worker.fetch("/worker/lead/overview")[0] == 404
    status, seen = lead.post("/worker/lead/released", {"task": task})
    assert (status, [one["id"] for one in seen["queue"]]) == (200, [task])
    assert lead.take() == task, "released, it is open to everybody"


def test_an_answer_outside_the_categories_is_refused_and_the_task_stays(review: Review) -> None:
    portal = person(review, "inventive", "inventors")
    review.ask(review.flow("invents", WorkteamArn=team_arn(review, "inventors")), "invents", "text")
    task = portal.take()

    status, refusal = portal.post("/worker/answers", {"task": task, "answer": {"category": {"label": "great"}}})

    assert (status, refusal["message"]) == (400, "category: 'great' is not one of negative, neutral, positive")
    assert portal.next()["task"]["id"] == task
