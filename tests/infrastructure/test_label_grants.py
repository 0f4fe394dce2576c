"""Every function that asks people, or reads their answers, finds the labels; and it may read nothing more for that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from apps import findings, template_of
from deployed_definition import grants, resolve, stage_names
from tuning_choices import DEV

from contracts.labels import LONGEST_ID
from stacks.labeling import LabelingStack
from stacks.retraining import RetrainingStack
from stacks.review import ReviewStack
from stacks.settings import Settings
from stacks.settings.dataset import LONGEST_PINNED, DatasetSettings

NAMES = stage_names("dev")
TEAM_KEY = "arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d"
ELSEWHERE = DEV.model_copy(update={"dataset": DatasetSettings(uri="s3://team-data/texts/v1", kms_key_arn=TEAM_KEY)})
MANIFESTS = NAMES.bucket_arn("data", "datasets/*/manifest.json")
PARAMETER = NAMES.arn("ssm", f"parameter{NAMES.parameter('dataset')}")
IN_REVIEW = ("StartReviewRole", "CollectReviewRole")
IN_LABELING = ("CheckManifestRole", "PreAnnotationRole", "ConsolidateAnnotationsRole", "ImportLabelsRole")
MOST_BYTES = 4_096
"""Names and values of all variables of a function: Lambda developer guide, "Lambda quotas"."""


def found(settings: Settings) -> Iterator[tuple[str, dict[str, set[str]]]]:
    for stack, roles in ((ReviewStack, IN_REVIEW), (LabelingStack, IN_LABELING)):
        template = template_of(stack, settings)
        for role in roles:
            yield role, grants(template, role)


def test_each_reads_the_current_versions_manifest_and_no_row_of_it() -> None:
    for role, granted in found(DEV):
        assert granted["ssm:GetParameter"] == {PARAMETER}, role
        assert {arn for arn in granted["s3:GetObject"] if "datasets" in arn} == {MANIFESTS}, role
        assert granted["kms:Decrypt"], role


def test_a_version_in_the_teams_own_bucket_is_read_with_its_key() -> None:
    for role, granted in found(ELSEWHERE):
        assert {arn for arn in granted["s3:GetObject"] if "team-data" in arn} == {"arn:aws:s3:::team-data/texts/v1/*manifest.json"}, role
        assert {action for action, resources in granted.items() if TEAM_KEY in resources} == {"kms:Decrypt"}, role


def variables(settings: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    for stack in (ReviewStack, LabelingStack, RetrainingStack):
        document = template_of(stack, settings).to_json()
        for resource in document["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                given = resolve(document, resource["Properties"]["Environment"]["Variables"])
                yield resource["Properties"]["FunctionName"], given


def test_labels_are_in_the_environment_only_where_the_settings_pin_them() -> None:
    assert [name for name, given in variables(DEV) if "LABELS" in given] == []
    pinned = DEV.model_copy(update={"dataset": DatasetSettings(labels=("bad", "good"))})
    told = {name: given["LABELS"] for name, given in variables(pinned) if "LABELS" in given}
    assert set(told.values()) == {"bad,good"}
    assert len(told) == len(IN_REVIEW) + len(IN_LABELING) + 1, "and the one that decides about retraining"


def test_as_many_pinned_labels_as_the_settings_allow_fit_into_every_environment() -> None:
    labels = tuple(f"{number:03}".rjust(LONGEST_ID, "x") for number in range(LONGEST_PINNED // (LONGEST_ID + 1)))
    assert LONGEST_PINNED - 50 < len(",".join(labels)) <= LONGEST_PINNED
    longest = DEV.model_copy(update={"name": "abcdefghijklmno", "stage": "abcdefgh", "dataset": DatasetSettings(labels=labels)})
    for name, given in variables(longest):
        # A reference that only a deployment knows is a name or an ARN: 300 characters are more than any has.
        size = sum(len(key) + (len(value) if isinstance(value, str) else 300) for key, value in given.items())
        assert size < MOST_BYTES, f"{name}: {json.dumps(given)[:200]}"


@pytest.mark.parametrize("stack", [ReviewStack, LabelingStack])
def test_no_finding_is_left_unanswered_with_an_own_dataset(stack: type[ReviewStack | LabelingStack]) -> None:
    assert findings(stack, ELSEWHERE) == []
