"""``/_embedded``: what tests and the demo may do that AWS has no call for. Loopback only, no sign-in.

==== ====================================== ============================================================================
POST ``/_embedded/raters``                load recorded votes: ``{"votes": {"<text or its SHA-256>": ["positive", ...]},
                                            "delay_seconds"?: 0, "seed"?: 0, "replace"?: false}``
GET  ``/_embedded/raters``                ``{"texts", "answered"}``
GET  ``/_embedded/tasks``                 open tasks: ``[{"source", "answers", "assigned", "wanted", "recorded_votes",
                                            "seconds_left", "assigned_seconds_left": [...]}]``, in real seconds
POST ``/_embedded/human-loops/<n>/emit``  deliver the loop's event again: ``{"times"?: 1, "detail"?: {...}}``; ``detail``
                                            replaces fields, e.g. an older status that arrives late
POST ``/_embedded/human-loops/<n>/end``   end a loop now, with the answers that are there: ``{"status", "failureCode"?,
                                            "failureReason"?}``; ``Completed`` without answers gives an empty ``humanAnswers``
GET  ``/_embedded/human-task-uis/<n>``    a worker template's source (``UiTemplate.Url`` of DescribeHumanTaskUi)
==== ====================================== ============================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from embedded_aws.core import clock
from embedded_aws.core.api import ApiError
from embedded_aws.sagemaker.people import human_loops
from embedded_aws.sagemaker.people.human_task_ui import need_human_task_ui
from embedded_aws.sagemaker.people.replayed_raters import RATERS
from embedded_aws.sagemaker.people.task_queue import QUEUE
from review_page.http import PageError, PageRequest, PageResponse, asset_response, json_response

MAX_DELIVERIES = 20


def handle(request: PageRequest) -> PageResponse:
    """Raises PageError: 404 for an unknown route, 400 for a bad body."""
    for method, pattern, function in _ROUTES:
        match = re.fullmatch(pattern, request.path)
        if match and method == request.method:
            try:
                return function(request, *match.groups())
            except ApiError as error:
                raise PageError(error.status, error.message) from None
    raise PageError(404, f"{request.method} {request.path} is not a route of the embedded AWS.")


def _load_votes(request: PageRequest) -> PageResponse:
    body = request.json()
    votes = body.get("votes")
    if not isinstance(votes, dict) or not all(_is_vote_list(given) for given in votes.values()):
        raise PageError(400, 'votes must map a text (or its SHA-256) to a list of labels: {"votes": {"fine": ["positive"]}}.')
    delay, seed = body.get("delay_seconds", 0), body.get("seed", 0)
    if not isinstance(delay, int | float) or delay < 0 or not isinstance(seed, int):
        raise PageError(400, "delay_seconds must be a number of at least 0, seed an integer.")
    RATERS.load(votes, delay_seconds=float(delay), seed=seed, replace=bool(body.get("replace")))
    return _raters(request)


def _is_vote_list(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(isinstance(vote, str) for vote in given)


def _raters(_request: PageRequest) -> PageResponse:
    return json_response({"texts": len(RATERS.votes), "answered": RATERS.answered})


def _tasks(_request: PageRequest) -> PageResponse:
    now = clock.now()
    return json_response(
        [
            {
                "source": task.source,
                "answers": len(task.answers),
                "assigned": len(task.assignments),
                "wanted": task.wanted,
                "recorded_votes": task.text_sha256 in RATERS.votes,
                "seconds_left": task.gone_at - now,
                "assigned_seconds_left": [held.deadline - now for held in list(task.assignments.values())],
            }
            for task in QUEUE.open_tasks()
        ]
    )


def _emit(request: PageRequest, name: str) -> PageResponse:
    body = request.json()
    times, detail = body.get("times", 1), body.get("detail", {})
    if not isinstance(times, int) or not 1 <= times <= MAX_DELIVERIES or not isinstance(detail, dict):
        raise PageError(400, f"times must be 1 to {MAX_DELIVERIES}, detail an object.")
    loop = human_loops.need_loop(name)
    for _ in range(times):
        human_loops.emit(loop, **detail)
    return json_response({"delivered": times})


def _end(request: PageRequest, name: str) -> PageResponse:
    body = request.json()
    human_loops.end_now(name, str(body.pop("status", "")), body)
    return json_response({})


def _template(_request: PageRequest, name: str) -> PageResponse:
    return asset_response(str(need_human_task_ui(name)["Content"]).encode(), "text/plain; charset=utf-8")


_ROUTES: tuple[tuple[str, str, Callable[..., PageResponse]], ...] = (
    ("POST", "/_embedded/raters", _load_votes),
    ("GET", "/_embedded/raters", _raters),
    ("GET", "/_embedded/tasks", _tasks),
    ("POST", "/_embedded/human-loops/([^/]+)/emit", _emit),
    ("POST", "/_embedded/human-loops/([^/]+)/end", _end),
    ("GET", "/_embedded/human-task-uis/([^/]+)", _template),
)
