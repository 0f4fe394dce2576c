"""Worker templates: how they are rendered, what they ask for, and how answers are written down."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from review_page.answers import Answer, Worker, answer_document
from review_page.fields import Classifier, TemplateError
from review_page.questions import check_answer, questions

ROOT = Path(__file__).resolve().parents[3]
RENDER = """
import json, sys
from review_page.fields import TemplateError
from review_page.templates import check_template, render

def rendered(given):
    try:
        if given["input"] is None:
            return check_template(given["template"])
        return render(given["template"], given["input"], lambda uri: f"https://signed/{uri}")
    except TemplateError as error:
        return {"refused": str(error)}

print(json.dumps([rendered(given) for given in json.load(sys.stdin)]))
"""


PARSE = """
from review_page import templates

made, environment = [], templates._environment
templates._environment = lambda grant: made.append(grant) or environment(grant)
texts = [templates.render("{{ task.input.text | grant_read_access }}", {"text": f"s3://bucket/{one}"}, grant)
         for grant in (str, str.upper) for one in ("a", "b")]
print(*texts, len(made))
"""


def each_rendered(given: Sequence[tuple[str, dict[str, Any] | None]]) -> list[Any]:
    """Templates with their inputs, rendered by the Python that has python-liquid; without an input: checked."""
    asked = json.dumps([{"template": template, "input": task_input} for template, task_input in given])
    done = subprocess.run(
        [ROOT / ".venv-emulator" / "bin" / "python", "-c", RENDER], input=asked,
        capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}, check=True,
    )  # fmt: skip
    return list(json.loads(done.stdout))


def rendered(template: str, **task_input: Any) -> Any:
    return each_rendered([(template, task_input)])[0]


def test_values_are_escaped_unless_the_template_says_otherwise() -> None:
    values = ("task.input.text", "task.input.text | skip_autoescape", "task.input.labels | to_json", "'s3://bucket/k' | grant_read_access")

    shown = rendered("|".join(f"{{{{ {value} }}}}" for value in values), text="<b>&", labels=['a"b', "ä"])

    assert shown.split("|") == ["&lt;b&gt;&amp;", "<b>&", "[&#34;a\\&#34;b&#34;, &#34;ä&#34;]", "https://signed/s3://bucket/k"]


def test_a_template_is_parsed_once_for_all_its_tasks() -> None:
    done = subprocess.run(
        [ROOT / ".venv-emulator" / "bin" / "python", "-c", PARSE],
        capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["s3://bucket/a", "s3://bucket/b", "S3://BUCKET/A", "S3://BUCKET/B", "2"]


def test_a_template_that_is_no_liquid_is_refused() -> None:
    assert "cannot be rendered" in rendered("{% if %}")["refused"]


BOMBS = {
    "many rounds": "{% for i in (1..1000000000) %}x{% endfor %}",
    "rounds of rounds": "{% for i in (1..5000) %}{% for j in (1..5000) %}x{% endfor %}{% endfor %}",
    "a table without end": "{% tablerow i in (1..1000000000) %}x{% endtablerow %}",
    "doubling a text": "{% assign s = task.input.text %}{% for i in (1..99) %}{% assign s = s | append: s %}{% endfor %}{{ s }}",
    "squaring a number": "{% assign n = 99 %}{% for i in (1..99) %}{% assign n = n | times: n %}{% endfor %}{{ n }}",
    "squaring in one place": "{{ 99" + f" | times: {'9' * 300}" * 9 + " }}",
    "replacing nothing": "{{ task.input.text | replace: '', task.input.text }}",
    "replacing everything": "{{ task.input.text | replace: 'a', task.input.text }}",
    "joining with a text": "{{ task.input.text | split: '' | join: task.input.text }}",
    "a range as a list": "{{ (1..1000000000) | join: ',' }}",
    "a range reversed": "{{ (1..1000000000) | reverse | first }}",
    "growing again and again": "{{ task.input.text" + " | base64_encode" * 60 + " }}",
    "nested blocks": "{% if true %}" * 3_000 + "{% endif %}" * 3_000,
    "a capture that grows": "{% for i in (1..99) %}{% capture s %}{{ s }}{{ s }}{{ task.input.text }}{% endcapture %}{% endfor %}",
}


def test_a_liquid_bomb_is_refused_and_takes_no_time() -> None:
    found = dict(zip(BOMBS, each_rendered([(bomb, {"text": "a" * 20_000}) for bomb in BOMBS.values()]), strict=True))

    assert {name: list(said) for name, said in found.items() if not isinstance(said, dict)} == {}


GRANTED = ("", "task.input.nothing", "''", "'http://elsewhere/x'", "'s3://'", "'s3://bucket'", "'s3://bucket/'", "task.input", "5")


def test_read_access_is_granted_to_objects_of_s3_alone() -> None:
    found = each_rendered([(f"{{{{ {value or 'nil'} | grant_read_access }}}}", {}) for value in GRANTED])

    assert ["needs the S3 URI of an object" in said["refused"] for said in found] == [True] * len(GRANTED)


def test_liquid_that_cannot_be_shown_is_refused_before_any_task() -> None:
    cases = {
        "{{ task.input.text | shout }}": "the Liquid filter shout is not supported",
        "{% include 'other' %}": "the Liquid tag include is not supported",
        "{% render 'other' %}": "the Liquid tag render is not supported",
        "{% if %}": "not valid Liquid",
        "{% loop %}": "not valid Liquid",
        "{{ task.input.text": "not valid Liquid",
        "<input name=a>{% if task.input.a < 3 %}{{ task.input.text | skip_autoescape | upcase }}{% endif %}{{ x | to_json }}": "",
        "<crowd-form><crowd-polygon name=a></crowd-polygon></crowd-form>": "line 1: the element crowd-polygon is not supported",
    }

    found = each_rendered([(template, None) for template in cases])

    for said, expected in zip(found, cases.values(), strict=True):
        assert said is None if not expected else expected in said["refused"]


def test_the_questions_of_a_template_are_its_classifiers() -> None:
    html = """<crowd-form><crowd-classifier name="first" categories='["a", "b"]'></crowd-classifier>
    <crowd-classifier categories="['c']" name="second"/></crowd-form>"""

    assert questions(html).fields == (Classifier("first", ("a", "b")), Classifier("second", ("c",)))


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ("categories='[\"a\"]'", "needs the attribute name"),
        ('name="x"', "not a JSON list"),
        ('name="x" categories="a, b"', "not a JSON list"),
        ('name="x" categories="[]"', "must be a list of strings"),
        ('name="x" categories="[1]"', "must be a list of strings"),
    ],
)
def test_a_classifier_that_asks_nothing_is_refused(attributes: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said):
        questions(f"<crowd-classifier {attributes}></crowd-classifier>")


def test_an_answer_must_hold_a_category_of_every_classifier() -> None:
    wanted = [Classifier("first", ("a", "b")), Classifier("second", ("c",))]
    whole = {"first": {"label": "b"}, "second": {"label": "c"}}

    assert check_answer(wanted, whole) == whole
    with pytest.raises(TemplateError, match="second: None is not one of c"):
        check_answer(wanted, {"first": {"label": "b"}})


def test_an_answer_that_is_too_deep_is_refused_however_it_was_read() -> None:
    deep: list[Any] = []
    for _ in range(50_000):
        deep = [deep]
    for content in ({"first": deep}, {"first": {"label": deep}}):
        with pytest.raises(TemplateError, match="deep"):
            check_answer([Classifier("first", ("a", "b"))], content)


def test_an_answer_is_written_as_sagemaker_writes_it() -> None:
    worker = Worker("w1", {"identityProviderType": "Cognito", "sub": "1"})

    assert answer_document(Answer(worker, {"category": {"label": "a"}}, 1_609_181_955.191, 1_609_181_958.7)) == {
        "acceptanceTime": "2020-12-28T18:59:15.191Z",
        "answerContent": {"category": {"label": "a"}},
        "submissionTime": "2020-12-28T18:59:18.700Z",
        "timeSpentInSeconds": 3.509,
        "workerId": "w1",
        "workerMetadata": {"identityData": {"identityProviderType": "Cognito", "sub": "1"}},
    }


def test_the_page_imports_the_standard_library_and_liquid_alone() -> None:
    """A function on AWS serves it too: no SDK, no framework, nothing of this repository."""
    found = set()
    for path in (ROOT / "review_page").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            found |= {(path.stem if name.split(".")[0] != "review_page" else "", name.split(".")[0]) for name in names}

    outside = {(module, name) for module, name in found if name not in sys.stdlib_module_names | {"review_page"}}
    assert outside == {("templates", "liquid"), ("templates", "markupsafe")}
