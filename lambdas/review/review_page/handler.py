"""Serves the page on which people answer: :mod:`review_page` over the table of review tasks, with sign-in by the user pool."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import BotoCoreError, ClientError

from lambdas.common.clients import client, dynamodb_table
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, metrics
from lambdas.review.hosted_tasks.edges import TaskEnvironment, ports
from lambdas.review.hosted_tasks.ending import finish
from lambdas.review.hosted_tasks.lead import HostedLead
from lambdas.review.hosted_tasks.reads import Over
from lambdas.review.hosted_tasks.store import HostedTasks
from lambdas.review.hosted_tasks.taking import Busy
from lambdas.review.hosted_tasks.task import Task
from lambdas.review.review_page import cognito
from lambdas.review.review_page.requests import MOST_BODY_BYTES, BodyTooLarge, api_response, page_request
from lambdas.review.review_page.sessions import Sessions
from lambdas.review.review_page.sign_in import Groups, HostedSignIn
from review_page.fields import TemplateError
from review_page.http import PageError, PageRequest, PageResponse, json_response, redirect
from review_page.pages import ReviewPage
from review_page.template_scripts import script_sources

TEMPLATE = Path(__file__).with_name("worker_template.liquid")
"""The stack lays the worker template beside this file."""
_ADDRESS_SECONDS = 300
_address: tuple[float, cognito.PageAddress] | None = None
_over: dict[str, Over] = {}


@dataclass(frozen=True)
class Environment(TaskEnvironment):
    page_parameter: str
    team: str
    leads_group: str
    brand: str
    template_scripts: bool = False


@cache
def _environment() -> Environment:
    return read_environment(Environment)


@cache
def _template() -> str:
    return TEMPLATE.read_text(encoding="utf-8")


@cache
def _scripts() -> tuple[str, ...]:
    return script_sources(_template()) if _environment().template_scripts else ()


def _now_ms() -> int:
    return int(time.time() * 1_000)


def _page_address() -> cognito.PageAddress:
    """Kept for five minutes. No variable of the function can have it: the distribution needs the function first."""
    global _address  # noqa: PLW0603  (a function's process keeps it between calls)
    now = time.monotonic()
    if _address is None or now - _address[0] > _ADDRESS_SECONDS:
        value = client("ssm").get_parameter(Name=_environment().page_parameter)["Parameter"]["Value"]
        _address = now, cognito.PageAddress.parse(value)
    return _address[1]


def _render(task_input: Mapping[str, Any]) -> str:
    from review_page.templates import render  # Liquid is in this function's own layer, and nothing else of the page needs it

    return render(_template(), task_input, _no_files)


def _no_files(uri: str) -> str:
    raise TemplateError(f"grant_read_access: the page shows no files, so not {uri} either")


@cache
def _sessions() -> Sessions:
    return Sessions(dynamodb_table(_environment().review_tasks_table), _environment().team)


def _page(address: cognito.PageAddress) -> ReviewPage:
    environment = _environment()
    edges = ports(environment)

    def end(task: Task) -> None:
        finish(task, edges, _now_ms())

    table = edges.table.of_one_request()
    store = HostedTasks(table, _render, end, _now_ms, random.SystemRandom(), scripts=_scripts(), over=_over)
    sign_in = HostedSignIn(
        _sessions(),
        address,
        Groups(environment.team, environment.leads_group),
        redeem=lambda code, verifier: cognito.redeem(address, code, verifier, time.time()),
        standing=lambda person: cognito.standing(client("cognito-idp"), address, person),
        give_back=store.give_back,
        has_read=table.has_read,
        clock=time.time,
    )
    return ReviewPage(store, sign_in, brand=environment.brand, lead=HostedLead(edges.table, end, _now_ms))


def _answer(event: Mapping[str, Any]) -> PageResponse:
    address = _page_address()
    page = _page(address)
    try:
        request = page_request(event, address.url)
    except BodyTooLarge:
        empty = PageRequest("POST", "/", {}, b"", {}, address.url)
        return page.refusal(empty, PageError(413, f"The request has more than {MOST_BODY_BYTES // 1_024} KB."))
    if request.path in ("", "/"):
        return redirect("/worker")
    try:
        return page.handle(request)
    except Busy:
        return page.refusal(request, PageError(503, "Many people are working at this moment. Please try again."))
    except (ClientError, BotoCoreError, OSError):
        logger.exception("request failed", extra={"method": request.method, "path": request.path})
        metrics.add_metric("ReviewPageFailures", MetricUnit.Count, 1)
        return page.refusal(request, PageError(503, "The server cannot do this at the moment. Please try again."))


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Returns the answer in API Gateway's form. What the person holds, answers or loses is in the table before."""
    try:
        return api_response(_answer(event))
    except Exception:
        logger.exception("request not answered")
        metrics.add_metric("ReviewPageFailures", MetricUnit.Count, 1)
        return api_response(json_response({"message": "Something went wrong on the server. Please try again."}, 500))


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # Lambda gives a function's start the whole of a processor, and its calls a part of one.
    client("ssm")
    _sessions()
