"""The report's plots: each answers one question and says the answer in its title. All return SVG text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cli.plot_style import BASELINE, CHALLENGER, CHAMPION, GRID, HUMAN, INK, MUTED, WARNING
from cli.plot_style import figure as _figure
from local.demo.summary import DriftPoint, Interval, Score, Trial

_LABELS = {
    "majority": "always the largest class",
    "tfidf": "TF-IDF + logistic regression",
    "champion": "champion",
    "challenger": "challenger",
    "human_1": "one person",
    "human_3": "three people, plurality",
}
_STATUSES = {
    "requested": ("people are asked", CHALLENGER),
    "not_required": ("answered by the model alone", CHAMPION),
    "unavailable": ("people could not be asked", WARNING),
}
_COLOURS = {"champion": CHAMPION, "challenger": CHALLENGER, "human_1": HUMAN, "human_3": HUMAN}

_FITTING_CHARACTERS = 40
"""Labels under a confusion matrix stand upright while the longest of them leaves room for all."""


def trials(items: Sequence[Trial]) -> str:
    """Objective (validation macro-F1) of every trial, best marked."""
    done = [trial for trial in items if trial.objective is not None]
    best = max(done, key=lambda trial: trial.objective or 0.0)
    with _figure(7.2, 0.36 * len(done) + 1.1) as (axes, canvas):
        for row, trial in enumerate(reversed(done)):
            value = trial.objective or 0.0
            axes.plot([0, value], [row, row], color=GRID, lw=2, zorder=1)
            axes.scatter(value, row, s=70, color=CHAMPION if trial is best else BASELINE, zorder=2)
            axes.annotate(f"{value:.3f}", (value, row), textcoords="offset points", xytext=(8, -3.5), color=INK, fontsize=9)
        h = [trial.hyperparameters for trial in reversed(done)]
        axes.set_yticks(
            range(len(done)),
            [f"lr {float(p['learning_rate']):.1e}, {p['layers']} layers, train {p['trained_layers']}, {p['epochs']} epochs" for p in h],
        )
        low = min(trial.objective or 0.0 for trial in done)
        axes.set_xlim(max(0.0, low - 0.1), min(1.0, (best.objective or 0.0) + 0.05))
        axes.set_xlabel("validation macro-F1")
        axes.grid(axis="y", visible=False)
    return canvas.svg


def scores(items: dict[str, Score], measure: str) -> str:
    """Champion, challenger, baselines and human level with 95 % intervals; ``measure`` is accuracy or macro_f1."""
    order = [name for name in ("majority", "tfidf", "challenger", "champion", "human_1", "human_3") if name in items]
    with _figure(7.2, 0.42 * len(order) + 1.0) as (axes, canvas):
        for row, name in enumerate(order):
            interval: Interval = getattr(items[name], measure)
            colour = _COLOURS.get(name, BASELINE)
            axes.plot([interval.low, interval.high], [row, row], color=colour, lw=6, alpha=0.3, solid_capstyle="round")
            axes.scatter(interval.value, row, s=60, color=colour, zorder=3)
            axes.annotate(
                f"{interval.value:.3f}", (interval.high, row), textcoords="offset points", xytext=(8, -3.5), color=INK, fontsize=9
            )
        axes.set_yticks(range(len(order)), [_LABELS[name] for name in order])
        axes.set_xlim(0, 1.02)
        axes.set_xlabel(f"{measure.replace('_', '-')} on the frozen test set, 95 % interval over whole groups")
        axes.grid(axis="y", visible=False)
    return canvas.svg


def confusion(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    """Rows are the labels of the texts, columns the champion's answer; cells are shares of the row."""
    shares = [[cell / max(1, sum(row)) for cell in row] for row in matrix]
    with _figure(7.2, max(3.2, 0.45 * len(labels) + 0.8)) as (axes, canvas):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for i, row in enumerate(matrix):
            for j, cell in enumerate(row):
                axes.text(
                    j,
                    i,
                    f"{100 * shares[i][j]:.0f} %\n{cell}",
                    ha="center",
                    va="center",
                    color="white" if shares[i][j] > 0.55 else INK,
                    fontsize=9,
                )
        if max(map(len, labels)) * len(labels) > _FITTING_CHARACTERS:
            axes.set_xticks(range(len(labels)), labels, rotation=35, ha="right", rotation_mode="anchor")
        else:
            axes.set_xticks(range(len(labels)), labels)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_xlabel("model says")
        axes.set_ylabel("label of the text")
        axes.grid(visible=False)
    return canvas.svg


def confidence_bins(values: Sequence[float]) -> list[float]:
    """Edges of bins of 0.025, from the lowest confidence to 1: with many labels a confidence may be near 0."""
    return [0.025 * step for step in range(int(min(values, default=0.0) / 0.025), 41)]


def confidence_histogram(values: Mapping[str, Sequence[float]], threshold: float | None) -> str:
    """Confidence of the answers before drift, by review status; the line is the champion's threshold."""
    with _figure(7.2, 2.6) as (axes, canvas):
        bins = confidence_bins([value for status in values.values() for value in status])
        shown = [status for status in _STATUSES if values.get(status)]
        axes.hist(
            [list(values[status]) for status in shown],
            bins=bins,
            stacked=True,
            color=[_STATUSES[status][1] for status in shown],
            label=[_STATUSES[status][0] for status in shown],
        )
        if threshold is not None:
            axes.axvline(threshold, color=INK, lw=1, ls="--")
        axes.set_xlabel("calibrated confidence")
        axes.set_ylabel("texts")
        axes.legend(frameon=False, fontsize=9)
    return canvas.svg


def drift(points: Sequence[DriftPoint]) -> str:
    """Drift score over texts sent; 1 is the threshold that the champion's own quiet windows gave."""
    shown = [point for point in points if point.score is not None]
    with _figure(7.2, 2.8) as (axes, canvas):
        position = list(range(len(shown)))
        values = [point.score or 0.0 for point in shown]
        axes.axhline(1, color=WARNING, lw=1, ls="--")
        axes.annotate("alarm above 1", ((len(shown) - 1) / 2, 1), textcoords="offset points", xytext=(2, 4), color=WARNING, fontsize=9)
        axes.plot(position, values, color=MUTED, lw=1.5, zorder=1)
        colours = [WARNING if point.alarm == "ALARM" else CHAMPION for point in shown]
        axes.scatter(position, values, color=colours, s=55, zorder=2)
        axes.set_xticks(position, [f"{point.texts_sent}\n{point.domain}".replace(" ", "\n") for point in shown], fontsize=8)
        axes.set_ylabel("drift score")
        axes.set_xlabel("texts sent in the domain")
    return canvas.svg


def before_after(items: dict[str, dict[str, Interval]]) -> str:
    """Accuracy of the old and the new model per domain, with 95 % intervals."""
    with _figure(7.2, 0.8 * len(items) + 1.0) as (axes, canvas):
        names = list(items)
        for row, domain in enumerate(reversed(names)):
            pair = items[domain]
            for offset, (which, colour) in zip((0.14, -0.14), (("before", BASELINE), ("after", CHAMPION)), strict=True):
                interval = pair[which]
                axes.plot([interval.low, interval.high], [row + offset] * 2, color=colour, lw=6, alpha=0.35, solid_capstyle="round")
                axes.scatter(interval.value, row + offset, s=60, color=colour, zorder=3)
                axes.annotate(
                    f"{which} {100 * interval.value:.1f} %",
                    (interval.high, row + offset),
                    textcoords="offset points",
                    xytext=(8, -3.5),
                    fontsize=9,
                )
        axes.set_yticks(range(len(names)), list(reversed(names)))
        axes.set_ylim(-0.5, len(names) - 0.5)
        axes.set_xlim(max(0.0, min(one.low for pair in items.values() for one in pair.values()) - 0.05), 1.0)
        axes.set_xlabel("accuracy on held-out texts, 95 % interval")
        axes.grid(axis="y", visible=False)
    return canvas.svg


def step_seconds(items: dict[str, float]) -> str:
    """Seconds per step of the demo."""
    with _figure(7.2, 0.3 * len(items) + 0.8) as (axes, canvas):
        names = list(items)
        axes.barh(range(len(names)), list(items.values()), color=CHAMPION, height=0.6)
        for row, value in enumerate(items.values()):
            axes.annotate(f"{value:.1f} s", (value, row), textcoords="offset points", xytext=(5, -3.5), fontsize=9, color=INK)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlabel("seconds")
        axes.margins(x=0.12)
        axes.grid(axis="y", visible=False)
    return canvas.svg
