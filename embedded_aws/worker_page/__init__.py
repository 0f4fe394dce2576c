"""The worker page and the admin routes, served by the emulator's own process and port on 127.0.0.1.

``/worker`` is what a private workforce's portal is on AWS; ``/_embedded`` is for tests and the demo and has no
counterpart there. Hook: ``ministack.app._handle_post_body_shortcuts``, which sees every request with its body before
it is routed to a service.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

from ministack import app

from embedded_aws.sagemaker.people.replayed_raters import RATERS
from embedded_aws.sagemaker.people.task_queue import QUEUE
from embedded_aws.worker_page import admin, browsers, sign_in
from embedded_aws.worker_page.forms import BRAND, PasswordSignIn
from review_page.http import PageError, PageRequest, PageResponse, json_response
from review_page.pages import ReviewPage

log = logging.getLogger("embedded_aws")

WORKER_PREFIX = "/worker"
ADMIN_PREFIX = "/_embedded"
PAGE = ReviewPage(QUEUE, PasswordSignIn(), brand=BRAND, lead=QUEUE)


def handle(request: PageRequest) -> PageResponse:
    """Answer one request under either prefix."""
    try:
        return admin.handle(request) if request.path.startswith(ADMIN_PREFIX) else PAGE.handle(request)
    except PageError as error:
        return PAGE.refusal(request, error)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return json_response({"message": "The worker page failed; see the emulator's log."}, 500)


def _is_ours(path: str) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in (WORKER_PREFIX, ADMIN_PREFIX))


def install() -> None:
    """Put the hooks in place: routing, limits for browsers, and an empty queue with nobody signed in after a reset."""
    browsers.install()
    shortcuts, reset = app._handle_post_body_shortcuts, app._reset_all_state

    async def route(  # noqa: PLR0917  (ministack's own signature)
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], request_id: str
    ) -> Any:
        if not _is_ours(path):
            return await shortcuts(method, path, headers, body, query, request_id)
        origin = f"http://{headers.get('host', '')}"
        request = PageRequest(method, path, headers, body, {key: values[0] for key, values in query.items()}, origin)
        response = await asyncio.to_thread(partial(handle, request))
        return response.status, response.headers, response.body

    def reset_all() -> Any:
        QUEUE.clear()
        RATERS.clear()
        sign_in.forget_everyone()
        return reset()

    app._handle_post_body_shortcuts = route
    app._reset_all_state = reset_all
