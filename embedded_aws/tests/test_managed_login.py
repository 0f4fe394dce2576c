"""Managed login without a browser: every step of a sign-in, the token endpoint, and what ends what was given."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import urllib.parse
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing.managed_login import App, Authenticator, Visitor, code_of, key_of, totp
from embedded_aws.testing.web import Reply, Site

TEMPORARY, PASSWORD = "Temporary-horse-1", "Correct-horse-77"


class Person:
    """A user of the pool, invited by an administrator."""

    def __init__(self, site: Site, cognito: Any) -> None:
        self.site, self.cognito, self.name = site, cognito, f"ada-{secrets.token_hex(4)}"
        self.pool = {"UserPoolId": site.outputs["Pool"]}
        self.who = {**self.pool, "Username": self.name}
        cognito.admin_create_user(**self.who, TemporaryPassword=TEMPORARY, MessageAction="SUPPRESS")
        described = cognito.describe_user_pool_client(**self.pool, ClientId=site.outputs["Client"])["UserPoolClient"]
        self.app, self.visitor = App(site, described["ClientSecret"]), Visitor(site)
        self.authenticator = Authenticator("")

    def give_password(self, page: Reply | None = None, password: str = PASSWORD, visitor: Visitor | None = None) -> Reply:
        visitor = visitor or self.visitor
        return visitor.submit(page or visitor.open_sign_in(**self.app.pkce), username=self.name, password=password)

    def enrol(self) -> Reply:
        """The whole first sign-in; the answer leads back to the app."""
        choose = self.give_password(password=TEMPORARY)
        set_up = self.visitor.submit(choose, new_password=PASSWORD, again=PASSWORD)
        self.authenticator = Authenticator(key_of(set_up))
        return self.visitor.submit(set_up, code=self.authenticator.code())

    def tokens(self, back: Reply) -> dict[str, Any]:
        reply = self.app.exchange(code_of(back))
        assert reply.status == 200, reply.body
        found: dict[str, Any] = reply.json()
        return found


@pytest.fixture
def person(site: Site, aws: Callable[..., Any]) -> Person:
    return Person(site, aws("cognito-idp"))


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def test_a_newcomer_chooses_a_password_sets_up_an_app_and_is_back(person: Person) -> None:
    choose = person.give_password(password=TEMPORARY)
    assert b"<h1>Choose a password</h1>" in choose.body
    set_up = person.visitor.submit(choose, new_password=PASSWORD, again=PASSWORD)
    assert f"secret={key_of(set_up)}" in set_up.body.decode() and "otpauth://totp/public-site-Pool" in set_up.body.decode()
    back = person.visitor.submit(set_up, code=Authenticator(key_of(set_up)).code())

    location = urllib.parse.urlsplit(back.header("location"))
    assert (back.status, f"{location.scheme}://{location.netloc}") == (302, person.site.address(person.site.outputs["Domain"]))
    assert (location.path, urllib.parse.parse_qs(location.query)["state"]) == ("/api/signed-in", ["s t&te"])
    user = person.cognito.admin_get_user(**person.who)
    assert (user["UserStatus"], user["UserMFASettingList"]) == ("CONFIRMED", ["SOFTWARE_TOKEN_MFA"])


def test_tokens_say_who_it_is_and_of_which_groups(person: Person, site: Site) -> None:
    group = f"group-{secrets.token_hex(4)}"
    person.cognito.create_group(**person.pool, GroupName=group)
    person.cognito.admin_add_user_to_group(**person.who, GroupName=group)

    tokens = person.tokens(person.enrol())

    identity, access = claims(tokens["id_token"]), claims(tokens["access_token"])
    sub = next(item["Value"] for item in person.cognito.admin_get_user(**person.who)["UserAttributes"] if item["Name"] == "sub")
    assert (identity["sub"], identity["cognito:username"], identity["aud"]) == (sub, person.name, site.outputs["Client"])
    assert (access["sub"], access["username"], access["client_id"]) == (sub, person.name, site.outputs["Client"])
    assert identity["cognito:groups"] == access["cognito:groups"] == [group]
    assert (tokens["token_type"], tokens["expires_in"], identity["iss"]) == (
        "Bearer", 3600, f"https://cognito-idp.us-east-1.amazonaws.com/{site.outputs['Pool']}",
    )  # fmt: skip
    person.cognito.admin_remove_user_from_group(**person.who, GroupName=group)
    refreshed = person.app.refresh(tokens["refresh_token"]).json()
    assert "refresh_token" not in refreshed
    assert "cognito:groups" not in claims(refreshed["id_token"]), "the groups are those of now"


def test_each_further_sign_in_asks_for_a_code_that_counts_once(person: Person) -> None:
    person.enrol()
    used = person.authenticator
    other = Visitor(person.site)
    ask = person.give_password(visitor=other)
    assert b"<h1>Enter a code</h1>" in ask.body
    again = other.submit(ask, code=totp(used.secret, used.used))
    assert (again.status, b"has been used already" in again.body) == (400, True)
    assert other.submit(again, code=used.code()).status == 302


def test_who_has_lost_the_app_sets_up_another_one_and_stays_the_same_user(person: Person) -> None:
    sub = claims(person.tokens(person.enrol())["id_token"])["sub"]
    lost = person.authenticator
    assert person.cognito.admin_get_user(**person.who)["UserMFASettingList"] == ["SOFTWARE_TOKEN_MFA"]
    person.cognito.admin_delete_software_token(**person.who)
    person.cognito.admin_delete_software_token(**person.who)
    assert not person.cognito.admin_get_user(**person.who).get("UserMFASettingList")
    person.visitor = Visitor(person.site)
    set_up = person.give_password()
    assert key_of(set_up) != lost.secret
    back = person.visitor.submit(set_up, code=Authenticator(key_of(set_up)).code())
    assert claims(person.tokens(back)["id_token"])["sub"] == sub
    for who, code in (({"Username": "nobody"}, "UserNotFound"), ({"UserPoolId": "us-east-1_nothing00"}, "ResourceNotFound")):
        with pytest.raises(ClientError, match=f"{code}Exception"):
            person.cognito.admin_delete_software_token(**{**person.who, **who})


def test_a_pool_without_mfa_asks_for_no_code(person: Person) -> None:
    setting = person.cognito.get_user_pool_mfa_config(**person.pool)
    person.cognito.set_user_pool_mfa_config(**person.pool, MfaConfiguration="OFF")
    try:
        choose = person.give_password(password=TEMPORARY)
        assert person.visitor.submit(choose, new_password=PASSWORD, again=PASSWORD).status == 302
    finally:
        tokens = setting["SoftwareTokenMfaConfiguration"]
        person.cognito.set_user_pool_mfa_config(**person.pool, MfaConfiguration="ON", SoftwareTokenMfaConfiguration=tokens)


def test_a_signed_in_browser_is_sent_straight_back_until_it_logs_out(person: Person, site: Site) -> None:
    person.enrol()
    assert person.visitor.open_sign_in(**person.app.pkce).header("location").startswith(site.address(site.outputs["Domain"]))

    leave = {"client_id": site.outputs["Client"], "logout_uri": f"https://{site.outputs['Domain']}/"}
    out = person.visitor.get(f"/logout?{urllib.parse.urlencode(leave)}")
    assert (out.status, out.header("location")) == (302, f"{site.address(site.outputs['Domain'])}/")
    assert b"<h1>Sign in</h1>" in person.visitor.open_sign_in(**person.app.pkce).body
    elsewhere = urllib.parse.urlencode({**leave, "logout_uri": "https://elsewhere.example/"})
    assert person.visitor.get(f"/logout?{elsewhere}").status == 400


def test_a_disabled_user_s_browser_is_not_signed_in_any_more(person: Person) -> None:
    person.enrol()
    person.cognito.admin_disable_user(**person.who)

    assert b"<h1>Sign in</h1>" in person.visitor.open_sign_in(**person.app.pkce).body
    assert b"User is disabled." in person.give_password().body


@pytest.mark.parametrize("wrong", [{"username": "nobody"}, {"password": "Wrong-horse-77"}])
def test_a_wrong_password_tells_nothing_about_the_user(person: Person, wrong: dict[str, str]) -> None:
    page = person.visitor.open_sign_in(**person.app.pkce)
    reply = person.visitor.submit(page, **{"username": person.name, "password": TEMPORARY, **wrong})

    assert (reply.status, b"Incorrect username or password." in reply.body) == (400, True)


def test_a_weak_password_and_two_different_ones_are_refused_with_the_reason(person: Person) -> None:
    choose = person.give_password(password=TEMPORARY)
    weak = person.visitor.submit(choose, new_password="short", again="short")
    assert b"length greater than or equal to 12" in weak.body
    assert b"not the same" in person.visitor.submit(weak, new_password=PASSWORD, again=PASSWORD + "x").body


def test_wrong_passwords_lock_the_user_out_for_a_while_whatever_browser_it_is(person: Person) -> None:
    def is_locked_out() -> bool:
        person.give_password(password="Wrong-horse-77")
        return b"Too many wrong attempts" in person.give_password(None, TEMPORARY, Visitor(person.site)).body

    assert any(is_locked_out() for _ in range(12))


def test_wrong_codes_lock_the_user_out_too(person: Person) -> None:
    person.enrol()
    other = Visitor(person.site)
    page = person.give_password(visitor=other)

    def is_locked_out() -> bool:
        nonlocal page
        page = other.submit(page, code="000000")
        return b"Too many wrong attempts" in person.give_password(visitor=Visitor(person.site)).body

    assert any(is_locked_out() for _ in range(12))


def test_a_form_counts_once_and_in_its_own_browser(person: Person) -> None:
    page = person.visitor.open_sign_in(**person.app.pkce)
    stranger = Visitor(person.site)
    assert b"Go back to the app" in stranger.submit(page, username=person.name, password=TEMPORARY).body
    assert b"Go back to the app" in person.give_password(page, TEMPORARY).body, "the stranger's try has used it up"
    choose = person.give_password(password=TEMPORARY)
    skipped = person.visitor.submit(choose, step="code", code="000000")
    assert b"Go back to the app" in skipped.body, "no step is skipped by naming another one"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, {"error": ["unsupported_response_type"]}),
        ({"scope": "openid admin"}, {"error": ["invalid_request"], "error_description": ["invalid_scope"]}),
        ({"code_challenge": "x", "code_challenge_method": "plain"}, {"error": ["invalid_request"]}),
        ({"code_challenge": "x"}, {"error": ["invalid_request"]}),
        ({"identity_provider": "Google"}, {"error": ["invalid_request"]}),
    ],
    ids=str,
)
def test_what_an_app_may_not_ask_for_goes_back_to_it(person: Person, change: dict[str, str], error: dict[str, list[str]]) -> None:
    reply = person.visitor.open_sign_in(**change)

    found = urllib.parse.parse_qs(urllib.parse.urlsplit(reply.header("location")).query)
    assert reply.header("location").startswith(person.site.address(person.site.outputs["Domain"]))
    assert found == {**found, **error, "state": ["s t&te"]}


@pytest.mark.parametrize("change", [{"redirect_uri": "https://elsewhere.example/"}, {"client_id": "nobody"}], ids=str)
def test_a_browser_is_sent_to_no_address_that_is_not_registered(person: Person, change: dict[str, str]) -> None:
    reply = person.visitor.open_sign_in(**change)

    assert (reply.status, reply.header("location")) == (400, "")


def test_a_code_takes_its_verifier_its_client_and_its_address_once(person: Person) -> None:
    code = code_of(person.enrol())
    app = person.app

    def error(reply: Reply) -> tuple[int, str]:
        return reply.status, reply.json()["error"]

    assert error(app.exchange(code, code_verifier="x" * 43)) == (400, "invalid_grant")
    assert error(app.exchange(code, code_verifier="")) == (400, "invalid_grant")
    assert error(app.exchange(code, client_id=app.site.outputs["Client"])) == (400, "invalid_client")
    assert error(app.exchange(code, client_id=app.site.outputs["Client"], client_secret="wrong")) == (400, "invalid_client")
    assert (
        error(app.ask(grant_type="authorization_code", code=code, redirect_uri="https://x/", code_verifier=app.verifier))[1]
        == "invalid_grant"
    )
    assert app.exchange(code, client_id=app.site.outputs["Client"], client_secret=app.secret).status == 200
    assert error(app.exchange(code)) == (400, "invalid_grant")
    assert error(app.ask(grant_type="password")) == (400, "unsupported_grant_type")


def test_a_code_of_somebody_who_is_gone_gives_nothing(person: Person) -> None:
    code = code_of(person.enrol())
    person.cognito.admin_delete_user(**person.who)

    assert person.app.exchange(code).json() == {"error": "invalid_grant"}


ENDS = {
    "disabled": lambda person, _: person.cognito.admin_disable_user(**person.who),
    "deleted": lambda person, _: person.cognito.admin_delete_user(**person.who),
    "signed out everywhere": lambda person, _: person.cognito.admin_user_global_sign_out(**person.who),
    "revoked by the API": lambda person, token: person.cognito.revoke_token(
        Token=token, ClientId=person.app.site.outputs["Client"], ClientSecret=person.app.secret
    ),
    "revoked by the endpoint": lambda person, token: person.app.ask("/oauth2/revoke", token=token),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_refresh_token_ends_with_what_it_was_given_for(person: Person, end: Callable[[Person, str], Any]) -> None:
    tokens = person.tokens(person.enrol())
    assert person.app.refresh(tokens["refresh_token"]).status == 200

    end(person, tokens["refresh_token"])

    refused = person.app.refresh(tokens["refresh_token"])
    assert (refused.status, refused.json()) == (400, {"error": "invalid_grant"})
    with pytest.raises(ClientError):
        person.cognito.get_user(AccessToken=tokens["access_token"])


def test_a_refresh_token_needs_the_client_s_secret(person: Person) -> None:
    tokens = person.tokens(person.enrol())

    reply = person.app.refresh(tokens["refresh_token"], client_id=person.site.outputs["Client"])
    assert reply.json() == {"error": "invalid_client"}
    with pytest.raises(ClientError, match="Invalid client credentials"):
        person.cognito.revoke_token(Token=tokens["refresh_token"], ClientId=person.site.outputs["Client"])


def test_pages_have_no_script_and_say_where_a_form_may_lead(person: Person) -> None:
    page = person.visitor.open_sign_in(**person.app.pkce)

    policy = page.header("content-security-policy")
    assert "default-src 'none'; style-src 'self';" in policy and "script" not in page.body.decode()
    assert f"form-action 'self' {person.site.address(person.site.outputs['Domain'])};" in policy
    assert page.header("x-frame-options") == "DENY"
    assert person.visitor.get("/assets/login.css").header("content-type") == "text/css"
    hostile = person.visitor.submit(page, username='"><script>alert(1)</script>', password="x")
    assert b"<script>" not in hostile.body


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/oauth2/authorize"), ("GET", "/logout"), ("POST", "/login"), ("POST", "/oauth2/token")]
)
def test_the_pages_are_at_the_domain_only(site: Site, method: str, path: str) -> None:
    """ministack's own pages, on every host, ask for no authenticator."""
    connection = http.client.HTTPConnection("127.0.0.1", site.emulator.port, timeout=30)
    connection.request(method, f"{path}?client_id={site.outputs['Client']}")
    response = connection.getresponse()

    assert (response.status, b"at its own domain" in response.read()) == (404, True)
    connection.close()
