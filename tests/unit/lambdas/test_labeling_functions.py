"""Bulk labelling: what a worker sees, how answers are consolidated, and how the output manifest is imported."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from review_fakes import LABELS, PREDICTION_ID, FakeStore, prediction

from lambdas.common.consolidation import Plurality
from lambdas.common.ground_truth import ground_truth_key
from lambdas.common.review import ReviewState
from lambdas.consolidate_annotations.annotations import consolidate_objects
from lambdas.import_labels.importing import Count, LabelImport
from lambdas.import_labels.manifest import InvalidManifest, LabeledRow, read_rows
from lambdas.pre_annotation.task import UnusableRow, worker_task

JOB = "arn:aws:sagemaker:us-east-1:123456789012:labeling-job/reviewloop-dev-first"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

# -- pre-annotation --------------------------------------------------------------------------------


def pre_annotation_request(row: dict[str, Any]) -> dict[str, Any]:
    return {"version": "2018-10-16", "labelingJobArn": JOB, "dataObject": row}


def test_the_worker_page_gets_the_same_input_as_in_a_review() -> None:
    answer = worker_task(pre_annotation_request({"source": "Great <b>fun</b>", "prediction-id": PREDICTION_ID}), LABELS)
    assert answer == {"taskInput": {"text": "Great <b>fun</b>", "labels": list(LABELS)}, "isHumanAnnotationRequired": True}


@pytest.mark.parametrize("row", [{"source-ref": "s3://bucket/text.txt"}, {"source": "  "}, {"source": 3}, {}])
def test_a_row_without_a_text_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(UnusableRow, match="source"):
        worker_task(pre_annotation_request(row), LABELS)


# -- consolidation ---------------------------------------------------------------------------------


def annotated(object_id: str, *contents: str) -> dict[str, Any]:
    return {
        "datasetObjectId": object_id,
        "dataObject": {"content": "text"},
        "annotations": [{"workerId": f"w{number}", "annotationData": {"content": content}} for number, content in enumerate(contents)],
    }


def choice(label: str) -> str:
    return json.dumps({"category": {"label": label}})


def test_each_object_gets_its_label_votes_and_reason_under_the_jobs_attribute() -> None:
    payload = [
        annotated("0", choice("positive"), choice("neutral"), choice("positive")),
        annotated("1", choice("positive"), choice("neutral")),
        annotated("2", "not json", "{}"),
        annotated("3"),
    ]
    response = consolidate_objects(payload, "label", Plurality(LABELS))
    contents = {one["datasetObjectId"]: one["consolidatedAnnotation"]["content"] for one in response}
    assert {key: set(content) for key, content in contents.items()} == {key: {"label"} for key in "0123"}
    assert contents["0"]["label"] == {
        "label": "positive",
        "votes": {"neutral": 1, "positive": 2},
        "agreement": 0.666667,
        "reason": "plurality: 2 of 3 votes",
        "answers": [
            {"worker_id": "w0", "label": "positive"}, {"worker_id": "w1", "label": "neutral"}, {"worker_id": "w2", "label": "positive"},
        ],
    }  # fmt: skip
    assert [contents[key]["label"]["label"] for key in "123"] == [None, None, None]
    assert "tie" in contents["1"]["label"]["reason"]
    json.dumps(response)


# -- the output manifest ---------------------------------------------------------------------------


def line(value: Any, *, text: str = "a text", metadata: dict[str, Any] | None = None, **extra: Any) -> bytes:
    row = {"source": text, "label-metadata": {"creation-date": "2026-11-23T11:30:00.123456", "job-name": "j", **(metadata or {})}, **extra}
    if value is not ...:
        row["label"] = value
    return json.dumps(row).encode()


def own(label: str | None, **votes: int) -> dict[str, Any]:
    agreement = max(votes.values()) / sum(votes.values()) if votes else 0.0
    return {"label": label, "votes": votes, "agreement": agreement, "reason": "r", "answers": [{"worker_id": "w0", "label": label}]}


def read(*lines: bytes) -> list[LabeledRow]:
    return list(read_rows(lines, "label", LABELS))


@pytest.mark.parametrize(
    ("value", "metadata", "label"),
    [
        (own("positive", positive=2), None, "positive"),
        (own(None, negative=1, positive=1), None, None),
        (own("sarcastic", sarcastic=3), None, None),
        (2, {"class-name": "positive", "confidence": 0.9}, "positive"),
        ("2", {"class-name": "positive", "confidence": 0.0}, "positive"),  # one worker: confidence says nothing
        (0, {"confidence": 0.0}, "negative"),
        ("1", {}, "neutral"),
        ("neutral", {}, "neutral"),
        (7, {}, None),
        ("7", {"class-name": "other"}, None),
        (..., {"failure-reason": "expired"}, None),
    ],
)
def test_labels_are_read_in_every_form_that_ground_truth_writes(value: Any, metadata: dict[str, Any] | None, label: str | None) -> None:
    [row] = read(line(value, metadata=metadata))
    assert row.consolidated.label == label
    assert (row.consolidated.votes.get(label, 0) > 0) if label else row.consolidated.reason.startswith(("undecided", "r"))


@pytest.mark.parametrize(
    "broken", [b"{", b"[]", b"{}", line(own("positive", positive=1)).replace(b"source", b"sauce"), line({"label": "positive"})]
)
def test_a_line_that_is_no_row_is_named(broken: bytes) -> None:
    with pytest.raises(InvalidManifest, match="line 3"):
        read(line(own("positive", positive=1)), b"", broken)


# -- the import ------------------------------------------------------------------------------------


class Import:
    """One import after another into one table."""

    def __init__(self, store: FakeStore | None = None) -> None:
        self.store = store or FakeStore()
        self.ground_truth: dict[str, bytes] = {}

    def run(self, *lines: bytes) -> Count:
        ticks = iter(NOW + timedelta(seconds=second) for second in range(1_000))
        importing = LabelImport(self.store, self.ground_truth.__setitem__, "ground-truth:first", timedelta(days=90), lambda: next(ticks))
        return importing.run(read_rows(lines, "label", LABELS))


def test_a_text_without_a_prediction_becomes_a_record_of_its_own() -> None:
    one = Import()
    assert one.run(line(own("positive", positive=3), text="fresh")) == Count(labels_stored=1)
    [(key, item)] = one.store.items.items()
    assert key.startswith("text-")
    assert (item["text"], item["human_label"], item["label_source"]) == ("fresh", "positive", "ground-truth:first")
    assert one.ground_truth == {}  # no captured inference to join with


def test_a_row_with_a_prediction_labels_that_prediction() -> None:
    one = Import(FakeStore.holding(prediction(ReviewState.NOT_REQUIRED)))
    assert one.run(line(own("positive", positive=3), **{"prediction-id": PREDICTION_ID})) == Count(labels_stored=1)
    item = one.store.items[PREDICTION_ID]
    assert (item["review_state"], item["human_label"], item["label_source"]) == ("reviewed", "positive", "ground-truth:first")
    assert list(one.ground_truth) == [f"ground-truth/2026/11/23/11/{PREDICTION_ID}.jsonl"]


def test_a_prediction_that_has_expired_leaves_its_text_labelled() -> None:
    one = Import()
    assert one.run(line(own("positive", positive=1), **{"prediction-id": PREDICTION_ID})) == Count(labels_stored=1)
    assert PREDICTION_ID not in one.store.items


def test_a_second_run_and_a_text_twice_store_nothing_more() -> None:
    lines = (
        line(own("positive", positive=1), text="one"),
        line(own("negative", negative=1), text="one"),
        line(own("neutral", neutral=1), **{"prediction-id": PREDICTION_ID}),
    )
    one = Import(FakeStore.holding(prediction()))
    assert one.run(*lines) == Count(labels_stored=2, already_labeled=1)
    assert one.run(*lines) == Count(already_labeled=3)
    assert one.store.writes == 2


def test_an_undecided_row_leaves_an_open_review_open() -> None:
    one = Import(FakeStore.holding(prediction()))
    assert one.run(line(own(None, negative=1, positive=1), **{"prediction-id": PREDICTION_ID})) == Count(undecided=1)
    assert one.store.items[PREDICTION_ID]["review_state"] == "requested"


def test_labels_carry_the_time_of_their_own_storing() -> None:
    """A reader's watermark may pass during a long import; a label stamped with its start would lie behind it."""
    one = Import()
    one.run(*(line(own("positive", positive=1), text=f"text {number}") for number in range(3)))
    times = [item["reviewed_at"] for item in one.store.items.values()]
    assert times == sorted(set(times))


@pytest.mark.parametrize(
    ("labelled_at", "hour"),
    [
        ("2026-11-23T11:59:59Z", "2026/11/23/11"),
        ("2026-11-23T11:59:59.123456", "2026/11/23/11"),
        ("2026-11-23T23:30:00-02:00", "2026/11/24/01"),
    ],
)
def test_ground_truth_lies_under_the_hour_of_labelling_in_utc(labelled_at: str, hour: str) -> None:
    assert ground_truth_key("p", labelled_at) == f"ground-truth/{hour}/p.jsonl"
