"""The worker page in a real browser: sign in, label by keyboard, hostile text, light and dark."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "local"))

from playwright.sync_api import Browser, Page, expect, sync_playwright
from review_setup import LABELS, PASSWORD, Review

from local import stack_process

CHROMIUM = Path(os.environ.get("REVIEWLOOP_CHROMIUM", "/usr/bin/chromium"))
TEXTS = {
    "page-1": ("The battery lasts all week and I love it.", "3", "positive"),
    "page-2": ("It broke on the second day.", "1", "negative"),
    "page-3": ("The box holds a cable and a manual.", "2", "neutral"),
    "page-4": ("Support answered at once, wonderful people.", "3", "positive"),
    "page-5": ("I want my money back.", "1", "negative"),
}
HOSTILE = """</classification-target></crowd-classifier><img src=x onerror="document.title='ran'"><script>parent.postMessage(
{type: 'submit', answer: {category: {label: 'positive'}}}, '*')</script>{{ task.input.labels }} "quoted" & 'single'"""


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Review]:
    running = stack_process.start(tmp_path_factory.mktemp("page") / "run", port=stack_process.free_port(), time_scale=0.1)
    try:
        prepared = Review(running).set_up()
        for username in ("reviewer", "reader", "skipper"):
            if username != "reviewer":
                prepared.client("cognito-idp").create_group(UserPoolId=prepared.pool, GroupName=username)
                prepared.client("sagemaker").create_workteam(
                    WorkteamName=username, Description=username, MemberDefinitions=[prepared.member(username)]
                )
            prepared.add_worker(username, group=None if username == "reviewer" else username)
        yield prepared
    finally:
        running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing: install Debian's package chromium, or set REVIEWLOOP_CHROMIUM to a Chromium", pytrace=False)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        launched = playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=arguments)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Browser, review: Review) -> Iterator[Page]:
    context = browser.new_context(base_url=review.emulator.url, viewport={"width": 1100, "height": 800})
    context.set_default_timeout(15_000)
    yield context.new_page()
    context.close()


def sign_in(page: Page, username: str, password: str = PASSWORD) -> None:
    page.goto("/worker")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def flow_for(review: Review, team: str) -> str:
    arn = review.client("sagemaker").describe_workteam(WorkteamName=team)["Workteam"]["WorkteamArn"]
    return review.flow(f"flow-{team}", WorkteamArn=arn)


def task_frame(page: Page) -> Any:
    expect(page.locator("iframe[data-ready=true]")).to_be_visible()
    return page.frame_locator("iframe")


def test_five_tasks_are_labelled_by_keyboard_and_arrive_in_the_documented_form(page: Page, review: Review) -> None:
    flow = review.flow("by-keyboard")
    for name, (text, _, _) in TEXTS.items():
        review.ask(flow, name, text)
    sign_in(page, "reviewer")

    for text, digit, label in TEXTS.values():
        frame = task_frame(page)
        expect(frame.locator("classification-target")).to_have_text(text)
        page.keyboard.press(digit)
        expect(frame.get_by_role("radio", name=label)).to_have_attribute("aria-checked", "true")
        page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    expect(page.locator("#counts")).to_have_text("5 answered, 0 waiting")
    for name, (text, _, label) in TEXTS.items():
        review.ended(name)
        document = review.output(name)
        (answer,) = document["humanAnswers"]
        assert document["inputContent"]["text"] == text
        assert answer["answerContent"] == {"category": {"label": label}}
        assert answer["workerMetadata"]["identityData"]["issuer"].endswith(review.pool)
        assert answer["timeSpentInSeconds"] > 0


def test_markup_in_a_text_is_shown_as_text_and_runs_nothing(page: Page, review: Review) -> None:
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    review.ask(flow_for(review, "reader"), "hostile", HOSTILE)
    sign_in(page, "reader")

    frame = task_frame(page)

    expect(frame.locator("classification-target")).to_have_text(HOSTILE)
    assert frame.locator("img").count() == 0
    assert frame.locator("script").count() == 1
    assert frame.get_by_role("radio").all_text_contents() == [f"{number}{label}" for number, label in enumerate(LABELS, start=1)]
    assert review.loop("hostile")["HumanLoopStatus"] == "InProgress"
    assert said == []


def test_a_script_that_does_get_into_a_template_cannot_run(page: Page, review: Review) -> None:
    """The frame's policy holds even where a template switches escaping off."""
    script = '<script src="https://assets.crowd.aws/crowd-html-elements.js"></script>'
    content = script + '<div id="text">{{ task.input.text | skip_autoescape }}</div><crowd-form></crowd-form>'
    ui = review.client("sagemaker").create_human_task_ui(HumanTaskUiName="unescaped", UiTemplate={"Content": content})["HumanTaskUiArn"]
    review.client("cognito-idp").create_group(UserPoolId=review.pool, GroupName="guarded")
    arn = review.client("sagemaker").create_workteam(WorkteamName="guarded", Description="x", MemberDefinitions=[review.member("guarded")])
    review.add_worker("guarded", group="guarded")
    flow = review.flow("unescaped", HumanTaskUiArn=ui, WorkteamArn=arn["WorkteamArn"])
    review.ask(flow, "unescaped", "<b>bold</b><script>document.getElementById('text').textContent = 'ran'</script>")
    sign_in(page, "guarded")

    frame = task_frame(page)

    assert frame.locator("#text b").count() == 1, "the template's markup is really there"
    expect(frame.locator("#text")).to_contain_text("bold")
    assert frame.locator("#text").inner_text() == "bold"


def test_a_choice_can_be_undone_and_a_skipped_task_comes_back(page: Page, review: Review) -> None:
    review.ask(flow_for(review, "skipper"), "undone", "Neither here nor there.")
    sign_in(page, "skipper")
    frame = task_frame(page)

    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Choose a category first.")
    page.keyboard.press("1")
    page.keyboard.press("Escape")
    expect(frame.get_by_role("radio", checked=True)).to_have_count(0)
    page.keyboard.press("s")
    page.get_by_role("button", name="Show the task that you skipped").click()
    task_frame(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("2")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    review.ended("undone")
    assert review.output("undone")["humanAnswers"][0]["answerContent"] == {"category": {"label": "neutral"}}


def test_a_wrong_password_is_told_to_the_person(page: Page, review: Review) -> None:
    sign_in(page, "reviewer", "Not-the-password-1")

    expect(page.get_by_role("alert")).to_have_text("The user name or the password is wrong.")
    expect(page.get_by_label("User name")).to_have_value("reviewer")


def test_a_task_that_arrives_later_appears_by_itself(page: Page, review: Review) -> None:
    sign_in(page, "reviewer")
    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()

    review.ask(review.flow("late"), "late", "Here I am.")

    expect(task_frame(page).locator("classification-target")).to_have_text("Here I am.")
