"""Where the labelled texts come from."""

from __future__ import annotations

from pydantic import Field, model_validator

from contracts.labels import FEWEST_LABELS, MOST_LABELS
from stacks.settings.fields import KeyArn, LabelId, S3Uri, Section

LONGEST_PINNED = 3_000
"""Characters of pinned labels with a comma between them. The environment of a Lambda function takes 4 KB, with its other variables
(Lambda developer guide, "Lambda quotas")."""


class DatasetSettings(Section):
    """Where the labelled texts come from. Without ``uri``, the app uses the corpus that ships with the project."""

    uri: S3Uri | None = Field(
        default=None,
        description=(
            "S3 prefix of a first dataset version in a bucket of your own. Jobs may then read what lies below it. `null`: "
            "the first version is uploaded to the stage's data bucket."
        ),
    )
    kms_key_arn: KeyArn | None = Field(
        default=None,
        description=(
            "ARN of the customer managed KMS key of the bucket in `uri`. Leave it out if the bucket has no such key. The "
            "roles that read the dataset may then decrypt with the key, and do nothing else with it. The key's policy must "
            "allow this account's roles to decrypt."
        ),
    )
    labels: tuple[LabelId, ...] | None = Field(
        default=None,
        min_length=FEWEST_LABELS,
        max_length=MOST_LABELS,
        description=(
            "The ids of the classes that people choose from. `null`: the labels of the current dataset version, which also has the "
            "name that people see for each. A list fixes them: if a version has other labels, an alarm goes off and no retraining "
            f"starts. No id may be in the list twice. All ids together may have at most {LONGEST_PINNED} characters."
        ),
    )
    # A character has at most four bytes in UTF-8, and an item of the prediction table holds 400 KB.
    max_text_chars: int = Field(
        default=5_000,
        ge=100,
        le=90_000,
        description=(
            "Longest text, in characters. The API refuses a longer text with HTTP status 413. Labelling jobs have the same limit."
        ),
    )

    @model_validator(mode="after")
    def _pinned_labels_differ_and_fit(self) -> DatasetSettings:
        labels = self.labels or ()
        if len(set(labels)) != len(labels):
            raise ValueError(f"dataset.labels {list(labels)} has a label twice: every label must differ")
        if (length := len(",".join(labels))) > LONGEST_PINNED:
            raise ValueError(
                f"dataset.labels has {len(labels)} labels of {length} characters together, and {LONGEST_PINNED} fit beside the other "
                "variables of a function: leave dataset.labels out, the labels come with the dataset version"
            )
        return self

    @model_validator(mode="after")
    def _key_is_of_an_own_bucket(self) -> DatasetSettings:
        if self.kms_key_arn and not self.uri:
            raise ValueError(
                f"dataset.kms_key_arn {self.kms_key_arn} is the key of the bucket in dataset.uri, which is not set: "
                "set dataset.uri, or remove the key (our own buckets have the app's key)"
            )
        return self
