"""What the checks work with, and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from botocore.exceptions import BotoCoreError, ClientError

from cli.account import Account
from cli.assembly import StackTemplate
from cli.findings import Finding, Level
from stacks.settings import Settings

_DENIALS = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})


@dataclass(frozen=True)
class Examination:
    """One account, one stage, and the stage's synthesised stacks."""

    account: Account
    settings: Settings
    templates: Sequence[StackTemplate]

    @cached_property
    def physical(self) -> dict[str, dict[str, str]]:
        """Stack name -> logical id -> physical id, of the stacks that are deployed."""
        found = {}
        for template in self.templates:
            if self.account.stack(template.name):
                pages = self.account.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=template.name)
                found[template.name] = {
                    item["LogicalResourceId"]: item["PhysicalResourceId"]
                    for page in pages
                    for item in page["StackResourceSummaries"]
                    if item.get("PhysicalResourceId")
                }
        return found

    @cached_property
    def deployed(self) -> list[StackTemplate]:
        """The templates of deployed stacks, with their physical ids and the values of their SSM parameters."""
        found = []
        for template in self.templates:
            if template.name in self.physical:
                names = {
                    name: declared.get("Default", "")
                    for name, declared in template.document.get("Parameters", {}).items()
                    if declared["Type"].startswith("AWS::SSM::")
                }
                values = {name: self.account.ssm_value(parameter) for name, parameter in names.items() if parameter.startswith("/")}
                known = {name: value for name, value in values.items() if value is not None}
                found.append(StackTemplate(template.name, template.document, template.pseudo, self.physical[template.name], known))
        return found


@dataclass(frozen=True)
class Check:
    """A named check; ``run`` yields at least one finding."""

    name: str
    title: str
    run: Callable[[Examination], Iterator[Finding]]


def run_checks(examination: Examination, checks: Iterable[Check], on_start: Callable[[Check], None] | None = None) -> Iterator[Finding]:
    """Run every check and return all findings. A call that the caller may not make becomes ``unknown``; the other checks go on."""
    for check in checks:
        if on_start is not None:
            on_start(check)
        try:
            yield from check.run(examination)
        except ClientError as error:
            yield _not_looked_at(check, error)
        except BotoCoreError as error:
            message = f"{check.title}: AWS gave no answer ({type(error).__name__}: {error})"
            yield Finding(check.name, Level.UNKNOWN, message, "Check the network and the region, then start again.")


def _not_looked_at(check: Check, error: ClientError) -> Finding:
    reason, operation = error.response["Error"], error.operation_name
    if reason["Code"] in _DENIALS:
        message = f"{check.title}: you may not call {operation} ({reason['Message']})"
        return Finding(check.name, Level.UNKNOWN, message, f"Allow the caller {operation}, which only reads, and start again.")
    message = f"{check.title}: {operation} was refused ({reason['Code']}: {reason['Message']})"
    return Finding(check.name, Level.UNKNOWN, message, "Look at the message; the other checks went on.")
