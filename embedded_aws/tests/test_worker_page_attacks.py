"""The worker page against those who mean harm: forged forms, stored scripts, workers who were taken out, guesses and floods."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing.reviews import PASSWORD, Portal, Review, person, team_arn, wait_for

FORMS = ("/worker/sign-in", "/worker/first-password", "/worker/code")
BROWSER = {
    "Accept": "text/html,application/xhtml+xml",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-Mode": "navigate",
}


def form(**fields: str) -> bytes:
    return urllib.parse.urlencode(fields).encode()


def directives(headers: dict[str, str]) -> dict[str, str]:
    parts = (directive.strip().partition(" ") for directive in headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


@pytest.fixture
def connection(review: Review) -> Iterator[http.client.HTTPConnection]:
    opened = http.client.HTTPConnection(urlsplit(review.emulator.url).netloc, timeout=30)
    yield opened
    opened.close()


# -- forged forms ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("token", ["-", "", "\u00e4", "guessed"])
def test_a_form_without_its_own_cookie_is_refused(review: Review, path: str, token: str) -> None:
    """Another site could sign a visitor in as somebody else, and would read their answers."""
    name = f"forged-{secrets.token_hex(4)}"
    review.add_worker(name)
    portal = Portal(review)

    status, _, _ = portal.fetch(path, form(token=token, username=name, password=PASSWORD, challenge="x", code="123456"))

    assert status == 403
    assert portal.fetch("/worker/next")[0] == 401


@pytest.mark.parametrize("token", ["-", "", "\u00e4"])
def test_a_session_is_ended_or_used_by_its_own_pages_only(review: Review, token: str) -> None:
    portal = person(review, f"kept-{secrets.token_hex(4)}")

    assert portal.fetch("/worker/sign-out", form(csrf=token))[0] == 403
    assert portal.fetch("/worker/skips", b"{}", {"X-CSRF-Token": token.encode().decode("latin-1")})[0] == 403
    assert portal.fetch("/worker/next")[0] == 200


def test_signing_in_again_ends_the_browsers_earlier_session(review: Review) -> None:
    portal = person(review, "again")
    (before,) = [cookie.value for cookie in portal.cookies if cookie.name == "worker_session"]
    page = Portal(review).fetch("/worker")
    token = page[2].split('name="token" value="')[1].split('"')[0]

    headers = {"Cookie": f"worker_form={token}; worker_session={before}"}
    signed_in = Portal(review).fetch("/worker/sign-in", form(token=token, username="again", password=PASSWORD), headers)

    assert signed_in[0] in (200, 303)
    assert Portal(review).fetch("/worker/next", headers={"Cookie": f"worker_session={before}"})[0] == 401


# -- stored scripts --------------------------------------------------------------------------------


def test_a_page_stored_in_s3_runs_nothing_on_the_origin_of_the_session(review: Review) -> None:
    script = b"<script>fetch('/worker')</script>"
    review.client("s3").put_object(Bucket=review.bucket, Key="evil.html", Body=script, ContentType="text/html")
    url = review.client("s3").generate_presigned_url("get_object", Params={"Bucket": review.bucket, "Key": "evil.html"})
    address = urlsplit(url)
    path = f"{address.path}?{address.query}"

    for headers in (BROWSER, {"Accept": "text/html"}, {**BROWSER, "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "same-origin"}):
        status, answered, body = Portal(review).fetch(path, headers=headers)
        assert (status, body.encode()) == (200, script)
        policy = directives(answered)
        assert policy["sandbox"] == "", "no scripts, and an origin of its own"
        assert (policy["default-src"], policy["frame-ancestors"]) == ("'none'", "'none'")
        assert answered["x-content-type-options"] == "nosniff"
    assert "content-security-policy" not in Portal(review).fetch(path)[1], "programs get what S3 gives"


def test_the_pages_around_a_task_load_from_the_pages_own_paths_only(review: Review) -> None:
    """'self' is every object of S3 too."""
    url = review.emulator.url
    for portal in (Portal(review), person(review, "shell-reader")):
        policy = directives(portal.fetch("/worker")[1])
        assert "'self'" not in " ".join(policy.values())
        assert (policy["script-src"], policy["frame-src"]) == (f"{url}/worker/assets/", f"{url}/worker/tasks/")
        assert (policy["connect-src"], policy["form-action"]) == (f"{url}/worker/", f"{url}/worker/")


def test_no_answer_with_anything_personal_is_kept_by_a_cache(review: Review) -> None:
    portal = person(review, "uncached")
    for path in ("/worker", "/worker/next", "/worker/nowhere"):
        assert portal.fetch(path)[1]["cache-control"] == "no-store"


# -- workers who were taken out --------------------------------------------------------------------


def leave_the_group(review: Review, name: str, team: str) -> None:
    review.client("cognito-idp").admin_remove_user_from_group(UserPoolId=review.pool, Username=name, GroupName=team)


def disabled(review: Review, name: str, team: str) -> None:
    review.client("cognito-idp").admin_disable_user(UserPoolId=review.pool, Username=name)


def deleted(review: Review, name: str, team: str) -> None:
    review.client("cognito-idp").admin_delete_user(UserPoolId=review.pool, Username=name)


def made_anew(review: Review, name: str, team: str) -> None:
    deleted(review, name, team)
    review.add_worker(name, group=team)


@pytest.mark.parametrize("leave", [leave_the_group, disabled, deleted, made_anew], ids=lambda one: one.__name__)
def test_who_was_taken_out_answers_nothing_and_their_task_goes_to_a_colleague(
    review: Review, leave: Callable[[Review, str, str], None]
) -> None:
    name = leave.__name__.replace("_", "-")
    leaver = person(review, name, team=f"team-{name}")
    review.add_worker(f"stays-{name}", group=f"team-{name}")
    review.ask(review.flow(f"flow-{name}", WorkteamArn=team_arn(review, f"team-{name}")), f"loop-{name}", "text")
    task = leaver.take()

    leave(review, name, f"team-{name}")
    status, _ = leaver.post("/worker/answers", {"task": task, "answer": {"category": {"label": "positive"}}})

    assert status in (401, 409)
    assert review.loop(f"loop-{name}")["HumanLoopStatus"] == "InProgress"
    assert leaver.fetch(f"/worker/tasks/{task}")[0] in (401, 404)
    colleague = Portal(review)
    colleague.sign_in(f"stays-{name}")
    assert colleague.take() == task
    colleague.answer("neutral")
    review.ended(f"loop-{name}")
    (answer,) = review.output(f"loop-{name}")["humanAnswers"]
    assert answer["answerContent"] == {"category": {"label": "neutral"}}


def test_what_somebody_holds_goes_to_a_colleague_when_they_sign_out(review: Review) -> None:
    """A lease lasts an hour: without this the task would wait for somebody who has gone home."""
    leaver = person(review, "goes-home", "evening")
    review.add_worker("night-shift", group="evening")
    review.ask(review.flow("evening", WorkteamArn=team_arn(review, "evening")), "evening", "text")
    task = leaver.take()

    assert leaver.fetch("/worker/sign-out", form(csrf=leaver.csrf))[0] == 200

    colleague = Portal(review)
    colleague.sign_in("night-shift")
    assert colleague.take() == task


# -- what others write into a page -----------------------------------------------------------------


@pytest.mark.parametrize("host", ["a;script-src *;x.localhost", "a b.localhost", "a'unsafe-inline'.localhost", "a,b.localhost"])
def test_a_host_header_writes_nothing_into_a_policy(connection: http.client.HTTPConnection, host: str) -> None:
    connection.request("GET", "/worker", headers={"Host": host})
    response = connection.getresponse()

    assert response.status in (400, 403)
    assert "script-src" not in (response.getheader("Content-Security-Policy") or "")
    assert b"script-src" not in response.read()


@pytest.mark.parametrize("given", ["", "s3://", "https://elsewhere.example/x"])
def test_access_to_nothing_is_no_task_and_its_loop_says_why(review: Review, given: str) -> None:
    content = '<img src="{{ task.input.text | grant_read_access }}"><crowd-form><crowd-input name="seen"></crowd-input></crowd-form>'
    name = f"grants-{secrets.token_hex(4)}"
    ui = review.client("sagemaker").create_human_task_ui(HumanTaskUiName=name, UiTemplate={"Content": content})["HumanTaskUiArn"]

    review.ask(review.flow(name, HumanTaskUiArn=ui), name, given)

    ended = review.ended(name)
    assert ended["HumanLoopStatus"] == "Failed"
    assert "grant_read_access needs the S3 URI of an object" in ended["FailureReason"]


@pytest.mark.parametrize("content", ['{"a":' * 20_000 + "1" + "}" * 20_000, '{"text": NaN}', "[1]"], ids=["deep", "not a number", "a list"])
def test_an_input_that_is_no_json_object_is_refused(review: Review, content: str) -> None:
    flow = review.flow(f"odd-{secrets.token_hex(4)}")

    with pytest.raises(ClientError, match="InputContent"):
        review.client("sagemaker-a2i-runtime").start_human_loop(
            HumanLoopName=f"odd-{secrets.token_hex(4)}", FlowDefinitionArn=flow, HumanLoopInput={"InputContent": content}
        )


# -- guesses and floods ----------------------------------------------------------------------------


def test_wrong_passwords_are_slowed_down_and_the_right_one_works_again(review: Review) -> None:
    """After five failures each further one doubles the wait, as Cognito does it: forty guesses in a row cannot all be heard."""
    review.add_worker("guessed")
    pages = [Portal(review).sign_in("guessed", "Wrong-password-1") for _ in range(40)]

    assert all("The user name or the password is wrong." in page for page in pages[:5])
    assert [page for page in pages if "Too many wrong attempts" in page]
    assert wait_for(lambda: "csrf-token" in Portal(review).sign_in("guessed"), "the end of the lock")
    assert "The user name or the password is wrong." in Portal(review).sign_in("guessed", "Wrong-password-1"), "counted from zero again"


@pytest.mark.parametrize("path", [*FORMS, "/worker/sign-out", "/worker/answers", "/worker/skips", "/worker/nowhere", "/_embedded/raters"])
def test_a_body_beyond_the_limit_is_refused_before_it_is_read(connection: http.client.HTTPConnection, path: str) -> None:
    connection.putrequest("POST", path)
    connection.putheader("Content-Length", str(100 * 1024 * 1024))
    connection.endheaders()

    response = connection.getresponse()

    assert response.status == 413
    assert "bytes that this path takes" in json.loads(response.read())["message"]


def test_a_body_of_unknown_length_is_cut_at_the_limit(connection: http.client.HTTPConnection) -> None:
    # The server answers at the limit and closes: whatever the client still sends may find the connection gone.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request("POST", "/worker/answers", body=(b" " * 32_768 for _ in range(4)), encode_chunked=True)
    answer = connection.sock.recv(64)

    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("path", ["/worker/answers", "/_embedded/raters"])
@pytest.mark.parametrize("body", [b"[" * 20_000, b"{", b"\xff", b"[]", b"3"], ids=["deep", "cut", "no text", "a list", "a number"])
def test_a_body_that_is_no_object_is_refused_with_400(review: Review, path: str, body: bytes) -> None:
    portal = person(review, f"odd-{secrets.token_hex(4)}")

    status, _, text = portal.fetch(path, body, {"X-CSRF-Token": portal.csrf, "Content-Type": "application/json"})

    assert (status, "JSON" in text) == (400, True)


def test_a_form_with_more_fields_than_any_of_ours_is_refused(review: Review) -> None:
    assert Portal(review).fetch("/worker/sign-in", "&".join(f"a{number}=1" for number in range(30)).encode())[0] == 400
