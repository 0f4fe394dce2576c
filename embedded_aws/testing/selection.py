"""Files that ``pytest -m`` selects nothing of are not imported. Every worker imports all others, which takes seconds of a core each.

What a file marks is read in its text: ``mark.slow`` anywhere means that some of its tests may be slow, and in a line that begins with
``pytestmark`` that all are. :func:`unread` finds tests whose mark comes from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression

MARKS = ("slow", "demo", "operations")
__all__ = ["MARKS", "may_select", "pytest_ignore_collect", "unread"]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A hook of pytest: True leaves the file out."""
    expression = str(config.option.markexpr)
    if not expression or not collection_path.match("test_*.py"):
        return None
    return None if may_select(expression, _text(collection_path)) else True


def may_select(expression: str, text: str) -> bool:
    """Whether ``-m expression`` may select a test of a file with this text."""
    if not {"and", "or", "not", *MARKS}.issuperset(re.findall(r"\w+", expression)):
        return True
    of_all = {mark for mark in MARKS if re.search(rf"^pytestmark\b.*\bmark\.{mark}\b", text, re.MULTILINE)}
    of_some = [mark for mark in MARKS if _names(mark, text)]
    possible = (of_all.union(some) for count in range(len(of_some) + 1) for some in combinations(of_some, count))
    return any(_selects(Expression.compile(expression), marks) for marks in possible)


def unread(items: Iterable[pytest.Item]) -> list[str]:
    """Ids of tests that have one of these marks and whose file does not say so."""
    found = ((item, mark) for item in items for mark in MARKS if item.get_closest_marker(mark))
    return [item.nodeid for item, mark in found if not _names(mark, _text(item.path))]


def _selects(expression: Expression, marks: set[str]) -> bool:
    def has(name: str, /, **_: str | int | bool | None) -> bool:
        return name in marks

    return expression.evaluate(has)


def _names(mark: str, text: str) -> bool:
    return re.search(rf"\bmark\.{mark}\b", text) is not None


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
