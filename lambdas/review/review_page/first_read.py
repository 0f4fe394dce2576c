"""The records that a request to the page works with, besides the session: all of them are read in one BatchGetItem. Pure.

They are a guess from the request alone. What was not guessed is read when it is needed, and what somebody may see is decided later.
"""

from __future__ import annotations

import re

from lambdas.review.hosted_tasks.table import RecordKey, desk_key, input_key, task_key
from review_page.http import PageError, PageRequest

_LOOKS = {("GET", "/worker/next"), ("GET", "/worker/ahead")}
_ABOUT_A_TASK = {"/worker/answers": True, "/worker/undos": True, "/worker/skips": False, "/worker/flags": False}
"""Paths of posted actions -> whether they need the task's input."""
_TASK_ID = r"[0-9a-f]{32}"


def first_read(request: PageRequest, worker_id: str | None) -> list[RecordKey]:
    """Args: worker_id: whose session the request names, if it says so."""
    path = request.path.rstrip("/")
    frame = re.fullmatch(f"/worker/tasks/({_TASK_ID})", path)
    if frame is not None:
        return [task_key(frame[1]), input_key(frame[1])] if request.method == "GET" else []
    if worker_id is None:
        return []
    if (request.method, path) in _LOOKS:
        return [desk_key(worker_id)]
    if request.method != "POST" or path not in _ABOUT_A_TASK:
        return []
    task_id = _posted(request)
    about = [] if task_id is None else [task_key(task_id), *([input_key(task_id)] if _ABOUT_A_TASK[path] else [])]
    return [desk_key(worker_id), *about]


def _posted(request: PageRequest) -> str | None:
    try:
        found = request.json().get("task")
    except PageError:
        return None
    return found if isinstance(found, str) and re.fullmatch(_TASK_ID, found) else None
