"""The review stack's guard: while people are asked, the stack cannot be deleted."""

from __future__ import annotations

from aws_cdk import Stack
from constructs import Construct

from contracts.shared_words import DUE_TASKS, OPEN_REVIEWS
from stacks.constructs.function_resource import FunctionResource
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources


class OpenReviews(Construct):
    """A custom resource whose deletion fails while reviews are open, unless an operator has given them up by a parameter.

    CloudFormation deletes whatever does not depend on what it could not delete. So the guard depends on everything that its scope has at
    this moment: create it last. Then it is deleted first, and a refused deletion leaves the whole stack at work.
    """

    def __init__(self, scope: Stack, construct_id: str, *, shared: SharedResources) -> None:
        before = list(scope.node.children)
        super().__init__(scope, construct_id)
        names = shared.names
        hosted = shared.settings.review.backend == "hosted"
        parameter = names.parameter("give-up-open-reviews")
        function = PythonFunction(
            self,
            "Guard",
            shared=shared,
            folder="custom_resources/open_reviews",
            description="Keeps the review stack while reviews are open",
        )
        indexes = [f"{names.arn('dynamodb', f'table/{names.predictions_table}')}/index/{OPEN_REVIEWS}"]
        indexes += [f"{names.arn('dynamodb', f'table/{names.review_tasks_table}')}/index/{DUE_TASKS}"] if hosted else []
        function.allow(["dynamodb:Query"], indexes)
        function.allow(["ssm:GetParameter"], [names.arn("ssm", f"parameter{parameter}")])
        function.allow(["kms:Decrypt"], [shared.key.key_arn])
        resource = FunctionResource(
            self,
            "Resource",
            function=function,
            resource_type="Custom::OpenReviews",
            properties={
                "PredictionsTable": names.predictions_table,
                "TasksTable": names.review_tasks_table if hosted else "",
                "Parameter": parameter,
            },
        )
        resource.node.add_dependency(function, *before)
