"""Worker templates: how they are rendered, what they ask for, and how answers are written down."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from review_page.answers import Answer, Worker, answer_document
from review_page.questions import Classifier, TemplateError, check_answer, classifiers

ROOT = Path(__file__).resolve().parents[3]
RENDER = """
import json, sys
from review_page.questions import TemplateError
from review_page.templates import render

given = json.load(sys.stdin)
try:
    print(json.dumps(render(given["template"], given["input"], lambda uri: f"https://signed/{uri}")))
except TemplateError as error:
    print(json.dumps({"refused": str(error)}))
"""


def rendered(template: str, **task_input: Any) -> Any:
    """Rendered by the Python that has python-liquid."""
    done = subprocess.run(
        [ROOT / ".venv-emulator" / "bin" / "python", "-c", RENDER], input=json.dumps({"template": template, "input": task_input}),
        capture_output=True, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_values_are_escaped_unless_the_template_says_otherwise() -> None:
    values = ("task.input.text", "task.input.text | skip_autoescape", "task.input.labels | to_json", "'s3://b/k' | grant_read_access")

    shown = rendered("|".join(f"{{{{ {value} }}}}" for value in values), text="<b>&", labels=['a"b', "ä"])

    assert shown.split("|") == ["&lt;b&gt;&amp;", "<b>&", "[&#34;a\\&#34;b&#34;, &#34;ä&#34;]", "https://signed/s3://b/k"]


def test_a_template_that_is_no_liquid_is_refused() -> None:
    assert "cannot be rendered" in rendered("{% if %}")["refused"]


def test_the_questions_of_a_template_are_its_classifiers() -> None:
    html = """<crowd-form><crowd-classifier name="first" categories='["a", "b"]'></crowd-classifier>
    <crowd-classifier categories="['c']" name="second"/></crowd-form>"""

    assert classifiers(html) == [Classifier("first", ("a", "b")), Classifier("second", ("c",))]


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
        classifiers(f"<crowd-classifier {attributes}></crowd-classifier>")


def test_an_answer_must_hold_a_category_of_every_classifier() -> None:
    wanted = [Classifier("first", ("a", "b")), Classifier("second", ("c",))]
    whole = {"first": {"label": "b"}, "second": {"label": "c"}}

    assert check_answer(wanted, whole) == whole
    with pytest.raises(TemplateError, match="second: None is not one of c"):
        check_answer(wanted, {"first": {"label": "b"}})


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
