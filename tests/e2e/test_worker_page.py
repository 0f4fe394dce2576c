"""The worker page in a real browser: sign in, label by keyboard, hostile text, light and dark."""

from __future__ import annotations

import base64
import http.server
import re
import threading
from collections.abc import Iterator

import pytest
from page_server import violations
from playwright.sync_api import Browser, Page, expect
from review_page_in_browser import frame_of, press

from embedded_aws.testing.reviews import LABELS, PASSWORD, Review, wait_for
from embedded_aws.tools import launcher

TEXTS = {
    "page-1": ("The battery lasts all week and I love it.", "3", "positive"),
    "page-2": ("It broke on the second day.", "1", "negative"),
    "page-3": ("The box holds a cable and a manual.", "2", "neutral"),
    "page-4": ("Support answered at once, wonderful people.", "3", "positive"),
    "page-5": ("I want my money back.", "1", "negative"),
}
NOTE = '<crowd-input name="note"></crowd-input>'
HOSTILE = """</classification-target></crowd-classifier><img src=x onerror="document.title='ran'"><script>parent.postMessage(
{type: 'submit', answer: {category: {label: 'positive'}}}, '*')</script>{{ task.input.labels }} "quoted" & 'single'"""


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Review]:
    running = launcher.start(tmp_path_factory.mktemp("page") / "run", port=launcher.free_port(), time_scale=0.1)
    try:
        prepared = Review(running).set_up()
        prepared.add_worker("reviewer")
        yield prepared
    finally:
        running.stop()


@pytest.fixture
def page(browser: Browser, review: Review) -> Iterator[Page]:
    context = browser.new_context(base_url=review.emulator.url, viewport={"width": 1100, "height": 800})
    context.set_default_timeout(45_000)
    expect.set_options(timeout=45_000)
    yield context.new_page()
    context.close()


def sign_in(page: Page, username: str, password: str = PASSWORD) -> None:
    page.goto("/worker")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(password)
    press(page, "Enter")


def team(review: Review, name: str) -> str:
    """The ARN of a new work team of one worker, both with this name."""
    review.client("cognito-idp").create_group(UserPoolId=review.pool, GroupName=name)
    made = review.client("sagemaker").create_workteam(WorkteamName=name, Description=name, MemberDefinitions=[review.member(name)])
    review.add_worker(name, group=name)
    return str(made["WorkteamArn"])


def test_five_tasks_are_labelled_by_keyboard_and_arrive_in_the_documented_form(page: Page, review: Review) -> None:
    flow = review.flow("by-keyboard")
    for name, (text, _, _) in TEXTS.items():
        review.ask(flow, name, text)
    sign_in(page, "reviewer")

    for number, (text, digit, label) in enumerate(TEXTS.values(), start=1):
        frame = frame_of(page)
        expect(page.locator("#position")).to_have_text(f"Task {number} of 5")
        expect(frame.locator("classification-target")).to_have_text(text)
        press(page, digit)
        expect(frame.get_by_role("radio", name=label)).to_have_attribute("aria-checked", "true")
        press(page, "Enter")

    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    expect(page.locator("#counts")).to_have_text("5 answered, 0 to go")
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
    review.ask(review.flow("hostile", WorkteamArn=team(review, "reader")), "hostile", HOSTILE)
    sign_in(page, "reader")

    frame = frame_of(page)

    expect(frame.locator("classification-target")).to_have_text(HOSTILE)
    assert frame.locator("img").count() == 0
    assert frame.locator("body script").count() == 0
    assert frame.get_by_role("radio").all_text_contents() == [f"{number}{label}" for number, label in enumerate(LABELS, start=1)]
    assert review.loop("hostile")["HumanLoopStatus"] == "InProgress"
    assert said == []


def test_a_script_that_does_get_into_a_template_cannot_run(page: Page, review: Review) -> None:
    """The frame's policy holds even where a template switches escaping off."""
    script = '<script src="https://assets.crowd.aws/crowd-html-elements.js"></script>'
    content = script + '<div id="text">{{ task.input.text | skip_autoescape }}</div><crowd-form>' + NOTE + "</crowd-form>"
    ui = review.client("sagemaker").create_human_task_ui(HumanTaskUiName="unescaped", UiTemplate={"Content": content})["HumanTaskUiArn"]
    flow = review.flow("unescaped", HumanTaskUiArn=ui, WorkteamArn=team(review, "guarded"))
    review.ask(flow, "unescaped", "<b>bold</b><script>document.getElementById('text').textContent = 'ran'</script>")
    sign_in(page, "guarded")

    frame = frame_of(page)

    assert frame.locator("#text b").count() == 1, "the template's markup is really there"
    expect(frame.locator("#text")).to_contain_text("bold")
    assert frame.locator("#text").inner_text() == "bold"


PICTURE = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M/wHwAEBgIApD5fRAAAAABJRU5ErkJggg==")


def test_a_picture_that_the_template_grants_access_to_is_shown(page: Page, review: Review) -> None:
    script = '<script src="https://assets.crowd.aws/crowd-html-elements.js"></script>'
    content = script + '<img alt="to judge" src="{{ task.input.text | grant_read_access }}"><crowd-form>' + NOTE + "</crowd-form>"
    ui = review.client("sagemaker").create_human_task_ui(HumanTaskUiName="picture", UiTemplate={"Content": content})["HumanTaskUiArn"]
    review.client("s3").put_object(Bucket=review.bucket, Key="pictures/one.png", Body=PICTURE, ContentType="image/png")
    statement = {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": f"arn:aws:s3:::{review.bucket}/*"}
    request = review.flow_request("picture", HumanTaskUiArn=ui, WorkteamArn=team(review, "viewer"))
    arn = review.client("sagemaker").create_flow_definition(**{**request, "RoleArn": review.make_role("picture", [statement])})
    wait_for(lambda: review.flow_status("picture") == "Active", "Active")
    review.ask(arn["FlowDefinitionArn"], "picture", f"s3://{review.bucket}/pictures/one.png")
    sign_in(page, "viewer")

    picture = frame_of(page).get_by_alt_text("to judge")

    expect(picture).to_have_js_property("complete", True)
    expect(picture).to_have_js_property("naturalWidth", 1)


def test_a_long_text_scrolls_and_leaves_the_answers_in_sight_on_a_telephone_too(browser: Browser, review: Review) -> None:
    review.ask(review.flow("long", WorkteamArn=team(review, "walker")), "long", "All work and no play. " * 400)
    context = browser.new_context(base_url=review.emulator.url, viewport={"width": 375, "height": 812}, has_touch=True, is_mobile=True)
    page = context.new_page()
    sign_in(page, "walker")

    frame = frame_of(page)

    assert page.evaluate("document.documentElement.scrollWidth") == 375, "nothing sticks out"
    expect(page.get_by_role("button", name="Sign out")).to_be_in_viewport(ratio=1)
    expect(frame.locator("classification-target")).to_have_attribute("tabindex", "0")
    expect(frame.get_by_role("radio", name="positive")).to_be_in_viewport(ratio=1)
    frame.get_by_role("radio", name="positive").tap()
    frame.get_by_role("button", name="Submit").tap()
    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    context.close()


ATTACK = """async (url) => {
  const form = new URLSearchParams({Action: "CreateQueue", QueueName: "smuggled", Version: "2012-11-05"});
  const credential = "test/20260101/us-east-1/sqs/aws4_request";
  const query = `Action=CreateQueue&QueueName=smuggled&X-Amz-Credential=${credential}`;
  const tries = [
    fetch(`${url}/`, {method: "POST", mode: "no-cors", body: form}),
    fetch(`${url}/?${query}`, {mode: "no-cors"}),
    fetch(`${url}/_ministack/reset`, {method: "POST", mode: "no-cors"}),
    fetch(`${url}/_embedded/raters`, {method: "POST", body: '{"votes": {"smuggled": ["positive"]}}'}),
    new Promise((done) => { const image = new Image(); image.onload = image.onerror = done; image.src = `${url}/?${query}`; }),
    new Promise((done) => { const socket = new WebSocket(url.replace("http", "ws")); socket.onclose = done; }),
  ];
  return (await Promise.allSettled(tries)).map((one) => one.status);
}"""


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """Another site: one empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_a_page_from_elsewhere_reaches_nothing(page: Page, review: Review) -> None:
    queues = review.client("sqs").list_queues()["QueueUrls"]
    seen: list[tuple[str, int]] = []
    page.on("response", lambda response: seen.append((response.url, response.status)))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        page.goto(f"http://localhost:{elsewhere.server_port}/")

        settled = page.evaluate(ATTACK, review.emulator.url)

        elsewhere.shutdown()
    assert (len(settled), settled[3]) == (6, "rejected")
    assert {status for url, status in seen if url.startswith(review.emulator.url)} == {403}
    assert review.client("sqs").list_queues()["QueueUrls"] == queues, "nothing was made, and nothing is gone"


def test_a_choice_can_be_undone_and_a_skipped_task_comes_back(page: Page, review: Review) -> None:
    review.ask(review.flow("undone", WorkteamArn=team(review, "skipper")), "undone", "Neither here nor there.")
    sign_in(page, "skipper")
    frame = frame_of(page)

    press(page, "Enter")
    expect(page.locator("#status")).to_have_text("Choose a label first.")
    press(page, "1")
    press(page, "Escape")
    expect(frame.get_by_role("radio", checked=True)).to_have_count(0)
    press(page, "s")
    expect(page.get_by_role("dialog", name="Skip this task")).to_be_visible()
    press(page, "Enter")
    page.get_by_role("button", name="Show the task that you skipped").click()
    frame_of(page)
    press(page, "ArrowRight")
    press(page, "2")
    press(page, "Enter")

    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    review.ended("undone")
    assert review.output("undone")["humanAnswers"][0]["answerContent"] == {"category": {"label": "neutral"}}


LETTERS = "abcdefghijklmno"
LONG = "a name of sixty characters, which is as long as they come "
MANY = [f"{(LONG + one + two)[-60:]}" for one in LETTERS for two in LETTERS[:10]]
MANY[3], MANY[70], MANY[71] = "École supérieure", "خدمة العملاء والمبيعات", "日本語の問い合わせ"


def test_one_of_150_labels_is_found_by_typing_and_chosen_with_the_keyboard_alone(page: Page, review: Review) -> None:
    flow = review.flow("many", WorkteamArn=team(review, "searcher"))
    for name in ("many-1", "many-2", "many-3"):
        review.ask(flow, name, f"Which of the many is {name}?", MANY)
    sign_in(page, "searcher")
    frame = frame_of(page)
    search, options = frame.get_by_role("combobox"), frame.get_by_role("option")

    expect(search).to_be_focused()
    expect(options).to_have_text([re.compile(f"^[1-9]?{re.escape(name)}$") for name in MANY])  # the order is the one that was given
    press(page, "Enter")
    expect(page.locator("#status")).to_have_text("Choose a label first.")
    page.keyboard.type("ecole SUP")
    expect(options.locator("visible=true")).to_have_text(["1École supérieure"])
    press(page, "Enter")
    expect(frame.get_by_role("option", selected=True)).to_have_text("1École supérieure")
    expect(frame.locator(".chosen")).to_have_text("Chosen: École supérieure")
    press(page, "Enter")

    frame = frame_of(page)
    expect(frame.locator("classification-target")).to_have_text("Which of the many is many-2?")
    page.keyboard.type("العملاء")
    expect(frame.get_by_role("option").locator("visible=true")).to_have_text([f"1{MANY[70]}"])
    press(page, "1")
    press(page, "Enter")

    frame = frame_of(page)
    expect(frame.locator("classification-target")).to_have_text("Which of the many is many-3?")
    page.keyboard.type("nothing has this")
    expect(frame.get_by_text("No label has this in its name.")).to_be_visible()
    press(page, "Escape")
    expect(frame.get_by_role("option").locator("visible=true")).to_have_count(len(MANY))
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowUp"):
        press(page, key)
    press(page, "Enter")
    expect(frame.locator(".chosen bdi")).to_have_text(MANY[-1])
    expect(frame.get_by_role("option", selected=True)).to_be_in_viewport()
    press(page, "Escape")
    expect(frame.get_by_role("option", selected=True)).to_have_count(0)
    press(page, "Alt+s")
    expect(page.get_by_role("dialog", name="Skip this task")).to_be_visible()
    press(page, "Enter")
    expect(page.get_by_role("button", name="Show the task that you skipped")).to_be_visible()
    for name, label in (("many-1", "École supérieure"), ("many-2", MANY[70])):
        review.ended(name)
        assert review.output(name)["humanAnswers"][0]["answerContent"] == {"category": {"label": label}}


def test_digits_are_searched_for_where_names_have_digits(page: Page, review: Review) -> None:
    labels = [f"Code {number}" for number in range(100, 150)]
    review.ask(review.flow("codes", WorkteamArn=team(review, "coder")), "codes", "Which code?", labels)
    sign_in(page, "coder")
    frame = frame_of(page)

    expect(frame.get_by_role("option").first).to_have_text("Code 100")
    expect(page.locator("#keys-hint")).to_be_hidden()
    page.locator("header").first.click()  # keys work wherever the focus is
    for digit in "117":
        press(page, digit)
        page.wait_for_timeout(100)  # as people type: the first key moves the focus into the task's frame
    expect(frame.get_by_role("option").locator("visible=true")).to_have_text(["Code 117"])
    press(page, "Enter")
    press(page, "Enter")

    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    review.ended("codes")
    assert review.output("codes")["humanAnswers"][0]["answerContent"] == {"category": {"label": "Code 117"}}


@pytest.mark.parametrize("width", [375, 1100])
def test_150_long_names_leave_text_search_and_submit_in_sight(browser: Browser, review: Review, width: int) -> None:
    who = f"wide{width}"
    review.ask(review.flow(who, WorkteamArn=team(review, who)), who, "Which of the many?", MANY)
    context = browser.new_context(base_url=review.emulator.url, viewport={"width": width, "height": 812})
    page = context.new_page()
    sign_in(page, who)

    frame = frame_of(page)

    assert page.evaluate("document.documentElement.scrollWidth") == width, "nothing sticks out"
    for shown in (frame.locator("classification-target"), frame.get_by_role("combobox"), frame.get_by_role("button", name="Submit")):
        expect(shown).to_be_in_viewport(ratio=1)
    boxes = frame.get_by_role("option").evaluate_all("all => all.map((one) => [one.scrollWidth - one.clientWidth, one.clientHeight])")
    assert max(over for over, _ in boxes) <= 0, "no name is cut"
    context.close()


def test_a_wrong_password_is_told_to_the_person(page: Page, review: Review) -> None:
    sign_in(page, "reviewer", "Not-the-password-1")

    expect(page.get_by_role("alert")).to_have_text("The user name or the password is wrong.")
    expect(page.get_by_label("User name")).to_have_value("reviewer")
    expect(page.get_by_label("Password")).to_be_focused()
    assert violations(page) == []


def test_a_task_that_arrives_later_appears_by_itself(page: Page, review: Review) -> None:
    sign_in(page, "reviewer")
    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()

    review.ask(review.flow("late"), "late", "Here I am.")

    expect(frame_of(page).locator("classification-target")).to_have_text("Here I am.")
