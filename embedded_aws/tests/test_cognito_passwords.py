"""Accounts that an operator makes without naming a password, as the operations page does."""

from __future__ import annotations

from embedded_aws.testing.fixtures import ClientFactory


def test_a_chosen_password_fits_the_strictest_policy(aws: ClientFactory) -> None:
    cognito = aws("cognito-idp")
    kinds = {f"Require{kind}": True for kind in ("Lowercase", "Uppercase", "Numbers", "Symbols")}
    policy = {"PasswordPolicy": {"MinimumLength": 99, **kinds}}
    pool = cognito.create_user_pool(PoolName="strict", Policies=policy)["UserPool"]["Id"]
    made = cognito.admin_create_user(UserPoolId=pool, Username="ada", DesiredDeliveryMediums=["EMAIL"])["User"]
    assert made["UserStatus"] == "FORCE_CHANGE_PASSWORD"
