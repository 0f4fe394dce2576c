"""An app for stacks that a test builds itself, and the templates of stacks, each made once for all modules of a process."""

from __future__ import annotations

import tempfile
from functools import cache

from aws_cdk import App, Stack
from aws_cdk.assertions import Template
from cdk_nag import AwsSolutionsChecks

from stacks.application import FEATURE_FLAGS
from stacks.constructs.function_archive import staging_root
from stacks.settings import Settings

_of_settings: dict[tuple[type[Stack], str], Stack] = {}


def new_app() -> App:
    """Its assembly is removed when the process ends; the folder that CDK would choose stays in the system's temporary folder."""
    return App(context=FEATURE_FLAGS, outdir=tempfile.mkdtemp(prefix="assembly-", dir=staging_root()))


def template_of(kind: type[Stack], settings: Settings) -> Template:
    """The template of a stack that is alone in its app. A test that changes more than settings makes its own, with :func:`new_app`."""
    return _template(_stack(kind, settings))


def findings(kind: type[Stack], settings: Settings) -> list[str]:
    """The audit rules that the same stack breaks without an answer, once for each resource."""
    stack = _stack(kind, settings)
    report = AwsSolutionsChecks(stack).validate_scope(stack)
    assert report.success is not bool(report.violations)
    return [item.rule_name for item in report.violations]


def _stack(kind: type[Stack], settings: Settings) -> Stack:
    key = kind, settings.model_dump_json()
    if key not in _of_settings:
        _of_settings[key] = kind(new_app(), settings)
    return _of_settings[key]


@cache
def _template(stack: Stack) -> Template:
    return Template.from_stack(stack)
