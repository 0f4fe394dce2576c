"""Every element: what a template asks with it, the documented answer, the answers that are refused, and what is refused by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from review_page.elements import CROWD, check_elements
from review_page.fields import TemplateError
from review_page.questions import questions
from review_page.template_scripts import script_sources

OWN_TEMPLATE = Path(__file__).resolve().parents[3] / "stacks" / "constructs" / "worker_template.liquid"
TEXT = "Zoë 👍 lives in Łódź."
"""Twenty code points; in UTF-16 there are 21 units."""
ELEMENTS: dict[str, tuple[str, Any, list[Any]]] = {
    "crowd-classifier": (
        """<crowd-form><crowd-classifier name="topic" header="Which?" categories="['a', 'b']">
        <classification-target>t</classification-target><full-instructions header="How">f</full-instructions>
        <short-instructions>s</short-instructions></crowd-classifier></crowd-form>""",
        {"topic": {"label": "b"}},
        [{"topic": {"label": "c"}}, {"topic": {"label": ["a"]}}, {"topic": "a"}, {"topic": {"label": "a", "more": 1}}],
    ),
    "crowd-classifier-multi-select": (
        """<crowd-form><crowd-classifier-multi-select name="topics" header="Which?" categories='["a", "b", "c"]'
        exclusion-category="{ text: 'None of the above' }"><classification-target>t</classification-target>
        <full-instructions>f</full-instructions><short-instructions>s</short-instructions></crowd-classifier-multi-select></crowd-form>""",
        {"topics": {"labels": ["a", "c"]}},
        [
            {"topics": {"labels": []}}, {"topics": {"labels": ["d"]}}, {"topics": {"labels": ["a", "a"]}}, {"topics": {"label": "a"}},
            {"topics": {"labels": ["a", "None of the above"]}}, {"topics": {"labels": [["a"]]}}, {"topics": {"labels": "a"}},
        ],
    ),
    "crowd-entity-annotation": (
        f"""<crowd-entity-annotation name="entities" header="Mark" text="{TEXT}"
        initial-value="[{{'label': 'person', 'startOffset': 0, 'endOffset': 3}}]"
        labels="[{{'label': 'person', 'shortDisplayName': 'per', 'fullDisplayName': 'Person'}}, {{'label': 'place'}}]">
        <full-instructions>f</full-instructions><short-instructions>s</short-instructions></crowd-entity-annotation>""",
        {"entities": {"entities": [{"endOffset": 20, "label": "place", "startOffset": 15}]}},
        [
            {"entities": {"entities": [{"startOffset": 0, "endOffset": 22, "label": "person"}]}},
            {"entities": {"entities": [{"startOffset": 3, "endOffset": 3, "label": "person"}]}},
            {"entities": {"entities": [{"startOffset": -1, "endOffset": 3, "label": "person"}]}},
            {"entities": {"entities": [{"startOffset": 0.5, "endOffset": 3, "label": "person"}]}},
            {"entities": {"entities": [{"startOffset": False, "endOffset": True, "label": "person"}]}},
            {"entities": {"entities": [{"startOffset": 0, "endOffset": 3, "label": "animal"}]}},
            {"entities": {"entities": [{"startOffset": 0, "endOffset": 3, "label": "person", "note": ""}]}},
            {"entities": {"entities": [3]}}, {"entities": {"entities": {}}}, {"entities": []},
        ],
    ),
    "crowd-input": (
        """<crowd-form><crowd-input name="tag1" label="Word" required max-length="10" min-length="2"></crowd-input>
        <crowd-input name="tag2" label="Another"></crowd-input></crowd-form>""",
        {"tag1": "blue"},
        [
            {"tag1": ""}, {"tag1": "  "}, {"tag1": 3}, {"tag1": None}, {"tag1": "b"}, {"tag1": "x" * 11}, {"tag2": "red"},
            {"tag1": "ok", "tag2": ""},
        ],
    ),
    "crowd-text-area": (
        '<crowd-form><crowd-text-area name="textInput1" rows="4" char-counter max-length="60"></crowd-text-area></crowd-form>',
        {"textInput1": "This is the text; the text that\nmakes the crowd go wild."},
        [{"textInput1": "x" * 61}, {"textInput1": ["x"]}],
    ),
    "crowd-radio-group and -button": (
        """<crowd-form><crowd-radio-group><crowd-radio-button name="btn1" value="yes">Yes</crowd-radio-button>
        <crowd-radio-button name="btn2" value="no">No</crowd-radio-button></crowd-radio-group></crowd-form>""",
        {"btn1": {"yes": True}, "btn2": {"no": False}},
        [
            {"btn1": {"yes": False}, "btn2": {"no": False}}, {"btn1": {"yes": True}, "btn2": {"no": True}}, {"btn1": {"yes": True}},
            {"btn1": {"yes": 1}, "btn2": {"no": False}}, {"btn1": "yes"},
        ],
    ),
    "crowd-checkbox": (
        """<crowd-form><crowd-checkbox name="image_attributes" value="blurry">Blurry</crowd-checkbox>
        <crowd-checkbox name="image_attributes" value="dim">Dim</crowd-checkbox>
        <crowd-checkbox name="sure" required>Sure</crowd-checkbox></crowd-form>""",
        {"image_attributes": {"blurry": True, "dim": False}, "sure": {"on": True}},
        [
            {"image_attributes": {"blurry": True, "dim": False}, "sure": {"on": False}},
            {"image_attributes": {"blurry": True}, "sure": {"on": True}},
            {"image_attributes": {"blurry": True, "dim": False, "dark": True}, "sure": {"on": True}},
        ],
    ),
    "crowd-slider": (
        '<crowd-form><crowd-slider name="howMuch" min="1" max="10" step="1" pin="true" required></crowd-slider></crowd-form>',
        {"howMuch": 7},
        [{"howMuch": 0}, {"howMuch": 11}, {"howMuch": "7"}, {"howMuch": True}, {"howMuch": float("nan")}, {"howMuch": float("inf")}],
    ),
    "crowd-card, -alert, -tabs, -instructions, -button": (
        """<crowd-form><crowd-instructions link-text="View" link-type="button"><short-summary>s</short-summary>
        <detailed-instructions>d</detailed-instructions><positive-example>p</positive-example><negative-example>n</negative-example>
        </crowd-instructions><crowd-alert type="warning" dismissible>Careful</crowd-alert><crowd-card heading="A card">c</crowd-card>
        <crowd-tabs><crowd-tab header="One">1</crowd-tab>
        <crowd-tab header="Two"><crowd-input name="in-a-tab"></crowd-input></crowd-tab></crowd-tabs>
        <crowd-button form-action="submit" variant="primary">Done</crowd-button></crowd-form>""",
        {"in-a-tab": "x"},
        [{"in-a-tab": ""}],
    ),
    "native text fields": (
        """<crowd-form><input name="short" required minlength="2" maxlength="5"><input type="number" name="count" min="1" max="9">
        <input type="date" name="day"><textarea name="long">preset</textarea><input type="hidden" name="version" value="3">
        <input type="submit" name="go"><input placeholder="without a name"></crowd-form>""",
        {"short": "ab", "count": "3", "day": "2026-01-31", "long": "words", "version": "3"},
        [
            {"short": "a", "version": "3"}, {"short": "ab"}, {"short": "ab", "version": "4"},
            {"short": "ab", "version": "3", "count": "10"}, {"short": "ab", "version": "3", "count": "NaN"},
            {"short": "ab", "version": "3", "count": 3}, {"short": "ab", "version": "3", "day": "today"},
            {"short": "ab", "version": "3", "go": "x"},
        ],
    ),
    "native boxes and buttons": (
        """<crowd-form><input type="checkbox" name="seen" value="yes"><input type="radio" name="tone" value="warm" required>
        <input type="radio" name="tone" value="cold"><input type="radio" name="maybe" value="1"></crowd-form>""",
        {"seen": {"yes": False}, "tone": {"warm": False, "cold": True}, "maybe": {"1": False}},
        [
            {"seen": {"yes": False}, "tone": {"warm": False, "cold": False}, "maybe": {"1": False}},
            {"seen": {"yes": False}, "tone": {"warm": True, "cold": True}, "maybe": {"1": False}},
            {"seen": {"yes": False}, "tone": "cold", "maybe": {"1": False}},
        ],
    ),
    "native select": (
        """<crowd-form><select name="size" required><option value="">Choose</option><option value="s">small</option><option>
        very  large</option></select></crowd-form>""",
        {"size": "very large"},
        [{"size": ""}, {"size": "m"}, {"size": ["s"]}, {"size": None}],
    ),
}  # fmt: skip


def test_every_listed_element_is_in_the_table() -> None:
    sources = " ".join(source for source, _, _ in ELEMENTS.values())

    assert {tag for tag in CROWD if f"<{tag}" not in sources} == set()


@pytest.mark.parametrize("name", ELEMENTS)
def test_an_elements_documented_answer_is_taken(name: str) -> None:
    source, answer, _ = ELEMENTS[name]
    check_elements(source)

    assert questions(source).check(answer) == answer


@pytest.mark.parametrize("name", ELEMENTS)
def test_no_other_answer_is_taken(name: str) -> None:
    source, answer, wrong = ELEMENTS[name]
    asked = questions(source)

    for refused in [{}, [], None, {**answer, "more": 1}, {**answer, "\ud800": "x"}, *wrong]:
        with pytest.raises(TemplateError):
            asked.check(refused)


@pytest.mark.parametrize("text", ["half \ud83d", "\udc4d half", "\ud800"])
def test_half_a_surrogate_pair_is_no_text(text: str) -> None:
    with pytest.raises(TemplateError, match="half a surrogate pair"):
        questions('<crowd-input name="a"></crowd-input>').check({"a": text})


def test_no_entity_and_no_box_are_answers_and_nothing_at_all_is_none() -> None:
    assert questions(ELEMENTS["crowd-entity-annotation"][0]).check({"entities": {"entities": []}})
    assert questions('<crowd-checkbox name="a"></crowd-checkbox>').check({"a": {"on": False}})
    with pytest.raises(TemplateError, match="the answer is empty"):
        questions('<crowd-input name="a"></crowd-input>').check({})


def test_what_is_disabled_is_not_asked() -> None:
    asked = questions('<crowd-input name="a"></crowd-input><crowd-input name="b" disabled></crowd-input>')

    with pytest.raises(TemplateError, match="'b', which the task does not ask for"):
        asked.check({"a": "x", "b": "y"})


REFUSED = {
    "<crowd-bounding-box name='a'></crowd-bounding-box>": "line 1: the element crowd-bounding-box is not supported",
    "<crowd-form>\n<crowd-keypoint name='a'></crowd-keypoint></crowd-form>": "line 2: the element crowd-keypoint is not supported",
    "<crowd-modal>x</crowd-modal>": "crowd-modal",
    "<my-widget></my-widget>": "my-widget",
    "<script src='https://elsewhere.example/x.js'></script>": "the element script with the address 'https://elsewhere.example/x.js'",
    "<script>go()</script>": "the element script with code of the template's own",
    "<script src='https://assets.crowd.aws/crowd-html-elements.js'>go()</script>": "the element script with code",
    "<img src=x onerror='go()'>": "the element img its attribute onerror",
    "<iframe src='https://elsewhere.example'></iframe>": "the element iframe",
    "<object data=x></object>": "the element object",
    "<embed src=x>": "the element embed",
    "<base href='https://elsewhere.example/'>": "the element base",
    "<link rel=stylesheet href='https://elsewhere.example/x.css'>": "the element link",
    "<meta http-equiv=refresh content='0;url=https://elsewhere.example'>": "the element meta",
    "<form action='https://elsewhere.example'></form>": "the element form",
    "<input type=file name=a>": "the element input of type file",
    "<crowd-input type=file name=a></crowd-input>": "the element crowd-input of type file",
    "<input type=password name=a>": "the element input of type password",
    "<select multiple name=a></select>": "the element select with the attribute multiple",
    "<crowd-input></crowd-input>": "line 1: crowd-input needs the attribute name",
    "<crowd-form>nothing</crowd-form>": "the template asks nothing",
    "": "the template asks nothing",
    "{% if a %}<crowd-fab></crowd-fab>{% endif %}": "crowd-fab",
    "<crowd-input name=a />\n<crowd-input name=b />": "line 2: the element crowd-input stands inside the element crowd-input of line 1",
    "<crowd-slider name=a>\n<p><input name=b></p></crowd-slider>": "line 2: the element input stands inside the element crowd-slider",
    "<crowd-text-area name=a><crowd-checkbox name=b>": "the element crowd-checkbox stands inside the element crowd-text-area",
    "<select name=a><option>x<crowd-input name=b></crowd-input></select>": "the element crowd-input stands inside the element select",
    "<noscript><input name=a></noscript>": "the element input stands inside the element noscript",
    "<template><input name=a></template>": "the element input stands inside the element template",
    "<fieldset disabled><input name=a></fieldset>": "the element input stands inside the element fieldset",
    "<crowd-instructions><input name=a></crowd-instructions>": "the element input stands inside the element crowd-instructions",
    "{% for i in a %}<input name='a{{ i }}'>\n<select name='a{{  i }}'></select>{% endfor %}": "line 2: the element select has the name of",
    "{% for i in a %}\n<input name='{{ i }}' onclick='{{ i }}'>{% endfor %}": "line 2: the element input its attribute onclick",
}


@pytest.mark.parametrize("template", REFUSED)
def test_what_the_page_cannot_show_is_refused_by_name(template: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(REFUSED[template])):
        check_elements(template)


SCRIPT = "<input name=a>\n<script>\nlet chosen = 1;\n</script>"
REFUSED_SCRIPTS = {
    "<script src='https://elsewhere.example/x.js'></script>": "the element script with the address 'https://elsewhere.example/x.js'",
    "<script src='https://assets.crowd.aws/crowd-html-elements.js'>go()</script>": "the element script with code",
    "<img src=x onerror='go()'>": "write a script element with addEventListener",
    "\n<script>const x = '{{ task.input.text }}';</script>": "line 2: the element script has Liquid in it",
    "<script>{% if a %}go(){% endif %}</script>": "line 1: the element script has Liquid in it",
    "<script data-x='{{ a }}'>go()</script>": "line 1: the element script has Liquid in it",
    "<script type='speculationrules'>{}</script>": "line 1: the element script of type 'speculationrules'",
    "<script type=importmap>{}</script>": "line 1: the element script of type 'importmap'",
    "<script>go()": "line 1: the element script has no end tag",
    "<script/>go()": "line 1: the element script has no end tag",
    "{{ '<script>' | skip_autoescape }}{{ task.input.text | skip_autoescape }}</script>": "has Liquid in it",
    "<script>x = '<!--<script>'</script></script>": "line 1: the element script has <!-- in it",
}


@pytest.mark.parametrize("template", REFUSED_SCRIPTS)
def test_with_scripts_on_only_fixed_inline_code_may_stand_in_a_template(template: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(REFUSED_SCRIPTS[template])):
        check_elements(f"<input name=a>{template}", scripts=True)


def test_an_inline_script_is_let_through_by_setting_and_known_by_its_hash() -> None:
    check_elements(SCRIPT, scripts=True)
    with pytest.raises(TemplateError, match="with code of the template's own does not run"):
        check_elements(SCRIPT)

    [source] = script_sources(SCRIPT)

    assert source == "'sha256-R38xvY5qwpST7+qf6nrWlmYytlTPV5Bj1JUdFAeZNog='"
    assert script_sources(SCRIPT.replace("\n", "\r\n")) == (source,), "a browser reads every line break as a line feed"
    assert script_sources(SCRIPT + SCRIPT.split("\n", 1)[1]) == (source,), "one text, one source"
    assert script_sources("{% comment %}<script>old()</script>{% endcomment %}") == ()


def test_liquid_is_no_element() -> None:
    check_elements(
        """{% comment %}<crowd-polygon>{% endcomment %}{%- if task.input.a < 3 and "<crowd-line>" -%}<crowd-form>
        <crowd-classifier name="{{ task.input.name }}" categories="{{ task.input.labels | to_json | escape }}">
        <classification-target>{{ task.input.text }}</classification-target></crowd-classifier></crowd-form>{% endif %}"""
    )


def test_a_question_that_no_browser_would_show_is_refused_when_it_is_rendered_too() -> None:
    """Which branch of a template's Liquid is shown is not known before."""
    template = "{% if a %}<crowd-input name=a>{% else %}<crowd-input name=a required>{% endif %}</crowd-input>"
    check_elements(template)
    assert questions("<crowd-input name=a></crowd-input><crowd-input name=b></crowd-input>").fields
    with pytest.raises(TemplateError, match="the element crowd-input stands inside the element crowd-input of line 1"):
        questions("<crowd-input name=a><crowd-input name=b></crowd-input></crowd-input>")
    with pytest.raises(TemplateError, match="the element input stands inside the element crowd-input"):
        questions("<div><crowd-input name=a required /><input name=b></div>")
    shown = "<div><crowd-input name=a /></div><p><input name=b><input name=c><svg><path d=x /></svg><textarea name=d></textarea>"
    check_elements(shown)
    assert [one.names for one in questions(shown).fields] == [("a",), ("b",), ("c",), ("d",)]
    assert questions("<textarea name=a></textarea><button><input type=submit></button><noscript>no scripts</noscript>").fields


def test_one_name_may_stand_twice_where_only_one_of_both_is_shown() -> None:
    check_elements("{% if a %}<input name=a>{% else %}<textarea name=a></textarea>{% endif %}")
    check_elements("<input name='{{ a }}'><input name='{{ b }}'><input type=radio name=c value=1><input type=radio name=c value=2>")


def test_the_template_that_the_stacks_deploy_can_be_shown() -> None:
    check_elements(OWN_TEMPLATE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("html", "said"),
    [
        ('<input name="a"><crowd-input name="a"></crowd-input>', "2 questions of the template have the name 'a'"),
        ('<crowd-classifier name="a" categories=\'["x", "x"]\'></crowd-classifier>', "a category is there twice"),
        ("<crowd-entity-annotation name=a labels='[{}]' text=x></crowd-entity-annotation>", "labels must be a list of objects with label"),
        ("<crowd-entity-annotation name=a labels=x text=x></crowd-entity-annotation>", "labels is not a JSON list"),
        (
            "<crowd-classifier-multi-select name=a categories='[\"x\"]' exclusion-category=none></crowd-classifier-multi-select>",
            "exclusion",
        ),
        ("<p>nothing</p>", "the template asks nothing"),
        ("<crowd-input name=a min-length=9 max-length=3></crowd-input>", "no answer fits 'a'"),
        ("<input name=a type=number min=5 max=1>", "no answer fits 'a'"),
        ("<crowd-slider name=a min=5 max=1></crowd-slider>", "no answer fits 'a'"),
        ("<select name=a required><option value=''>-</option></select>", "no answer fits 'a'"),
        ("<select name=a></select>", "no answer fits 'a'"),
        ("<crowd-classifier name=a categories='" + "[" * 5_000 + "'></crowd-classifier>", "is not a JSON list"),
    ],
)
def test_a_task_that_cannot_be_answered_is_refused_when_it_is_rendered(html: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        questions(html)


@pytest.mark.parametrize("bound", ["1e999", "-1e999", "9" * 400])
@pytest.mark.parametrize("element", ["input", "textarea", "crowd-input", "crowd-slider"])
def test_a_bound_that_no_number_is_bounds_nothing(element: str, bound: str) -> None:
    """It comes from a template or a task's input, and would have been an error of the page for everybody who opens the task."""
    names = ("min", "max") if element == "crowd-slider" else ("min-length", "max-length", "minlength", "maxlength", "min", "max")
    attributes = " ".join(f'{name}="{bound}"' for name in names)
    [field] = questions(f'<{element} name="a" type="number" {attributes}></{element}>').fields
    field.check({"a": 7 if element == "crowd-slider" else "7"})
