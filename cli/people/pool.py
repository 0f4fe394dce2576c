"""The user pool of a stage: every account of it as one value, and what may happen to an account.

Source: Amazon Cognito user pools API reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cli.account import Account

NEVER_SIGNED_IN = "FORCE_CHANGE_PASSWORD"
"""The account still has its temporary password, valid or not."""


@dataclass(frozen=True)
class Person:
    """One account. ``status`` is Cognito's ``UserStatus``; ``mfa``: a second factor is set up; ``email`` is empty where there is none."""

    name: str
    sub: str
    email: str
    groups: tuple[str, ...]
    status: str
    enabled: bool
    mfa: bool


@dataclass(frozen=True)
class UserPool:
    """``sign_in_url`` is where people answer; None for a work team of SageMaker, whose portal has the address."""

    account: Account
    id: str
    sign_in_url: str | None = None

    @property
    def _cognito(self) -> Any:
        return self.account.client("cognito-idp")

    def people(self) -> list[Person]:
        """Everybody, by name."""
        names = [user["Username"] for user in self._pages("list_users", "Users")]
        found = (self.find(name) for name in sorted(names))
        return [person for person in found if person is not None]

    def find(self, name: str) -> Person | None:
        """One account with its groups; None when there is none."""
        who = {"UserPoolId": self.id, "Username": name}
        try:
            user = self._cognito.admin_get_user(**who)
            groups = tuple(sorted(group["GroupName"] for group in self._pages("admin_list_groups_for_user", "Groups", Username=name)))
        except self._cognito.exceptions.UserNotFoundException:
            return None
        attributes = {one["Name"]: one["Value"] for one in user["UserAttributes"]}
        return Person(
            name=user["Username"],
            sub=attributes["sub"],
            email=attributes.get("email", ""),
            groups=groups,
            status=user["UserStatus"],
            enabled=user["Enabled"],
            mfa=bool(user.get("UserMFASettingList")),
        )

    def groups(self) -> set[str]:
        return {group["GroupName"] for group in self._pages("list_groups", "Groups")}

    def create(self, name: str, email: str) -> None:
        """Make an account. Cognito mails a temporary password; the operator vouches for the address, so it can be signed in with."""
        self._cognito.admin_create_user(
            UserPoolId=self.id,
            Username=name,
            UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
            DesiredDeliveryMediums=["EMAIL"],
        )

    def send_again(self, name: str) -> None:
        """Mail a temporary password to somebody who never signed in; its time begins anew."""
        self._cognito.admin_create_user(UserPoolId=self.id, Username=name, MessageAction="RESEND", DesiredDeliveryMediums=["EMAIL"])

    def join(self, name: str, group: str) -> None:
        self._cognito.admin_add_user_to_group(UserPoolId=self.id, Username=name, GroupName=group)

    def leave(self, name: str, group: str) -> None:
        self._cognito.admin_remove_user_from_group(UserPoolId=self.id, Username=name, GroupName=group)

    def enable(self, name: str) -> None:
        self._cognito.admin_enable_user(UserPoolId=self.id, Username=name)

    def disable(self, name: str) -> None:
        self._cognito.admin_disable_user(UserPoolId=self.id, Username=name)

    def sign_out(self, name: str) -> None:
        """Everywhere: Cognito takes none of the person's tokens any more."""
        self._cognito.admin_user_global_sign_out(UserPoolId=self.id, Username=name)

    def forget_authenticator(self, name: str) -> None:
        """The account has no authenticator app any more. As the pool requires one, the next sign-in sets one up."""
        self._cognito.admin_delete_software_token(UserPoolId=self.id, Username=name)

    def delete(self, name: str) -> None:
        self._cognito.admin_delete_user(UserPoolId=self.id, Username=name)

    def _pages(self, operation: str, key: str, **more: str) -> Iterator[dict[str, Any]]:
        for page in self._cognito.get_paginator(operation).paginate(UserPoolId=self.id, **more):
            yield from page[key]
