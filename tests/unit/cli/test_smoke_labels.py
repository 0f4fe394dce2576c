"""The labels of what ``smoke`` makes up: pinned ones, those of the current version, or its own."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from cli.smoke.run import LegFailed, Run
from contracts.dataset import Manifest
from stacks.settings import Settings
from stacks.settings.dataset import DatasetSettings

MANY = tuple(f"label-{number}" for number in range(150))
MANIFEST = Manifest("0" * 16, None, MANY, {}, {}, {}, {"train/data.jsonl": "0" * 64})


def run(parameter: str | None, pinned: tuple[str, ...] | None = None, body: str = MANIFEST.to_json()) -> Run:
    account: Any = SimpleNamespace(
        parameter=lambda name: {"dataset": parameter}[name],
        client=lambda _: SimpleNamespace(get_object=lambda **_: {"Body": io.BytesIO(body.encode())}),
    )
    return Run(account, Settings(stage="dev", dataset=DatasetSettings(labels=pinned)), "id", 1.0, lambda _: None)


@pytest.mark.parametrize("parameter", [None, "none"])
def test_before_a_first_version_the_labels_are_its_own(parameter: str | None) -> None:
    assert run(parameter).labels == ("smoke-one", "smoke-two")


def test_the_first_five_of_the_current_version_are_enough() -> None:
    assert run("s3://data/datasets/one/").labels == MANY[:5]


def test_pinned_labels_come_first() -> None:
    assert run("s3://data/datasets/one", ("bad", "good")).labels == ("bad", "good")


def test_a_manifest_of_another_form_fails_the_leg_and_is_named() -> None:
    with pytest.raises(LegFailed, match=r"s3://data/datasets/one/manifest\.json: .* upload the version"):
        _ = run("s3://data/datasets/one", body="{}").labels


def test_a_leg_that_waits_for_aws_outlasts_a_lost_connection() -> None:
    answers: list[Any] = [EndpointConnectionError(endpoint_url="https://sagemaker"), "done"]

    def probe() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert run(None).wait("a job", probe) == "done"
    answers.append(ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeTrainingJob"))
    with pytest.raises(ClientError):
        run(None).wait("a job", probe)
