"""Who is asked."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from stacks.settings.fields import Section

_PRIVATE_TEAM = re.compile(r"workteam/private-crowd/[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


class WorkforceSettings(Section):
    """Who is asked. An account has one private workforce per region. The app creates it, or imports a work team that exists."""

    mode: Literal["create", "import"] = Field(
        default="create",
        description="`create`: the app creates the workforce and its sign-in. `import`: the app uses the work team in `workteam_arn`.",
    )
    workteam_arn: Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:workteam/.+$")] | None = Field(
        default=None,
        description=(
            "ARN of the work team. Mode `import` needs it; mode `create` does not allow it. It must be a private team "
            "(`workteam/private-crowd/<name>`) in the stage's region. Public and vendor teams have prices, which the app "
            "does not set."
        ),
    )

    @model_validator(mode="after")
    def _import_needs_arn(self) -> WorkforceSettings:
        if (self.mode == "import") != (self.workteam_arn is not None):
            raise ValueError("workforce.workteam_arn is required with mode 'import' and not allowed with mode 'create'")
        return self

    @model_validator(mode="after")
    def _team_is_private(self) -> WorkforceSettings:
        """A task of the public crowd needs a price (PublicWorkforceTaskPrice), which the app sets nowhere."""
        if self.workteam_arn is None:
            return self
        if self.workteam_arn.split(":")[1] != "aws":
            raise ValueError(
                f"workforce.workteam_arn {self.workteam_arn} is of the partition {self.workteam_arn.split(':')[1]}: every region that "
                "the settings allow is of the partition aws, so the ARN must begin with arn:aws:"
            )
        if not _PRIVATE_TEAM.fullmatch(self.workteam_arn.split(":", 5)[5]):
            raise ValueError(
                f"workforce.workteam_arn {self.workteam_arn} is no private work team: the tasks of public-crowd and vendor-crowd have a "
                "price that the app does not set; name a team of the form workteam/private-crowd/<name>, as `aws sagemaker "
                "list-workteams` shows it"
            )
        return self

    @property
    def team_region(self) -> str | None:
        """Region of the imported team."""
        return self.workteam_arn.split(":")[3] if self.workteam_arn else None
