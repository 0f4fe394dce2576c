"""The review page in a real browser, over a store in memory: keys, undo, skip, lost networks, every element, accessibility, the lead."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_server import PageServer, asked, violations
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect
from test_elements import ELEMENTS

OWN = (Path(__file__).resolve().parents[2] / "stacks" / "constructs" / "worker_template.liquid").read_text(encoding="utf-8")
WAIT_MS = 45_000
pytestmark = pytest.mark.slow
SENTIMENT = ["negative", "neutral", "positive", "cannot-tell"]


def classify(text: str, labels: list[str] | None = None, **changes: Any) -> Any:
    """A task of the template that the stacks deploy."""
    shown = re.sub(r"\{\{ task.input.labels[^}]*\}\}", lambda _: html.escape(json.dumps(labels or SENTIMENT)), OWN)
    shown = shown.replace("{{ task.input.text }}", html.escape(text)).replace(shown.split("\n", maxsplit=1)[0], "")
    return asked(shown, **{"title": "Which label fits?", **changes})


@pytest.fixture(scope="module")
def served() -> Iterator[PageServer]:
    server = PageServer()
    yield server
    server.close()


@pytest.fixture
def context(browser: Browser, served: PageServer) -> Iterator[BrowserContext]:
    made = signed_in(browser, served, viewport={"width": 1200, "height": 850})
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """Whatever the browser complains about fails the test."""
    opened = context.new_page()
    said: list[str] = []
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("console", lambda message: said.append(message.text) if "Content Security Policy" in message.text else None)
    yield opened
    assert said == []


def signed_in(browser: Browser, served: PageServer, user: str = "ann", **options: Any) -> BrowserContext:
    made = browser.new_context(base_url=served.url, **options)
    made.add_cookies([{"name": "user", "value": user, "url": served.url}])
    made.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    return made


def frame_of(page: Page) -> FrameLocator:
    expect(page.locator("iframe[data-ready=true]:not([hidden])")).to_be_visible()
    return page.frame_locator("iframe:not([hidden])")


def text_of(page: Page) -> Any:
    return frame_of(page).locator("classification-target")


def answers(served: PageServer) -> list[Any]:
    return [one.answer for one in served.store.tasks.values()]


def label(name: str) -> dict[str, Any]:
    return {"category": {"label": name}}


# -- the keyboard ----------------------------------------------------------------------------------

AZERTY_2 = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'é', code: 'Digit2', bubbles: true, cancelable: true}))"


def test_twenty_tasks_by_keyboard_with_undo_and_cannot_tell(page: Page, served: PageServer) -> None:
    served.hold(*(classify(f"text {number}") for number in range(20)))
    page.goto("/worker")

    for number in range(20):
        expect(text_of(page)).to_have_text(f"text {number}")
        page.keyboard.press("0" if number % 5 == 4 else str(number % 3 + 1))
        page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    expect(page.locator("#done-count")).to_have_text("20 answered today: thank you.")
    assert answers(served) == [label("cannot-tell" if number % 5 == 4 else SENTIMENT[number % 3]) for number in range(20)]


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
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Skip", exact=True).fill("x")
    page.get_by_label("Flag", exact=True).fill("x")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#keys-problem")).to_have_text("Each key can be for one thing only.")
    page.get_by_label("Flag", exact=True).fill("q")
    page.get_by_role("button", name="Save").click()
    page.keyboard.press("s")
    page.keyboard.press("x")
    expect(page.get_by_role("dialog", name="Skip this task")).to_be_visible()
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Single keys work").uncheck()
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
    page.keyboard.press("9")
    page.keyboard.press("Enter")
    expect(text_of(page)).to_have_text("ten")
    expect(frame_of(page).get_by_role("combobox")).to_be_focused()
    page.keyboard.type("L j")
    page.keyboard.press("Enter")
    expect(frame_of(page).locator(".chosen")).to_have_text("Chosen: label j")
    page.keyboard.press("Alt+0")
    expect(frame_of(page).locator(".chosen")).to_have_text("Chosen: Cannot tell")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    assert answers(served) == [label("label i"), label("cannot-tell")]


# -- second thoughts -------------------------------------------------------------------------------


def test_an_answer_is_undone_with_what_was_chosen_until_its_task_has_ended(page: Page, served: PageServer) -> None:
    store = served.hold(*(classify(f"text {number}") for number in range(4)))
    page.goto("/worker")
    for number in range(3):
        expect(text_of(page)).to_have_text(f"text {number}")
        page.keyboard.press("1")
        page.keyboard.press("Enter")
    expect(text_of(page)).to_have_text("text 3")
    next(iter(store.tasks.values())).ended = True

    page.keyboard.press("u")
    expect(text_of(page)).to_have_text("text 2")
    expect(frame_of(page).get_by_role("radio", checked=True)).to_have_text("1negative")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
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

    page.keyboard.press("f")
    page.get_by_label("What should your lead look at?").fill("two labels fit")
    page.get_by_role("button", name="Flag the task").click()
    expect(page.locator("#notice")).to_contain_text("The task is flagged for your lead.")
    page.get_by_role("button", name="Skip").click()
    page.get_by_label("I do not read this language").check()
    page.get_by_label("A word about it").fill("Dutch?")
    page.get_by_role("button", name="Skip the task").click()

    expect(text_of(page)).to_have_text("second")
    assert ([(reason.value, note) for reason, note in first.skips], first.flags) == ([("language", "Dutch?")], ["two labels fit"])
    page.keyboard.press("s")
    expect(page.get_by_role("dialog", name="Skip this task")).to_be_visible()
    page.keyboard.press("Enter")
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
    page.keyboard.press("3")
    served.down = True
    page.keyboard.press("Enter")
    expect(page.locator("#notice")).to_have_text("No connection. Your answer is kept, and is sent again by itself.")
    page.keyboard.press("1")
    expect(frame_of(page).get_by_role("radio", checked=True)).to_have_text("3positive")

    page.reload()
    expect(page.locator("#notice")).to_have_text("No connection. Your answer is kept, and is sent again by itself.")
    served.down = False

    expect(text_of(page)).to_have_text("second")
    expect(page.locator("#notice")).to_be_hidden()
    assert answers(served) == [label("positive"), None]


def test_an_answer_whose_confirmation_got_lost_counts_once(page: Page, served: PageServer) -> None:
    served.hold(classify("first"), classify("second"))
    served.lost_answers = 1
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")

    page.keyboard.press("2")
    page.keyboard.press("Enter")

    expect(text_of(page)).to_have_text("second")
    expect(page.locator("#counts")).to_have_text("1 answered, 1 to go")
    assert answers(served) == [label("neutral"), None]


def test_a_refusal_stays_until_it_is_dismissed(page: Page, served: PageServer) -> None:
    store = served.hold(classify("first"), classify("second"))
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")
    page.keyboard.press("1")
    next(iter(store.tasks.values())).holder = "bob"

    page.keyboard.press("Enter")

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
    other.keyboard.press("1")
    other.keyboard.press("Enter")
    expect(text_of(other)).to_have_text("second")

    page.keyboard.press("3")
    page.keyboard.press("Enter")

    expect(text_of(page)).to_have_text("second")
    expect(page.get_by_role("alert")).to_contain_text("you have answered it")
    assert answers(served) == [label("negative"), None]


def test_the_next_task_is_loaded_meanwhile(page: Page, served: PageServer) -> None:
    served.hold(classify("first"), classify("second"))
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")
    expect(page.locator("iframe[hidden]")).to_have_count(1)
    expect(page.frame_locator("iframe[hidden]").locator("classification-target")).to_have_text("second")
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url.removeprefix(served.url)))

    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(text_of(page)).to_have_text("second")

    assert [path for path in loaded if path.startswith("/worker/tasks/")] == []


# -- what a text hides, what is shown beside it ----------------------------------------------------


def test_characters_that_nobody_sees_are_marked_and_reorder_nothing(page: Page, served: PageServer) -> None:
    family, persian = "\U0001f468\u200d\U0001f469", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    served.hold(classify(f"pay \u202e05$ now\u200b! {family} {persian} a\u200db"), classify(" \u200b\u2066 "))
    page.goto("/worker")

    marks = text_of(page).locator(".unseen")
    expect(marks).to_have_count(3)
    assert [one.get_attribute("aria-label") for one in marks.all()] == [
        "U+202E right-to-left override", "U+200B zero width space", "U+200D zero width joiner",
    ]  # fmt: skip
    assert marks.first.evaluate("one => getComputedStyle(one).unicodeBidi") == "isolate"
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(frame_of(page).locator(".blank")).to_have_text("This text is blank: it holds nothing that can be read.")


def test_a_screen_reader_hears_the_text(page: Page, served: PageServer) -> None:
    served.hold(classify("Heard and read."))
    page.goto("/worker")

    expect(page.locator("#status")).to_contain_text("Text: Heard and read.")
    group = frame_of(page).get_by_role("radiogroup")
    described = group.get_attribute("aria-describedby")
    expect(frame_of(page).locator(f"#{described}")).to_have_text("Heard and read.")


def test_the_models_label_is_shown_only_where_the_store_says_so(page: Page, served: PageServer) -> None:
    served.hold(classify("with", suggestion={"category": "positive"}), classify("without"))
    page.goto("/worker")

    expect(frame_of(page).locator(".suggestion")).to_have_text("The model's suggestion: positive")
    expect(frame_of(page).get_by_role("radio", checked=True)).to_have_count(0)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(text_of(page)).to_have_text("without")
    expect(frame_of(page).locator(".suggestion")).to_be_hidden()


def test_guidelines_stand_beside_the_text_where_there_is_room(page: Page, served: PageServer) -> None:
    served.hold(classify("text"))
    page.goto("/worker")
    pane, text = frame_of(page).locator(".guidelines"), text_of(page)

    expect(pane).to_contain_text("Choose the label that fits the whole text")
    beside, read = pane.bounding_box(), text.bounding_box()
    assert beside and read and beside["x"] >= read["x"] + read["width"]
    page.keyboard.press("g")
    expect(pane).not_to_have_attribute("open", "")
    page.set_viewport_size({"width": 500, "height": 850})
    expect(pane).not_to_have_attribute("open", "")


def test_time_left_and_pace_are_shown(page: Page, served: PageServer) -> None:
    served.hold(classify("first"), classify("second"))
    page.goto("/worker")

    expect(page.locator("#time-left")).to_have_text("60 min left")
    expect(text_of(page)).to_have_text("first")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator("#pace")).to_have_text("4 s each")


# -- every size, every colour ----------------------------------------------------------------------

SCREENS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1200, "height": 850}},
    "dark": {"viewport": {"width": 1200, "height": 850}, "color_scheme": "dark"},
    "forced colours": {"viewport": {"width": 1200, "height": 850}, "forced_colors": "active"},
    "zoomed to 200 %": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
    "phone": {"viewport": {"width": 375, "height": 740}, "has_touch": True, "is_mobile": True},
    "phone on its side": {"viewport": {"width": 740, "height": 375}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"},
}


@pytest.mark.parametrize("screen", [pytest.param(one, marks=[] if one == "desk" else [pytest.mark.slow]) for one in SCREENS])
def test_the_answers_are_in_view_and_nothing_is_wrong_for_axe(browser: Browser, served: PageServer, screen: str) -> None:
    served.hold(classify("A text that is not short at all. " * 12), classify("second", [f"label {n}" for n in range(30)]))
    context = signed_in(browser, served, **SCREENS[screen])
    page = context.new_page()
    page.goto("/worker")
    frame = frame_of(page)

    assert page.evaluate("document.documentElement.scrollWidth") == SCREENS[screen]["viewport"]["width"], "nothing sticks out"
    frame.get_by_role("radio", name="Cannot tell").scroll_into_view_if_needed()
    for shown in ("negative", "neutral", "positive", "Cannot tell"):
        expect(frame.get_by_role("radio", name=shown)).to_be_in_viewport(ratio=0.95)
    assert violations(page) == []
    frame.get_by_role("radio", name="positive").click()
    frame.get_by_role("button", name="Submit").click()
    expect(page.frame_locator("iframe:not([hidden])").get_by_role("combobox")).to_be_visible()
    assert violations(page) == []
    context.close()


def test_dialogs_refusals_and_the_end_are_right_for_axe_too(page: Page, served: PageServer) -> None:
    store = served.hold(classify("first"), classify("second"))
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")
    for name in ("Keys", "Flag", "Skip"):
        page.get_by_role("button", name=name).click()
        assert violations(page) == [], name
        page.keyboard.press("Escape")
    next(iter(store.tasks.values())).holder = "bob"
    frame_of(page).get_by_role("radio", name="positive").click()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(text_of(page)).to_have_text("second")
    assert violations(page) == []
    frame_of(page).get_by_role("radio", name="positive").click()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    page.get_by_text("Your last answers").click()
    assert violations(page) == []
    page.goto("/worker/nowhere")
    assert violations(page) == []


# -- every element ---------------------------------------------------------------------------------


def fill_text_fields(frame: FrameLocator, page: Page) -> None:
    frame.locator('[name="short"]').fill("ab")
    frame.locator('[name="count"]').fill("3")
    frame.locator('[name="day"]').fill("2026-01-31")
    frame.locator('[name="long"]').fill("words")


def mark_by_mouse(frame: FrameLocator, page: Page) -> None:
    """The preset label goes, and the last word gets one."""
    frame.locator(".entity-label").click()
    frame.locator(".entity-text").evaluate(
        """(text) => { const range = document.createRange(); const node = text.lastChild; const at = node.data.indexOf("Ł");
        range.setStart(node, at); range.setEnd(node, at + 5); getSelection().removeAllRanges(); getSelection().addRange(range); }"""
    )
    page.wait_for_timeout(100)
    frame.get_by_role("button", name="place").click()


def slide(frame: FrameLocator, page: Page) -> None:
    frame.locator('input[name="howMuch"]').fill("7")


FILL: dict[str, Any] = {
    "crowd-classifier": lambda frame, page: frame.get_by_role("radio", name="b").click(),
    "crowd-classifier-multi-select": lambda frame, page: [
        frame.get_by_role("checkbox", name=name, exact=True).click() for name in ("c", "a")
    ],
    "crowd-entity-annotation": mark_by_mouse,
    "crowd-input": lambda frame, page: frame.get_by_label("Word").fill("blue"),
    "crowd-text-area": lambda frame, page: frame.get_by_label("textInput1").fill(
        "This is the text; the text that\nmakes the crowd go wild."
    ),
    "crowd-radio-group and -button": lambda frame, page: frame.get_by_label("Yes").check(),
    "crowd-checkbox": lambda frame, page: [frame.get_by_label(name).check() for name in ("Blurry", "Sure")],
    "crowd-slider": slide,
    "crowd-card, -alert, -tabs, -instructions, -button": lambda frame, page: [
        frame.get_by_role("button", name="Dismiss").click(), frame.get_by_role("tab", name="Two").click(),
        frame.locator('input[name="in-a-tab"]').fill("x"),
    ],
    "native text fields": fill_text_fields,
    "native boxes and buttons": lambda frame, page: frame.locator('[value="cold"]').check(),
    "native select": lambda frame, page: frame.locator("select").select_option(label="very large"),
}  # fmt: skip
OPEN = set(ELEMENTS) - {"crowd-entity-annotation"}
"""Of these an untouched form is no answer; no passage marked is one."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ELEMENTS)
def test_an_element_gives_its_documented_answer_and_no_other(page: Page, served: PageServer, name: str) -> None:
    source, answer, _ = ELEMENTS[name]
    served.hold(asked(source))
    page.goto("/worker")
    frame = frame_of(page)

    if name in OPEN:
        # It says that it is disabled, and says why when it is pressed: by its event, since the frame may still grow under a pointer.
        frame.locator("button.submit").dispatch_event("click")
        expect(frame.locator(".refusal")).to_be_visible()
        assert answers(served) == [None]
    assert [one for one in violations(page) if not one.startswith(("label", "select-name"))] == [], (
        "native fields of a template have the labels that it gives"
    )
    FILL[name](frame, page)
    frame.locator("button.submit").click()

    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    assert answers(served) == [answer]


def test_passages_are_marked_with_the_keyboard_alone(page: Page, served: PageServer) -> None:
    served.hold(asked(ELEMENTS["crowd-entity-annotation"][0]))
    page.goto("/worker")
    text = frame_of(page).locator(".entity-text")
    text.focus()

    for key in ("ArrowRight", "Delete", "ArrowRight", "Shift+ArrowRight", "2"):
        text.press(key)
    expect(frame_of(page).locator(".entity")).to_have_count(1)
    frame_of(page).locator("button.submit").click()

    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    assert answers(served) == [{"entities": {"entities": [{"startOffset": 4, "endOffset": 11, "label": "place"}]}}]


# -- the lead --------------------------------------------------------------------------------------


def test_a_lead_sees_the_queue_releases_settles_and_disputes(browser: Browser, served: PageServer) -> None:
    store = served.hold(classify("held", title="Held task"), classify("open", title="Open task"))
    held = next(iter(store.tasks.values()))
    held.holder, held.flags = "ann", ["two <b>labels</b> fit"]
    context = signed_in(browser, served, "lead", viewport={"width": 1200, "height": 850})
    page = context.new_page()
    page.goto("/worker")
    page.get_by_role("link", name="Lead").click()

    expect(page.locator("#queue")).to_contain_text("ann, 50 min left")
    expect(page.locator("#flags")).to_contain_text("two <b>labels</b> fit")
    assert violations(page) == []
    page.set_viewport_size({"width": 390, "height": 850})
    release = page.get_by_role("button", name="Release: Held task").bounding_box()
    assert release is not None and release["x"] + release["width"] < 390, "a phone shows whole rows"
    assert violations(page) == []
    page.set_viewport_size({"width": 1200, "height": 850})
    page.get_by_role("button", name="Release: Held task").click()
    expect(page.locator("#queue")).not_to_contain_text("ann, 50 min left")
    page.locator("#queue").get_by_role("button", name="Dispute: Open task").click()
    page.get_by_label("What must be looked at again?").fill("both answers are wrong")
    assert violations(page) == []
    page.get_by_role("button", name="Open the dispute").click()
    expect(page.locator("#disputes")).to_contain_text("both answers are wrong")
    page.locator("#flags").get_by_role("button", name="Settled: Held task").click()
    expect(page.locator("#flags")).to_contain_text("Nobody has flagged a task.")
    assert (held.holder, held.flags) == ("", [])
    context.close()
