"""Types that the sections of the settings share."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from contracts.labels import CANNOT_TELL, ID
from stacks.settings import instance_types


def _label(value: str) -> str:
    if value == CANNOT_TELL:
        raise ValueError(f"{value} is the answer of people who cannot tell: name the label differently")
    return value


_INSTANCE = StringConstraints(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")
TrainingType = Annotated[str, _INSTANCE, AfterValidator(partial(instance_types.checked, "training"))]
ProcessingType = Annotated[str, _INSTANCE, AfterValidator(partial(instance_types.checked, "processing"))]
HostingType = Annotated[str, _INSTANCE, AfterValidator(partial(instance_types.checked, "hosting"))]
LabelId = Annotated[str, StringConstraints(pattern=f"^{ID.pattern}$"), AfterValidator(_label)]
S3Uri = Annotated[str, StringConstraints(pattern=r"^s3://[a-z0-9.-]{3,63}/.+$")]
KeyArn = Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[a-zA-Z0-9-]+$")]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A part of the settings: no unknown field, nothing changed later, no infinite number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
