"""Who may deploy and release from a repository, and where: the settings of pipelines, in a file of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from stacks.settings.fields import Section
from stacks.settings.file import read_mapping, refusal
from stacks.settings.stage import Region

GITHUB = "token.actions.githubusercontent.com"
"""GitHub's OIDC provider: who signs the tokens of jobs."""
AUDIENCE = "sts.amazonaws.com"
"""Whom the tokens that are meant for AWS name as their audience."""

AccountId = Annotated[str, StringConstraints(pattern=r"^\d{12}$")]
StageName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{1,7}$")]


class PipelineSettings(Section):
    """What may reach which account from which repository. One file in `settings/pipeline/` has these fields, without a section.

    The stages are those of `settings/<stage>.yaml`. No template of a stage depends on this file.
    """

    repository: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$")] = Field(
        description="Repository on GitHub, `<owner>/<name>`."
    )
    branch: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")] = Field(
        default="main", description="Branch that CodePipeline deploys. For GitHub Actions, each environment names the branches it takes."
    )
    region: Region = Field(default="us-east-1", description="Region of the stacks of the pipelines. Roles count in every region.")
    accounts: dict[StageName, AccountId] = Field(
        min_length=1,
        max_length=5,
        description=(
            "Stage -> account, in the order of deployment. The first stage is tested after each deploy; every later one waits "
            "for somebody's approval. Write account ids in quotation marks."
        ),
    )
    github: bool = Field(default=True, description="Whether workflows of GitHub Actions get roles.")
    subject: Annotated[str, StringConstraints(pattern=r"^repo:[A-Za-z0-9][A-Za-z0-9@._/-]{2,199}$")] | None = Field(
        default=None,
        description=(
            "How the subject of the repository's OIDC tokens begins, up to `:environment:`. `null`: `repo:<repository>`. GitHub "
            "puts ids of owner and repository into it for repositories made since summer 2026, such as "
            "`repo:acme@123456/texts@456789`; the repository's OIDC settings on GitHub show it."
        ),
    )
    oidc_provider: Literal["create", "import"] = Field(
        default="create",
        description=(
            "An account has one identity provider for GitHub. `create`: the stack makes it, and keeps it when the stack goes. "
            "`import`: the account has it already."
        ),
    )
    connection_arn: (
        Annotated[
            str, StringConstraints(pattern=r"^arn:aws:(codeconnections|codestar-connections):[a-z0-9-]+:\d{12}:connection/[a-f0-9-]{36}$")
        ]
        | None
    ) = Field(
        default=None,
        description="ARN of the connection to the repository (AWS CodeConnections). `null`: there is no CodePipeline.",
    )
    pipeline_account: AccountId | None = Field(
        default=None, description="Account of CodePipeline, which is the connection's. Required with `connection_arn`."
    )

    @model_validator(mode="after")
    def _the_connection_is_the_pipelines(self) -> PipelineSettings:
        if (self.connection_arn is None) != (self.pipeline_account is None):
            raise ValueError("connection_arn and pipeline_account go together: give both for CodePipeline, or neither")
        if self.connection_arn is not None:
            _, _, _, region, account, _ = self.connection_arn.split(":", 5)
            if (region, account) != (self.region, self.pipeline_account):
                raise ValueError(
                    f"connection_arn is of account {account} in {region}, and the pipeline is of account {self.pipeline_account} in "
                    f"{self.region}: a pipeline uses a connection of its own account and region"
                )
        if not self.github and self.connection_arn is None:
            raise ValueError("github false without connection_arn leaves nothing to make: set github to true, or name a connection")
        return self

    @property
    def subject_prefix(self) -> str:
        """How the subject of the repository's tokens begins, up to ``:environment:``."""
        return self.subject or f"repo:{self.repository}"

    @property
    def stages_by_account(self) -> Mapping[str, list[str]]:
        """Account -> its stages, both in the order of :attr:`accounts`."""
        found: dict[str, list[str]] = {}
        for stage, account in self.accounts.items():
            found.setdefault(account, []).append(stage)
        return found


def load_pipeline_settings(path: Path) -> PipelineSettings:
    """Read one YAML file into :class:`PipelineSettings`.

    Raises:
        SettingsError: the file cannot be read, or a field is out of bounds.
    """
    raw = read_mapping(path)
    try:
        return PipelineSettings.model_validate(raw)
    except ValidationError as error:
        raise refusal(path, error) from None
