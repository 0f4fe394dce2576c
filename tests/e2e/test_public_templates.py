"""Whole worker templates: each is created, rendered, filled in and submitted in a real browser, or refused by name.

Once without the templates' own scripts, as by default, and once with them.

By default the templates are four small ones. ``REVIEWLOOP_TEMPLATES=FOLDER pytest -s tests/e2e/test_public_templates.py`` takes those of a
folder, such as a copy of a public repository, and prints what became of each (docs/worker-templates.md).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_server import PageServer, asked
from playwright.sync_api import Browser, Page, expect

from review_page.template_scripts import script_sources

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = '<script src="https://assets.crowd.aws/crowd-html-elements.js"></script>'
OWN = {
    "guide.md": f"""One block is no template, the other one is.
```
<crowd-input name="half"></crowd-input>
```
```
{SCRIPT}
<crowd-form><crowd-classifier name="topic" header="Which?" categories="{{{{ task.input.labels | to_json | escape }}}}">
<classification-target>{{{{ task.input.source }}}}</classification-target><full-instructions>f</full-instructions>
<short-instructions>s</short-instructions></crowd-classifier></crowd-form>
```
""",
    "pairs.liquid.html": f"""{SCRIPT}<crowd-form>{{% for pair in task.input.pairs %}}<p>{{{{ pair.text }}}}</p>
<textarea aria-label="Better" name="better{{{{ forloop.index }}}}" required>{{{{ pair.text }}}}</textarea>
<crowd-radio-group><crowd-radio-button name="good{{{{ forloop.index }}}}" value="yes">Yes</crowd-radio-button></crowd-radio-group>
{{% endfor %}}<crowd-slider name="sure" min="1" max="5" required></crowd-slider>
<crowd-entity-annotation name="words" header="Mark" labels='["name"]' text="{{{{ task.input.text }}}}">
</crowd-entity-annotation></crowd-form>""",
    "scripted.html": f"""{SCRIPT}<crowd-form><crowd-input name="word" label="Word"></crowd-input></crowd-form>
<script>
const form = document.querySelector("crowd-form");
document.addEventListener("all-crowd-elements-ready", () => {{ form.dataset.words = "some words"; }});
form.addEventListener("submit", (event) => {{
  if (document.querySelector("[name=word]").value !== form.dataset.words) event.preventDefault();
}});
</script>""",
    "refused.html": f"{SCRIPT}<crowd-form><crowd-polygon name='a'></crowd-polygon></crowd-form>",
}
FILL = """() => {
  const tell = (element, ...events) => events.forEach((name) => element.dispatchEvent(new Event(name, {bubbles: true})));
  const classifiers = document.querySelectorAll("crowd-classifier, crowd-classifier-multi-select");
  classifiers.forEach((one) => one.querySelector("button.category").click());
  for (const one of document.querySelectorAll("crowd-entity-annotation")) {
    one.querySelector(".entity-text")?.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
    one.querySelector("button.category").click();
  }
  const grouped = new Set();
  for (const one of document.querySelectorAll("input, select, textarea")) {
    if (!one.name || one.disabled || "own" in one.dataset || one.type === "hidden") continue;
    if (one.type === "radio") { if (!grouped.has(one.name)) one.click(); grouped.add(one.name); }
    else if (one.type === "checkbox") { if (!one.checked) one.click(); }
    else if (["submit", "button", "reset", "image"].includes(one.type)) continue;
    else {
      if (one.localName === "select") one.selectedIndex = [...one.options].findIndex((option) => option.value);
      else one.value = {range: one.max, number: one.min || "1", date: "2026-01-31"}[one.type] ?? "some words";
      tell(one, "input", "change");
    }
  }
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if given := os.environ.get("REVIEWLOOP_TEMPLATES"):
        return Path(given).resolve()
    made = tmp_path_factory.mktemp("templates")
    for name, source in OWN.items():
        (made / name).write_text(source, encoding="utf-8")
    return made


@pytest.fixture
def page(browser: Browser, served: PageServer) -> Iterator[Page]:
    context = browser.new_context(base_url=served.url, viewport={"width": 1000, "height": 800})
    context.set_default_timeout(45_000)
    expect.set_options(timeout=45_000)
    context.add_cookies([{"name": "user", "value": "ann", "url": served.url}])
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def served() -> Iterator[PageServer]:
    server = PageServer()
    yield server
    server.close()


def checked(folder: Path, *, scripts: bool) -> list[dict[str, Any]]:
    """By the Python that has python-liquid."""
    switched_on = ["--template-scripts"] if scripts else []
    command = [ROOT / ".venv-emulator" / "bin" / "python", "-m", "review_page.check", folder, "--json", *switched_on]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr or done.stdout
    return list(json.loads(done.stdout))


def submitted(page: Page, served: PageServer, html: str, *, scripts: bool) -> Any:
    """What the page sends when everything of the template is filled in."""
    store = served.hold(asked(html, scripts=script_sources(html) if scripts else ()))
    page.goto("/worker")
    shown = page.locator("iframe[data-ready=true]:not([hidden])")
    expect(shown).to_be_visible()
    frame = shown.element_handle().content_frame()
    assert frame is not None
    frame.evaluate(FILL)
    # A key of the person's own: with scripts an answer counts only after one.
    frame.locator("button.submit").first.press(" ")
    expect(page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    [answered] = store.tasks.values()
    return answered.answer


def form_of(answer: Any) -> Any:
    """The names of an answer, and of what is in it; a list by its first item."""
    if isinstance(answer, dict):
        return {name: form_of(value) for name, value in answer.items()}
    if isinstance(answer, list):
        return [form_of(one) for one in answer[:1]]
    return "number" if isinstance(answer, int | float) and not isinstance(answer, bool) else type(answer).__name__


@pytest.mark.parametrize("scripts", [False, True], ids=["without scripts", "with scripts"])
def test_templates_are_answered_in_the_documented_form_or_refused_by_name(
    page: Page, served: PageServer, folder: Path, scripts: bool
) -> None:
    found = checked(folder, scripts=scripts)

    for one in found:
        if one["outcome"] != "shown":
            sys.stdout.write(f"| {one['name']} | refused: {one['detail']} |\n")
            continue
        answer = submitted(page, served, one["html"], scripts=scripts)
        sys.stdout.write(f"| {one['name']} | {json.dumps(answer, ensure_ascii=False)} |\n")
        assert form_of(answer) == form_of(one["answer"]), one["name"]
    if "REVIEWLOOP_TEMPLATES" not in os.environ:
        assert [(one["name"], one["outcome"]) for one in found] == [
            ("guide.md", "shown"), ("pairs.liquid.html", "shown"), ("refused.html", "refused"),
            ("scripted.html", "shown" if scripts else "refused"),
        ]  # fmt: skip
