"""Where the labelled texts come from."""

from __future__ import annotations

from pydantic import Field, model_validator

from stacks.settings.fields import KeyArn, LabelName, S3Uri, Section


class DatasetSettings(Section):
    """Where the labelled texts come from. With no ``uri`` the corpus that ships with the project is used."""

    uri: S3Uri | None = None
    kms_key_arn: KeyArn | None = None
    labels: tuple[LabelName, ...] = Field(default=("negative", "neutral", "positive"), min_length=2, max_length=20)
    max_text_chars: int = Field(default=5_000, ge=100, le=90_000)  # four bytes each at most: an item of the table holds 400 KB

    @model_validator(mode="after")
    def _labels_differ(self) -> DatasetSettings:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"dataset.labels {list(self.labels)} has a label twice: every label must differ")
        return self

    @model_validator(mode="after")
    def _key_is_of_an_own_bucket(self) -> DatasetSettings:
        if self.kms_key_arn and not self.uri:
            raise ValueError(
                f"dataset.kms_key_arn {self.kms_key_arn} is the key of the bucket in dataset.uri, which is not set: "
                "set dataset.uri, or remove the key (our own buckets have the app's key)"
            )
        return self
