"""A custom resource that one of our functions makes. Its timeout is long enough for the function to report its own error."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import CustomResource, Duration, RemovalPolicy
from constructs import Construct

from stacks.constructs.python_function import PythonFunction

_ANSWER_SECONDS = 300
"""How much longer than its function CloudFormation waits: for the start of the function and the way of its answer."""


class FunctionResource(CustomResource):
    """``Custom::<...>`` made by ``function``.

    Without ``ServiceTimeout`` CloudFormation waits an hour for an answer that never comes. With the function's own timeout it would
    give up at the moment in which the function says what is wrong.

    Args:
        properties: what the function reads; values arrive there as text.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        function: PythonFunction,
        resource_type: str,
        properties: Mapping[str, object],
        removal_policy: RemovalPolicy | None = None,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            service_token=function.function.function_arn,
            resource_type=resource_type,
            service_timeout=Duration.seconds(function.timeout + _ANSWER_SECONDS),
            properties=dict(properties),
            removal_policy=removal_policy,
        )
