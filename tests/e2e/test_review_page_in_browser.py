"""People at work on the review page in a real browser, over a store in memory: keys, undo, skip, lost networks, a second window."""

from __future__ import annotations

import re
from typing import Any

import pytest
from page_server import PageServer, asked
from playwright.sync_api import BrowserContext, Page, expect
from review_page_in_browser import SENTIMENT, answers, classify, frame_of, label, press, text_of

pytestmark = pytest.mark.slow

# -- the keyboard ----------------------------------------------------------------------------------

AZERTY_2 = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'é', code: 'Digit2', bubbles: true, cancelable: true}))"


def test_ten_tasks_by_keyboard_with_cannot_tell(page: Page, served: PageServer) -> None:
    served.hold(*(classify(f"text {number}") for number in range(10)))
    page.goto("/worker")

    for number in range(10):
        expect(text_of(page)).to_have_text(f"text {number}")
        press(page, "0" if number % 5 == 4 else str(number % 3 + 1))
        press(page, "Enter")

    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    expect(page.locator("#done-count")).to_have_text("You have answered 10 today. Thank you.")
    assert answers(served) == [label("cannot-tell" if number % 5 == 4 else SENTIMENT[number % 3]) for number in range(10)]


def test_digits_are_places_on_the_keyboard_so_azerty_chooses_too(page: Page, served: PageServer) -> None:
    served.hold(classify("azerty"))
    page.goto("/worker")
    frame = frame_of(page)

    frame.locator("body").evaluate(AZERTY_2)

    expect(frame.get_by_role("radio", checked=True)).to_have_text("2neutral")


def test_keys_are_changed_and_switched_off(page: Page, served: PageServer) -> None:
    served.hold(classify("first"), classify("second"))
    page.goto("/worker")
    frame = frame_of(page)
    page.get_by_role("button", name="Keyboard").click()
    page.get_by_label("Skip", exact=True).fill("x")
    page.get_by_label("Flag", exact=True).fill("x")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#keys-problem")).to_have_text("Each key can do one thing only.")
    page.get_by_label("Flag", exact=True).fill("q")
    page.get_by_role("button", name="Save").click()
    press(page, "s")
    press(page, "x")
    expect(page.get_by_role("dialog", name="Skip this task")).to_be_visible()
    press(page, "Escape")

    page.get_by_role("button", name="Keyboard").click()
    page.get_by_label("Use single keys").uncheck()
    page.get_by_role("button", name="Save").click()
    frame.locator("body").press("1")
    frame.locator("body").press("x")
    expect(frame.get_by_role("radio", checked=True)).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.reload()
    frame = frame_of(page)
    frame.locator("body").press("Alt+x")
    expect(page.get_by_role("dialog", name="Skip this task")).to_be_visible()


def test_more_than_nine_labels_are_searched_and_nine_are_not(page: Page, served: PageServer) -> None:
    names = [f"label {letter}" for letter in "abcdefghij"]
    served.hold(classify("nine", [*names[:9], "cannot-tell"]), classify("ten", [*names, "cannot-tell"]))
    page.goto("/worker")

    expect(frame_of(page).get_by_role("radio")).to_have_count(10)
    expect(frame_of(page).get_by_role("combobox")).to_have_count(0)
    press(page, "9")
    press(page, "Enter")
    expect(text_of(page)).to_have_text("ten")
    expect(frame_of(page).get_by_role("combobox")).to_be_focused()
    page.keyboard.type("L j")
    press(page, "Enter")
    expect(frame_of(page).locator(".chosen")).to_have_text("Chosen: label j")
    press(page, "Alt+0")
    expect(frame_of(page).locator(".chosen")).to_have_text("Chosen: Cannot tell")
    press(page, "Enter")

    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    assert answers(served) == [label("label i"), label("cannot-tell")]


KEYDOWN = """(_, [selector, pressed]) => document.querySelector(selector)
.dispatchEvent(new KeyboardEvent("keydown", {bubbles: true, cancelable: true, ...pressed}))"""


@pytest.mark.parametrize("composing", [{"isComposing": True}, {"keyCode": 229}], ids=["while it composes", "as Safari ends it"])
def test_keys_of_an_input_method_are_not_for_the_search(page: Page, served: PageServer, composing: dict[str, Any]) -> None:
    served.hold(classify("ten", [f"label {letter}" for letter in "abcdefghij"]))
    page.goto("/worker")
    frame = frame_of(page)
    expect(frame.get_by_role("combobox")).to_be_focused()
    page.keyboard.type("l c")
    expect(frame.locator(".active")).to_have_text("1label c")

    for key in ("Enter", "Escape", "ArrowDown"):
        assert frame.locator("body").evaluate(KEYDOWN, [".search", {"key": key, **composing}]), f"{key} is left to the input method"

    expect(frame.get_by_role("combobox")).to_have_value("l c")
    expect(frame.locator(".chosen")).to_be_hidden()
    press(page, "Enter")
    expect(frame.locator(".chosen")).to_have_text("Chosen: label c")


@pytest.mark.parametrize("element", ["crowd-text-area", "crowd-input"])
def test_the_option_key_types_letters_into_text_fields_of_a_mac_only(page: Page, served: PageServer, element: str) -> None:
    served.hold(asked(f'<crowd-form><{element} name="why"></{element}></crowd-form>'))
    option = {"key": "ś", "code": "KeyS", "altKey": True}
    page.goto("/worker")
    assert not frame_of(page).locator("body").evaluate(KEYDOWN, ["[name=why]:is(input, textarea)", option])
    expect(page.get_by_role("dialog", name="Skip this task")).to_be_visible()

    page.add_init_script("Object.defineProperty(navigator, 'platform', {get: () => 'MacIntel'})")
    page.reload()

    for key, code in (("ś", "KeyS"), ("º", "Digit0"), ("ƒ", "KeyF"), ("©", "KeyG"), ("¨", "KeyU")):
        typed = {"key": key, "code": code, "altKey": True}
        assert frame_of(page).locator("body").evaluate(KEYDOWN, ["[name=why]:is(input, textarea)", typed]), f"{key} is typed"
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert not frame_of(page).locator("body").evaluate(KEYDOWN, ["body", option]), "outside of text fields it is the key of a skip"
    expect(page.get_by_role("dialog", name="Skip this task")).to_be_visible()


# -- second thoughts -------------------------------------------------------------------------------


def test_an_answer_is_undone_with_what_was_chosen_until_its_task_has_ended(page: Page, served: PageServer) -> None:
    store = served.hold(*(classify(f"text {number}") for number in range(4)))
    page.goto("/worker")
    for number in range(3):
        expect(text_of(page)).to_have_text(f"text {number}")
        press(page, "1")
        press(page, "Enter")
    expect(text_of(page)).to_have_text("text 3")
    next(iter(store.tasks.values())).ended = True

    press(page, "u")
    expect(text_of(page)).to_have_text("text 2")
    expect(frame_of(page).get_by_role("radio", checked=True)).to_have_text("1negative")
    press(page, "3")
    press(page, "Enter")
    expect(text_of(page)).to_have_text("text 3")
    page.get_by_text("Your last answers").click()
    page.reload()
    page.get_by_text("Your last answers").click()
    expect(page.locator("#recent-list li")).to_have_count(3)
    expect(page.locator("#recent-list li").last).to_contain_text("This task has ended")
    page.locator("#recent-list").get_by_role("button").nth(1).click()
    expect(text_of(page)).to_have_text("text 1")

    assert answers(served) == [label("negative"), None, label("positive"), None]


def test_a_task_is_skipped_with_a_reason_and_flagged_with_a_note(page: Page, served: PageServer) -> None:
    store = served.hold(classify("first"), classify("second"))
    first = next(iter(store.tasks.values()))
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")

    press(page, "f")
    page.get_by_label("What should your lead look at?").fill("two labels fit")
    page.get_by_role("button", name="Flag the task").click()
    expect(page.locator("#notice")).to_contain_text("The task is flagged for your lead.")
    page.get_by_role("button", name="Skip").click()
    page.get_by_label("I do not read this language").check()
    page.get_by_label("Note to your lead").fill("Dutch?")
    page.get_by_role("button", name="Skip the task").click()

    expect(text_of(page)).to_have_text("second")
    assert ([(reason.value, note) for reason, note in first.skips], first.flags) == ([("language", "Dutch?")], ["two labels fit"])
    press(page, "s")
    expect(page.get_by_role("dialog", name="Skip this task")).to_be_visible()
    press(page, "Enter")
    page.get_by_role("button", name="Show the 2 tasks that you skipped").click()
    expect(text_of(page)).to_have_text("first")


# -- lost networks, reloads, a second window -------------------------------------------------------


def test_a_choice_is_kept_through_a_reload(page: Page, served: PageServer) -> None:
    source = '<crowd-form><crowd-text-area name="why"></crowd-text-area><crowd-checkbox name="sure">Sure</crowd-checkbox></crowd-form>'
    served.hold(asked(source), classify("second"))
    page.goto("/worker")
    frame_of(page).get_by_label("why").fill("because")
    frame_of(page).get_by_label("Sure").check()

    page.reload()

    expect(frame_of(page).get_by_label("why")).to_have_value("because")
    expect(frame_of(page).get_by_label("Sure")).to_be_checked()
    frame_of(page).get_by_role("button", name="Submit").click()
    expect(text_of(page)).to_have_text("second")
    expect(frame_of(page).get_by_role("radio", checked=True)).to_have_count(0)


def test_an_answer_without_a_network_is_kept_locked_and_sent_by_itself(page: Page, served: PageServer) -> None:
    served.hold(classify("first"), classify("second"))
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")
    press(page, "3")
    served.down = True
    press(page, "Enter")
    expect(page.locator("#notice")).to_have_text("There is no connection. Your answer is kept and is sent again by itself.")
    press(page, "1")
    expect(frame_of(page).get_by_role("radio", checked=True)).to_have_text("3positive")

    page.reload()
    expect(page.locator("#notice")).to_have_text("There is no connection. Your answer is kept and is sent again by itself.")
    served.down = False

    expect(text_of(page)).to_have_text("second")
    expect(page.locator("#notice")).to_be_hidden()
    assert answers(served) == [label("positive"), None]


def test_one_answer_is_one_request_and_one_frame_that_is_loaded_ahead(page: Page, served: PageServer) -> None:
    served.hold(*(classify(name) for name in ("first", "second", "third", "fourth")))
    sent: list[str] = []
    page.on("request", lambda request: sent.append(re.sub("[0-9a-f]{32}", "ID", request.url.partition("/worker/")[2].partition("?")[0])))
    ahead = page.frame_locator("iframe[hidden]").locator("classification-target")
    page.goto("/worker")
    for name, following in (("first", "second"), ("second", "third")):
        expect(text_of(page)).to_have_text(name)
        expect(ahead).to_have_text(following)
        before = len(sent)
        press(page, "1")
        press(page, "Enter")
    expect(text_of(page)).to_have_text("third")
    expect(ahead).to_have_text("fourth")
    assert [one for one in sent[before:] if not one.startswith("assets/")] == ["answers", "tasks/ID"]


UNSENT = "Your last answer is not sent yet. It is sent by itself; then you can go on."


def test_nothing_is_undone_or_skipped_while_an_answer_waits_for_the_network(page: Page, served: PageServer) -> None:
    served.hold(classify("first"), classify("second"), classify("third"))
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")
    press(page, "1")
    press(page, "Enter")
    expect(text_of(page)).to_have_text("second")
    page.route("**/worker/answers*", lambda route: route.abort())
    press(page, "3")
    press(page, "Enter")
    expect(page.locator("#notice")).to_contain_text("There is no connection.")

    press(page, "u")
    expect(page.locator("#problem-text")).to_have_text(UNSENT)
    page.get_by_role("button", name="Dismiss").click()
    press(page, "s")
    expect(page.locator("#problem-text")).to_have_text(UNSENT)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(text_of(page)).to_have_text("second")
    page.unroute("**/worker/answers*")

    expect(text_of(page)).to_have_text("third")
    expect(page.locator("#problem")).to_be_hidden()
    press(page, "2")
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    assert answers(served) == [label("negative"), label("positive"), label("neutral")]


def test_a_second_answer_waits_for_the_first_and_keeps_its_choice(context: BrowserContext, page: Page, served: PageServer) -> None:
    served.hold(classify("first"), classify("second"))
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")
    page.route("**/worker/answers*", lambda route: route.abort())
    press(page, "3")
    press(page, "Enter")
    expect(page.locator("#notice")).to_contain_text("There is no connection.")
    other = context.new_page()
    other.goto("/worker")
    expect(text_of(other)).to_have_text("first")
    press(other, "3")
    press(other, "Enter")
    expect(text_of(other)).to_have_text("second")
    other.close()
    page.reload()
    expect(text_of(page)).to_have_text("second")

    press(page, "1")
    press(page, "Enter")
    expect(page.locator("#problem-text")).to_have_text(UNSENT)
    press(page, "2")
    expect(frame_of(page).get_by_role("radio", checked=True)).to_have_text("2neutral")
    page.unroute("**/worker/answers*")
    expect(page.locator("#problem")).to_be_hidden()
    page.reload()
    expect(frame_of(page).get_by_role("radio", checked=True)).to_have_text("2neutral")
    press(page, "Enter")

    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    assert answers(served) == [label("positive"), label("neutral")]


def test_an_answer_whose_confirmation_got_lost_counts_once(page: Page, served: PageServer) -> None:
    served.hold(classify("first"), classify("second"))
    served.lost_answers = 1
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")

    press(page, "2")
    press(page, "Enter")

    expect(text_of(page)).to_have_text("second")
    expect(page.locator("#counts")).to_have_text("1 answered, 1 to go")
    assert answers(served) == [label("neutral"), None]


def test_a_refusal_stays_until_it_is_dismissed(page: Page, served: PageServer) -> None:
    store = served.hold(classify("first"), classify("second"))
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")
    press(page, "1")
    next(iter(store.tasks.values())).holder = "bob"

    press(page, "Enter")

    expect(page.get_by_role("alert")).to_contain_text("This task is no longer yours")
    expect(text_of(page)).to_have_text("second")
    page.wait_for_timeout(3_500)
    expect(page.get_by_role("alert")).to_contain_text("This task is no longer yours")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.locator("#problem")).to_be_hidden()


def test_a_second_window_answers_nothing_twice(context: BrowserContext, page: Page, served: PageServer) -> None:
    served.hold(classify("first"), classify("second"))
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")
    other = context.new_page()
    other.goto("/worker")
    expect(text_of(other)).to_have_text("first")
    press(other, "1")
    press(other, "Enter")
    expect(text_of(other)).to_have_text("second")

    press(page, "3")
    press(page, "Enter")

    expect(text_of(page)).to_have_text("second")
    expect(page.get_by_role("alert")).to_contain_text("you have answered it")
    assert answers(served) == [label("negative"), None]


def test_a_task_ahead_that_the_network_kept_from_loading_is_there_when_its_turn_comes(page: Page, served: PageServer) -> None:
    store = served.hold(classify("first"), classify("second"))
    path = f"**/worker/tasks/{list(store.tasks)[1]}"
    page.route(path, lambda route: route.abort())
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")
    expect(page.locator("iframe[hidden]")).to_have_count(1)
    page.unroute(path)
    press(page, "1")
    press(page, "Enter")
    expect(text_of(page)).to_have_text("second")
    expect(page.locator("#problem")).to_be_hidden()
    press(page, "3")
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    assert answers(served) == [label("negative"), label("positive")]


@pytest.mark.parametrize("failing", ["tasks/*", "assets/crowd-elements.js"])
def test_a_task_that_the_network_kept_from_loading_is_loaded_again_by_itself(page: Page, served: PageServer, failing: str) -> None:
    served.hold(classify("first"))
    page.route(f"**/worker/{failing}", lambda route: route.abort())
    page.goto("/worker")
    expect(page.get_by_role("alert")).to_contain_text("The task could not be loaded. It is loaded again by itself.")
    page.unroute(f"**/worker/{failing}")
    expect(text_of(page)).to_have_text("first")
    expect(page.locator("#problem")).to_be_hidden()


@pytest.mark.parametrize("dialog", ["Skip", "Flag"])
def test_a_dialog_is_about_the_task_for_which_it_was_opened(page: Page, served: PageServer, dialog: str) -> None:
    """The task's time is up while the person writes, and the page shows the next one."""
    store = served.hold(classify("first"), classify("second"))
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")
    first, second = store.tasks.values()
    page.get_by_role("button", name=dialog).first.click()
    page.get_by_role("dialog").get_by_role("textbox").fill("about the first one")
    first.holder, first.team = "", "others"
    page.evaluate("deadline = 0")
    expect(page.locator("#frame iframe:not([hidden])")).to_have_attribute("src", f"/worker/tasks/{second.task_id}")
    page.get_by_role("dialog").locator("button[value=send]").click()

    expect(page.get_by_role("dialog")).to_be_hidden()
    if dialog == "Flag":
        expect(page.get_by_role("alert")).to_contain_text("no longer yours")
    page.wait_for_timeout(500)
    assert [(one.skips, one.flags) for one in (first, second)] == [([], []), ([], [])]
    expect(text_of(page)).to_have_text("second")


def test_a_window_goes_on_after_another_one_has_signed_in_anew(page: Page, served: PageServer) -> None:
    """Two windows that sign in at once get one session after the other, and the browser keeps the last one for both."""
    served.hold(classify("first"), classify("second"), classify("third"))
    page.goto("/worker")
    press(page, "1")
    served.sign_in.sessions["ann"].csrf = "of the later session"
    press(page, "Enter")

    expect(text_of(page)).to_have_text("second")
    assert answers(served) == [label("negative"), None, None]
    expect(page.locator("#problem")).to_be_hidden()
    press(page, "u")
    expect(text_of(page)).to_have_text("first")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/worker")
    assert "ann" not in served.sign_in.sessions


def test_a_window_does_not_go_on_as_somebody_else(page: Page, served: PageServer) -> None:
    served.hold(classify("first"), classify("second"))
    page.goto("/worker")
    press(page, "1")
    served.sign_in.sessions["bob"].csrf = "bob's"
    page.context.add_cookies([{"name": "user", "value": "bob", "url": served.url}])
    press(page, "Enter")

    expect(page.get_by_role("alert")).to_contain_text("This page is out of date. Please load it again.")
    assert answers(served) == [None, None]


def test_the_next_task_is_loaded_meanwhile(page: Page, served: PageServer) -> None:
    served.hold(classify("first"), classify("second"))
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")
    expect(page.locator("iframe[hidden]")).to_have_count(1)
    expect(page.frame_locator("iframe[hidden]").locator("classification-target")).to_have_text("second")
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url.removeprefix(served.url)))

    press(page, "1")
    press(page, "Enter")
    expect(text_of(page)).to_have_text("second")

    assert [path for path in loaded if path.startswith("/worker/tasks/")] == []
