"""Who reviews: a private workforce with its sign-in and one work team, created here or imported.

SageMaker allows one private workforce per account and region, so an account that has one imports its work team
(``review.workforce`` in the settings).
"""

from __future__ import annotations

import json
from typing import Any

from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from stacks.constructs.function_resource import FunctionResource
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.reviewers import reviewers
from stacks.constructs.shared import SharedResources
from stacks.names import REVIEWERS

_CLIENT: dict[str, Any] = {
    "client_name": "worker-portal",
    "generate_secret": True,
    "prevent_user_existence_errors": "ENABLED",
    "enable_token_revocation": True,
    "explicit_auth_flows": ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    "supported_identity_providers": ["COGNITO"],
}
"""The portal's client, without what depends on the portal's address (``Custom::PortalSignIn``)."""


class Workforce(Construct):
    """User pool, domain, client, group, workforce, its portal's sign-in and work team; with ``import`` only the work team's ARN.

    Attributes:
        workteam_arn: the team that is asked.
        user_pool, client: None with an imported team.
    """

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources) -> None:
        super().__init__(scope, construct_id)
        self._shared = shared
        self.user_pool: cognito.UserPool | None = None
        self.client: cognito.CfnUserPoolClient | None = None
        imported = shared.settings.review.workforce.workteam_arn
        self.workteam_arn = imported if imported is not None else self._create()

    def _create(self) -> str:
        names = self._shared.names
        people = reviewers(self, self._shared)
        pool, domain, group = people.pool, people.domain, people.group
        self.user_pool = pool
        self.client = client = self._client(pool)
        workforce = sagemaker.CfnWorkforce(
            self,
            "Workforce",
            workforce_name=names.prefix,
            cognito_config=sagemaker.CfnWorkforce.CognitoConfigProperty(client_id=client.ref, user_pool=pool.user_pool_id),
        )
        # CreateWorkforce looks for the pool's domain, and for a group of workers.
        workforce.add_resource_dependency(domain)
        workforce.add_resource_dependency(group)
        self._portal_sign_in(pool, client, workforce)
        workteam = sagemaker.CfnWorkteam(
            self,
            "Workteam",
            workteam_name=names.reviewers,
            workforce_name=names.prefix,
            description=f"Reviews the predictions of {names.prefix} and labels its texts",
            member_definitions=[
                sagemaker.CfnWorkteam.MemberDefinitionProperty(
                    cognito_member_definition=sagemaker.CfnWorkteam.CognitoMemberDefinitionProperty(
                        cognito_user_pool=pool.user_pool_id, cognito_user_group=REVIEWERS, cognito_client_id=client.ref
                    )
                )
            ],
        )
        for needed in (workforce, domain, group):
            workteam.add_resource_dependency(needed)
        return workteam.attr_workteam_arn

    def _client(self, pool: cognito.UserPool) -> cognito.CfnUserPoolClient:
        """The client that the workforce is made with; a workforce needs one with a secret."""
        return cognito.CfnUserPoolClient(self, "Client", user_pool_id=pool.user_pool_id, **_CLIENT)

    def _portal_sign_in(self, pool: cognito.UserPool, client: cognito.CfnUserPoolClient, workforce: sagemaker.CfnWorkforce) -> None:
        """The portal's address exists only after the workforce, which exists only after the client: so the client is changed then.

        A deployment that changes the client sets its call-back URLs back, so the client's properties are properties here too.
        """
        function = PythonFunction(
            self,
            "PortalSignIn",
            shared=self._shared,
            folder="custom_resources/portal_sign_in",
            description="Lets reviewers sign in to the worker portal",
        )
        function.allow(["cognito-idp:DescribeUserPoolClient", "cognito-idp:UpdateUserPoolClient"], [pool.user_pool_arn])
        FunctionResource(
            self,
            "SignIn",
            function=function,
            resource_type="Custom::PortalSignIn",
            properties={
                "UserPoolId": pool.user_pool_id,
                "ClientId": client.ref,
                "SubDomain": workforce.attr_sub_domain,
                "Client": json.dumps(_CLIENT, sort_keys=True),
            },
        )
