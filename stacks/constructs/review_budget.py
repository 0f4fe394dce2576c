"""``review.daily_budget``: what the functions are told of it, and where the spending of a day is kept."""

from __future__ import annotations

from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources

SPENDING = "review-budget"
"""Name of the SSM parameter that `reconcile` keeps."""


def budget_variables(shared: SharedResources) -> dict[str, str]:
    """For a function before which a text may have to wait; nothing without a budget."""
    budget = shared.settings.review.daily_budget
    return {} if budget is None else {"DAILY_BUDGET": str(budget)}


def spending_variables(shared: SharedResources) -> dict[str, str]:
    """For the function that chooses; nothing without a budget."""
    if shared.settings.review.daily_budget is None:
        return {}
    return {
        **budget_variables(shared),
        "BUDGET_PARAMETER": shared.names.parameter(SPENDING),
        "LONGEST_WAIT_SECONDS": str(shared.settings.review.task_availability_seconds),
    }


def allow_choosing(function: PythonFunction, shared: SharedResources) -> None:
    """Let ``function`` choose waiting texts and keep count of them; nothing without a budget."""
    if shared.settings.review.daily_budget is not None:
        names = shared.names
        function.allow(["dynamodb:UpdateItem"], [names.arn("dynamodb", f"table/{names.predictions_table}")])
        function.allow(["ssm:GetParameter", "ssm:PutParameter"], [names.arn("ssm", f"parameter{names.parameter(SPENDING)}")])
