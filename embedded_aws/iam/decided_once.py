"""IAM: what a request would have decided several times alike is decided once.

Stock ministack parses the text of each policy of a role anew for every decision, and decides on each item of a DynamoDB transaction,
although items of one table ask for the same. Hooks: ``iam_evaluator.parse_policy_document``; ``iam_actions.dynamodb_transaction_checks``.
"""

from __future__ import annotations

import functools
from typing import Any

from ministack.core import iam_actions, iam_evaluator

_MOST = 2_048
"""Texts of policies that are kept parsed."""


def install() -> None:
    """Put the hooks in place."""
    iam_evaluator.parse_policy_document = _parsing_once(iam_evaluator.parse_policy_document)
    iam_actions.dynamodb_transaction_checks = _each_once(iam_actions.dynamodb_transaction_checks)


def _parsing_once(parse: Any) -> Any:
    parsed = functools.lru_cache(maxsize=_MOST)(parse)

    @functools.wraps(parse)
    def wrapper(doc: Any) -> list[Any]:
        return list(parsed(doc) if isinstance(doc, str) else parse(doc))

    return wrapper


def _each_once(checks: Any) -> Any:
    """Pairs of an action and a table, which are all that the decisions on one transaction differ in."""

    @functools.wraps(checks)
    def wrapper(*arguments: Any) -> list[Any]:
        return list(dict.fromkeys(checks(*arguments)))

    return wrapper
