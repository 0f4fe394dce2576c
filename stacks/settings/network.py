"""Where jobs and endpoints run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from stacks.settings.fields import Section


class NetworkSettings(Section):
    """Where jobs and endpoints run."""

    mode: Literal["isolated", "vpc"] = Field(
        default="isolated",
        description=(
            "`isolated`: jobs and models have no network at all. `vpc`: they are attached to the given subnets, and network "
            "isolation stays on."
        ),
    )
    subnet_ids: tuple[Annotated[str, StringConstraints(pattern=r"^subnet-[0-9a-f]+$")], ...] = Field(
        default=(), max_length=16, description="IDs of the subnets. Mode `vpc` needs at least one; mode `isolated` allows none."
    )
    security_group_ids: tuple[Annotated[str, StringConstraints(pattern=r"^sg-[0-9a-f]+$")], ...] = Field(
        default=(), max_length=5, description="IDs of the security groups. Mode `vpc` needs at least one; mode `isolated` allows none."
    )

    @model_validator(mode="after")
    def _vpc_needs_subnets(self) -> NetworkSettings:
        if self.mode == "vpc" and not (self.subnet_ids and self.security_group_ids):
            raise ValueError("network.mode 'vpc' needs at least one subnet_ids and one security_group_ids entry")
        if self.mode == "isolated" and (self.subnet_ids or self.security_group_ids):
            raise ValueError("subnet_ids and security_group_ids are only used with network.mode 'vpc': remove them")
        return self
