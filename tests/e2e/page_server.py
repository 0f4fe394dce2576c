"""The review page on a port of this machine, over a store in memory: for tests of the page in a real browser, without an AWS."""

from __future__ import annotations

import http.server
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

sys.path.append(str(Path(__file__).resolve().parents[1] / "unit" / "review_page"))

from memory_store import HeaderSignIn, MemoryLead, MemoryStore, StoredTask, task
from playwright.sync_api import Page

from review_page.http import PageRequest
from review_page.pages import ReviewPage
from review_page.questions import questions

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
_RUN = """async () => (await axe.run(document, {iframes: false, preload: false})).violations.map((one) => one.id + ": " + one.help + " " +
one.nodes.map((node) => node.target.join(" ") + " " + (node.any[0]?.message ?? "")).join("; "))"""
SCRIPT = '<script src="https://assets.crowd.aws/crowd-html-elements.js"></script>'


def violations(page: Page) -> list[str]:
    """What axe-core finds in the page and in each of its frames that are to be seen."""
    found: list[str] = []
    for frame in page.frames:
        if frame is not page.main_frame and not frame.frame_element().is_visible():
            continue
        frame.evaluate(AXE.read_text(encoding="utf-8"))
        found += frame.evaluate(_RUN)
    return found


def asked(html: str, **changes: object) -> StoredTask:
    """A task whose rendered template is ``html``."""
    return task("", **{"questions": questions(html), "render": lambda: SCRIPT + html, **changes})


class PageServer:
    """Serves until it is closed. ``down``: every request for tasks fails as if the network were lost."""

    def __init__(self) -> None:
        self.store, self.sign_in = MemoryStore(), HeaderSignIn()
        self.down = False
        self.lost_answers = 0
        """So many answers arrive, and their confirmation gets lost."""
        self._use(self.store)
        served = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served.answer(self, b"")

            def do_POST(self) -> None:
                served.answer(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _use(self, store: MemoryStore) -> None:
        self.store, self.sign_in = store, HeaderSignIn("ann", "bob", "lead")
        self.sign_in.sessions["lead"].led = {"readers"}
        self.page = ReviewPage(store, self.sign_in, brand="Reviews", lead=MemoryLead(store))

    def hold(self, *tasks: StoredTask) -> MemoryStore:
        """Start anew with these tasks, and nobody at work."""
        self.down, self.lost_answers = False, 0
        self._use(MemoryStore(*tasks))
        return self.store

    def answer(self, handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        address = urlsplit(handler.path)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        if self.down and address.path.startswith(("/worker/next", "/worker/answers", "/worker/ahead")):
            handler.close_connection = True
            return
        with self._lock:
            query = dict(parse_qsl(address.query))
            response = self.page.handle(PageRequest(handler.command, address.path, headers, body, query, self.url))
        if self.lost_answers and address.path == "/worker/answers":
            self.lost_answers -= 1
            handler.close_connection = True
            return
        handler.send_response(response.status)
        for name, value in response.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(response.body)))
        handler.end_headers()
        handler.wfile.write(response.body)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
