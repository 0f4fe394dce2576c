"""Bulk labelling: what a worker sees, how answers are consolidated, and how the output manifest is imported."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from review_fakes import CHOICES, LABELS, NAMED, PREDICTION_ID, FakeStore, prediction

from contracts.labels import CANNOT_TELL
from lambdas.common.consolidation import Plurality
from lambdas.common.ground_truth import ground_truth_key
from lambdas.common.predictions import ImportedLabel
from lambdas.common.review import ReviewState
from lambdas.labeling.consolidate_annotations.annotations import UnusablePayload, consolidate_objects
from lambdas.labeling.import_labels.importing import Count, LabelImport
from lambdas.labeling.import_labels.manifest import LabeledRow, RowWithoutLabel, read_rows
from lambdas.labeling.pre_annotation.task import UnusableRow, worker_task

JOB = "arn:aws:sagemaker:us-east-1:123456789012:labeling-job/reviewloop-dev-first"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

# -- pre-annotation --------------------------------------------------------------------------------


def pre_annotation_request(row: dict[str, Any]) -> dict[str, Any]:
    return {"version": "2018-10-16", "labelingJobArn": JOB, "dataObject": row}


def test_the_worker_page_gets_the_same_input_as_in_a_review() -> None:
    answer = worker_task(pre_annotation_request({"source": "Great <b>fun</b>", "prediction-id": PREDICTION_ID}), NAMED)
    assert answer == {
        "taskInput": {"text": "Great <b>fun</b>", "labels": ["悪い", "neutral", "Sehr gut!"], "labelIds": list(LABELS)},
        "isHumanAnnotationRequired": True,
    }


@pytest.mark.parametrize(
    "row",
    [{"source-ref": "s3://bucket/text.txt"}, {"source": "  "}, {"source": 3}, {"source": "a\0"}, {"source": "\ud800"}, {}, [], None, "t"],
)
def test_a_row_without_a_text_that_people_can_read_is_refused(row: Any) -> None:
    with pytest.raises(UnusableRow, match="source"):
        worker_task(pre_annotation_request(row), CHOICES)


def test_the_last_category_of_a_job_is_cannot_tell_where_it_is_offered() -> None:
    shown = worker_task(pre_annotation_request({"source": "x"}), NAMED.offering(cannot_tell=True))["taskInput"]
    assert (shown["labels"], shown["labelIds"]) == (["悪い", "neutral", "Sehr gut!", CANNOT_TELL], [*LABELS, CANNOT_TELL])


def test_people_see_an_accent_in_one_form() -> None:
    assert worker_task(pre_annotation_request({"source": "cafe\u0301"}), CHOICES)["taskInput"]["text"] == "café"


# -- consolidation ---------------------------------------------------------------------------------


def annotated(object_id: str, *contents: str) -> dict[str, Any]:
    return {
        "datasetObjectId": object_id,
        "dataObject": {"content": "text"},
        "annotations": [{"workerId": f"w{number}", "annotationData": {"content": content}} for number, content in enumerate(contents)],
    }


def choice(label: str) -> str:
    return json.dumps({"category": {"label": label}})


@pytest.mark.parametrize(
    ("offered", "said", "label", "reason", "answers"),
    [
        (True, ("positive", "positive", CANNOT_TELL), "positive", "plurality: 2 of 3 votes", ["positive", "positive", CANNOT_TELL]),
        (True, ("positive", CANNOT_TELL), None, "undecided: 1 of 2 people cannot tell, 1 chose positive", ["positive", CANNOT_TELL]),
        (False, ("positive", CANNOT_TELL), "positive", "plurality: 1 of 1 votes", ["positive", None]),
    ],
)
def test_cannot_tell_counts_in_a_job_that_offered_it(
    offered: bool, said: tuple[str, ...], label: str | None, reason: str, answers: list[str | None]
) -> None:
    payload = [annotated("0", *(choice(one) for one in said))]
    [one] = consolidate_objects(payload, "label", CHOICES.offering(offered), Plurality(LABELS))
    content = one["consolidatedAnnotation"]["content"]["label"]
    assert (content["label"], content["reason"], [given["label"] for given in content["answers"]]) == (label, reason, answers)


def test_each_object_gets_its_label_votes_and_reason_under_the_jobs_attribute() -> None:
    payload = [
        annotated("0", choice("positive"), choice("neutral"), choice("positive")),
        annotated("1", choice("positive"), choice("neutral")),
        annotated("2", "not json", "{}"),
        annotated("3"),
    ]
    response = consolidate_objects(payload, "label", CHOICES, Plurality(LABELS))
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


@pytest.mark.parametrize("annotations", [
    None, "x", [None], [3], [{}], [{"workerId": "w"}], [{"workerId": "w", "annotationData": "x"}], [{"workerId": 3, "annotationData": {}}],
    [{"workerId": "w", "annotationData": {"content": 3}}], [{"workerId": "w", "annotationData": {"content": "[" * 5_000}}],
    [{"workerId": "\ud800", "annotationData": {"content": '{"category": {"label": "\\ud800"}}'}}],
    [{"workerId": "w", "annotationData": {"content": '{"category": {"label": ["positive"]}}'}}],
    [{"workerId": "w", "annotationData": {"content": '{"category": {"label": "sarcastic"}}'}}],
])  # fmt: skip
def test_an_answer_that_cannot_be_read_costs_the_batch_nothing(annotations: Any) -> None:
    payload = [{"datasetObjectId": "0", "annotations": annotations}, annotated("1", choice("positive"))]
    odd, good = (
        one["consolidatedAnnotation"]["content"]["label"] for one in consolidate_objects(payload, "label", CHOICES, Plurality(LABELS))
    )
    assert (odd["label"], good["label"]) == (None, "positive")
    assert len(odd["answers"]) == (len(annotations) if isinstance(annotations, list) else 0)
    json.dumps([odd, good], ensure_ascii=False).encode()


def test_people_choose_names_and_the_manifest_has_ids() -> None:
    payload = [annotated("0", choice("Sehr gut!"), choice("悪い"), choice("positive"))]
    [content] = [
        one["consolidatedAnnotation"]["content"]["label"] for one in consolidate_objects(payload, "label", NAMED, Plurality(LABELS))
    ]
    assert (content["label"], content["votes"]) == ("positive", {"negative": 1, "positive": 2})
    assert [answer["label"] for answer in content["answers"]] == ["positive", "negative", "positive"]


def test_the_services_own_consolidation_names_what_people_saw() -> None:
    [row] = read_rows([line(2, metadata={"class-name": "Sehr gut!"})], "label", NAMED)
    assert isinstance(row, LabeledRow)
    assert (row.consolidated.label, row.consolidated.votes) == ("positive", {"positive": 1})


@pytest.mark.parametrize("payload", [None, {}, "x", [3], [{}], [{"datasetObjectId": 3, "annotations": []}]])
def test_a_payload_that_is_none_is_named(payload: Any) -> None:
    with pytest.raises(UnusablePayload, match="payload"):
        consolidate_objects(payload, "label", CHOICES, Plurality(LABELS))


# -- the output manifest ---------------------------------------------------------------------------


def line(value: Any, *, text: str = "a text", metadata: dict[str, Any] | None = None, **extra: Any) -> bytes:
    row = {"source": text, "label-metadata": {"creation-date": "2026-11-23T11:30:00.123456", "job-name": "j", **(metadata or {})}, **extra}
    if value is not ...:
        row["label"] = value
    return json.dumps(row).encode()


def own(label: str | None, **votes: int) -> dict[str, Any]:
    agreement = max(votes.values()) / sum(votes.values()) if votes else 0.0
    return {"label": label, "votes": votes, "agreement": agreement, "reason": "r", "answers": [{"worker_id": "w0", "label": label}]}


def read(*lines: bytes) -> list[LabeledRow | RowWithoutLabel]:
    return list(read_rows(lines, "label", CHOICES))


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
        ("\u00b2", {}, None),  # isdigit(), and no number
    ],
)
def test_labels_are_read_in_every_form_that_ground_truth_writes(value: Any, metadata: dict[str, Any] | None, label: str | None) -> None:
    [row] = read(line(value, metadata=metadata))
    assert isinstance(row, LabeledRow)
    assert row.consolidated.label == label
    assert (row.consolidated.votes.get(label, 0) > 0) if label else row.consolidated.reason.startswith(("undecided", "r"))


BROKEN: dict[str, tuple[bytes, str]] = {
    "cut": (b"{", "not JSON"),
    "a list": (b"[]", "must be an object, not a list"),
    "empty": (b"{}", "label-metadata"),
    "no text": (line(own("positive", positive=1)).replace(b"source", b"sauce"), "source"),
    "a text with half a surrogate pair": (line(own("positive", positive=1), text="\ud83d"), "U+D83D"),
    "a text that is a number": (line(own("positive", positive=1)).replace(b'"a text"', b"3"), "source must be a string"),
    "no votes": (line({"label": "positive"}), "votes"),
    "votes that are a list": (line({**own("positive", positive=1), "votes": ["positive"]}), "votes"),
    "votes for a class that there is not": (line(own("positive", sarcastic=1)), "votes"),
    "negative votes": (line(own("positive", positive=-1)), "votes"),
    "a vote of a thousand digits": (line({**own("positive"), "votes": {"positive": 10**400}}), "votes"),
    "agreement above one": (line({**own("positive", positive=1), "agreement": 1.5}), "agreement 1.5"),
    "agreement that is no number": (line(own("positive", positive=1)).replace(b'"agreement": 1.0', b'"agreement": NaN'), "NaN"),
    "metadata that is a text": (
        json.dumps({"source": "t", "label": 1, "label-metadata": "x"}).encode(),
        "label-metadata must be an object",
    ),
    "no time": (json.dumps({"source": "t", "label": 1, "label-metadata": {}}).encode(), "creation-date"),
    "a time that is none": (line(1, metadata={"creation-date": "yesterday"}), "creation-date 'yesterday'"),
    "a prediction that cannot be one": (line(1, **{"prediction-id": "A B"}), "prediction-id 'A B'"),
    "a prediction that is a list": (line(1, **{"prediction-id": ["a"]}), "prediction-id"),
    "nested too deep": (b'{"source": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "deeper than"),
    "not UTF-8": (b'{"source": "caf\xe9"}', "not UTF-8"),
}


@pytest.mark.parametrize(("broken", "named"), BROKEN.values(), ids=BROKEN)
def test_one_bad_row_costs_its_own_label_and_is_named(broken: bytes, named: str) -> None:
    first, bad, last = read(line(own("positive", positive=1)), b"", broken, line(own("negative", negative=1)))
    assert isinstance(first, LabeledRow)
    assert isinstance(last, LabeledRow)
    assert isinstance(bad, RowWithoutLabel)
    assert (bad.line, bad.failed, last.line) == (3, False, 4)
    assert named in bad.reason
    assert len(bad.reason) <= 300


def test_an_object_that_ground_truth_could_not_label_is_told_apart() -> None:
    """Whether a failed object has a creation date is not documented."""
    for metadata in ({"failure-reason": "ClientError: expired"}, {"failure-reason": "ClientError: expired", "creation-date": "2026-11-23"}):
        [row] = read(json.dumps({"source": "t", "label-metadata": metadata}).encode())
        assert row == RowWithoutLabel(1, "not labelled: ClientError: expired", failed=True)


def test_answers_of_any_form_leave_the_label_as_it_is() -> None:
    odd = [3, None, {}, {"worker_id": 7, "label": 8}, {"worker_id": "\ud800", "label": "x" * 5_000}]
    [row] = read(line({**own("positive", positive=1), "answers": odd}))
    assert isinstance(row, LabeledRow)
    assert row.consolidated.label == "positive"
    assert [(one.worker_id, len(one.label or "")) for one in row.answers] == [("unknown", 0), ("unknown", 0), ("\ufffd", 200)]


# -- the import ------------------------------------------------------------------------------------


class Import:
    """One import after another into one table."""

    def __init__(self, store: FakeStore | None = None) -> None:
        self.store = store or FakeStore()
        self.ground_truth: dict[str, bytes] = {}
        self.written: list[int] = []
        """Labels that each call has written."""

    def run(self, *lines: bytes, job: str = "first") -> Count:
        ticks = iter(NOW + timedelta(seconds=second) for second in range(1_000))
        importing = LabelImport(self.store, self.ground_truth.__setitem__, f"ground-truth:{job}", timedelta(days=90), lambda: next(ticks))
        try:
            return importing.run(read_rows(lines, "label", CHOICES))
        finally:
            self.written.append(importing.written)


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
    assert one.run(*lines, job="second") == Count(already_labeled=3)
    assert one.store.writes == 2


class _DiesOnce(FakeStore):
    """Its third write of a label is throttled, once."""

    died = False

    def put_label(self, imported: ImportedLabel) -> bool:
        if self.writes == 2 and not self.died:
            self.died = True
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, "PutItem")
        return super().put_label(imported)


def test_a_retry_after_a_call_that_failed_half_way_counts_what_the_job_has_stored() -> None:
    """Step Functions calls the import again with the same manifest."""
    store = _DiesOnce()
    store.put(prediction(ReviewState.NOT_REQUIRED))
    lines = (
        line(own("positive", positive=1), text="one"),
        line(own("positive", positive=1), text="one"),
        line(own("neutral", neutral=1), **{"prediction-id": PREDICTION_ID}),
        line(own("negative", negative=1), text="two"),
        line(own(None, negative=1, positive=1), text="so so"),
        line(own("positive", positive=2), text="so so"),
    )
    one = Import(store)
    with pytest.raises(ClientError):
        one.run(*lines)
    whole = Count(labels_stored=4, undecided=1, already_labeled=1)
    assert one.run(*lines) == whole
    assert one.run(*lines) == whole, "however often it is called"
    assert one.written == [2, 2, 0], "the metric counts each label once"
    assert store.writes == 5


def test_an_undecided_row_leaves_an_open_review_open() -> None:
    one = Import(FakeStore.holding(prediction()))
    assert one.run(line(own(None, negative=1, positive=1), **{"prediction-id": PREDICTION_ID})) == Count(undecided=1)
    assert one.store.items[PREDICTION_ID]["review_state"] == "requested"


def test_an_undecided_text_waits_for_a_lead_and_a_later_job_may_decide_it() -> None:
    one, tie = Import(), line(own(None, negative=1, positive=1), text="so so", subject="bob")
    assert (one.run(tie), one.run(tie)) == (Count(undecided=1), Count(undecided=1))
    [item] = one.store.items.values()
    assert (item["open_state"], item["human_label"], item["votes"], item["subject"]) == (
        "disputed", None, {"negative": 1, "positive": 1}, "bob"
    )  # fmt: skip
    assert one.run(line(own("positive", positive=2), text="so so")) == Count(labels_stored=1)
    assert one.run(tie) == Count(undecided=1)
    [item] = one.store.items.values()
    assert (item["human_label"], "open_state" in item) == ("positive", False), "a decided text stays decided"
    settled = Import()
    settled.run(tie)
    [name] = settled.store.items
    assert settled.store.settle(name, "negative", settled_by="lead", settled_at="2026-11-25T10:00:00+00:00")
    assert settled.run(line(own("positive", positive=2), text="so so")) == Count(already_labeled=1)


def test_a_job_with_bad_and_failed_rows_stores_the_others_and_says_which_and_why() -> None:
    one = Import()
    failed = json.dumps({"source": "t", "label-metadata": {"failure-reason": "expired"}}).encode()
    count = one.run(line(own("positive", positive=1), text="first"), failed, b"not json", line(own("neutral", neutral=1), text="last"))
    assert (count.labels_stored, count.failed, count.unusable) == (2, 1, 1)
    assert [problem["line"] for problem in count.problems] == [2, 3]
    assert [item["text"] for item in one.store.items.values()] == ["first", "last"]


def test_the_named_problems_are_few_and_the_counts_are_of_all() -> None:
    count = Import().run(*[b"not json"] * 1_000)
    assert (count.unusable, len(count.problems)) == (1_000, 20)


def test_a_row_that_the_table_refuses_is_named_and_one_that_may_pass_stops_the_import() -> None:
    class Refusing(FakeStore):
        code = "ValidationException"

        def put_label(self, imported: Any) -> bool:
            if imported.text == "bad":
                raise ClientError({"Error": {"Code": self.code, "Message": "Item size has exceeded"}}, "PutItem")
            return super().put_label(imported)

    lines = line(own("positive", positive=1), text="bad"), line(own("positive", positive=1), text="good")
    count = Import(Refusing()).run(*lines)
    assert (count.labels_stored, count.problems) == (1, [{"line": 1, "reason": "the table refuses it: Item size has exceeded"}])
    throttled = Refusing()
    throttled.code = "ThrottlingException"
    with pytest.raises(ClientError, match="Throttling"):
        Import(throttled).run(*lines)


def test_a_row_about_a_record_that_cannot_be_read_is_named_and_the_others_are_stored() -> None:
    one = Import(FakeStore.holding(prediction(), created_at=None))
    count = one.run(line(own("positive", positive=1), **{"prediction-id": PREDICTION_ID}), line(own("positive", positive=1), text="good"))
    assert (count.labels_stored, count.unusable) == (1, 1)
    assert count.problems == [{"line": 1, "reason": f"its record cannot be used: prediction {PREDICTION_ID}: created_at is missing"}]


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
