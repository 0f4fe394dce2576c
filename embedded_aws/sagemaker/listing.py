"""What every List operation of SageMaker does with its filters, its order and its pages. Source: botocore's model of the operations."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from embedded_aws.core.api import Request, Response, paginate, validation_error

_TIMES = ("CreationTime", "LastModifiedTime")
FILTERS = frozenset({"NextToken", "MaxResults", "NameContains", "StatusEquals", "SortBy", "SortOrder"}) | {
    f"{time}{side}" for time in _TIMES for side in ("After", "Before")
}
"""Members of a request that :func:`page` honours."""


def page(
    rows: Sequence[dict[str, Any]],
    request: Request,
    key: str,
    *,
    name: str,
    status: str = "",
    created: str = "CreationTime",
    modified: str = "LastModifiedTime",
    sort_by: str = "CreationTime",
    sort_order: str = "Ascending",
    own: Sequence[str] = (),
) -> Response:
    """``{key: rows, "NextToken"?}``: the rows that the request's filters leave, in its order, one page of them.

    Args:
        rows: summaries of all resources.
        name: member of a row with its name; for NameContains and ``SortBy: Name``.
        status: member with its status; for StatusEquals and ``SortBy: Status``.
        created: member with the time of creation.
        modified: member with the time of the last change.
        sort_by: the operation's default.
        sort_order: the operation's default.
        own: filters that the operation has applied itself.

    Raises:
        ApiError: ValidationException: a filter that is not emulated, or a NextToken that this list never gave.
    """
    unknown = sorted(request.keys() - FILTERS - set(own))
    if unknown:
        raise validation_error(f"{', '.join(unknown)} of this list is not emulated: leave it out and filter what comes back.")
    members = {"CreationTime": created, "LastModifiedTime": modified}
    found = [row for row in rows if _is_wanted(row, request, name, status, members)]
    field = {"Name": name, "Status": status, "CreationTime": created, "CreateDate": created}.get(request.get("SortBy") or sort_by, created)
    backwards = (request.get("SortOrder") or sort_order) == "Descending"
    found = sorted(found, key=lambda row: _comparable(row.get(field)), reverse=backwards)
    return paginate(found, request, key)


def _is_wanted(row: dict[str, Any], request: Request, name: str, status: str, members: dict[str, str]) -> bool:
    if request.get("NameContains", "").lower() not in str(row.get(name, "")).lower():
        return False
    if "StatusEquals" in request and row.get(status) != request["StatusEquals"]:
        return False
    for time, member in members.items():
        at = _seconds(row.get(member))
        if f"{time}After" in request and not at > _seconds(request[f"{time}After"]):
            return False
        if f"{time}Before" in request and not at < _seconds(request[f"{time}Before"]):
            return False
    return True


def _seconds(value: Any) -> float:
    """Epoch seconds of a time as the JSON protocol, a boto3 client or a record has it."""
    if isinstance(value, dt.datetime):
        return value.timestamp()
    if isinstance(value, str):
        return dt.datetime.fromisoformat(value).timestamp()
    return float(value or 0)


def _comparable(value: Any) -> tuple[float, str]:
    return (0.0, value) if isinstance(value, str) else (_seconds(value), "")
