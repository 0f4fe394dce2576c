"""The typed Lambda environment names everything that is wrong at once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lambdas.common.environment import InvalidEnvironment, read_environment


@dataclass(frozen=True)
class Example:
    table_name: str
    share: float
    labels: tuple[str, ...]
    enabled: bool = False
    limit: int = 5


def test_values_are_converted_by_field_type() -> None:
    read = read_environment(Example, {"TABLE_NAME": "t", "SHARE": "0.5", "LABELS": "a,b", "ENABLED": "true"})
    assert read == Example("t", 0.5, ("a", "b"), True, 5)


def test_every_problem_is_named() -> None:
    with pytest.raises(InvalidEnvironment) as caught:
        read_environment(Example, {"SHARE": "much", "LABELS": "a", "ENABLED": "yes"})
    assert all(word in str(caught.value) for word in ("TABLE_NAME is not set", "SHARE='much'", "ENABLED='yes'"))
