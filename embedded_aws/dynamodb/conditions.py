"""DynamoDB: a condition is read once, not once for each item that it is tried on.

Stock ministack splits and checks the text of a condition anew for every item of a query, which takes most of a query's time. Whatever
fails, or has BETWEEN, whose bounds are values, goes the stock way. Hook: ``dynamodb._evaluate_condition``.
"""

from __future__ import annotations

import functools
from typing import Any

from ministack.services import dynamodb

_MOST = 2_048
_read: dict[tuple[str, str], list[Any]] = {}
"""Tokens of the conditions that were right, by text and by the parameter that they came in."""


def install() -> None:
    """Put the hook in place."""
    dynamodb._evaluate_condition = _reading_once(dynamodb._evaluate_condition)


def _reading_once(evaluate: Any) -> Any:
    @functools.wraps(evaluate)
    def wrapper(expr: str, item: Any, attr_values: Any, attr_names: Any, slot: str = "ConditionExpression") -> Any:
        tokens = _read.get((expr, slot))
        if tokens is not None:
            try:
                return dynamodb._ExprEval(tokens, item, attr_values, attr_names).evaluate()
            except Exception:
                return evaluate(expr, item, attr_values, attr_names, slot)
        result = evaluate(expr, item, attr_values, attr_names, slot)
        if expr and expr.strip() and "BETWEEN" not in expr.upper() and len(_read) < _MOST:
            _read[expr, slot] = dynamodb._tokenize(expr)
        return result

    return wrapper
