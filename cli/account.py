"""The AWS account that a command works with: clients, identity, and the names of one stage in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from stacks.names import Names
from stacks.settings import Settings

_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=60)
_CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "InvalidToken",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
}
"""Codes with which the services refuse credentials; a caller who lacks a permission gets others."""


class NoAccount(RuntimeError):
    """AWS is out of reach, or refuses the credentials. The text says which, and what to do."""


@dataclass
class Account:
    """One account and region, found by the ordinary AWS variables and profiles (``AWS_ENDPOINT_URL`` included)."""

    settings: Settings
    profile: str | None = None
    _clients: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def session(self) -> Any:
        try:
            return boto3.Session(profile_name=self.profile, region_name=self.settings.region)
        except ProfileNotFound as error:
            raise NoAccount(f"{error}: name one of your profiles (`aws configure list-profiles`), or leave --profile out") from None

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.session.client(service, config=_CONFIG)
        return self._clients[service]

    @cached_property
    def identity(self) -> dict[str, str]:
        """GetCallerIdentity: ``Account``, ``Arn``, ``UserId``.

        Raises:
            NoAccount: no credentials, refused credentials, or no answer.
        """
        try:
            answer: dict[str, str] = self.client("sts").get_caller_identity()
            return answer
        except ClientError as error:
            raise NoAccount(_refused(error)) from None
        except BotoCoreError as error:
            raise NoAccount(
                f"AWS gave no answer ({type(error).__name__}: {error}): set credentials (`aws configure`, `aws sso login`, AWS_PROFILE), "
                "and AWS_ENDPOINT_URL only for the embedded AWS"
            ) from None

    @property
    def id(self) -> str:
        """The account's 12 digits."""
        return self.identity["Account"]

    @property
    def caller(self) -> str:
        """Who calls, such as ``assumed-role/pipeline/run-7``."""
        return self.identity["Arn"].rpartition(":")[2]

    @property
    def partition(self) -> str:
        return self.identity["Arn"].split(":")[1]

    @cached_property
    def names(self) -> Names:
        """The stage's names in this account."""
        return Names(self.settings, self.id, self.partition)

    def parameter(self, path: str) -> str | None:
        """The value of one of the stage's parameters; None before it exists."""
        return self.ssm_value(self.names.parameter(path))

    def ssm_value(self, name: str) -> str | None:
        try:
            value: str = self.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]
            return value
        except self.client("ssm").exceptions.ParameterNotFound:
            return None

    def stack(self, name: str) -> dict[str, Any] | None:
        """What DescribeStacks says about one stack; None when the stack does not exist."""
        try:
            found: dict[str, Any] = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
            return found
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise


def credentials_fault(error: ClientError) -> str | None:
    """The sentence about credentials that are expired or refused; None where AWS refuses something else."""
    return _refused(error) if error.response["Error"]["Code"] in _CREDENTIALS else None


def _refused(error: ClientError) -> str:
    reason = error.response["Error"]
    return f"AWS refused the credentials ({reason['Code']}: {reason['Message']}): renew them, then start again"
