"""A stack's deletion keeps what a resource depends on that could not be deleted, as CloudFormation's does.

ministack goes on with it: a custom resource that refuses its deletion would lose its own function.

Hook: ``stacks._topological_sort``, whose result a deletion goes through in reverse.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ministack.services import cloudformation
from ministack.services.cloudformation import stacks


class _DeletionOrder(list[str]):
    """Logical ids in the order of creation. Backwards they leave out what an earlier one that is still there depends on.

    A resource that was deleted or retained is in the stack no more, so it holds nothing. What is left out stays in the stack and so
    holds what it depends on itself.
    """

    def __init__(self, order: list[str], definitions: dict[str, Any], present: dict[str, Any]) -> None:
        super().__init__(order)
        self._definitions, self._present = definitions, present

    def __reversed__(self) -> Iterator[str]:
        tried: list[str] = []
        for name in super().__reversed__():
            if not any(name in self._depends_on(other) for other in tried if other in self._present):
                yield name
            tried.append(name)

    def _depends_on(self, name: str) -> set[str]:
        found: set[str] = stacks._extract_deps(self._definitions.get(name, {}), set(self._present))
        return found


def install() -> None:
    stock = stacks._topological_sort

    def topological_sort(definitions: dict[str, Any], conditions: dict[str, Any]) -> list[str]:
        order: list[str] = stock(definitions, conditions)
        for stack in cloudformation._stacks.values():
            if stack.get("StackStatus") == "DELETE_IN_PROGRESS" and (stack.get("_template") or {}).get("Resources") is definitions:
                return _DeletionOrder(order, definitions, stack["_resources"])
        return order

    stacks._topological_sort = topological_sort
