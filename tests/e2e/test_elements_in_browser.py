"""Every element of a template in a real browser: it gives the answer that SageMaker documents, and no other."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
from page_server import PageServer, asked, violations
from playwright.sync_api import FrameLocator, Page, expect
from review_page_in_browser import answers, frame_of, press
from test_elements import ELEMENTS

pytestmark = pytest.mark.slow

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


def test_enter_presses_the_label_of_a_passage_and_sends_no_answer(page: Page, served: PageServer) -> None:
    served.hold(
        asked("""<crowd-entity-annotation name="e" header="Mark" text="ab cd WORD" labels="['x', 'y']"></crowd-entity-annotation>""")
    )
    page.goto("/worker")
    frame = frame_of(page)
    frame.locator(".entity-text").focus()

    for key in ("ArrowRight", "Tab", "Enter"):
        press(page, key)
    expect(frame.locator(".entity")).to_have_text("ab")
    assert answers(served) == [None]
    frame.locator(".entity-text").focus()
    press(page, "Enter")

    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    assert answers(served) == [{"e": {"entities": [{"startOffset": 0, "endOffset": 2, "label": "x"}]}}]


def test_the_text_takes_the_focus_of_a_label_that_is_removed(page: Page, served: PageServer) -> None:
    served.hold(asked(ELEMENTS["crowd-entity-annotation"][0]))
    page.goto("/worker")
    frame = frame_of(page)
    frame.locator(".entity-label").focus()

    press(page, "Enter")

    expect(frame.locator(".entity")).to_have_count(0)
    expect(frame.locator(".entity-text")).to_be_focused()
    assert answers(served) == [None]


def test_a_field_has_its_focus_again_when_its_answer_is_refused(page: Page, served: PageServer) -> None:
    served.hold(asked('<crowd-form><crowd-input name="why"></crowd-input></crowd-form>'))
    page.goto("/worker")
    page.route("**/worker/answers*", lambda route: route.fulfill(status=400, json={"message": "why: not this"}))
    field = frame_of(page).get_by_label("why")
    field.fill("because")
    field.focus()

    press(page, "Enter")

    expect(page.get_by_role("alert")).to_contain_text("why: not this")
    expect(field).to_be_enabled()
    expect(field).to_be_focused()


MANY = [f"label {letter}" for letter in "abcdefghij"]


def listed(element: str, labels: list[str]) -> str:
    return f'<{element} name="a" header="Which?" categories="{html.escape(json.dumps(labels))}"></{element}>'


def test_enter_presses_cannot_tell_where_it_is_a_button(page: Page, served: PageServer) -> None:
    served.hold(asked(listed("crowd-classifier", [*MANY, "cannot-tell"]) + "<input name=b>"))
    page.goto("/worker")
    frame = frame_of(page)
    frame.get_by_role("option", name="label c").click()
    frame.get_by_role("button", name="Cannot tell").focus()

    press(page, "Enter")

    expect(frame.locator(".chosen")).to_have_text("Chosen: Cannot tell")
    assert answers(served) == [None]


def test_enter_sends_cannot_tell_after_its_key_where_several_labels_may_be_chosen(page: Page, served: PageServer) -> None:
    served.hold(asked(listed("crowd-classifier-multi-select", ["a", "b", "cannot-tell"])))
    page.goto("/worker")
    expect(frame_of(page).get_by_role("button", name="Cannot tell")).to_be_visible()

    press(page, "0")
    press(page, "Enter")

    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    assert answers(served) == [{"a": {"labels": ["cannot-tell"]}}]


def test_enter_presses_a_templates_own_button_that_does_not_submit(page: Page, served: PageServer) -> None:
    source = listed("crowd-classifier", ["a", "b"]) + '<button type="button" name="more">More</button>'
    served.hold(asked(source))
    page.goto("/worker")
    frame = frame_of(page)
    press(page, "2")
    frame.get_by_role("button", name="More").evaluate("one => one.addEventListener('click', () => { one.dataset.pressed = 'yes'; })")
    frame.get_by_role("button", name="More").focus()

    press(page, "Enter")

    expect(frame.get_by_role("button", name="More")).to_have_attribute("data-pressed", "yes")
    assert answers(served) == [None]


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


DISMISSIBLE = "<crowd-alert dismissible>{}</crowd-alert>"


def test_who_dismisses_an_alert_goes_on_at_what_follows_it(page: Page, served: PageServer) -> None:
    alerts = DISMISSIBLE.format('One <a href="#x">link</a>') + DISMISSIBLE.format("Two")
    served.hold(asked(f'{alerts}<p hidden><input name="unseen"></p><crowd-input name="word" label="Word"></crowd-input>'))
    page.goto("/worker")
    frame = frame_of(page)
    dismiss = frame.get_by_role("button", name="Dismiss")
    expect(dismiss).to_have_count(2)
    dismiss.first.focus()
    page.keyboard.press("Enter")
    expect(dismiss).to_have_count(1)
    expect(dismiss).to_be_focused()
    page.keyboard.press("Space")
    expect(frame.get_by_label("Word")).to_be_focused()


def test_who_dismisses_the_last_thing_of_a_task_goes_on_before_it(page: Page, served: PageServer) -> None:
    served.hold(asked('<crowd-input name="word" label="Word"></crowd-input>'))
    page.goto("/worker")
    frame = frame_of(page)
    expect(frame.get_by_label("Word")).to_be_visible()
    frame.locator("body").evaluate(
        """(body) => { const one = document.createElement("crowd-alert"); one.setAttribute("dismissible", ""); body.append(one);
        buildAlert(one); one.querySelector("button").focus(); }"""
    )
    page.keyboard.press("Enter")
    expect(frame.locator("crowd-alert")).to_have_count(0)
    assert frame.locator("body").evaluate("() => document.activeElement !== document.body")
