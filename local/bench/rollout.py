"""What a rollout decides, and after how many labels: ``python -m local.bench rollout``.

Some thousand rollouts are simulated for each true difference and each amount of traffic (:mod:`local.bench.rollout_cells`), and beside
them what other tests make of the same streams.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import numpy as np
from rich.table import Table

from local.bench.rollout_cells import LOOKS, POWER, Cell, Run, horizon, runs
from stacks.settings.rollout import RolloutSettings

DIFFERENCES = (0.05, 0.0, -0.01, -0.02, -0.05, -0.10, -0.20)
A_DAY = (100, 1_000, 10_000, 100_000)
_BATCH = 100
_OUTCOMES = ("promote", "roll_back", "inconclusive")
_LOSS = -0.05
REQUIRED = {"power_at_5_points": 0.90, "labels_ratio_vs_fixed_at_5_points": 0.10}


def settings_for(a_day: int) -> RolloutSettings:
    """The defaults, but that fewer predictions are looked at less often, and a hundred a day for a month."""
    if a_day < A_DAY[1]:
        return RolloutSettings(step_seconds=6 * 3_600, max_hours=720)
    return RolloutSettings(step_seconds=3_600) if a_day < A_DAY[2] else RolloutSettings()


def cells() -> list[Cell]:
    return [Cell(difference, a_day, settings_for(a_day)) for difference in DIFFERENCES for a_day in A_DAY]


def batches(rollouts: int) -> int:
    """Steps that :func:`measure` tells of."""
    return len(cells()) * math.ceil(rollouts / _BATCH)


def measure(rollouts: int, seed: int, *, processes: int, on_step: Callable[[], None]) -> dict[str, Any]:
    """All figures. ``rollouts``: of each cell. ``on_step`` is called :func:`batches` times."""
    found: dict[tuple[float, int], list[Run]] = {}
    with ProcessPoolExecutor(processes) as pool:
        waiting = {
            pool.submit(runs, cell, seed, batch, min(_BATCH, rollouts - batch * _BATCH)): cell
            for cell in cells()
            for batch in range(math.ceil(rollouts / _BATCH))
        }
        for done in as_completed(waiting):
            cell = waiting[done]
            found.setdefault((cell.difference, cell.a_day), []).extend(done.result())
            on_step()
    return together(found, rollouts)


def together(found: Mapping[tuple[float, int], Sequence[Run]], rollouts: int) -> dict[str, Any]:
    """The figures that the acceptance names, each cell's, and whether what is required was reached."""
    settings = RolloutSettings()
    order = sorted(found, key=lambda cell: (-cell[0], cell[1]))
    by_cell = [{"difference": difference, "a_day": a_day, **figures(found[difference, a_day])} for difference, a_day in order]
    by_difference = {difference: [run for (of, _), ended in found.items() if of == difference for run in ended] for difference, _ in order}
    median = {name(difference): float(np.median([run.labels for run in ended])) for difference, ended in by_difference.items()}
    losses = [one["promote"] for one in by_cell if one["difference"] <= -settings.margin]
    equals = [one["roll_back"] for one in by_cell if one["difference"] >= 0]
    stopped = [one["roll_back"] for one in by_cell if one["difference"] == _LOSS]
    content: dict[str, Any] = {
        "experiments": sum(len(ended) for ended in found.values()),
        "experiments_a_cell": rollouts,
        "alpha": settings.error,
        "margin": settings.margin,
        "false_promotion_rate": max(losses),
        "false_rollback_rate": max(equals),
        "power_at_5_points": min(stopped),
        "median_labels": median,
        "labels_ratio_vs_fixed_at_5_points": round(median[name(_LOSS)] / horizon(settings), 4),
        "comparisons": compared(by_difference, settings),
        "cells": by_cell,
    }
    return {**content, "reached": reached(content)}


def name(difference: float) -> str:
    """``-5``: points."""
    return f"{100 * difference:+.0f}" if difference else "0"


def figures(ended: Sequence[Run]) -> dict[str, Any]:
    """Of one cell; shares, labels and predictions until the end."""
    labels, predictions = ([getattr(run, field) for run in ended] for field in ("labels", "predictions"))
    share = {outcome: round(sum(run.decision == outcome for run in ended) / len(ended), 4) for outcome in _OUTCOMES}
    met = [run.met / run.predictions for run in ended if run.predictions]
    return {**share, "labels": spread(labels), "predictions": spread(predictions), "met_challenger": round(float(np.mean(met)), 4)}


def spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "mean": round(float(np.mean(values)), 1), "median": float(np.median(values)), "p90": round(float(np.quantile(values, 0.9)), 1),
    }  # fmt: skip


def compared(by_difference: Mapping[float, Sequence[Run]], settings: RolloutSettings) -> dict[str, Any]:
    """The other tests on the same streams. They roll back what they show to be worse, and promote the rest."""
    told = {
        "z_fixed": f"z-test of unpaired reviews at a fixed horizon, {POWER:.0%} power at a loss of {settings.margin:.0%}",
        "z_every_step": f"the same test, looked at {LOOKS} times",
    }
    result: dict[str, Any] = {}
    for test, text in told.items():
        rows = {}
        for difference, ended in by_difference.items():
            found = [run.comparisons[test] for run in ended]
            rolled_back = sum(stopped for stopped, _ in found) / len(found)
            rows[name(difference)] = {"roll_back": round(rolled_back, 4), "labels": spread([labels for _, labels in found])}
        result[test] = {"test": text, "by_difference": rows}
    rows = {name(difference): _betting([run.betting for run in ended if run.betting]) for difference, ended in by_difference.items()}
    result["ville"] = {"test": "betting test of the package ville on the same pairs, looked at after every text", "by_difference": rows}
    return result


def _betting(ended: Sequence[tuple[str, int]]) -> dict[str, Any]:
    share = {outcome: round(sum(decision == outcome for decision, _ in ended) / len(ended), 4) for outcome in _OUTCOMES}
    return {"rollouts": len(ended), **share, "labels": spread([labels for _, labels in ended])}


def reached(content: Mapping[str, Any]) -> dict[str, bool]:
    """What is required, by name; the rates within two standard errors."""
    alpha = content["alpha"]
    most = alpha + 2 * math.sqrt(alpha * (1 - alpha) / content["experiments_a_cell"])
    return {
        "wrong promotions at most 5 %": content["false_promotion_rate"] <= most,
        "wrong rollbacks at most 5 %": content["false_rollback_rate"] <= most,
        "a loss of 5 points is stopped in at least 90 %": content["power_at_5_points"] >= REQUIRED["power_at_5_points"],
        "at most a tenth of the labels of the z-test at a fixed horizon": content["labels_ratio_vs_fixed_at_5_points"]
        <= REQUIRED["labels_ratio_vs_fixed_at_5_points"],
    }


def tables(content: Mapping[str, Any]) -> Iterator[Table]:
    said = f"margin {content['margin']:.0%}, error {content['alpha']:.0%}; labels: mean/median/90 %"
    rollouts = Table(title=f"{content['experiments_a_cell']} rollouts each; {said}")
    for column in ("points", "a day", "promoted", "rolled back", "inconclusive", "labels", "predictions", "met it"):
        rollouts.add_column(column, justify="right")
    for cell in content["cells"]:
        labels = cell["labels"]
        rollouts.add_row(
            name(cell["difference"]),
            f"{cell['a_day']:,}",
            *(f"{100 * cell[outcome]:.1f} %" for outcome in _OUTCOMES),
            f"{labels['mean']:.0f}/{labels['median']:.0f}/{labels['p90']:.0f}",
            f"{cell['predictions']['median']:,.0f}",
            f"{100 * cell['met_challenger']:.0f} %",
        )
    yield rollouts
    others = Table("test", "points", "rolled back", "labels, median", title="other tests on the same streams", min_width=70)
    for test in content["comparisons"].values():
        for points, row in test["by_difference"].items():
            others.add_row(test["test"], points, f"{100 * row['roll_back']:.1f} %", f"{row['labels']['median']:,.0f}")
    yield others
    required = Table("required", "reached", min_width=70)
    for what, good in content["reached"].items():
        required.add_row(what, "yes" if good else "no")
    yield required
