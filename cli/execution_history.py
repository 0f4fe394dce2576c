"""What is the same in the history of every execution: its ends, times and texts. Pure.

Source: AWS Step Functions API reference, HistoryEvent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

ENDS = {
    "ExecutionSucceeded": ("SUCCEEDED", "executionSucceededEventDetails"),
    "ExecutionFailed": ("FAILED", "executionFailedEventDetails"),
    "ExecutionAborted": ("ABORTED", "executionAbortedEventDetails"),
    "ExecutionTimedOut": ("TIMED_OUT", "executionTimedOutEventDetails"),
}
"""Type of the last event -> the execution's status, and the field with the details."""


def time_of(event: Mapping[str, Any]) -> datetime:
    at = event["timestamp"]
    return at if isinstance(at, datetime) else datetime.fromisoformat(str(at))


def document_of(text: Any) -> dict[str, Any]:
    """The JSON object of an input or output; empty where it is none."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def message_of(cause: str) -> str:
    """The message inside a cause: a function's ``errorMessage``, a job's ``FailureReason``, a nested execution's cause, or the text."""
    document = document_of(cause)
    if not document:
        return cause[:800]
    nested = document.get("Cause")
    return str(document.get("errorMessage") or document.get("FailureReason") or (message_of(nested) if nested else "") or cause)[:800]
