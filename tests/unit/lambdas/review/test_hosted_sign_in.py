"""Sign-in to the hosted page: the way through the user pool, the session afterwards, and who is out at once."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lambdas.review.hosted_tasks.table import desk_key, input_key, task_key
from lambdas.review.review_page import cognito
from lambdas.review.review_page.cognito import PageAddress, Person, SignInRefused, Standing
from lambdas.review.review_page.requests import MOST_BODY_BYTES, BodyTooLarge, api_response, page_request
from lambdas.review.review_page.sessions import Sessions, worker_id_of
from lambdas.review.review_page.sign_in import BEGUN, LEAVE, SESSION, Groups, HostedSignIn
from review_page.answers import Worker
from review_page.http import PageError, PageRequest, PageResponse

ADDRESS = PageAddress("https://page.example", "https://pool.example", "client", "us-east-1_Pool")
ANN = Person("0d5f", "ann")


class SessionTable:
    """The calls of a boto3 Table that sessions make."""

    name = "review-tasks"

    class exceptions:  # noqa: N801
        class ConditionalCheckFailedException(Exception): ...

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.asked: list[list[str]] = []
        self.now: Callable[[], float] = lambda: 0.0
        self.meta = type("Meta", (), {"client": self})

    def put_item(self, *, Item: dict[str, Any]) -> None:  # noqa: N803
        self.items[Item["pk"] if Item["sk"] == "session" else f"{Item['pk']}/{Item['sk']}"] = Item

    def get_item(self, *, Key: dict[str, str], ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803
        assert ConsistentRead
        [key] = [pk for pk in (f"{Key['pk']}/{Key['sk']}", Key["pk"]) if pk in self.items][:1] or [""]
        answered = {"ResponseMetadata": {"HTTPHeaders": {"date": formatdate(self.now(), usegmt=True)}}}
        return {"Item": self.items[key], **answered} if key else answered

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        assert RequestItems[self.name]["ConsistentRead"]
        keys = [one["pk"] for one in RequestItems[self.name]["Keys"]]
        self.asked.append(keys)
        return {"Responses": {self.name: [self.items[pk] for pk in keys if pk in self.items]}}

    def delete_item(self, *, Key: dict[str, str]) -> None:  # noqa: N803
        self.items.pop(Key["pk"], None)

    def update_item(self, *, Key: dict[str, str], ExpressionAttributeValues: dict[str, Any], **_: Any) -> None:  # noqa: N803
        if Key["pk"] not in self.items:
            raise self.exceptions.ConditionalCheckFailedException
        given = ExpressionAttributeValues
        self.items[Key["pk"]] |= {"member": given[":member"], "lead": given[":lead"], "checked_at": given[":checked"]}


class Pool:
    """A user pool with one code and one person in it."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.standing = Standing(True, ("reviewers",))
        self.asked = 0
        self.redeemed: list[tuple[str, str]] = []
        self.gave_back: list[Worker] = []
        self.read: dict[tuple[str, str], dict[str, Any] | None] = {}
        self.table = SessionTable()
        self.table.now = lambda: self.now
        self.person = ANN
        self.sign_in = HostedSignIn(
            Sessions(self.table, "reviewers"), ADDRESS, Groups("reviewers", "leads"), redeem=self.redeem, standing=self.ask,
            give_back=self.gave_back.append, has_read=self.has_read, clock=lambda: self.now,
        )  # fmt: skip

    def has_read(self, keys: Sequence[tuple[str, str]], records: Iterable[dict[str, Any]]) -> None:
        self.read = {**dict.fromkeys(keys), **{(one["pk"], one["sk"]): one for one in records}}

    def redeem(self, code: str, verifier: str) -> Person:
        if code != "right":
            raise SignInRefused("no such code")
        self.redeemed.append((code, verifier))
        return self.person

    def ask(self, person: Person) -> Standing:
        assert person == ANN
        self.asked += 1
        return self.standing


def request(path: str = "/worker", cookies: dict[str, str] | None = None, query: str = "") -> PageRequest:
    values = {name: values[0] for name, values in parse_qs(query).items()}
    headers = {"cookie": "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())}
    return PageRequest("GET", path, headers, b"", values, ADDRESS.url)


def cookie(response: PageResponse) -> tuple[str, str]:
    name, _, rest = response.headers["Set-Cookie"].partition("=")
    value, *attributes = rest.split("; ")
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(attributes)
    return name, value


def begin(pool: Pool, before: str = "") -> tuple[str, dict[str, list[str]]]:
    """The browser's cookie, which was ``before`` until now, and what the user pool is asked."""
    response = pool.sign_in.ask(request(cookies={BEGUN: before} if before else {}))
    name, value = cookie(response)
    assert name == BEGUN
    target = urlsplit(response.headers["Location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == "https://pool.example/oauth2/authorize"
    return value, parse_qs(target.query)


def come_back(pool: Pool, begun: str, state: str, code: str = "right", **more: str) -> PageResponse:
    found = pool.sign_in.open_route(request("/worker/signed-in", {BEGUN: begun, **more}, f"code={code}&state={state}"))
    assert found is not None
    return found


def signed_in(pool: Pool) -> str:
    begun, query = begin(pool)
    name, token = cookie(come_back(pool, begun, query["state"][0]))
    assert name == SESSION
    return token


def test_the_code_is_redeemed_with_the_verifier_of_the_browser_that_began() -> None:
    pool = Pool()
    begun, query = begin(pool)
    state, verifier, at = begun.split(".")
    assert int(at) == pool.now
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert query["code_challenge"] == [challenge]
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == ["https://page.example/worker/signed-in"]
    response = come_back(pool, begun, state)
    assert (response.status, response.headers["Location"]) == (303, "/worker")
    assert pool.redeemed == [("right", verifier)]


STATE, VERIFIER = "s" * 32, "v" * 64
HERE = f"{STATE}.{VERIFIER}.1000"


@pytest.mark.parametrize(
    ("begun", "state", "code"),
    [
        ("", "", "right"), ("", STATE, "right"), (HERE, STATE, "wrong"), (HERE, STATE, ""), (f"{STATE}.{VERIFIER}.400", STATE, "right"),
        (f"{STATE}.{VERIFIER}.1001", STATE, "right"), (f"{STATE}.{VERIFIER}", STATE, "right"), ("..1000", "", "right"),
        (f"{STATE}..1000", STATE, "right"), (f"x{HERE}", STATE, "right"), ("~~~~" + HERE, STATE, "right"),
    ],
)  # fmt: skip
def test_a_sign_in_that_was_not_begun_here_is_refused(begun: str, state: str, code: str) -> None:
    pool = Pool()
    with pytest.raises(PageError) as refused:
        come_back(pool, begun, state, code)
    assert (refused.value.status, pool.table.items) == (403, {})


def test_each_of_some_tabs_that_begin_at_once_may_come_back() -> None:
    pool = Pool()
    begun, states = "", []
    for _ in range(6):
        begun, query = begin(pool, begun)
        states.append(query["state"][0])
        pool.now += 10
    assert len(begun) < 500
    for state in states[:2]:
        again = come_back(pool, begun, state).headers["Location"]
        assert parse_qs(urlsplit(again).query)["state"] == [states[-1]], "it goes on with one that the browser still has"
    assert pool.redeemed == []
    assert [come_back(pool, begun, state).status for state in states[2:]] == [303] * 4
    assert len(set(pool.redeemed)) == 4, "each with the verifier of its own"
    pool.now += 600 - 30
    assert come_back(pool, begun, states[2]).headers["Location"].startswith("https://pool.example/oauth2/authorize?")
    assert come_back(pool, begun, states[-1]).status == 303
    assert begin(pool, begun)[0].count("~") == 2, "those that took too long are gone"


@pytest.mark.parametrize("standing", [Standing(True, ()), Standing(True, ("others",)), Standing(False, ("reviewers",))])
def test_who_is_in_no_team_gets_no_session(standing: Standing) -> None:
    pool = Pool()
    pool.standing = standing
    with pytest.raises(PageError, match="is in no team") as refused:
        signed_in(pool)
    assert refused.value.also == ("/worker/leave", "Sign in with another account"), "the user pool would let the same account in again"
    assert not pool.table.items


def test_the_table_never_has_the_session_s_id() -> None:
    pool = Pool()
    token = signed_in(pool)
    owner, _, secret = token.partition(".")
    assert (owner, len(base64.urlsafe_b64decode(secret + "="))) == (worker_id_of(ANN.sub), 32)
    session = pool.sign_in.session_of(request(cookies={SESSION: token}))
    assert session is not None
    assert token not in json.dumps(pool.table.items) and session.csrf not in json.dumps(pool.table.items)
    assert session.worker.identity == {
        "identityProviderType": "Cognito",
        "issuer": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Pool",
        "sub": "0d5f",
    }
    assert (session.teams(), session.leads()) == (("reviewers",), ())


def test_a_request_reads_its_records_along_with_the_session() -> None:
    pool = Pool()
    token, me, task = signed_in(pool), worker_id_of(ANN.sub), "7" * 32
    desk = pool.table.items[f"worker#{me}"] = {"pk": f"worker#{me}", "sk": "desk"}
    for method, path, body, keys in (
        ("GET", "/worker/next", b"", [desk_key(me)]),
        ("GET", "/worker/ahead/", b"", [desk_key(me)]),
        ("GET", f"/worker/tasks/{task}", b"", [task_key(task), input_key(task)]),
        ("POST", "/worker/answers", json.dumps({"task": task}).encode(), [desk_key(me), task_key(task), input_key(task)]),
        ("POST", "/worker/flags", json.dumps({"task": task}).encode(), [desk_key(me), task_key(task)]),
        ("POST", "/worker/skips", b'{"task": "session"}', [desk_key(me)]),
        ("POST", "/worker/undos", b"[", [desk_key(me)]),
    ):
        pool.table.asked.clear()
        assert pool.sign_in.session_of(replace(request(path, {SESSION: token}), method=method, body=body)) is not None
        assert [one[1:] for one in pool.table.asked] == [[pk for pk, _ in keys]]
        assert pool.read == {**dict.fromkeys(keys), **({desk_key(me): desk} if desk_key(me) in keys else {})}
    pool.table.asked.clear()
    for method, path in (("GET", "/worker"), ("GET", "/worker/lead/overview"), ("POST", "/worker/next"), ("POST", "/worker/sign-out")):
        assert pool.sign_in.session_of(replace(request(path, {SESSION: token}), method=method)) is not None
    assert not pool.table.asked, "these need nothing but the session"


def test_an_id_that_names_somebody_else_is_of_no_session() -> None:
    pool = Pool()
    secret = signed_in(pool).partition(".")[2]
    for forged in (f"{worker_id_of('eve')}.{secret}", secret):
        assert pool.sign_in.session_of(request("/worker/next", {SESSION: forged})) is None
    assert pool.read == {}, "nobody has read anything"


def test_a_session_from_before_its_id_named_the_person_goes_on() -> None:
    pool = Pool()
    item = pool.table.items.popitem()[1] if signed_in(pool) else {}
    old = "o" * 43
    pk = f"session#{hashlib.sha256(old.encode()).hexdigest()}"
    pool.table.items[pk] = {**item, "pk": pk}
    session = pool.sign_in.session_of(request("/worker/next", {SESSION: old}))
    assert session is not None
    assert (session.worker.worker_id, pool.table.asked) == (worker_id_of(ANN.sub), [])


def test_what_was_read_before_the_person_was_looked_up_is_read_again() -> None:
    pool = Pool()
    token = signed_in(pool)
    pool.now += 60
    assert pool.sign_in.session_of(request("/worker/next", {SESSION: token})) is not None
    assert (len(pool.table.asked), pool.read) == (1, {})


def test_a_sign_in_ends_the_session_that_the_browser_had() -> None:
    pool = Pool()
    first = signed_in(pool)
    begun, query = begin(pool)
    _, second = cookie(come_back(pool, begun, query["state"][0], **{SESSION: first}))
    assert first != second
    assert pool.sign_in.session_of(request(cookies={SESSION: first})) is None
    assert pool.sign_in.session_of(request(cookies={SESSION: second})) is not None


@pytest.mark.parametrize("standing", [Standing(False, ()), Standing(True, ())])
def test_who_is_removed_or_disabled_is_out_within_a_minute_and_gives_back(standing: Standing) -> None:
    pool = Pool()
    token = signed_in(pool)
    pool.standing, pool.asked = standing, 0
    pool.now += 59
    assert pool.sign_in.session_of(request(cookies={SESSION: token})) is not None
    assert pool.asked == 0, "what is known is young enough"
    pool.now += 1
    assert pool.sign_in.session_of(request(cookies={SESSION: token})) is None
    assert [one.name for one in pool.gave_back] == ["ann"]
    pool.standing = Standing(True, ("reviewers",))
    assert pool.sign_in.session_of(request(cookies={SESSION: token})) is None, "an ended session stays ended"


@pytest.mark.parametrize(("sub", "active"), [(ANN.sub, True), ("of-a-later-account", False)])
def test_a_new_account_of_the_same_name_is_somebody_else(sub: str, active: bool) -> None:
    user = {"Enabled": True, "UserAttributes": [{"Name": "sub", "Value": sub}, {"Name": "email", "Value": "ann@example.com"}]}
    groups = SimpleNamespace(paginate=lambda **_: [{"Groups": [{"GroupName": name}]} for name in ("others", "reviewers")])
    client = SimpleNamespace(
        admin_get_user=lambda **_: user,
        get_paginator=lambda name: groups if name == "admin_list_groups_for_user" else None,
        exceptions=SimpleNamespace(UserNotFoundException=LookupError),
    )
    assert cognito.standing(client, ADDRESS, ANN) == Standing(active, ("others", "reviewers") if active else ())


def test_tabs_that_begin_in_the_same_moment_all_end_signed_in() -> None:
    """A browser that opens its tabs of yesterday: none of their requests has the others' cookie, and the last answer stays."""
    pool = Pool()
    (_, first), (kept, second) = begin(pool), begin(pool)
    overtaken, state = first["state"][0], second["state"][0]
    sent_again = come_back(pool, kept, overtaken)
    query = parse_qs(urlsplit(sent_again.headers["Location"]).query)
    assert (query["state"], query["code_challenge"], pool.redeemed) == (second["state"], second["code_challenge"], [])
    _, token = cookie(come_back(pool, kept, state))
    late = come_back(pool, kept, overtaken, **{SESSION: token})
    assert (late.headers["Location"], "Set-Cookie" in late.headers, len(pool.redeemed)) == ("/worker", False, 1)
    assert pool.sign_in.session_of(request(cookies={SESSION: token})) is not None


def test_who_is_signed_out_everywhere_is_out_on_each_machine_and_asked_again() -> None:
    """Also a browser that the user pool remembers: its codes are new, and the sign-in behind them is not."""
    pool = Pool()
    pool.person = replace(ANN, signed_in_at=900)
    tokens = [signed_in(pool), signed_in(pool)]
    Sessions(pool.table, "reviewers").end_all(ANN.sub)
    pool.now += 60
    assert [pool.sign_in.session_of(request(cookies={SESSION: token})) for token in tokens] == [None, None]
    begun, query = begin(pool)
    remembered = come_back(pool, begun, query["state"][0])
    assert (remembered.headers["Location"], "Set-Cookie" in remembered.headers) == (LEAVE, False)
    pool.person = replace(ANN, signed_in_at=int(pool.now))
    token = signed_in(pool)
    pool.now += 60
    assert pool.sign_in.session_of(request(cookies={SESSION: token})) is not None


def test_a_session_from_before_it_knew_its_sign_in_is_ended_too() -> None:
    pool = Pool()
    token = signed_in(pool)
    [item] = pool.table.items.values()
    del item["signed_in_at"]
    pool.now += 60
    assert pool.sign_in.session_of(request(cookies={SESSION: token})) is not None
    Sessions(pool.table, "reviewers").end_all(ANN.sub)
    pool.now += 60
    assert pool.sign_in.session_of(request(cookies={SESSION: token})) is None


def test_the_address_of_a_code_that_is_loaded_again_leads_to_the_page() -> None:
    pool = Pool()
    begun, query = begin(pool)
    _, token = cookie(come_back(pool, begun, query["state"][0]))
    again = come_back(pool, begun, query["state"][0], "used", **{SESSION: token})
    assert (again.headers["Location"], "Set-Cookie" in again.headers) == ("/worker", False)
    with pytest.raises(PageError, match="could not be finished"):
        come_back(pool, begun, query["state"][0], "used", **{SESSION: "x" * 43})


COOKIE = "__Host-session=right"


@pytest.mark.parametrize(
    "others", ['theme={"dark": true}; {}', "{}; a b=1", "(x)=1; {}", "flag; {}", "expires=Mon, 1; {}", "ä=1; {}", 'a="x; {}', "=x; {}; y"]
)
def test_cookies_of_other_applications_hide_no_session(others: str) -> None:
    """One that Python's own reader refuses would have sent everybody of the domain to the sign-in, again and again."""
    headers = {"cookie": others.replace("{}", COOKIE)}
    assert replace(request(), headers=headers).cookie(SESSION) == "right"


@pytest.mark.parametrize(
    "given",
    [
        "\u2000__Host-session=evil", "__host-session=evil", "__Host-session =", "__Host-session",
        'a="x; __Host-session=evil"; __Host-session=right',
        "__Host-session=right; __Host-session=evil", "$Version=1; __Host-session=evil; __Host-session=right", "x__Host-session=evil",
    ],
)  # fmt: skip
def test_a_session_that_somebody_else_may_have_set_is_none(given: str) -> None:
    """A neighbour in the domain cannot set a cookie with this prefix; it may set one that a server would take for it, or a second one."""
    assert not replace(request(), headers={"cookie": given}).cookie(SESSION)


def test_a_lead_who_is_no_member_leads_and_answers_nothing() -> None:
    pool = Pool()
    pool.standing = Standing(True, ("leads",))
    session = pool.sign_in.session_of(request(cookies={SESSION: signed_in(pool)}))
    assert session is not None
    assert (session.teams(), session.leads()) == ((), ("reviewers",))


def test_a_session_ends_after_twelve_hours_and_at_sign_out() -> None:
    pool = Pool()
    token = signed_in(pool)
    pool.now += 12 * 3_600
    assert pool.sign_in.session_of(request(cookies={SESSION: token})) is None
    token = signed_in(pool)
    response = pool.sign_in.end(request(cookies={SESSION: token}))
    assert (response.status, cookie(response)) == (200, (SESSION, ""))
    assert f"url={LEAVE}".encode() in response.body, "a redirect to the user pool would break form-action"
    left = pool.sign_in.open_route(request(LEAVE))
    assert left is not None
    assert left.headers["Location"] == "https://pool.example/logout?client_id=client&logout_uri=https%3A%2F%2Fpage.example%2Fworker"
    assert pool.sign_in.session_of(request(cookies={SESSION: token})) is None


def claims(**changed: Any) -> dict[str, Any]:
    return {"iss": ADDRESS.issuer, "aud": "client", "token_use": "id", "exp": 2_000, "auth_time": 900, "sub": "0d5f",
            "cognito:username": "ann", **changed}  # fmt: skip


def answered(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(json.dumps({"id_token": token}).encode()))


def token(found: dict[str, Any]) -> str:
    return "head." + base64.urlsafe_b64encode(json.dumps(found).encode()).rstrip(b"=").decode() + ".signature"


def test_the_token_names_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch, token(claims()))
    person = cognito.redeem(ADDRESS, "c", "v", 1_000)
    assert (person, person.signed_in_at) == (ANN, 900)


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://elsewhere"}, {"aud": "other"}, {"token_use": "access"}, {"exp": 1_000}, {"exp": None}, {"sub": None},
        {"cognito:username": 1}, {"auth_time": None},
    ],
)  # fmt: skip
def test_a_token_that_is_not_for_this_page_is_refused(changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch, token(claims(**changed)))
    with pytest.raises(SignInRefused):
        cognito.redeem(ADDRESS, "c", "v", 1_000)


@pytest.mark.parametrize("given", ["", "a.b", "a.!.c", "a.W10.c"])
def test_what_is_no_token_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answered(monkeypatch, given)
    with pytest.raises(SignInRefused):
        cognito.redeem(ADDRESS, "c", "v", 1_000)


def test_a_code_that_the_pool_refuses_is_a_refusal_and_its_failure_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(status: int) -> Any:
        def open_url(*_: Any, **__: Any) -> Any:
            raise urllib.error.HTTPError("https://pool.example", status, "no", {}, None)  # type: ignore[arg-type]

        return open_url

    monkeypatch.setattr(urllib.request, "urlopen", fails(400))
    with pytest.raises(SignInRefused):
        cognito.redeem(ADDRESS, "c", "v", 1_000)
    monkeypatch.setattr(urllib.request, "urlopen", fails(500))
    with pytest.raises(urllib.error.HTTPError):
        cognito.redeem(ADDRESS, "c", "v", 1_000)


EVENT = {
    "rawPath": "/worker/next",
    "rawQueryString": "skipped=1&skipped=2",
    "headers": {"Accept": "text/html", "host": "evil.example"},
    "cookies": ["a=1", "b=2"],
    "requestContext": {"http": {"method": "POST"}},
    "body": base64.b64encode(b"{}").decode(),
    "isBase64Encoded": True,
}


def test_an_event_becomes_a_request_of_the_page_s_own_origin() -> None:
    found = page_request(EVENT, ADDRESS.url)
    assert (found.method, found.path, found.body, found.query) == ("POST", "/worker/next", b"{}", {"skipped": "1"})
    assert (found.headers["accept"], found.cookie("b"), found.origin) == ("text/html", "2", ADDRESS.url)


@pytest.mark.parametrize("encoded", [True, False])
def test_a_body_of_more_than_64_kb_is_refused(encoded: bool) -> None:
    def event(size: int) -> dict[str, Any]:
        body = b"x" * size
        return {**EVENT, "body": base64.b64encode(body).decode() if encoded else body.decode(), "isBase64Encoded": encoded}

    assert len(page_request(event(MOST_BODY_BYTES), ADDRESS.url).body) == MOST_BODY_BYTES
    for size in (MOST_BODY_BYTES + 1, 3 * MOST_BODY_BYTES):
        with pytest.raises(BodyTooLarge):
            page_request(event(size), ADDRESS.url)


def test_a_response_keeps_its_bytes_and_its_cookie() -> None:
    answer = api_response(PageResponse(200, b"\xff\x00", {"Content-Type": "image/png", "Set-Cookie": "a=b"}))
    assert base64.b64decode(answer["body"]) == b"\xff\x00"
    assert (answer["cookies"], answer["headers"], answer["isBase64Encoded"]) == (["a=b"], {"Content-Type": "image/png"}, True)
