"""Which labels speak of the answers that nobody would have reviewed, and the one bet on them that all runs go on with."""

from __future__ import annotations

import inspect
import itertools
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.review_promise import Promise, evidence
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewReason
from lambdas.monitoring.watch_promise import handler as entry
from lambdas.monitoring.watch_promise.audits import Audit, audits

BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAYS = 180
_NUMBERS = itertools.count()


def label(human: str | None = "good", model: str | None = "good", **given: Any) -> StoredPrediction:
    item = {
        "prediction_id": f"p{next(_NUMBERS)}", "text": "t", "created_at": "2026-11-23T10:00:00+00:00", "expires_at": 1, "attempt": 1,
        "review_state": "reviewed", "review_reason": "audit_sample", "variant": "champion", "model_version": "m1", "label": model,
        "human_label": human, "reviewed_at": "2026-11-24T10:00:00+00:00", **given,
    }  # fmt: skip
    return StoredPrediction.parse({name: value for name, value in item.items() if value is not None})


_AT = [f"2026-11-24T10:{number:02d}:00+00:00" for number in range(40)]
_ANSWERED = [(label(reviewed_at=at), label("bad", reviewed_at=at)) for at in _AT]


def day_of(wrong: Iterable[bool]) -> list[StoredPrediction]:
    """A day's audit labels of the champion m1, in this order."""
    return [answered[one] for answered, one in zip(_ANSWERED, wrong, strict=False)]


def test_only_audit_labels_count_the_oldest_first() -> None:
    labels = [
        label("bad", variant="challenger", model_version="m2", reviewed_at="2026-11-24T12:00:00+00:00"),
        label(reviewed_at="2026-11-24T11:00:00+00:00"),
        label(None),
        *(label("bad", review_reason=reason.value) for reason in ReviewReason if reason is not ReviewReason.AUDIT_SAMPLE),
        label("bad", model=None),
        label("bad", model_version=None),
    ]
    answered = "2026-11-23T10:00:00+00:00"
    assert audits(labels) == [Audit("m1", False, True, answered), Audit("m2", True, False, answered)]


class NotFound(Exception):
    """ParameterNotFound."""


class World:
    """The labels by day, the parameter and the clock; a run is the handler itself."""

    exceptions = type("Exceptions", (), {"ParameterNotFound": NotFound})

    def __init__(self) -> None:
        self.labels, self.asked_for = defaultdict[str, list[StoredPrediction]](list), list[str]()
        self.record: str | None = "none"
        self.writes, self.fails = 0, False
        self.now, self.environment = BEGIN, entry.Environment("predictions", "/bets", 0.1, 0.95, DAYS)
        self.told = dict[str, float]()

    def labels_of_day(self, day: str) -> Iterator[StoredPrediction]:
        self.asked_for.append(day)
        return iter(self.labels.get(day, ()))

    def get_parameter(self, *, Name: str) -> dict[str, Any]:  # noqa: N803
        assert Name == "/bets"
        if self.record is None:
            raise NotFound
        return {"Parameter": {"Value": self.record}}

    def put_parameter(self, *, Name: str, Value: str, Type: str, Overwrite: bool) -> None:  # noqa: N803
        assert (Name, Type, Overwrite) == ("/bets", "String", True)
        if self.fails:
            raise ClientError({"Error": {"Code": "TooManyUpdates"}}, "PutParameter")
        self.record, self.writes = Value, self.writes + 1

    def on(self, day: int) -> str:
        return (BEGIN + timedelta(days=day)).date().isoformat()

    def run(self, day: float) -> dict[str, Any]:
        """``day``: since the begin, a noon."""
        self.now, self.asked_for = BEGIN + timedelta(days=day), []
        result: dict[str, Any] = inspect.unwrap(entry.handler)({}, None)
        return result


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return installed(World(), monkeypatch)


def installed(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(entry, "_environment", lambda: world.environment)
    monkeypatch.setattr(entry, "prediction_store", lambda _: world)
    monkeypatch.setattr(entry, "client", lambda _: world)
    monkeypatch.setattr(entry, "_now", lambda: world.now)
    monkeypatch.setattr(entry.metrics, "add_metric", lambda name, _, value: world.told.update({name: value}))
    monkeypatch.setattr(entry.logger, "info", lambda *_, **__: None)
    monkeypatch.setattr(entry.logger, "warning", lambda *_, **__: None)
    return world


def test_the_alarm_of_a_champion_that_serves_for_long_rings_falsely_as_rarely_as_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of exactly ``max_error``, six audits a day, a look each week. When each run began a bet of its own, 70 % rang."""
    runs, served = 40, 540
    draw, rang = random.Random(7), 0  # noqa: S311  (reproducible labels, not a secret)
    for _ in range(runs):
        world = installed(World(), monkeypatch)
        for day in range(served):
            world.labels[world.on(day)] = day_of(draw.random() < 0.1 for _ in range(6))
        for day in range(6, served, 7):
            if world.run(day)["strength"] >= 1:
                rang += 1
                break
    assert rang <= runs * (0.05 + 2 * math.sqrt(0.05 * 0.95 / runs))


@pytest.mark.parametrize(("right", "refuted"), [(27, False), (3, True)])
def test_the_evidence_becomes_a_metric(right: int, refuted: bool, world: World) -> None:
    world.environment = entry.Environment("predictions", "/bets", 0.15, 0.95, 2)
    world.labels[world.on(-1)] = day_of([False] * right + [True] * 5)
    result = world.run(0)
    assert (result["status"], result["model_version"], result["labels"], result["wrong"]) == ("watched", "m1", 5 + right, 5)
    assert (result["refuted_after"] is not None, world.told["PromiseEvidence"] >= 1) == (refuted, refuted)
    assert (world.told["AuditLabels"], world.told["AuditErrors"]) == (5 + right, 5)


def test_a_finished_day_is_read_once_and_what_it_said_stays_when_its_labels_go(world: World) -> None:
    for day in range(5):
        world.labels[world.on(day)] = day_of([False, True])
    first = world.run(4)
    assert world.asked_for == [world.on(day) for day in range(4 - DAYS, 5)]
    world.labels.clear()
    world.labels[world.on(4)] = day_of([False, True])
    assert (world.run(4), world.asked_for, world.writes) == (first, [world.on(4)], 1)
    assert (world.run(400)["labels"], world.asked_for[0], len(world.asked_for)) == (10 - 2, world.on(400 - DAYS), DAYS + 1)


def test_without_labels_the_days_count_as_read(world: World) -> None:
    assert world.run(0) == {"status": "no_audits"}
    assert (world.run(1), world.asked_for) == ({"status": "no_audits"}, [world.on(0), world.on(1)])


@settings(max_examples=40)
@given(
    labels=st.lists(st.lists(st.booleans(), max_size=4), min_size=1, max_size=12),
    runs=st.lists(st.tuples(st.floats(0, 12), st.sampled_from(["whole", "breaks off", "stale"])), max_size=12),
)
def test_runs_that_break_off_or_overtake_one_another_count_no_day_twice(labels: list[list[bool]], runs: list[tuple[float, str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        world, old = installed(World(), patch), list[str | None]()
        for day, wrong in enumerate(labels):
            world.labels[world.on(day)] = day_of(wrong)
        for when, how in sorted(runs):
            old.append(world.record)
            world.fails = how == "breaks off"
            try:
                world.run(when)
            except ClientError:
                assert world.record == old[-1]
            if how == "stale":
                world.record = old[len(old) // 2]  # an older run writes last
        world.fails = False
        found, again = world.run(12), world.run(12)
    every = evidence([one for day in labels for one in day], Promise(0.1, 0.95))
    assert found == again
    if every.labels:
        assert (found["labels"], found["wrong"], found["strength"], found["refuted_after"]) == (
            every.labels, every.wrong, every.strength, every.refuted_after
        )  # fmt: skip


@pytest.mark.parametrize("record", [None, "{"], ids=["lost", "cannot be read"])
def test_without_a_record_that_can_be_used_the_bet_begins_at_the_first_day_that_is_read(record: str | None, world: World) -> None:
    for day in range(DAYS + 20):
        world.labels[world.on(day)] = day_of([False])
    world.run(DAYS)
    assert world.run(DAYS + 19)["labels"] == DAYS + 20
    world.record = record
    assert world.run(DAYS + 19)["labels"] == DAYS + 1
    assert world.run(DAYS + 19)["labels"] == DAYS + 1
    assert world.asked_for == [world.on(DAYS + 19)]


def test_another_promise_is_another_bet(world: World) -> None:
    world.labels[world.on(0)] = day_of([True] * 4)
    assert world.run(2)["refuted_after"] == 2
    world.environment = entry.Environment("predictions", "/bets", 0.4, 0.95, DAYS)
    assert world.run(2)["refuted_after"] is None
    assert (date.fromisoformat(world.asked_for[0]), len(world.asked_for)) == ((BEGIN + timedelta(days=2 - DAYS)).date(), DAYS + 1)
    assert len([world.run(2), world.asked_for][1]) == 1


def test_a_label_that_is_stored_at_midnight_counts_though_its_day_was_read(world: World) -> None:
    world.labels[world.on(0)] = day_of([False])
    assert world.run(0.51)["labels"] == 1  # a quarter of an hour after midnight
    world.labels[world.on(0)] = day_of([False, True])
    assert (world.run(0.6)["labels"], world.run(1)["labels"]) == (2, 2)
