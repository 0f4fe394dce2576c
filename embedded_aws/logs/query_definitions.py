"""CloudWatch Logs saved queries (PutQueryDefinition and its siblings), which ministack lacks. Hook: the ``logs`` handler."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from ministack import app

from embedded_aws.core.api import ApiError, Records, Request, Response, call, operation, to_json
from embedded_aws.core.clock import now

_queries = Records("query-definition")
_OPERATIONS = ("PutQueryDefinition", "DescribeQueryDefinitions", "DeleteQueryDefinition")


@operation("logs", "PutQueryDefinition")
def put(request: Request) -> Response:
    identifier = request.get("queryDefinitionId") or str(uuid.uuid4())
    if "queryDefinitionId" in request and _queries.find(identifier) is None:
        raise ApiError("ResourceNotFoundException", f"Query definition {identifier} does not exist")
    if _queries.find(identifier) is not None:
        _queries.remove(identifier)
    kept = {key: value for key, value in request.items() if key != "clientToken"}
    _queries.add(identifier, {"queryLanguage": "CWLI", **kept, "queryDefinitionId": identifier, "lastModified": int(now() * 1000)})
    return {"queryDefinitionId": identifier}


@operation("logs", "DescribeQueryDefinitions")
def describe(request: Request) -> Response:
    prefix = request.get("queryDefinitionNamePrefix", "")
    return {"queryDefinitions": [query for _, query in _queries.items() if query["name"].startswith(prefix)]}


@operation("logs", "DeleteQueryDefinition")
def delete(request: Request) -> Response:
    if _queries.find(request["queryDefinitionId"]) is None:
        raise ApiError("ResourceNotFoundException", f"Query definition {request['queryDefinitionId']} does not exist")
    _queries.remove(request["queryDefinitionId"])
    return {"success": True}


def install() -> None:
    """Answer the three operations before ministack's Logs handler, which knows the others."""
    stock = app.SERVICE_HANDLERS["logs"]

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        target = next((value for key, value in headers.items() if key.lower() == "x-amz-target"), "")
        name = target.rsplit(".", 1)[-1]
        if name not in _OPERATIONS:
            return await stock(method, path, headers, body, query)
        kind = {"Content-Type": "application/x-amz-json-1.1"}
        try:
            return 200, kind, to_json(await asyncio.to_thread(call, "logs", name, json.loads(body or b"{}")))
        except ApiError as error:
            return error.status, kind, to_json({"__type": error.code, "message": str(error)})

    app.SERVICE_HANDLERS["logs"] = handler
