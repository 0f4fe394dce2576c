"""Ended reviews: duplicates, disorder, failures, disagreement; one label or a stated reason, and nothing lost half-way."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from review_fakes import CONTEXT, LABELS, PREDICTION_ID, DeadLetters, FakeStore, prediction

from lambdas.common.answers_wanted import ModelPrior
from lambdas.common.consolidation import ByModelPrior, Plurality
from lambdas.common.observability import metrics
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import HumanAnswer
from lambdas.review.collect_review import handler as entry
from lambdas.review.collect_review.collect import Collected, Outcome, Ports, collect
from lambdas.review.port import InvalidMessage, ReviewEnded, ReviewStatus

NOW = "2026-11-23T12:00:00+00:00"
KEY = f"ground-truth/2026/11/23/11/{PREDICTION_ID}.jsonl"


def ended(*labels: str, status: str = "completed", name: str = f"{PREDICTION_ID}-1", failure: str | None = None) -> ReviewEnded:
    given = None if failure else tuple(HumanAnswer(f"w{number}", label, 2.0) for number, label in enumerate(labels))
    return ReviewEnded(name, ReviewStatus(status), "2026-11-23T11:59:59Z", given, failure)


FAILED = ended(status="failed", failure="nobody came")


class NoHistory:
    """Nothing is known of the workers, so the votes decide."""

    def labels_of_day(self, day: str, *, newest_first: bool = False) -> Iterator[StoredPrediction]:
        return iter(())

    def disputed(self) -> Iterator[StoredPrediction]:
        return iter(())


@dataclass
class World:
    """The function's surroundings."""

    store: FakeStore = field(default_factory=lambda: FakeStore.holding(prediction(), review_state="in_review"))
    ground_truth: dict[str, bytes] = field(default_factory=dict)
    letters: DeadLetters = field(default_factory=DeadLetters)

    @property
    def ports(self) -> Ports:
        return Ports(
            self.store, lambda one: entry._consolidation(NoHistory(), LABELS, one.prior), self.ground_truth.__setitem__, self.letters
        )

    def deliver(self, one: ReviewEnded) -> Collected:
        return collect(one, self.ports, now=NOW)

    @property
    def item(self) -> dict[str, Any]:
        return self.store.items[PREDICTION_ID]


def test_all_answers_make_the_label_and_the_ground_truth_line() -> None:
    world = World()
    collected = world.deliver(ended("negative", "positive", "positive"))
    assert (collected.outcome, collected.agreement) == (Outcome.STORED, pytest.approx(2 / 3))
    assert (world.item["review_state"], world.item["human_label"], world.item["votes"]) == (
        "reviewed", "positive", {"negative": 1, "positive": 2},
    )  # fmt: skip
    assert (world.item["reviewed_at"], world.item["label_source"]) == (NOW, f"review:{PREDICTION_ID}")
    assert [answer["worker_id"] for answer in world.item["answers"]] == ["w0", "w1", "w2"]
    assert list(world.ground_truth) == [KEY]
    assert json.loads(world.ground_truth[KEY]) == {
        "groundTruthData": {"data": "positive", "encoding": "CSV"},
        "eventMetadata": {"eventId": PREDICTION_ID},
        "eventVersion": "0",
    }
    assert world.ground_truth[KEY].endswith(b"\n")


def test_three_reviewers_who_disagree_leave_a_reason_and_no_label() -> None:
    world = World()
    assert world.deliver(ended("negative", "neutral", "positive")).outcome is Outcome.UNDECIDED
    assert (world.item["review_state"], world.item["human_label"]) == ("reviewed", None)
    assert "tie" in world.item["review_outcome"]
    assert world.item["open_state"] == "disputed"
    assert world.ground_truth == {}
    assert world.letters.sent == []


def test_the_same_event_again_changes_nothing() -> None:
    world = World()
    world.deliver(ended("positive"))
    before = dict(world.item)
    assert world.deliver(ended("positive")).outcome is Outcome.DUPLICATE
    assert (world.item, world.store.writes, len(world.ground_truth)) == (before, 1, 1)


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (ended(status="failed", failure="Expired: nobody came"), "review failed: Expired: nobody came"),
        (ended(status="stopped", failure="no reason given"), "review stopped: no reason given"),
        (ended(failure="there is no output.json"), "review completed: there is no output.json"),
        (ended(), "review completed without an answer"),
    ],
)
def test_a_review_without_an_answer_is_a_dead_letter_that_asks_again(one: ReviewEnded, reason: str) -> None:
    world = World()
    assert world.deliver(one) == Collected(Outcome.FAILED, reason)
    assert (world.item["review_state"], world.item["review_outcome"]) == ("dead_lettered", reason)
    [(request, sent_reason)] = world.letters.sent
    assert (request.prediction_id, request.attempt, request.text, sent_reason) == (PREDICTION_ID, 2, "Not bad at all", reason)
    assert world.ground_truth == {}


def test_a_failure_twice_is_one_dead_letter() -> None:
    world = World()
    world.deliver(FAILED)
    assert world.deliver(FAILED).outcome is Outcome.DUPLICATE
    assert len(world.letters.sent) == 1


def test_a_late_failure_of_an_old_attempt_does_not_touch_the_new_one() -> None:
    world = World()
    world.item.update(attempt=2)
    assert world.deliver(FAILED).outcome is Outcome.DUPLICATE
    assert (world.item["review_state"], world.letters.sent) == ("in_review", [])


def test_a_label_of_an_old_attempt_is_a_label() -> None:
    world = World()
    world.item.update(attempt=2)
    assert world.deliver(ended("positive")).outcome is Outcome.STORED


EVENTS = {
    "completed": ended("positive", "positive"),
    "completed again": ended("positive", "positive"),
    "failed": FAILED,
    "stopped": ended(status="stopped", failure="no reason given"),
}


@pytest.mark.parametrize("order", list(itertools.permutations(EVENTS)), ids=", ".join)
def test_whatever_the_order_the_answers_are_stored_once(order: tuple[str, ...]) -> None:
    world = World()
    for name in order:
        world.deliver(EVENTS[name])
    assert (world.item["review_state"], world.item["human_label"], world.store.writes) == ("reviewed", "positive", 1)
    assert len(world.letters.sent) <= 1
    assert len(world.ground_truth) == 1


@pytest.mark.parametrize("name", ["another-teams-loop", f"{'9' * 32}-1", "x"])
def test_an_unknown_review_is_named_and_ignored(name: str) -> None:
    world = World()
    collected = world.deliver(ended("positive", name=name))
    assert collected.outcome is Outcome.UNKNOWN
    assert name.removesuffix("-1") in collected.reason
    assert (world.item["review_state"], world.letters.sent) == ("in_review", [])


@pytest.mark.parametrize("broken", ["write_ground_truth", "store_label"])
def test_a_kill_half_way_is_finished_by_the_retry(broken: str) -> None:
    world = World()

    def killed(*_: Any, **__: Any) -> Any:
        raise OSError("killed")

    ports = world.ports
    if broken == "write_ground_truth":
        ports = replace(ports, write_ground_truth=killed)
    else:
        ports = replace(ports, store=SimpleNamespace(get=world.store.get, store_label=killed))
    with pytest.raises(OSError, match="killed"):
        collect(ended("positive"), ports, now=NOW)
    assert world.item["review_state"] == "in_review"
    world.deliver(ended("positive"))
    assert (world.item["human_label"], list(world.ground_truth)) == ("positive", [KEY])


def test_a_kill_between_dead_letter_and_record_loses_nothing() -> None:
    world = World()

    def killed(*_: Any, **__: Any) -> bool:
        raise OSError("killed")

    store = SimpleNamespace(get=world.store.get, mark_dead_lettered=killed)
    with pytest.raises(OSError, match="killed"):
        collect(FAILED, replace(world.ports, store=store), now=NOW)
    world.deliver(FAILED)
    assert world.item["review_state"] == "dead_lettered"
    assert {request.review_id for request, _ in world.letters.sent} == {f"{PREDICTION_ID}-2"}  # one name: asked once


def test_of_two_attempts_that_end_at_once_the_stored_label_is_the_line() -> None:
    world = World()
    stale = StoredPrediction.parse(world.item)
    world.item.update(review_state="reviewed", human_label="negative")
    items = iter([stale, StoredPrediction.parse(world.item)])
    store = SimpleNamespace(get=lambda _: next(items), store_label=world.store.store_label)
    collected = collect(ended("positive"), replace(world.ports, store=store), now=NOW)
    assert collected.outcome is Outcome.DUPLICATE
    assert json.loads(world.ground_truth[KEY])["groundTruthData"]["data"] == "negative"


def test_a_kill_between_the_line_and_its_correction_is_finished_by_the_retry() -> None:
    world = World()
    stale = StoredPrediction.parse(world.item)
    world.item.update(review_state="reviewed", human_label="negative")

    def reads() -> Iterator[StoredPrediction]:
        yield stale
        raise OSError("killed")

    items = reads()
    store = SimpleNamespace(get=lambda _: next(items), store_label=world.store.store_label)
    with pytest.raises(OSError, match="killed"):
        collect(ended("positive"), replace(world.ports, store=store), now=NOW)
    assert json.loads(world.ground_truth[KEY])["groundTruthData"]["data"] == "positive"
    assert world.deliver(ended("positive")).outcome is Outcome.DUPLICATE
    assert json.loads(world.ground_truth[KEY])["groundTruthData"]["data"] == "negative"


MESSAGE = json.loads(ended("positive").to_json())


def test_a_message_has_the_documented_form() -> None:
    assert {
        "review_id": f"{PREDICTION_ID}-1",
        "status": "completed",
        "ended_at": "2026-11-23T11:59:59Z",
        "answers": [{"worker_id": "w0", "label": "positive", "seconds": 2.0}],
        "failure": None,
    } == MESSAGE
    assert ReviewEnded.from_json(FAILED.to_json()) == FAILED


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"review_id": ...}, "'review_id'"),
        ({"status": "paused"}, "paused"),
        ({"ended_at": "yesterday"}, "ended_at 'yesterday'"),
        ({"ended_at": 3}, "ended_at 3"),
        ({"answers": None}, "either answers or a failure"),
        ({"failure": "why"}, "either answers or a failure"),
        ({"answers": [None]}, "how a review ended"),
        ({"answers": [{"worker_id": "w0"}]}, "'label'"),
    ],
)
def test_a_message_that_says_no_end_of_a_review_is_kept_and_named(change: dict[str, Any], named: str) -> None:
    body = {key: value for key, value in {**MESSAGE, **change}.items() if value is not ...}
    with pytest.raises(InvalidMessage, match=named):
        ReviewEnded.from_json(json.dumps(body))


def test_a_label_that_the_model_had_a_part_in_says_so_and_judges_no_model() -> None:
    prior = ModelPrior("negative", 0.7, len(LABELS))
    one = replace(ended("negative", "positive"), prior=prior)
    world = World()
    assert ReviewEnded.from_json(one.to_json()) == one
    assert world.deliver(one) == Collected(Outcome.STORED, "model-prior: 81% sure, 1 of 2 votes; by plurality undecided")
    certainty = 0.7 / (0.7 + 0.15 + 0.15 / 8)
    assert world.item["human_label"] == "negative"
    assert world.item["label_basis"] == {"method": "model-prior", "plurality": None, "certainty": pytest.approx(certainty)}
    assert world.item["model_prior"] == 0.7
    assert world.deliver(one).outcome is Outcome.DUPLICATE
    assert world.ground_truth == {}, "these lines are for judging models"


@pytest.mark.parametrize(
    ("labels", "label", "votes"),
    [
        (("negative", "positive", "positive"), "positive", 2),
        (("neutral", "positive"), None, 1),  # the model's own label, which nobody chose, is not taken
        (("neutral", "positive", "negative"), "negative", 1),
        (("cannot-tell", "cannot-tell"), None, 0),
        (("negative", "cannot-tell"), None, 1),
        (("sarcastic",), None, 0),
    ],
)
def test_with_the_model_as_prior_a_label_needs_a_person_who_chose_it(labels: tuple[str, ...], label: str | None, votes: int) -> None:
    found = ByModelPrior(Plurality(LABELS), ModelPrior("negative", 0.7, 3)).consolidate(ended(*labels).answers or ())
    assert (found.label, max(found.votes.values(), default=0), found.model_prior) == (label, votes, 0.7)


@pytest.mark.parametrize("body", ["", "not json", "[]", "3", "null", "[" * 100_000])
def test_a_message_that_is_no_object_is_kept_and_named(body: str) -> None:
    with pytest.raises(InvalidMessage):
        ReviewEnded.from_json(body)


# -- the handler -----------------------------------------------------------------------------------


def record(number: int, body: str) -> dict[str, Any]:
    return {
        "messageId": f"m{number}",
        "receiptHandle": "r",
        "body": body,
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:review-results",
        "awsRegion": "us-east-1",
    }


def test_ground_truth_goes_to_the_capture_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[dict[str, Any]] = []
    monkeypatch.setattr(entry, "_environment", lambda: entry.Environment("table", "https://queue", "capture", "/reviewloop/dev/dataset"))
    monkeypatch.setattr(entry, "client", lambda service: SimpleNamespace(put_object=lambda **request: put.append(request)))
    entry._write_ground_truth(KEY, b"{}\n")
    assert put == [{"Bucket": "capture", "Key": KEY, "Body": b"{}\n", "ContentType": "application/jsonlines"}]


def test_only_the_events_that_failed_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(entry, "_ports", lambda: world.ports)
    monkeypatch.setattr(metrics.provider, "namespace", "test")
    monkeypatch.setattr(metrics.provider, "service", "test")
    batch = [record(1, "{"), record(2, ended("positive").to_json()), record(3, ended("positive", name="foreign").to_json())]
    answer = entry.handler({"Records": batch}, CONTEXT)
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == ["m1"]
    assert world.item["human_label"] == "positive"


def test_metrics_say_what_happened(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    monkeypatch.setattr(entry, "_ports", lambda: world.ports)
    monkeypatch.setattr(metrics.provider, "namespace", "test")
    monkeypatch.setattr(metrics.provider, "service", "test")
    entry.handler({"Records": [record(1, ended("positive", "positive", "negative").to_json())]}, CONTEXT)
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert printed[0]["LabelsStored"] == [1.0]
    assert printed[0]["HumanAgreement"] == [pytest.approx(2 / 3)]
