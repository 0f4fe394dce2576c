"""Ids and names of labels: what people choose becomes the id, whatever the names are."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from contracts.dataset import Manifest
from contracts.labels import CANNOT_TELL, listed
from lambdas.common import current_labels as current
from lambdas.common.current_labels import NoLabels, current_labels
from lambdas.common.labels import Labels

MANY = tuple(f"label-{number}" for number in range(150))
PARAMETER = "/reviewloop/dev/dataset"
NAMES = {"world": "World & politics", "sport": "رياضة"}
MANIFEST = Manifest("0" * 16, None, ("world", "sport", "misc"), {}, {}, {}, {"train/data.jsonl": "0" * 64}, label_names=NAMES)


def test_people_see_names_and_a_label_without_one_by_its_id() -> None:
    labels = Labels.of(MANIFEST.labels, NAMES)
    assert labels == Labels(("world", "sport", "misc"), ("World & politics", "رياضة", "misc"))
    assert [labels.id_of(answer) for answer in ("رياضة", "sport", "misc", "gone", None)] == ["sport", "sport", "misc", "gone", None]


def test_two_labels_of_one_name_are_told_apart_by_their_ids() -> None:
    labels = Labels.of(("a", "b", "c"), {"a": "Same", "b": "Same"})
    assert labels.shown == ("Same (a)", "Same (b)", "c")
    assert [labels.id_of(shown) for shown in labels.shown] == ["a", "b", "c"]


def test_a_name_that_is_another_labels_id_is_not_taken_for_it() -> None:
    labels = Labels.of(("a", "b"), {"a": "b", "b": "a"})
    assert labels.shown == ("b (a)", "a (b)")
    assert labels.id_of("b (a)") == "a"


def test_a_name_that_looks_like_the_answer_of_people_who_cannot_tell_is_told_apart_by_its_id() -> None:
    labels = Labels.of(("cannot-tell-0a", "b"), {"cannot-tell-0a": CANNOT_TELL}).offering(cannot_tell=True)
    assert labels.categories == ("cannot-tell (cannot-tell-0a)", "b", CANNOT_TELL)
    assert [labels.id_of(one) for one in labels.categories] == ["cannot-tell-0a", "b", CANNOT_TELL]


def test_cannot_tell_is_an_answer_where_it_was_offered_and_nothing_where_it_was_not() -> None:
    labels = Labels.of(MANIFEST.labels, NAMES)
    offered = labels.offering(cannot_tell=True)
    assert (labels.id_of(CANNOT_TELL), offered.id_of(CANNOT_TELL)) == (None, CANNOT_TELL)
    assert offered.task_fields() == {
        "labels": ["World & politics", "رياضة", "misc", CANNOT_TELL], "labelIds": ["world", "sport", "misc", CANNOT_TELL]
    }  # fmt: skip
    assert (offered.ids, offered.shown) == (labels.ids, labels.shown), "it is no label"
    assert labels.task_fields() == {"labels": ["World & politics", "رياضة", "misc"], "labelIds": ["world", "sport", "misc"]}


few = st.sampled_from(["a", "b", "c", "a (b)", "b (a)", "c (a)", "Name", CANNOT_TELL])


some = st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True, min_size=1)


@given(some, st.dictionaries(st.sampled_from("abcd"), few), st.booleans())
def test_every_answer_leads_back_to_its_label_however_the_names_collide(ids: list[str], names: dict[str, str], unsure: bool) -> None:
    labels = Labels.of(ids, names).offering(unsure)
    assert len(set(labels.categories)) == len(ids) + unsure
    assert [labels.id_of(shown) for shown in labels.categories] == [*ids, *([CANNOT_TELL] if unsure else [])]
    assert Labels.of_task(json.loads(json.dumps(labels.task_fields()))) == labels


@pytest.mark.parametrize("content", [None, "x", [], {}, {"labels": None}, {"labels": ["a", 1]}, {"labels": ["a"], "labelIds": ["a", "b"]}])
def test_a_task_whose_labels_cannot_be_read_has_none(content: Any) -> None:
    assert Labels.of_task(content) is None


def test_many_labels_are_named_up_to_ten_in_a_message() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(MANY) == f"{', '.join(MANY[:10])} and 140 more"


# -- the current ones ------------------------------------------------------------------------------


class Stage:
    """A parameter and a manifest, each read as often as it is added."""

    def __init__(self, ssm: Stubber, s3: Stubber) -> None:
        self.ssm, self.s3 = ssm, s3

    def names(self, uri: str) -> Stage:
        self.ssm.add_response("get_parameter", {"Parameter": {"Value": uri}}, {"Name": PARAMETER})
        return self

    def holds(self, body: str, key: str = "datasets/one/manifest.json") -> Stage:
        data = body.encode()
        self.s3.add_response("get_object", {"Body": StreamingBody(io.BytesIO(data), len(data))}, {"Bucket": "data", "Key": key})
        return self


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    clients = {
        name: boto3.client(name, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x") for name in ("ssm", "s3")
    }
    monkeypatch.setattr(current, "client", clients.__getitem__)
    current.forget()
    with Stubber(clients["ssm"]) as ssm, Stubber(clients["s3"]) as s3:
        yield Stage(ssm, s3)
        ssm.assert_no_pending_responses()
        s3.assert_no_pending_responses()
    current.forget()


def test_the_labels_are_those_of_the_current_version(stage: Stage) -> None:
    stage.names("s3://data/datasets/one/").holds(MANIFEST.to_json())
    assert current_labels(PARAMETER) == Labels.of(MANIFEST.labels, NAMES)


def test_pinned_labels_have_the_versions_names_and_no_others_are_chosen_from(stage: Stage) -> None:
    stage.names("s3://data/datasets/one").holds(MANIFEST.to_json())
    assert current_labels(PARAMETER, ("sport", "new")) == Labels(("sport", "new"), ("رياضة", "new"))


def test_pinned_labels_need_no_dataset_version(stage: Stage) -> None:
    stage.names("none")
    assert current_labels(PARAMETER, ("a", "b")) == Labels.of(("a", "b"))


def test_without_a_version_and_without_pinned_labels_the_error_says_what_to_do(stage: Stage) -> None:
    stage.names("none")
    with pytest.raises(
        NoLabels, match=r"upload a first version and set the parameter /reviewloop/dev/dataset .* or name .* dataset\.labels"
    ):
        current_labels(PARAMETER)


@pytest.mark.parametrize("code", ["NoSuchKey", "AccessDenied"])
def test_a_version_that_is_not_there_is_named_with_its_parameter(stage: Stage, code: str) -> None:
    stage.names("s3://data/datasets/one").s3.add_client_error("get_object", code)
    with pytest.raises(NoLabels, match=rf"s3://data/datasets/one/manifest\.json cannot be read \({code}\).*{PARAMETER}"):
        current_labels(PARAMETER)


def test_a_throttled_read_says_nothing_about_the_version(stage: Stage) -> None:
    """A task of a state machine tries again after a ClientError, and not after NoLabels."""
    stage.names("s3://data/datasets/one").s3.add_client_error("get_object", "SlowDown")
    with pytest.raises(ClientError, match="SlowDown"):
        current_labels(PARAMETER)


def test_a_manifest_of_another_form_is_named(stage: Stage) -> None:
    stage.names("s3://data/datasets/one").holds("{}")
    with pytest.raises(NoLabels, match=r"s3://data/datasets/one/manifest\.json: has no field 'version'"):
        current_labels(PARAMETER)


def test_what_was_read_is_kept_for_a_minute_and_a_failure_is_not(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(current.time, "monotonic", lambda: now)
    stage.names("none")
    with pytest.raises(NoLabels):
        current_labels(PARAMETER)
    stage.names("s3://data/datasets/one").holds(MANIFEST.to_json())
    first = current_labels(PARAMETER)
    now += current.KEPT_SECONDS - 1
    assert current_labels(PARAMETER) is first
    now += 1
    stage.names("s3://data/datasets/two").holds(replace(MANIFEST, labels=MANY).to_json(), "datasets/two/manifest.json")
    assert current_labels(PARAMETER).ids == MANY
