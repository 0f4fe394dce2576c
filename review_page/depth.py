"""How deep values from JSON may be nested. A parser's own limit differs by version of Python, and may be far above any recursion's."""

from __future__ import annotations

from typing import Any

MOST_DEPTH = 50
"""Objects and lists inside one another. The deepest answer that is documented has four."""


def is_too_deep(value: Any) -> bool:
    """Goes from level to level, without recursion."""
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [inner for one in level for inner in _inside(one)]
    return any(isinstance(one, dict | list) for one in level)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
