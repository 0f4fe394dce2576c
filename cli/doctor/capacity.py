"""Quotas of the account against what the settings ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from cli.doctor.examination import Examination
from cli.findings import Finding, Level
from stacks.settings import Settings
from stacks.settings.limits import UNRESERVED_CONCURRENCY

SAGEMAKER, LAMBDA = "sagemaker", "lambda"
CONCURRENT_EXECUTIONS = "Concurrent executions"


@dataclass(frozen=True)
class Need:
    """A quota by its name in Service Quotas, how much is needed, and why."""

    service: str
    quota: str
    amount: int
    reason: str
    setting: str


def needs(settings: Settings) -> list[Need]:
    """What a stage needs at most: a tuning with all its parallel jobs, and an endpoint while one fleet replaces the other."""
    tuning, hosting = settings.tuning, settings.hosting
    most = hosting.scaling.max_instances if hosting.scaling else hosting.initial_instance_count
    parallel = max(tuning.max_parallel_jobs, 1)
    return [
        Need(SAGEMAKER, f"{tuning.instance_type} for training job usage", parallel, "training jobs at a time", "tuning.max_parallel_jobs"),
        Need(
            SAGEMAKER,
            f"{tuning.evaluation_instance_type} for processing job usage",
            2,
            "two candidates evaluated at a time",
            "tuning.evaluation_instance_type",
        ),
        Need(
            SAGEMAKER,
            f"{hosting.instance_type} for endpoint usage",
            4 * most,
            f"two variants of up to {most} instances, twice while a fleet replaces another",
            "hosting.scaling.max_instances",
        ),
    ]


def quotas(examination: Examination) -> Iterator[Finding]:
    client = examination.account.client("service-quotas")

    @cache
    def values(service: str) -> dict[str, tuple[float, str]]:
        pages = client.get_paginator("list_service_quotas").paginate(ServiceCode=service)
        return {quota["QuotaName"]: (quota["Value"], quota["QuotaCode"]) for page in pages for quota in page["Quotas"]}

    for need in needs(examination.settings):
        yield _compared(need, values(need.service))
    yield from _concurrency(examination, values(LAMBDA))


def _compared(need: Need, values: dict[str, tuple[float, str]]) -> Finding:
    found = values.get(need.quota)
    if found is None:
        message = f"Service Quotas lists no '{need.quota}' in this region: the instance type may not be offered here"
        return Finding("quotas", Level.FAILURE, message, "Choose another instance type or region.", f"{need.setting}: ...")
    value, code = found
    if value >= need.amount:
        return Finding("quotas", Level.OK, f"{need.quota}: {value:g}, needed {need.amount} ({need.reason})")
    ask = (
        f"aws service-quotas request-service-quota-increase --service-code {need.service} --quota-code {code} --desired-value {need.amount}"
    )
    message = f"{need.quota}: the account has {value:g} and {need.amount} are needed ({need.reason})"
    return Finding("quotas", Level.FAILURE, message, f"Ask for more: `{ask}`. Or lower the setting.", f"{need.setting}: ...")


def _concurrency(examination: Examination, values: dict[str, tuple[float, str]]) -> Iterator[Finding]:
    reserved = _reserved(examination)
    found = values.get(CONCURRENT_EXECUTIONS)
    if found is None:
        yield Finding("quotas", Level.UNKNOWN, f"Service Quotas lists no Lambda quota '{CONCURRENT_EXECUTIONS}'")
        return
    value, code = found
    needed = reserved + UNRESERVED_CONCURRENCY
    if value >= needed:
        yield Finding("quotas", Level.OK, f"Lambda concurrent executions: {value:g}, needed {needed} ({reserved} reserved by functions)")
        return
    ask = f"aws service-quotas request-service-quota-increase --service-code lambda --quota-code {code} --desired-value {max(1000, needed)}"
    parts = f"{reserved} reserved by functions, {UNRESERVED_CONCURRENCY} for the rest"
    message = f"Lambda concurrent executions: the account has {value:g} and needs {needed}: {parts}"
    yield Finding("quotas", Level.FAILURE, message, f"Ask for more: `{ask}`. Or reserve less.", "api: {reserved_concurrency: ...}")


def _reserved(examination: Examination) -> int:
    functions: list[dict[str, Any]] = [
        resource["Properties"] for template in examination.templates for _, resource in template.resources("AWS::Lambda::Function")
    ]
    return sum(int(properties.get("ReservedConcurrentExecutions", 0)) for properties in functions)
