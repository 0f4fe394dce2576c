"""The people who are asked: a user pool in which an operator makes each account, its sign-in domain, and the group of reviewers.

Both review backends have it under the same logical ids, so a stage that changes its backend keeps its people.
"""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Validations
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from stacks.constructs.shared import SharedResources
from stacks.names import LEADS, REVIEWERS

_PASSWORD_LENGTH = 14
_INVITED_DAYS = 3
_INVITATION = f"""You are invited to label texts.<br><br>
User name: {{username}}<br>
Temporary password: {{####}}<br><br>
Sign in within {_INVITED_DAYS} days. The person who invited you tells you the address of the page.<br>
You then choose a password of your own: at least {_PASSWORD_LENGTH} characters, with small and capital letters, digits and symbols.<br>
You also need an authenticator app on your phone. The page shows you how to connect it. Each time that you sign in, it gives you a code.
"""
"""Cognito's mail to a newcomer, in HTML. It cannot name the page: CloudFormation makes the page after the user pool."""


@dataclass(frozen=True)
class Reviewers:
    pool: cognito.UserPool
    domain: cognito.CfnUserPoolDomain
    group: cognito.CfnUserPoolGroup


def reviewers(scope: Construct, shared: SharedResources) -> Reviewers:
    """Create the user pool, its sign-in domain and the group of reviewers as children of ``scope``."""
    pool = _pool(scope, shared)
    domain = cognito.CfnUserPoolDomain(scope, "Domain", domain=shared.names.sign_in_domain, user_pool_id=pool.user_pool_id)
    group = cognito.CfnUserPoolGroup(
        scope, "Group", group_name=REVIEWERS, user_pool_id=pool.user_pool_id, description="Members answer review and labelling tasks"
    )
    return Reviewers(pool, domain, group)


class HostedReviewers(Construct):
    """The people of the hosted backend: reviewers, and a second group of those who lead them.

    Attributes:
        pool: the user pool.
        sign_in_url: origin of the pool's own sign-in pages.
    """

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources) -> None:
        super().__init__(scope, construct_id)
        names = shared.names
        people = reviewers(self, shared)
        self.pool = people.pool
        cognito.CfnUserPoolGroup(
            self,
            "Leads",
            group_name=LEADS,
            user_pool_id=people.pool.user_pool_id,
            description="Members see the queue and the reviewers' work",
        )
        self.sign_in_url = f"https://{names.sign_in_domain}.auth.{shared.settings.region}.amazoncognito.com"


def _pool(scope: Construct, shared: SharedResources) -> cognito.UserPool:
    pool = cognito.UserPool(
        scope,
        "UserPool",
        user_pool_name=shared.names.reviewers,
        self_sign_up_enabled=False,
        sign_in_aliases=cognito.SignInAliases(username=True, email=True),
        auto_verify=cognito.AutoVerifiedAttrs(email=True),
        account_recovery=cognito.AccountRecovery.EMAIL_ONLY,
        mfa=cognito.Mfa.REQUIRED,
        mfa_second_factor=cognito.MfaSecondFactor(sms=False, otp=True),
        password_policy=cognito.PasswordPolicy(
            min_length=_PASSWORD_LENGTH,
            require_lowercase=True,
            require_uppercase=True,
            require_digits=True,
            require_symbols=True,
            temp_password_validity=Duration.days(_INVITED_DAYS),
        ),
        user_invitation=cognito.UserInvitationConfig(email_subject="You are invited to label texts", email_body=_INVITATION),
        deletion_protection=True,
        removal_policy=RemovalPolicy.RETAIN,
    )
    Validations.of(pool).acknowledge(
        Acknowledgment(
            id="AwsSolutions-COG8",
            reason="The Plus plan (threat protection) is billed per user; accounts are made by an operator only (no "
            "sign-up), need a second factor at each sign-in, and reach nothing but the tasks of their team",
        )
    )
    return pool
