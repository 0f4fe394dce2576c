"""A newcomer at the deployed review page in a real browser: everything that may happen between the invitation and the last label."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest
from page_server import violations
from playwright.sync_api import Browser, BrowserContext, Page, expect
from review_page_in_browser import WAIT_MS, frame_of, press, text_of

from embedded_aws.testing.managed_login import Authenticator
from lambdas.common.review import Origin, ReviewReason, ReviewRequest
from local.demo import pictures
from stacks.names import REVIEWERS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ANSWERS = 50
"""By the newcomer."""
TASKS = ANSWERS + 4
LABELS = tuple(pictures.LABELS.values())
TEMPORARY, PASSWORD = "Temporary-horse-1", "Correct-horse-77"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pictures.Page]:
    with pictures.deployed(tmp_path_factory.mktemp("deployed-page")) as made:
        yield made


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1200, "height": 850})
    made.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    yield made
    made.close()


def table(site: pictures.Page) -> Any:
    return site.client.resource("dynamodb").Table(site.names.review_tasks_table)


def tasks(site: pictures.Page) -> list[dict[str, Any]]:
    return [item for item in table(site).scan()["Items"] if item["sk"] == "task"]


def ask(site: pictures.Page, wait_until: Callable[..., Any]) -> None:
    sqs = site.client("sqs")
    queue = sqs.get_queue_url(QueueName=site.names.queue("review-requests"))["QueueUrl"]
    origin = Origin("champion", "m1", 0.6, "2026-11-23T10:00:00+00:00", 1_900_000_000)
    for number in range(TASKS):
        request = ReviewRequest(f"{number:032x}", f"text {number:02}", "positive", 0.4, ReviewReason.LOW_CONFIDENCE, 1, origin)
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(asdict(request)))
    wait_until(lambda: len(tasks(site)) == TASKS)


def enrol(page: Page, site: pictures.Page, name: str) -> str:
    """From the invitation's temporary password to the page, with an authenticator app. Returns the person's id."""
    cognito, pool = site.client("cognito-idp"), site.outputs["UserPoolId"]
    made = cognito.admin_create_user(UserPoolId=pool, Username=name, TemporaryPassword=TEMPORARY, MessageAction="SUPPRESS")["User"]
    cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=REVIEWERS)
    page.goto(site.address)
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(TEMPORARY)
    press(page, "Enter")
    page.get_by_label("New password", exact=True).fill(PASSWORD)
    page.get_by_label("New password again").fill(PASSWORD)
    page.get_by_role("button", name="Save password").click()
    page.get_by_label("Code from the app").fill(Authenticator(page.locator("#secret").inner_text()).code())
    page.get_by_role("button", name="Continue").click()
    return next(one["Value"] for one in made["Attributes"] if one["Name"] == "sub")


@dataclass
class AtWork:
    """A person with their keyboard. ``said``: text -> the label that they sent last."""

    page: Page
    said: dict[str, str] = field(default_factory=dict)

    def text(self) -> str:
        return text_of(self.page).inner_text()

    def choose(self, digit: int) -> str:
        """Returns the text that it is chosen for."""
        text = self.text()
        press(self.page, str(digit))
        expect(frame_of(self.page).get_by_role("radio", checked=True)).to_contain_text(LABELS[digit - 1])
        return text

    def answer(self, digit: int) -> str:
        text = self.choose(digit)
        press(self.page, "Enter")
        expect(text_of(self.page)).not_to_have_text(text)
        self.said[text] = LABELS[digit - 1]
        return text


def let_the_lease_expire(site: pictures.Page, text: str) -> None:
    """The time of whoever holds the task is up, and the sweep sees it."""
    [item] = [one for one in tasks(site) if one["excerpt"] == text]
    held = {worker: {**one, "until": 1} for worker, one in item["assignments"].items() if "submitted_at" not in one}
    assert held
    table(site).put_item(Item={**item, "assignments": {**item["assignments"], **held}, "due_at": "0" * 15})
    sweep(site)


def sweep(site: pictures.Page) -> None:
    site.client("lambda").invoke(FunctionName=site.names.function("sweep"), Payload=b"{}")


def remove(site: pictures.Page, name: str) -> None:
    """Out of the group. The page asks the user pool about each person once a minute: that minute is over."""
    site.client("cognito-idp").admin_remove_user_from_group(UserPoolId=site.outputs["UserPoolId"], Username=name, GroupName=REVIEWERS)
    for item in table(site).scan()["Items"]:
        if item["sk"] == "session":
            key = {"pk": item["pk"], "sk": item["sk"]}
            table(site).update_item(Key=key, UpdateExpression="SET checked_at = :ago", ExpressionAttributeValues={":ago": 0})


def outputs(site: pictures.Page) -> dict[str, list[dict[str, Any]]]:
    """Text -> the documents about it."""
    s3, bucket = site.client("s3"), site.names.bucket("review")
    found: dict[str, list[dict[str, Any]]] = {}
    for one in s3.list_objects_v2(Bucket=bucket, Prefix="hosted/").get("Contents", ()):
        document = json.loads(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read())
        found.setdefault(document["inputContent"]["text"], []).append(document)
    return found


# -- what happens in between -----------------------------------------------------------------------


def undoes(at_work: AtWork) -> None:
    """The same task again, with what was chosen; another answer takes its place."""
    page, undone = at_work.page, at_work.answer(1)
    press(page, "u")
    expect(text_of(page)).to_have_text(undone)
    expect(frame_of(page).get_by_role("radio", checked=True)).to_contain_text(LABELS[0])
    assert at_work.answer(3) == undone


def skips(at_work: AtWork) -> None:
    """Others get it, and the person only if they ask for it."""
    page, skipped = at_work.page, at_work.text()
    press(page, "s")
    expect(page.get_by_role("dialog", name="Skip this task")).to_be_visible()
    press(page, "Enter")
    expect(text_of(page)).not_to_have_text(skipped)


def reloads(at_work: AtWork) -> None:
    """The choice is kept."""
    page, chosen_for = at_work.page, at_work.choose(2)
    page.reload()
    expect(text_of(page)).to_have_text(chosen_for)
    expect(frame_of(page).get_by_role("radio", checked=True)).to_contain_text(LABELS[1])
    press(page, "Enter")
    expect(text_of(page)).not_to_have_text(chosen_for)
    at_work.said[chosen_for] = LABELS[1]


def loses_the_network(at_work: AtWork) -> None:
    """The answer waits, and goes by itself."""
    page, lost = at_work.page, at_work.choose(3)
    page.context.set_offline(True)
    press(page, "Enter")
    expect(page.locator("#notice")).to_contain_text("Your answer is kept and is sent again by itself.")
    page.context.set_offline(False)
    expect(text_of(page)).not_to_have_text(lost)
    at_work.said[lost] = LABELS[2]


def opens_a_second_tab(at_work: AtWork, address: str) -> None:
    """It shows the same task, and answers it first."""
    page, text = at_work.page, at_work.text()
    other = AtWork(page.context.new_page())
    other.page.goto(address)
    expect(text_of(other.page)).to_have_text(text)
    other.answer(1)
    other.page.close()
    at_work.choose(3)
    press(page, "Enter")
    expect(page.get_by_role("alert")).to_contain_text("you have answered it")
    expect(text_of(page)).not_to_have_text(text)
    page.get_by_role("button", name="Dismiss").click()
    at_work.said |= other.said


def is_late(at_work: AtWork, site: pictures.Page) -> None:
    """The answer is refused with a reason, and whoever comes may take the task."""
    page, late = at_work.page, at_work.choose(2)
    let_the_lease_expire(site, late)
    press(page, "Enter")
    expect(page.get_by_role("alert")).to_contain_text("This task is no longer yours")
    expect(text_of(page)).not_to_have_text(late)
    assert violations(page) == []


def is_removed(at_work: AtWork, site: pictures.Page, name: str) -> None:
    """What was chosen is no answer, and what was held goes to others."""
    at_work.choose(1)
    remove(site, name)
    press(at_work.page, "Enter")
    expect(at_work.page.get_by_role("alert")).to_contain_text(f"{name} is in no team yet.")
    assert violations(at_work.page) == []
    at_work.page.get_by_role("link", name="Sign in with another account").click()
    expect(at_work.page.get_by_label("User name")).to_be_visible()


def others_answer_the_rest(site: pictures.Page, said: dict[str, str]) -> None:
    """They say what was said before, until nobody is asked any more."""
    for name in ("ann", "bob"):
        person = site.reviewer(name, REVIEWERS)
        while (task := person.next()["task"]) is not None:
            person.answer(task["id"], said.get(person.text(task["id"]), LABELS[0]))
    for item in tasks(site):
        if item["state"] == "open":
            table(site).put_item(Item={**item, "undo": 0, "due_at": "0" * 15})
    sweep(site)


def test_fifty_answers_are_in_one_set_for_each_task_whatever_happens(
    context: BrowserContext, site: pictures.Page, wait_until: Callable[..., Any]
) -> None:
    ask(site, wait_until)
    name, page, refused = f"newcomer-{secrets.token_hex(3)}", context.new_page(), list[str]()
    page.on("console", lambda message: refused.append(message.text) if "Content Security Policy" in message.text else None)
    sub = enrol(page, site, name)
    expect(page.locator("#position")).to_have_text(f"Task 1 of {TASKS}")
    assert violations(page) == []

    at_work = AtWork(page)
    for happens in (undoes, skips, reloads, loses_the_network):
        for digit in (1, 2, 3, 1):
            at_work.answer(digit)
        happens(at_work)
    opens_a_second_tab(at_work, site.address)
    is_late(at_work, site)
    while len(at_work.said) < ANSWERS:
        at_work.answer(len(at_work.said) % 3 + 1)
    is_removed(at_work, site, name)
    assert refused == []
    others_answer_the_rest(site, at_work.said)

    found, of_newcomer = outputs(site), dict[str, str]()
    assert set(found) == {f"text {number:02}" for number in range(TASKS)}
    for text, documents in found.items():
        [document] = documents
        people = [one["workerMetadata"]["identityData"]["sub"] for one in document["humanAnswers"]]
        given = dict(zip(people, [one["answerContent"]["category"]["label"] for one in document["humanAnswers"]], strict=True))
        assert len(given) == len(people) == 2
        assert set(given.values()) <= set(LABELS)
        if sub in given:
            of_newcomer[text] = given[sub]
    assert of_newcomer == at_work.said
    predictions = site.client.resource("dynamodb").Table(site.names.predictions_table)
    wait_until(lambda: [one["review_state"] for one in predictions.scan()["Items"]] == ["reviewed"] * TASKS)


UNCLEAR, CLEAR = "a text that nobody understands", "a text that one person does not understand"


def test_who_cannot_tell_presses_a_key_and_both_reviews_end_as_they_should(
    context: BrowserContext, site: pictures.Page, wait_until: Callable[..., Any]
) -> None:
    """Two who cannot tell leave a review undecided. One who cannot tell is outvoted by two who can."""
    before, sqs = len(tasks(site)), site.client("sqs")
    queue = sqs.get_queue_url(QueueName=site.names.queue("review-requests"))["QueueUrl"]
    origin = Origin("champion", "m1", 0.6, "2026-11-23T10:00:00+00:00", 1_900_000_000)
    for prediction_id, text in (("a" * 32, UNCLEAR), ("b" * 32, CLEAR)):
        request = ReviewRequest(prediction_id, text, "positive", 0.4, ReviewReason.LOW_CONFIDENCE, 1, origin)
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(asdict(request)))
    wait_until(lambda: len(tasks(site)) == before + 2)

    page = context.new_page()
    enrol(page, site, f"unsure-{secrets.token_hex(3)}")
    for is_last in (False, True):
        text = text_of(page).inner_text()
        press(page, "0")
        expect(frame_of(page).get_by_role("radio", name="Cannot tell")).to_be_checked()
        press(page, "Enter")
        if is_last:
            expect(page.locator("#nothing")).to_be_visible()
        else:
            expect(text_of(page)).not_to_have_text(text)
    for name in ("gil", "hao"):
        person = site.reviewer(name, REVIEWERS)
        while (task := person.next()["task"]) is not None:
            person.answer(task["id"], "cannot-tell" if person.text(task["id"]) == UNCLEAR else "Positive")
    for item in tasks(site):
        if item["state"] == "open":
            table(site).put_item(Item={**item, "undo": 0, "due_at": "0" * 15})
    sweep(site)

    predictions = site.client.resource("dynamodb").Table(site.names.predictions_table)

    def ended() -> list[dict[str, Any]]:
        found = [predictions.get_item(Key={"prediction_id": one * 32}).get("Item", {}) for one in "ab"]
        return [one for one in found if one.get("review_state") == "reviewed"]

    wait_until(lambda: len(ended()) == 2)
    unclear, clear = ended()
    assert (unclear.get("human_label"), unclear["open_state"]) == (None, "disputed"), "a lead decides it"
    assert (clear["human_label"], "open_state" in clear) == ("positive", False)
    [document] = outputs(site)[UNCLEAR]
    assert document["inputContent"]["labels"] == [*LABELS, "cannot-tell"]
    assert [one["answerContent"] for one in document["humanAnswers"]] == [{"category": {"label": "cannot-tell"}}] * 2
