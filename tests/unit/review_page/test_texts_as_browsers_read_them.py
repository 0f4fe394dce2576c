"""A browser changes what it reads: line breaks, half characters, NUL, references. An answer must hold what it makes of a template."""

from __future__ import annotations

from typing import Any

import pytest
from test_worker_templates import each_rendered

from review_page.elements import HOSTED_ELEMENTS, check_elements
from review_page.fields import Choice, Entities, FixedText, TemplateError, TextField
from review_page.questions import check_answer, questions

HIDDEN = '<input type="hidden" name="t" value="{}">'
MARKED = '<crowd-entity-annotation name="e" labels="[\'x\']" text="{}"></crowd-entity-annotation>'
TEXTS = ("one\r\ntwo", "one\rtwo", "\r\n one \r\r\n", "a <b> & \"c\" 'd'\r\n")
EXPRESSIONS = (
    "task.input.text", "task.input.text | escape", "task.input.text | escape_once", "task.input.text | append: ''",
    "'' | append: task.input.text", "task.input.parts[0].text", "task.input.text | split: '|' | first",
)  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_value_keeps_its_line_breaks_as_the_browser_reads_it(expression: str) -> None:
    """A browser makes a line feed of CR and CRLF in a page, and leaves references to them alone."""
    template = HIDDEN.format(f"{{{{ {expression} }}}}") + MARKED.format(f"{{{{ {expression} }}}}")
    inputs = [{"text": text, "parts": [{"text": text}]} for text in TEXTS]
    for text, html in zip(TEXTS, each_rendered([(template, one) for one in inputs]), strict=True):
        assert "\r" not in html
        assert questions(html).fields == (FixedText("t", text), Entities("e", ("x",), len(text)))


def test_half_a_surrogate_pair_is_shown_as_the_character_that_stands_for_what_has_no_bytes() -> None:
    """Wherever a template takes it from. The task would fail otherwise, and nobody would be asked."""
    template = HIDDEN.format("{{ task.input.text }}") + MARKED.format("{{ task.input.parts[0] }}") + "<i>{{ task.input | to_json }}</i>"
    [html] = each_rendered([(template, {"text": "half \ud83d, whole \U0001f600", "parts": ["\udfff\ud800"], "\ud800": 1})])
    assert questions(html).fields == (FixedText("t", "half \ufffd, whole \U0001f600"), Entities("e", ("x",), 2))
    assert "\ufffd" in html.partition("<i>")[2]
    html.encode()


def test_what_the_template_itself_has_is_read_as_the_browser_reads_it() -> None:
    [html] = each_rendered([("<b>\r\n</b>" + HIDDEN.format("{{ task.input.text | skip_autoescape }}"), {"text": "one\r\ntwo\rthree"})])
    assert questions(html).fields == (FixedText("t", "one\ntwo\nthree"),)


@pytest.mark.parametrize(
    ("html", "value"),
    [
        (HIDDEN.format("one\r\ntwo"), "one\ntwo"), (HIDDEN.format("one\rtwo"), "one\ntwo"),
        (HIDDEN.format("one&#13;&#10;two&#xD;"), "one\r\ntwo\r"),
        (HIDDEN.format("half \ud800"), "half ?"), (HIDDEN.format("nul \0."), "nul \ufffd."),
        (HIDDEN.format("?a=1&copy=2&amp;lt=3&ltx&lt;&reg"), "?a=1&copy=2&lt=3&ltx<\xae"),
        ("<input type=hidden name=t value=?a=1&copy=2&not=3>", "?a=1&copy=2&not=3"),
    ],
)  # fmt: skip
def test_an_attribute_is_what_the_browser_makes_of_it(html: str, value: str) -> None:
    assert questions(html).fields == (FixedText("t", value),)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("New&nbsp;York", "New\xa0York"), ("\u3000a\u2003 b\u3000", "\u3000a\u2003 b\u3000"), (" \t\r\n New \f\n York\n", "New York"),
        ("\x0ba\x1c\x85", "\x0ba\x1c\x85"), ("nul\0", "nul"),
    ],
)  # fmt: skip
def test_an_option_without_a_value_has_its_text_without_the_space_of_html_alone(option: str, value: str) -> None:
    assert questions(f"<select name=s><option>{option}</option></select>").fields == (Choice("s", (value,)),)


def test_of_two_attributes_with_one_name_the_first_counts() -> None:
    assert questions('<input type="hidden" name="t" value="a" value="b">').fields == (FixedText("t", "a"),)
    with pytest.raises(TemplateError, match=r"with the address 'https://elsewhere/x\.js'"):
        check_elements(f"<input name=a><script src='https://elsewhere/x.js' src='{HOSTED_ELEMENTS}'></script>")


@pytest.mark.parametrize(("text", "fits"), [("👍👍", True), ("👍", False), ("👍👍👍", False), ("abcde", True), ("ab", False)])
def test_lengths_are_counted_as_the_browser_counts_them(text: str, fits: bool) -> None:
    """In units of UTF-16: an emoji has two."""
    wanted = [TextField("t", shortest=3, longest=5)]
    if fits:
        assert check_answer(wanted, {"t": text}) == {"t": text}
    else:
        with pytest.raises(TemplateError, match="3 to 5 are allowed"):
            check_answer(wanted, {"t": text})


ROUNDED: dict[str, Any] = {
    "2.5 | round": "3", "0.5 | round": "1", "-2.5 | round": "-3", "2.4 | round": "2", "1.005 | round: 2": "1.01",
    "2.675 | round: 2": "2.68",
    "'3.5' | round": "4", "7 | round": "7", "7 | round: 2": "7", "2.5 | round: 0": "3", "2.25 | round: 1": "2.3", "nil | round": "0",
    "task.input.large | round: 2": "1e+300", "task.input.rows | round": "0", "0.1 | round: 400": "0.1", "2.5 | round: 'x'": "3",
}  # fmt: skip


def test_the_filter_round_rounds_halves_away_from_zero_as_ruby_does() -> None:
    found = each_rendered([(f"{{{{ {expression} }}}}", {"large": 1e300}) for expression in ROUNDED])
    assert dict(zip(ROUNDED, found, strict=True)) == ROUNDED
