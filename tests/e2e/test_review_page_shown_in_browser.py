"""What people see on the review page and on the lead's, in a real browser: hidden characters, guidelines, sizes, colours, axe."""

from __future__ import annotations

from typing import Any

import pytest
from page_server import PageServer, asked, violations
from playwright.sync_api import Browser, Page, expect
from review_page_in_browser import classify, frame_of, press, signed_in, text_of

from stacks.constructs.worker_page import worker_page
from stacks.settings.guidelines import GuidelinesSettings

pytestmark = pytest.mark.slow

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
    press(page, "1")
    press(page, "Enter")
    expect(frame_of(page).locator(".blank")).to_have_text("This text is blank: it holds nothing that can be read.")


BLANK = [
    "\u2800", "\u3164", "\u115f\u1160", "\uffa0", "\u00ad", "\u034f", "\u17b4", "\u180e", "\u2065", "\ufff0", "\U00016fe4", "\U0001bca0",
    "\U0001d159", "\U0001d173", "\U000e0020", "\ufe0f", "\u0085", "\u001f", " \u00a0\u1680\u2003\u3000",
]  # fmt: skip


def test_a_text_of_characters_that_look_blank_is_called_blank(page: Page, served: PageServer) -> None:
    served.hold(asked("".join(f"<div class=one>{character}</div>" for character in BLANK) + '<input name="a">'))
    page.goto("/worker")

    blank = frame_of(page).locator("body").evaluate("() => [...document.querySelectorAll('.one')].map((one) => isBlank(one.textContent))")

    assert blank == [True] * len(BLANK), [f"{ord(one[0]):04X}" for one, said in zip(BLANK, blank, strict=True) if not said]


def test_what_stands_for_a_character_that_no_page_can_show_is_marked(page: Page, served: PageServer) -> None:
    served.hold(classify("half \ufffd of a pair"))
    page.goto("/worker")
    mark = text_of(page).locator(".unseen")
    expect(mark).to_have_attribute("aria-label", "U+FFFD stands for a character that cannot be shown")


def test_fillers_are_marked_and_the_space_of_braille_is_not(page: Page, served: PageServer) -> None:
    served.hold(classify("a\u2800b \u3164 \u115f \u2813\u2811\u2800\u2800\u283a \U0001d173 \u0085"), classify("\u2800 \u2800"))
    page.goto("/worker")

    assert [one.get_attribute("aria-label") for one in text_of(page).locator(".unseen").all()] == [
        "U+2800 Braille blank", "U+3164 Hangul filler", "U+115F Hangul choseong filler", "U+1D173", "U+0085",
    ]  # fmt: skip
    press(page, "1")
    press(page, "Enter")
    expect(frame_of(page).locator(".blank")).to_have_text("This text is blank: it holds nothing that can be read.")
    expect(text_of(page).locator(".unseen")).to_have_count(2)


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
    press(page, "1")
    press(page, "Enter")
    expect(text_of(page)).to_have_text("without")
    expect(frame_of(page).locator(".suggestion")).to_be_hidden()


def test_guidelines_stand_beside_the_text_where_there_is_room(page: Page, served: PageServer) -> None:
    served.hold(classify("text"))
    page.goto("/worker")
    pane, text = frame_of(page).locator(".guidelines"), text_of(page)

    expect(pane).to_contain_text("Choose the label that fits the whole text")
    beside, read = pane.bounding_box(), text.bounding_box()
    assert beside and read and beside["x"] >= read["x"] + read["width"]
    press(page, "g")
    expect(pane).not_to_have_attribute("open", "")
    page.set_viewport_size({"width": 500, "height": 850})
    expect(pane).not_to_have_attribute("open", "")


def test_examples_of_a_label_say_whether_they_fit_it(page: Page, served: PageServer) -> None:
    examples = "<positive-example>We would come back.</positive-example><negative-example>It has two beds.</negative-example>"
    guide = f'<full-instructions header="How to choose"><dl><dt>good</dt><dd>{examples}</dd></dl></full-instructions>'
    served.hold(
        asked(f'<crowd-classifier name="a" header="Which?" categories="[&quot;good&quot;, &quot;bad&quot;]">{guide}</crowd-classifier>')
    )
    page.goto("/worker")
    pane = frame_of(page).locator(".guidelines")

    expect(pane.locator("positive-example")).to_have_text("Fits: We would come back.")
    expect(pane.locator("negative-example")).to_have_text("Does not fit: It has two beds.")
    assert violations(page) == []


def test_guidelines_of_the_settings_are_shown_as_text_with_one_word_before_each_example(page: Page, served: PageServer) -> None:
    attack = "<b>{{ task.input.text }}</b></full-instructions>"
    label = {"name": "negative", "means": attack, "fits": [attack], "does_not_fit": ["Not this."]}
    own = worker_page(GuidelinesSettings.model_validate({"question": "Which one?", "rules": [attack], "labels": {"a": label}}))
    served.hold(classify("text", template=own))
    page.goto("/worker")
    pane = frame_of(page).locator(".guidelines")

    expect(frame_of(page).get_by_role("heading", name="Which one?")).to_be_visible()
    expect(pane.locator("li")).to_have_text(attack)
    expect(pane.locator("dt")).to_have_text("negative")
    expect(pane.locator("dd > p")).to_have_text(attack)
    expect(pane.locator("positive-example")).to_have_text(f"Fits: {attack}")
    expect(pane.locator("negative-example")).to_have_text("Does not fit: Not this.")
    assert pane.locator("b").count() == 0
    assert violations(page) == []


def test_time_left_and_pace_are_shown(page: Page, served: PageServer) -> None:
    served.hold(classify("first"), classify("second"))
    page.goto("/worker")

    expect(page.locator("#time-left")).to_have_text("60 min left")
    expect(text_of(page)).to_have_text("first")
    press(page, "1")
    press(page, "Enter")
    expect(page.locator("#pace")).to_have_text("4 s per answer")


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


def test_a_suggestion_pushes_no_answer_out_of_a_low_window(browser: Browser, served: PageServer) -> None:
    served.hold(classify("A text that is not short at all. " * 12, suggestion={"category": "neutral"}))
    context = signed_in(browser, served, **SCREENS["zoomed to 200 %"])
    page = context.new_page()
    page.goto("/worker")

    for shown in ("negative", "neutral", "positive", "Cannot tell"):
        expect(frame_of(page).get_by_role("radio", name=shown)).to_be_in_viewport(ratio=0.95)
    assert page.evaluate("scrollY") == 0
    assert violations(page) == []
    context.close()


def test_dialogs_refusals_and_the_end_are_right_for_axe_too(page: Page, served: PageServer) -> None:
    store = served.hold(classify("first"), classify("second"))
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")
    for name in ("Keyboard", "Flag", "Skip"):
        page.get_by_role("button", name=name).click()
        assert violations(page) == [], name
        press(page, "Escape")
    next(iter(store.tasks.values())).holder = "bob"
    frame_of(page).get_by_role("radio", name="positive").click()
    press(page, "Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    expect(text_of(page)).to_have_text("second")
    assert violations(page) == []
    frame_of(page).get_by_role("radio", name="positive").click()
    press(page, "Enter")
    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    page.get_by_text("Your last answers").click()
    assert violations(page) == []
    page.goto("/worker/nowhere")
    assert violations(page) == []


# -- the lead --------------------------------------------------------------------------------------


FOCUSED = (
    "() => [document.activeElement.closest('tr')?.dataset.row ?? document.activeElement.id, document.activeElement.textContent.trim()]"
)


def look_again(page: Page) -> None:
    """What the page does every few seconds."""
    page.evaluate("look()")


def test_the_leads_focus_stays_where_it_was_when_tables_change(browser: Browser, served: PageServer) -> None:
    store = served.hold(classify("one", title="One"), classify("two", title="Two"))
    one, two = store.tasks.values()
    one.holder, one.flags, two.flags = "ann", ["first"], ["second"]
    context = signed_in(browser, served, "lead", viewport={"width": 500, "height": 850})
    page = context.new_page()
    page.goto("/worker/lead")
    page.get_by_role("button", name="Close: One").focus()

    page.keyboard.press("Enter")
    expect(page.locator("#flags tbody tr")).to_have_count(1)
    expect(page.locator("#flags .table")).to_be_focused()
    one.flags = ["third"]
    look_again(page)
    expect(page.locator("#flags tbody tr")).to_have_count(2)
    expect(page.locator("#flags .table")).to_be_focused()
    page.get_by_role("button", name="Dispute: Two").last.focus()
    page.keyboard.press("Enter")
    page.get_by_label("What must be looked at again?").fill("both are wrong")
    page.get_by_role("button", name="Open the dispute").click()
    expect(page.locator("#disputes")).to_contain_text("both are wrong")
    assert page.evaluate(FOCUSED) == [two.task_id, "Dispute"]
    page.get_by_role("button", name="Release: One").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#queue")).not_to_contain_text("ann")
    expect(page.locator("#queue .table")).to_be_focused()
    page.get_by_role("button", name="Close: Two").last.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#disputes")).to_contain_text("There is no open dispute.")
    expect(page.locator("#disputes-heading")).to_be_focused()
    assert violations(page) == []
    context.close()


def test_a_table_is_made_anew_only_when_it_has_changed(browser: Browser, served: PageServer) -> None:
    one, _ = served.hold(classify("one", title="One"), classify("two", title="Two")).tasks.values()
    one.flags = ["first"]
    context = signed_in(browser, served, "lead")
    page = context.new_page()
    page.goto("/worker/lead")
    expect(page.locator("#flags tbody tr")).to_have_count(1)
    page.evaluate("for (const name of ['flags', 'queue']) document.querySelector(`#${name} .table`).made = 'before'")
    one.flags = ["changed"]

    look_again(page)

    expect(page.locator("#flags")).to_contain_text("changed")
    assert page.evaluate("['flags', 'queue'].map((name) => document.querySelector(`#${name} .table`).made ?? 'anew')") == ["anew", "before"]
    context.close()


def test_a_dismissed_refusal_gives_the_focus_back(browser: Browser, page: Page, served: PageServer) -> None:
    served.hold(classify("first"))
    page.goto("/worker")
    expect(text_of(page)).to_have_text("first")
    page.evaluate("problem('refused')")
    page.get_by_role("button", name="Dismiss").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#frame iframe")).to_be_focused()
    context = signed_in(browser, served, "lead")
    lead = context.new_page()
    lead.goto("/worker/lead")
    lead.evaluate("problem('refused')")
    lead.get_by_role("button", name="Dismiss").focus()
    lead.keyboard.press("Enter")
    expect(lead.locator("h1")).to_be_focused()
    context.close()


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
    page.locator("#flags").get_by_role("button", name="Close: Held task").click()
    expect(page.locator("#flags")).to_contain_text("There is no open flag.")
    assert (held.holder, held.flags) == ("", [])
    context.close()


def test_a_queue_that_is_not_counted_to_its_end_has_no_bar_of_what_is_done(page: Page, served: PageServer) -> None:
    store = served.hold(classify("first"), classify("second"), classify("third"))
    page.goto("/worker")
    expect(page.locator("#position")).to_have_text("Task 1 of 3")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuemax", "3")
    store.more = True
    press(page, "1")
    press(page, "Enter")
    expect(page.locator("#counts")).to_have_text("1 answered, 2 or more to go")
    expect(page.locator("#position")).to_have_text("Task 2")
    expect(page.get_by_role("progressbar")).to_have_count(0)
    assert violations(page) == []
    store.more = False
    press(page, "1")
    press(page, "Enter")
    expect(page.locator("#position")).to_have_text("Task 3 of 3")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "2")
