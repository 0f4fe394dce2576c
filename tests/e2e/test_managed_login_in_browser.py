"""Managed login of the embedded AWS in a real browser: from the app's page through every step, and back with its cookie."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from embedded_aws.testing.managed_login import App, Authenticator
from embedded_aws.testing.web import Site
from embedded_aws.tools.clients import Clients

pytestmark = pytest.mark.slow
TEMPORARY, PASSWORD = "Temporary-horse-1", "Correct-horse-77"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 400, "height": 800})
    context.set_default_timeout(45_000)
    expect.set_options(timeout=45_000)
    yield context.new_page()
    context.close()


def test_a_newcomer_signs_in_from_the_app_and_comes_back_with_its_cookie(page: Page, site: Site) -> None:
    cognito = Clients(site.emulator.url, site.emulator.region)("cognito-idp")
    name, pool, client = f"browser-{secrets.token_hex(4)}", site.outputs["Pool"], site.outputs["Client"]
    cognito.admin_create_user(UserPoolId=pool, Username=name, TemporaryPassword=TEMPORARY, MessageAction="SUPPRESS")
    secret = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=client)["UserPoolClient"]["ClientSecret"]
    app, home = App(site, secret), site.address(site.outputs["Domain"])
    challenge = app.pkce["code_challenge"]
    back = f"https%3A%2F%2F{site.outputs['Domain']}%2Fapi%2Fsigned-in"
    authorize = f"https://{site.outputs['SignIn']}/oauth2/authorize?response_type=code&client_id={client}&redirect_uri={back}"
    to = f"{authorize}&state=of-the-app&code_challenge={challenge}&code_challenge_method=S256"
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if message.type == "error" else None)

    page.goto(f"{home}/api/leaves?to={to.replace('&', '%26').replace('%3A', '%253A').replace('%2F', '%252F')}")
    page.get_by_label("User name").press_sequentially(name)
    page.keyboard.press("Tab")
    page.keyboard.type(TEMPORARY)
    page.keyboard.press("Enter")
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password again").fill(PASSWORD)
    page.get_by_role("button", name="Save password").click()
    key = page.locator("#secret").inner_text()
    expect(page.get_by_role("link", name="Open in an authenticator app")).to_have_attribute(
        "href", re.compile(f"^otpauth://.*secret={key}")
    )
    page.get_by_label("Code from the app").fill("000000")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("alert")).to_contain_text("The code is wrong")
    page.get_by_label("Code from the app").fill(Authenticator(key).code())
    page.get_by_role("button", name="Continue").click()

    page.wait_for_url(f"{home}/api/signed-in?**")
    code = re.search(r"[?&]code=([^&]+)", page.url)
    assert code and "state=of-the-app" in page.url
    tokens = app.exchange(code[1])
    assert tokens.status == 200 and tokens.json()["id_token"]
    kept = {cookie["name"]: cookie for cookie in page.context.cookies(home)}
    assert kept["__Host-one"]["secure"] and kept["__Host-one"]["httpOnly"], "an app's __Host- cookie is kept over this machine's plain HTTP"
    assert [text for text in refused if "Content Security Policy" in text] == []
