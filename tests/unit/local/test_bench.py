"""The bench's arithmetic and its command; how long anything takes is never asserted."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from local.bench import __main__ as command
from local.bench import predict, queue
from local.bench.demo_run import DemoRun
from local.bench.measure import Comparison, Spread, Way, compare, measure
from local.bench.report import durations
from local.bench.seeds import SeedRun, markdown


class Clock:
    """Moves only when something runs."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ran: list[str] = []

    def way(self, name: str, seconds: float, size: int = 1) -> Way:
        def run() -> None:
            self.ran.append(name)
            self.now += seconds

        def prepare() -> None:
            self.now += 100

        return Way(name, run, size, prepare)


def test_every_way_runs_once_a_round_in_an_order_that_moves_on_and_the_first_round_does_not_count() -> None:
    clock, ends = Clock(), []
    ways = [clock.way("a", 4, size=2), clock.way("b", 1), clock.way("c", 3)]
    seconds = measure(ways, 3, on_round=lambda: ends.append(len(clock.ran)), clock=lambda: clock.now)
    assert seconds == {"a": [2.0] * 3, "b": [1.0] * 3, "c": [3.0] * 3}
    assert "".join(clock.ran) == "abc" + "bca" + "cab" + "abc"
    assert ends == [3, 6, 9, 12]


def test_ratios_are_taken_within_a_round_so_that_a_slow_one_does_not_count_twice() -> None:
    base, half = compare({"base": [2.0, 2.0, 20.0, 2.0, 2.0], "half": [1.0, 1.0, 10.0, 1.0, 1.0]})
    assert (base.ratio, half.ratio) == (Spread(1.0, 1.0, 1.0), Spread(0.5, 0.5, 0.5))
    assert (half.seconds, half.rounds) == (Spread(1.0, 1.0, 1.0), 5)


def test_median_and_quartiles() -> None:
    assert Spread.of([1, 2, 3, 4, 5]) == Spread(median=3, low=2, high=4)


@pytest.mark.parametrize(
    ("seconds", "text"), [((5.128,), ("5.13", "s")), ((0.0241, 0.267), ("24.1 / 267", "ms")), ((0.0000071,), ("7.10", "µs"))]
)
def test_durations_share_one_unit(seconds: tuple[float, ...], text: tuple[str, str]) -> None:
    assert durations(*seconds) == text


def test_the_command_runs_what_is_asked_for_and_writes_every_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    two = Comparison("two", "which is it", "call", (clock.way("this", 1), clock.way("that", 2)))
    monkeypatch.setattr(command, "COMPARISONS", {"two": lambda _: two, "other": lambda _: pytest.fail("was not asked for")})
    assert command.main(["--only", "two", "--rounds", "4", "--output", str(tmp_path)]) == 0
    written = json.loads((tmp_path / "bench.json").read_text())["comparisons"]
    assert list(written) == ["two"]
    assert (written["two"]["base"], [len(way["every_round"]) for way in written["two"]["ways"]]) == ("this", [4, 4])
    assert "two: which is it" in capsys.readouterr().out


def test_a_comparison_that_fails_is_named_and_no_traceback_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: object) -> Comparison:
        raise OSError("no such program")

    monkeypatch.setattr(command, "COMPARISONS", {"two": fails})
    assert command.main(["--output", str(tmp_path)]) == 1
    assert "no such program" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--rounds", "2"], ["--rounds", "many"], ["seeds", "--seeds", "one"]])
def test_wrong_options_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        command.main(arguments)
    assert refused.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_training_is_measured_for_each_length_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def jobs(rows: int, lengths: list[int]) -> list[SimpleNamespace]:
        return [SimpleNamespace(rows=rows, pieces=length, seconds=61.4, megabytes=1_234) for length in lengths]

    monkeypatch.setitem(sys.modules, "local.bench.training", SimpleNamespace(jobs=jobs))  # the real one needs torch
    assert command.main(["lengths", "--rows", "2000", "--lengths", "64", "512"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == ["| 2,000 | 64 | 61 | 1,234 |", "| 2,000 | 512 | 61 | 1,234 |"]


def test_the_table_of_seeds_has_the_figures_of_the_summaries_and_says_what_became_of_the_rest() -> None:
    def interval(value: float, low: float, high: float) -> dict[str, float]:
        return {"value": value, "low": low, "high": high}

    compared = {
        "tweets": {"before": interval(0.7117, 0.68, 0.75), "after": interval(0.7917, 0.76, 0.82), "gain": interval(0.08, 0.045, 0.117)},
        "amazon": {"before": interval(0.79, 0.76, 0.81), "after": interval(0.788, 0.76, 0.81), "gain": interval(-0.002, -0.024, 0.02)},
    }
    scores = (("reviews", 0.58), ("tweets", None), ("tweets", 7.826), ("tweets", 3.69), ("tweets again", 9.0))
    drift = [{"domain": domain, "score": score} for domain, score in scores]
    runs = [
        SeedRun(1, DemoRun(0, {"before_after": compared, "drift": drift, "drift_score_after_retraining": 0.188})),
        SeedRun(2, DemoRun(3, {"outcome": "refused by the gates", "reason": "macro-F1 0.4"})),
        SeedRun(3, DemoRun(1, {})),
    ]
    assert markdown(runs).splitlines() == [
        "| seed | tweets before | after | change (95 %) | reviews, change (95 %) | drift of tweets before | after |",
        "|---|---|---|---|---|---|---|",
        "| 1 | 71.2 % | 79.2 % | +8.0 (4.5 to 11.7) | -0.2 (-2.4 to 2.0) | 7.83 | 0.19 |",
        "| 2 |  |  | refused by the gates | macro-F1 0.4 |  |  |",
        "| 3 |  |  | no summary |  |  |  |",
    ]
    assert [one.run.ended for one in runs] == [True, True, False]


def test_the_spread_of_a_queue_has_its_tail() -> None:
    assert queue.spread([float(number) for number in range(101)]) == {"p50": 50.0, "p99": 99.0, "max": 100.0}
    assert queue.spread([4.0]) == {"p50": 4.0, "p99": 4.0, "max": 4.0}


def test_the_last_tasks_of_a_queue_go_to_one_person_each_by_one_query(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "AHEAD", 150)
    monkeypatch.setattr(queue, "_TAKES_AHEAD", 3)
    steps: list[int] = []
    content = queue.measure(8, 1, 2, lambda said, more: steps.append(more))
    figures = {name: content[name] for name in ("taken_twice", "got_none", "queries_per_take", "requests_per_take")}
    assert figures == {"taken_twice": 0, "got_none": 0, "queries_per_take": 1, "requests_per_take": 4}
    assert content["at_once_lost_writes"]["max"] <= 1
    assert (content["ahead_first_queries"], content["ahead_queries"]["max"]) == (2, 2)
    assert sum(steps) == queue.steps(8, 1, 2)


@pytest.mark.parametrize(("wrong", "code"), [({}, 0), ({"taken_twice": 1}, 1), ({"got_none": 1}, 1)])
def test_the_bench_of_the_queue_fails_when_a_task_is_taken_twice_or_somebody_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wrong: dict[str, int], code: int
) -> None:
    figures = {"p50": 1.0, "p99": 2.0, "max": 3.0}

    def measured(tasks: int, takes: int, reviewers: int, on_step: object) -> dict[str, object]:
        assert (tasks, takes, reviewers) == (10, 3, 2)
        counts = {"open_tasks": tasks, "takes": takes, "at_once": reviewers, "taken_twice": 0, "got_none": 0, **wrong}
        requests = {"queries_per_take": 1, "requests_per_take": 4, "at_once_requests": 9, "at_once_lost_writes": figures}
        requests |= {"ahead": 7, "ahead_first_queries": 1}
        goals = {"ahead_queries": figures, "goal_ms": 50.0, "goal_reached": True, "at_once_goal_reached": False}
        return {**counts, **requests, **goals, "own_ms": figures, "at_once_own_ms": figures}

    monkeypatch.setattr(queue, "measure", measured)
    arguments = ["--output", str(tmp_path), "queue", "--tasks", "10", "--takes", "3", "--reviewers", "2"]
    assert command.main(arguments) == code
    said = capsys.readouterr().out
    assert f"taken_twice: {wrong.get('taken_twice', 0)}" in said
    assert "below 50 ms, without the table's time: one by one reached, at once not reached" in " ".join(said.split())
    assert json.loads((tmp_path / "queue.json").read_text(encoding="utf-8"))["own_ms"] == figures


def test_more_people_than_tasks_are_a_wrong_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--output", str(tmp_path), "queue", "--tasks", "7", "--takes", "1", "--reviewers", "2"]) == 2
    assert "open more than 7" in capsys.readouterr().out


def answered(seconds: float, **waited: float) -> dict[str, object]:
    """A line of the function's own process, with a read of the parameter that nobody waited for."""
    calls = [{"operation": name, "seconds": took, "waited": True} for name, took in waited.items()]
    return {"status": 200, "seconds": seconds, "calls": [*calls, {"operation": "GetParameter", "seconds": 9.0, "waited": False}]}


def test_the_parts_of_a_prediction_add_up_to_what_a_caller_waits_for() -> None:
    outside = {"InvokeEndpoint": [0.010] * 3, "POST /predict": [0.050] * 3, "Invoke of the function": [0.040] * 3}
    base = [answered(0.025, InvokeEndpoint=0.012, PutItem=0.004)] * 3
    inside = {"no experiment": base, "an experiment runs": [answered(0.030, InvokeEndpoint=0.012, PutItem=0.004)] * 3}
    part = {"seconds": 0.2, "processor": 0.1}
    content = predict.figures(outside, inside, {"predict": [{"import": part, "call": part}] * 3})
    assert {name: values["p50"] for name, values in content["parts_ms"].items()} == {
        "API Gateway": 10, "start of the call": 15, "endpoint call": 12, "table write": 4, "own code": 9,
    }  # fmt: skip
    assert sum(values["p50"] for values in content["parts_ms"].values()) == content["ms"]["POST /predict"]["p50"]
    assert (content["added_ms"]["p50"], content["ratio_to_invoke_endpoint"]) == (40, 5)
    assert content["ratio_with_experiment"] == {"an experiment runs": 1.2}
    calls = {"GetParameter (nobody waits)": 1, "InvokeEndpoint": 1, "PutItem": 1}
    assert content["experiment"]["an experiment runs"]["calls"] == calls
    assert content["cold_start_ms"]["predict"]["total"] == {"seconds": 400, "processor": 200}
    assert [table.row_count for table in predict.tables(content)] == [8, 2, 3]
