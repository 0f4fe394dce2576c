"""CloudWatch metric math over aligned series: arithmetic, comparisons, IF, FILL, MAX, MIN, SUM, AVG, ABS, METRICS. Pure; no eval.

A value is a number, a series (one number or None a period) or a list of series. What is missing stays missing through
arithmetic, and so is a division by zero. Source: CloudWatch user guide, "Using math expressions with CloudWatch metrics".
"""

from __future__ import annotations

import ast
import itertools
import math
import operator
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Series = tuple[float | None, ...]
Value = float | Series | list[Series]


class ExpressionError(ValueError):
    """The expression is not metric math, or uses something that is not supported here; the text says what."""


_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARE: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_REDUCE: dict[str, Callable[[list[float]], float]] = {"SUM": math.fsum, "MAX": max, "MIN": min, "AVG": statistics.fmean}
_WORDS = ((r"&&", " and "), (r"\|\|", " or "), (r"\bAND\b", "and"), (r"\bOR\b", "or"), (r"\^", "**"))


def evaluate(expression: str, metrics: Mapping[str, Series], expressions: Mapping[str, str], periods: int) -> Series:
    """The series of one expression.

    Args:
        metrics: series by the id of their query, each ``periods`` long.
        expressions: the other expressions by id, which this one may name.

    Raises:
        ExpressionError: syntax, an unknown name or function, or a circular reference.
    """
    result = _Evaluator(metrics, expressions, periods).named(expression, ())
    if isinstance(result, list):
        raise ExpressionError(f"{expression!r} gives several time series where one is needed")
    return result if isinstance(result, tuple) else (result,) * periods


def _parse(expression: str) -> ast.expr:
    text = expression
    for pattern, word in _WORDS:
        text = re.sub(pattern, word, text)
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ExpressionError(f"{expression!r} is not a metric math expression: {error}") from None


class _Evaluator:
    def __init__(self, metrics: Mapping[str, Series], expressions: Mapping[str, str], periods: int) -> None:
        self.metrics, self.expressions, self.periods = metrics, expressions, periods

    def named(self, expression: str, above: tuple[str, ...]) -> Value:
        return self._value(_parse(expression), above)

    def _value(self, node: ast.expr, above: tuple[str, ...]) -> Value:
        match node:
            case ast.Constant(value=bool()):
                raise ExpressionError("true and false are not metric math: write 1 or 0")
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return self._lookup(name, above)
            case ast.List(elts=items):
                return [self._series(self._value(item, above)) for item in items]
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(name.upper(), arguments, above)
        return self._operation(node, above)

    def _operation(self, node: ast.expr, above: tuple[str, ...]) -> Value:
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._map(lambda value: -value, self._value(operand, above))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return self._map(_BINARY[type(op)], self._value(left, above), self._value(right, above))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return self._map(_COMPARE[type(op)], self._value(left, above), self._value(right, above))
            case ast.BoolOp(op=op, values=values):
                join = (lambda *v: all(v)) if isinstance(op, ast.And) else (lambda *v: any(v))
                return self._map(join, *(self._value(value, above) for value in values))
        raise ExpressionError(f"{ast.unparse(node)!r} is not supported in metric math here")

    def _lookup(self, name: str, above: tuple[str, ...]) -> Value:
        if name in self.metrics:
            return self.metrics[name]
        if name in above:
            raise ExpressionError(f"expression {name} refers to itself")
        if name in self.expressions:
            return self.named(self.expressions[name], (*above, name))
        raise ExpressionError(f"no metric or expression has the id {name!r}")

    def _call(self, name: str, arguments: Sequence[ast.expr], above: tuple[str, ...]) -> Value:
        if name == "METRICS":
            return self._all_metrics(arguments)
        if name == "FILL" and len(arguments) == 2:
            return self._fill(self._value(arguments[0], above), arguments[1], above)
        values = [self._value(argument, above) for argument in arguments]
        if name == "IF" and len(values) in (2, 3):
            return self._if(*values)
        if name == "ABS" and len(values) == 1:
            return self._map(abs, values[0])
        if name not in _REDUCE:
            raise ExpressionError(f"the metric math function {name} with {len(values)} arguments is not supported here")
        return self._reduce(_REDUCE[name], values)

    def _all_metrics(self, arguments: Sequence[ast.expr]) -> Value:
        part = ""
        if arguments:
            if not (len(arguments) == 1 and isinstance(arguments[0], ast.Constant) and isinstance(arguments[0].value, str)):
                raise ExpressionError("METRICS takes one text: the part of the ids to choose by")
            part = arguments[0].value
        return [series for identifier, series in self.metrics.items() if part in identifier]

    def _fill(self, value: Value, filler: ast.expr, above: tuple[str, ...]) -> Value:
        if isinstance(value, list):
            return [self._series(self._fill(series, filler, above)) for series in value]
        series = self._series(value)
        if isinstance(filler, ast.Name) and filler.id in ("REPEAT", "LINEAR"):
            return _repeated(series) if filler.id == "REPEAT" else _interpolated(series)
        replacement = self._series(self._value(filler, above))
        return tuple(other if own is None else own for own, other in zip(series, replacement, strict=True))

    def _if(self, condition: Value, then: Value, otherwise: Value | None = None) -> Value:
        columns = [self._series(part) for part in (condition, then)]
        other = self._series(otherwise) if otherwise is not None else (None,) * self.periods
        rows = zip(*columns, other, strict=True)
        return tuple(None if test is None else (chosen if test else rejected) for test, chosen, rejected in rows)

    def _reduce(self, function: Callable[[list[float]], float], values: list[Value]) -> Value:
        """Reduce the arguments: a list of series, or numbers and series, to one value per period; one series to one number."""
        if len(values) == 1 and isinstance(values[0], tuple):
            present = [number for number in values[0] if number is not None]
            return function(present) if present else (None,) * self.periods
        columns = [series for value in values for series in (value if isinstance(value, list) else [self._series(value)])]
        if not columns:
            raise ExpressionError("there is no time series to reduce")
        rows = ([number for number in row if number is not None] for row in zip(*columns, strict=True))
        return tuple(function(row) if row else None for row in rows)

    def _map(self, function: Callable[..., Any], *values: Value) -> Value:
        lists = [value for value in values if isinstance(value, list)]
        if lists:
            if len({len(value) for value in lists}) > 1:
                raise ExpressionError("lists of time series of different lengths cannot be combined")
            columns = [value if isinstance(value, list) else [self._series(value)] * len(lists[0]) for value in values]
            return [self._series(self._map(function, *row)) for row in zip(*columns, strict=True)]
        if not any(isinstance(value, tuple) for value in values):
            number = _apply(function, values)  # type: ignore[arg-type]  # only numbers are left
            return (None,) * self.periods if number is None else number
        rows = zip(*(self._series(value) for value in values), strict=True)
        return tuple(None if None in row else _apply(function, row) for row in rows)

    def _series(self, value: Value) -> Series:
        if isinstance(value, list):
            raise ExpressionError("a list of time series stands where one is needed")
        return value if isinstance(value, tuple) else (value,) * self.periods


def _apply(function: Callable[..., Any], numbers: Sequence[float]) -> float | None:
    try:
        result = float(function(*numbers))
    except (ArithmeticError, ValueError, TypeError):
        return None
    return result if math.isfinite(result) else None


def _repeated(series: Series) -> Series:
    filled: list[float | None] = []
    for value in series:
        filled.append(filled[-1] if value is None and filled else value)
    return tuple(filled)


def _interpolated(series: Series) -> Series:
    known = [(index, value) for index, value in enumerate(series) if value is not None]
    filled = list(series)
    for (start, low), (end, high) in itertools.pairwise(known):
        for index in range(start + 1, end):
            filled[index] = low + (high - low) * (index - start) / (end - start)
    return tuple(filled)
