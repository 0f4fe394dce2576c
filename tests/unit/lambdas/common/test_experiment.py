"""The record of the experiment that runs, and its reader, for whom no caller waits."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any

import pytest

from lambdas.common.experiment import NONE, CurrentExperiment, Experiment, InvalidExperiment

RUNNING = Experiment("a1b2-c3", "champion-7", "challenger-8", 0.25, "2026-11-23T10:00:00+00:00")


def test_record_survives_a_round_trip() -> None:
    assert Experiment.parse(RUNNING.format()) == RUNNING
    assert json.loads(RUNNING.format())["share"] == 0.25


@pytest.mark.parametrize("record", [NONE, " none\n"])
def test_none_is_no_experiment(record: str) -> None:
    assert Experiment.parse(record) is None


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "a#b"},
        {"id": 7},
        {"champion": ""},
        {"challenger": None},
        {"share": -0.1},
        {"share": 1.1},
        {"share": "0.5"},
        {"share": True},
        {"started": "now"},
        {"started": "2026-11-23T10:00:00"},
        {"started": None},
        {"more": 1},
    ],
)
def test_a_wrong_field_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidExperiment, match="experiment"):
        Experiment.parse(json.dumps(json.loads(RUNNING.format()) | change))


@pytest.mark.parametrize("record", ["", "{", "[]", '"none"', "7", "{}"])
def test_another_form_is_refused(record: str) -> None:
    with pytest.raises(InvalidExperiment):
        Experiment.parse(record)


class Parameter:
    """Counts its reads."""

    def __init__(self) -> None:
        self.value: Any = RUNNING.format()
        self.reads = 0

    def read(self) -> str:
        self.reads += 1
        if isinstance(self.value, Exception):
            raise self.value
        return str(self.value)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_it_is_read_once_in_30_seconds() -> None:
    parameter, clock = Parameter(), Clock()
    current = CurrentExperiment(parameter.read, clock=clock)
    assert [current.get() for _ in range(5)] == [RUNNING] * 5
    clock.now += 29.9
    current.get()
    assert parameter.reads == 1
    parameter.value = NONE
    clock.now += 0.1
    assert current.get() is None
    assert parameter.reads == 2


def test_it_is_read_as_often_as_is_said() -> None:
    parameter, clock = Parameter(), Clock()
    current = CurrentExperiment(parameter.read, clock=clock, kept_seconds=5)
    current.get()
    parameter.value = NONE
    clock.now += 5
    assert current.get() is None


@pytest.mark.parametrize("value", [RuntimeError("throttled"), "nonsense"])
def test_what_cannot_be_read_leaves_what_was_read_for_five_minutes(value: Any) -> None:
    parameter, clock = Parameter(), Clock()
    current = CurrentExperiment(parameter.read, clock=clock)
    current.get()
    parameter.value = value
    clock.now += 299
    assert current.get() == RUNNING
    assert current.get() == RUNNING
    assert parameter.reads == 2, "a failed read is not repeated at once either"
    clock.now += 1
    assert current.get() is None


def test_a_first_read_that_fails_is_no_experiment() -> None:
    parameter = Parameter()
    parameter.value = RuntimeError("denied")
    assert CurrentExperiment(parameter.read).get() is None


def test_nobody_waits_for_a_read_that_hangs_and_no_second_one_is_begun() -> None:
    answered, parameter, clock = threading.Event(), Parameter(), Clock()

    def read() -> str:
        if parameter.reads:
            assert answered.wait(10)
        return parameter.read()

    current = CurrentExperiment(read, clock=clock, patience=0.01)
    assert current.get() == RUNNING
    parameter.value = replace(RUNNING, share=0.5).format()
    for _ in range(3):
        clock.now += 30
        assert current.get() == RUNNING
    answered.set()
    reading = current._reading
    assert reading is not None
    reading.join(10)
    assert parameter.reads == 2
    found = current.get()
    assert found is not None
    assert found.share == 0.5
