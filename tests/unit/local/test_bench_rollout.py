"""The simulated rollouts: their streams, what the judge is shown, and the figures that are written."""

from __future__ import annotations

import json
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from local.bench import __main__ as command
from local.bench import rollout
from local.bench.rollout_cells import Cell, Run, Said, Stream, _looks, betting, comparisons, horizon, policy_of, runs, shares
from stacks.settings.rollout import RolloutSettings

QUICK = RolloutSettings()


@pytest.mark.parametrize("difference", rollout.DIFFERENCES)
def test_a_stream_has_the_true_difference(difference: float) -> None:
    expected = shares(difference)
    assert sum(expected) == pytest.approx(1)
    assert min(expected) >= 0
    said = Stream(np.random.default_rng(1), difference).texts(0, 20_000)
    found = (said == Said.CHALLENGER).mean() - (said == Said.CHAMPION).mean()
    assert found == pytest.approx(difference, abs=0.01)
    assert np.isin(said, (Said.BOTH, Said.CHAMPION)).mean() == pytest.approx(0.70, abs=0.01)


def test_a_stream_is_the_same_however_it_is_read() -> None:
    whole, parts = (Stream(np.random.default_rng(3), 0.0) for _ in range(2))
    expected = whole.texts(0, 9_000).tolist()
    assert [*parts.texts(0, 5_000).tolist(), *parts.texts(5_000, 4_000).tolist()] == expected


def test_the_judge_is_shown_what_has_arrived_and_no_more_than_a_day_s_reviews() -> None:
    settings = RolloutSettings(reviews_a_day=5)
    looks = _looks(Cell(0.0, 1_440, settings), Stream(np.random.default_rng(2), 0.0))
    found = [next(looks) for _ in range(2 * 144)]
    said = Stream(np.random.default_rng(2), 0.0).texts(0, 80)
    assert [texts for texts, _ in found[:3]] == [10, 20, 30]
    assert found[1][1] == tuple(int((said[:20] == one).sum()) for one in (Said.CHALLENGER, Said.CHAMPION, Said.A_THIRD))
    assert (sum(found[143][1]), sum(found[287][1])) == (5, 10)


def test_the_real_judge_rolls_back_a_bad_challenger_and_promotes_a_good_one() -> None:
    bad, good = (runs(Cell(difference, 1_000, QUICK), 1, 0, 4) for difference in (-0.2, 0.05))
    assert {run.decision for run in bad} == {"roll_back"}
    assert {run.decision for run in good} == {"promote"}
    assert max(run.labels for run in (*bad, *good)) < 100
    assert all(0 < run.met < run.predictions for run in (*bad, *good))
    assert runs(Cell(-0.2, 1_000, QUICK), 1, 0, 2) == bad[:2]


def test_a_rollout_without_enough_texts_ends_as_inconclusive() -> None:
    (run,) = runs(Cell(0.0, 30, RolloutSettings(max_hours=24)), 1, 0, 1)
    assert (run.decision, run.predictions) == ("inconclusive", 30)


def test_the_z_test_needs_the_labels_that_were_measured() -> None:
    assert horizon(QUICK) == 2_164
    found = comparisons(Stream(np.random.default_rng(5), -0.2), QUICK)
    assert found["z_fixed"] == (True, 2_164)
    assert found["z_every_step"][1] < 2_164


@pytest.mark.parametrize(("difference", "decision"), [(0.05, "promote"), (-0.2, "roll_back")])
def test_the_betting_test_decides_on_the_same_pairs(difference: float, decision: str) -> None:
    decided, labels = betting(Stream(np.random.default_rng(5), difference), QUICK)
    assert (decided, labels < 200) == (decision, True)


def test_the_policy_is_that_of_the_settings() -> None:
    policy = policy_of(QUICK)
    assert (policy.margin, policy.error, policy.max_holds, policy.weight_steps) == (0.05, 0.05, 1_008, QUICK.weight_steps)


def ended(decision: str, labels: int = 40) -> Run:
    comparisons = {"z_fixed": (decision == "roll_back", 2_164), "z_every_step": (True, 400)}
    return Run(decision, labels, 300, 60.0, comparisons, betting=(decision, 30))


def found(**others: list[Run]) -> dict[tuple[float, int], list[Run]]:
    """Ten good runs of each cell, but for ``others`` by the name of the difference."""
    good = {difference: [ended("promote" if difference >= 0 else "roll_back")] * 10 for difference in rollout.DIFFERENCES}
    good |= {float(name.replace("minus_", "-0.").replace("zero", "0")): given for name, given in others.items()}
    return {(difference, a_day): good[difference] for difference in rollout.DIFFERENCES for a_day in rollout.A_DAY}


def test_the_figures_are_those_that_are_asked_for() -> None:
    content = rollout.together(found(), 10)
    assert (content["experiments"], content["alpha"], content["margin"]) == (280, 0.05, 0.05)
    assert (content["false_promotion_rate"], content["false_rollback_rate"], content["power_at_5_points"]) == (0, 0, 1)
    assert content["median_labels"] == dict.fromkeys(("+5", "0", "-1", "-2", "-5", "-10", "-20"), 40)
    assert content["labels_ratio_vs_fixed_at_5_points"] == pytest.approx(40 / 2_164, abs=1e-4)
    assert sorted(content["comparisons"]) == ["ville", "z_every_step", "z_fixed"]
    assert content["comparisons"]["z_fixed"]["by_difference"]["-5"]["roll_back"] == 1
    assert content["comparisons"]["ville"]["by_difference"]["-5"] == {
        "rollouts": 40, "promote": 0, "roll_back": 1, "inconclusive": 0, "labels": {"mean": 30, "median": 30, "p90": 30},
    }  # fmt: skip
    assert all(content["reached"].values())
    json.dumps(content, allow_nan=False)
    assert [table.row_count for table in rollout.tables(content)] == [28, 21, 4]


@pytest.mark.parametrize(
    ("others", "missed"),
    [
        ({"minus_1": [ended("promote")] * 3 + [ended("roll_back")] * 7}, "wrong promotions at most 5 %"),
        ({"zero": [ended("roll_back")] * 3 + [ended("promote")] * 7}, "wrong rollbacks at most 5 %"),
        ({"minus_05": [ended("inconclusive")] * 2 + [ended("roll_back")] * 8}, "a loss of 5 points is stopped in at least 90 %"),
        ({"minus_05": [ended("roll_back", 250)] * 10}, "at most a tenth of the labels of the z-test at a fixed horizon"),
    ],
)
def test_what_was_not_reached_is_named(others: dict[str, list[Run]], missed: str) -> None:
    assert [name for name, good in rollout.together(found(**others), 10)["reached"].items() if not good] == [missed]


def test_the_command_prints_the_tables_and_writes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class InThisProcess:
        def __enter__(self) -> InThisProcess:
            return self

        def __exit__(self, *_: object) -> None: ...

        def submit(self, _: object, *arguments: Any) -> Any:
            done: Future[list[Run]] = Future()
            done.set_result([ended("roll_back")] * arguments[3])
            return done

    monkeypatch.setattr(rollout, "ProcessPoolExecutor", lambda _: InThisProcess())
    monkeypatch.setattr(rollout, "as_completed", list)
    assert command.main(["--output", str(tmp_path), "rollout", "--rollouts", "150"]) == 0
    written = json.loads((tmp_path / "rollout.json").read_text())
    assert (written["experiments"], written["experiments_a_cell"]) == (28 * 150, 150)
    assert "other tests on the same streams" in capsys.readouterr().out


@pytest.mark.parametrize("number", ["0", "many"])
def test_a_number_of_rollouts_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(SystemExit) as refused:
        command.main(["rollout", "--rollouts", number])
    assert refused.value.code == 2
