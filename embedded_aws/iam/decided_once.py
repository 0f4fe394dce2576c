"""IAM: what a request would have decided several times alike is decided once.

Stock ministack parses each policy of a role and of a resource anew for every decision, and looks up anew whose access key it is. It also
decides on each item of a DynamoDB transaction, although items of one table ask for the same. Hooks:
``iam_evaluator.parse_policy_document``, ``resolve_credential`` and ``resolve_principal``; ``iam_actions.dynamodb_transaction_checks``.
"""

from __future__ import annotations

import contextvars
import functools
import marshal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ministack.core import iam_actions, iam_evaluator

_MOST = 2_048
"""Policies that are kept parsed."""
_PLAIN = 2
"""Version of marshal's form in which equal values have equal bytes."""
_known: contextvars.ContextVar[dict[Any, Any] | None] = contextvars.ContextVar("embedded_aws_iam_known", default=None)


@contextmanager
def one_request() -> Iterator[None]:
    """Within it a caller is looked up once. It ends before the request does anything, so every request sees the policies of its moment."""
    before = _known.set({})
    try:
        yield
    finally:
        _known.reset(before)


def install() -> None:
    """Put the hooks in place."""
    iam_evaluator.parse_policy_document = _parsing_once(iam_evaluator.parse_policy_document)
    iam_evaluator.resolve_credential = _looking_up_once(iam_evaluator.resolve_credential)
    iam_evaluator.resolve_principal = _resolving_once(iam_evaluator.resolve_principal)
    iam_actions.dynamodb_transaction_checks = _each_once(iam_actions.dynamodb_transaction_checks)


def _parsing_once(parse: Any) -> Any:
    parsed = functools.lru_cache(maxsize=_MOST)(parse)
    same = functools.lru_cache(maxsize=_MOST)(lambda packed: parse(marshal.loads(packed)))  # noqa: S302  (its own bytes)

    @functools.wraps(parse)
    def wrapper(doc: Any) -> list[Any]:
        if isinstance(doc, str):
            return list(parsed(doc))
        try:
            packed = marshal.dumps(doc, _PLAIN)
        except ValueError:  # a type that no policy's JSON has
            return list(parse(doc))
        return list(same(packed))

    return wrapper


def _looking_up_once(resolve: Any) -> Any:
    @functools.wraps(resolve)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        known = _known.get()
        if known is None or named:
            return resolve(*arguments, **named)
        if ("credential", arguments) not in known:
            known["credential", arguments] = resolve(*arguments)
        return known["credential", arguments]

    return wrapper


def _resolving_once(resolve: Any) -> Any:
    """A credential that the caller has checked already is that of the same key."""

    @functools.wraps(resolve)
    def wrapper(access_key_id: str, account_id: str, credential: Any = None) -> Any:
        known = _known.get()
        if known is None:
            return resolve(access_key_id, account_id, credential)
        name = "principal", access_key_id, account_id
        if name not in known:
            known[name] = resolve(access_key_id, account_id, credential)
        return known[name]

    return wrapper


def _each_once(checks: Any) -> Any:
    """Pairs of an action and a table, which are all that the decisions on one transaction differ in."""

    @functools.wraps(checks)
    def wrapper(*arguments: Any) -> list[Any]:
        return list(dict.fromkeys(checks(*arguments)))

    return wrapper
