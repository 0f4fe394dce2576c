"""What ``label`` says at its end about the version that it made."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli.account import Account
from cli.label import command


@pytest.mark.parametrize(
    ("dataset", "own", "beginning", "uploads"),
    [
        (None, False, "To make it the first version of the stage dev:", True),
        ("none", False, "To make it the first version of the stage dev:", True),
        ("none", True, "To make it the first version of the stage dev:", True),
        ("s3://data/datasets/v", False, "The stage dev has a dataset already", False),
        ("s3://data/datasets/v", True, "The stage dev has a dataset with other labels. To begin anew", True),
    ],
)
def test_only_a_stage_without_a_dataset_is_told_to_upload_the_stage_s_own_labels(
    dataset: str | None, own: bool, beginning: str, uploads: bool
) -> None:
    """Another version in the parameter throws away what the stage's version has of all its retrainings."""
    names: Any = SimpleNamespace(parameter=lambda name: f"/dev/{name}", bucket=lambda name: name)
    account = SimpleNamespace(parameter=lambda _: dataset, names=names, settings=SimpleNamespace(stage="dev"))
    said = command._upload(cast("Account", account), Path("out"), "abc", own=own)
    assert said[0].startswith(beginning)
    assert any("put-parameter --overwrite" in line for line in said) is uploads
