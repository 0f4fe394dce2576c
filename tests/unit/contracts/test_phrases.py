"""Numbers in sentences: plurals and signs."""

from __future__ import annotations

import pytest

from contracts.phrases import are, compared, counted


@pytest.mark.parametrize(("number", "said"), [(0, "0 labels are"), (1, "1 label is"), (2, "2 labels are"), (1_204, "1,204 labels are")])
def test_a_number_has_its_plural(number: int, said: str) -> None:
    assert f"{counted(number, 'label')} {are(number)}" == said


def test_a_plural_of_its_own_is_given() -> None:
    assert [counted(number, "person", "people") for number in (1, 2)] == ["1 person", "2 people"]


@pytest.mark.parametrize(("value", "said"), [(0.2, "less sure by 0.20"), (-0.18, "surer by 0.18"), (0.004, "as sure"), (-0.004, "as sure")])
def test_a_difference_is_said_without_a_sign(value: float, said: str) -> None:
    assert compared(value, "less sure", "surer", "as sure") == said
