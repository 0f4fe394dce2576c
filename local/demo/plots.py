"""The report's plots: each answers one question and says the answer in its title. All return SVG text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cli.plot_style import BASELINE, CHALLENGER, CHAMPION, HUMAN, INK, MUTED, WARNING, WIDTH, as_percent, beside, legend_above
from cli.plot_style import figure as _figure
from contracts.report.drawing import readable_on
from local.demo.summary import DriftPoint, Interval, Score, Trial

_LABELS = {
    "majority": "always the\nlargest class",
    "tfidf": "TF-IDF with\nlogistic regression",
    "champion": "champion",
    "challenger": "challenger",
    "human_1": "one person",
    "human_3": "three people,\nplurality",
}
_STATUSES = {
    "requested": ("people are asked", CHALLENGER, ""),
    "not_required": ("the model alone", CHAMPION, ""),
    "waiting": ("wait for a place in the budget", BASELINE, ".."),
    "unavailable": ("people could not be asked", WARNING, "//"),
}
_COLOURS = {"champion": CHAMPION, "challenger": CHALLENGER, "human_1": HUMAN, "human_3": HUMAN}
_ALARMS = {"OK": ("alarm off", CHAMPION, "o"), "ALARM": ("alarm on", WARNING, "D")}

_FITTING_CHARACTERS = 32
"""Labels under a confusion matrix stand upright while the longest of them leaves room for all."""


def trials(items: Sequence[Trial]) -> str:
    """Objective (validation macro-F1) of every trial, best marked."""
    done = [trial for trial in items if trial.objective is not None]
    best = max(done, key=lambda trial: trial.objective or 0.0)
    found = [trial.objective or 0.0 for trial in done]
    with _figure(WIDTH, 0.5 * len(done) + 0.8) as (axes, canvas):
        for row, (trial, value) in enumerate(zip(done, found, strict=True)):
            axes.scatter(value, row, s=70, color=CHAMPION if trial is best else BASELINE, zorder=2, clip_on=False)
            beside(axes, row, f"{value:.3f}{', the best' if trial is best else ''}")
        axes.set_yticks(range(len(done)), [_of_a_trial(trial.hyperparameters) for trial in done], fontsize=9)
        axes.set_ylim(len(done) - 0.5, -0.5)
        room = max(0.01, 0.15 * (max(found) - min(found)))
        axes.set_xlim(max(0.0, min(found) - room), min(1.0, max(found) + room))
        axes.locator_params(axis="x", nbins=4)
        axes.set_xlabel("macro-F1 on validation")
    return canvas.svg


def _of_a_trial(chosen: Mapping[str, str]) -> str:
    epochs = f"{chosen['epochs']} epoch{'' if chosen['epochs'] == '1' else 's'}"
    return f"learning rate {float(chosen['learning_rate']):.1e},\n{epochs}, {chosen['trained_layers']} of {chosen['layers']} layers trained"


def scores(items: dict[str, Score], measure: str) -> str:
    """Champion, challenger, baselines and human level with 95 % intervals; ``measure`` is accuracy or macro_f1."""
    order = [name for name in ("majority", "tfidf", "challenger", "champion", "human_1", "human_3") if name in items]
    with _figure(WIDTH, 0.5 * len(order) + 0.9) as (axes, canvas):
        for row, name in enumerate(order):
            interval: Interval = getattr(items[name], measure)
            colour = _COLOURS.get(name, BASELINE)
            axes.plot([interval.low, interval.high], [row, row], color=colour, lw=6, alpha=0.35, solid_capstyle="butt")
            axes.scatter(interval.value, row, s=50, color=colour, zorder=3, clip_on=False)
            beside(axes, row, interval.percent())
        axes.set_yticks(range(len(order)), [_LABELS[name] for name in order])
        axes.set_ylim(-0.5, len(order) - 0.5)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        as_percent(axes.xaxis)
        axes.set_xlabel(f"{measure.replace('_', '-')} on the test set, 95 % interval")
    return canvas.svg


def confusion(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    """Rows are the labels of the texts, columns the champion's answer; cells are shares of the row, and texts."""
    import matplotlib as mpl

    shares = [[cell / max(1, sum(row)) for cell in row] for row in matrix]
    with _figure(WIDTH, max(3.2, 0.5 * len(labels) + 0.8)) as (axes, canvas):
        colours = mpl.colormaps["Blues"]
        axes.imshow(shares, cmap=colours, vmin=0, vmax=1, aspect="auto")
        for i, row in enumerate(matrix):
            for j, cell in enumerate(row):
                axes.text(
                    j,
                    i,
                    f"{100 * shares[i][j]:.0f} %\n{cell:,}",
                    ha="center",
                    va="center",
                    color=readable_on(colours(shares[i][j])[:3]),
                    fontsize=9 if len(labels) <= 6 else 7,
                )
        if max(map(len, labels)) * len(labels) > _FITTING_CHARACTERS:
            axes.set_xticks(range(len(labels)), labels, rotation=35, ha="right", rotation_mode="anchor")
        else:
            axes.set_xticks(range(len(labels)), labels)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_xlabel("the champion's answer")
        axes.set_ylabel("label of the text")
        axes.grid(visible=False)
    return canvas.svg


def confidence_bins(values: Sequence[float]) -> list[float]:
    """Edges of bins of 0.025, from the lowest confidence to 1: with many labels a confidence may be near 0."""
    return [0.025 * step for step in range(int(min(values, default=0.0) / 0.025), 41)]


def confidence_histogram(values: Mapping[str, Sequence[float]], threshold: float | None) -> str:
    """Confidence of the answers before drift, by review status; the line is the champion's threshold."""
    with _figure(WIDTH, 2.9) as (axes, canvas):
        bins = confidence_bins([value for status in values.values() for value in status])
        shown = [status for status in _STATUSES if values.get(status)]
        axes.hist(
            [list(values[status]) for status in shown],
            bins=bins,
            stacked=True,
            color=[_STATUSES[status][1] for status in shown],
            hatch=[_STATUSES[status][2] for status in shown],
            edgecolor="white",
            lw=0.6,
            label=[f"{_STATUSES[status][0]}: {len(values[status]):,}" for status in shown],
        )
        if threshold is not None:
            axes.axvline(threshold, color=INK, lw=1.2, ls="--", label=f"threshold {threshold:.2f}")
        axes.set_xlabel("calibrated confidence")
        axes.set_ylabel(f"texts (of {sum(map(len, values.values())):,})")
        axes.grid(axis="x", visible=False)
        legend_above(axes)
    return canvas.svg


def drift(points: Sequence[DriftPoint]) -> str:
    """Drift score over texts sent; 1 is the threshold that the champion's own quiet windows gave."""
    shown = [point for point in points if point.score is not None]
    with _figure(WIDTH, 3.1) as (axes, canvas):
        values = [point.score or 0.0 for point in shown]
        axes.axhline(1, color=INK, lw=1.2, ls="--", label="threshold 1")
        axes.plot(range(len(shown)), values, color=MUTED, lw=1.5, zorder=1)
        for alarm, (words, colour, marker) in _ALARMS.items():
            at = [place for place, point in enumerate(shown) if (point.alarm == "ALARM") == (alarm == "ALARM")]
            if at:
                axes.scatter(at, [values[place] for place in at], color=colour, marker=marker, s=55, zorder=2, label=words, clip_on=False)
        axes.set_xticks(range(len(shown)), [f"{point.texts_sent}\n{point.domain}".replace(" ", "\n") for point in shown], fontsize=8)
        low, high = min(0.0, *values), max(1.0, *values)
        axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
        axes.margins(x=0.06)
        axes.set_ylabel("drift score")
        axes.set_xlabel("texts sent, of each kind")
        legend_above(axes)
    return canvas.svg


def before_after(items: dict[str, dict[str, Interval]]) -> str:
    """Accuracy of the old and the new model per domain, with 95 % intervals."""
    with _figure(WIDTH, 0.85 * len(items) + 0.9) as (axes, canvas):
        names = list(items)
        for row, domain in enumerate(reversed(names)):
            pair = items[domain]
            for offset, (which, colour, marker) in zip((0.2, -0.2), (("before", BASELINE, "s"), ("after", CHAMPION, "o")), strict=True):
                interval = pair[which]
                axes.plot([interval.low, interval.high], [row + offset] * 2, color=colour, lw=6, alpha=0.35, solid_capstyle="butt")
                axes.scatter(interval.value, row + offset, s=50, color=colour, marker=marker, zorder=3, clip_on=False)
                beside(axes, row + offset, f"{which} {interval.percent()}")
        axes.set_yticks(range(len(names)), list(reversed(names)))
        axes.set_ylim(-0.5, len(names) - 0.5)
        axes.set_xlim(max(0.0, min(one.low for pair in items.values() for one in pair.values()) - 0.05), 1.0)
        axes.locator_params(axis="x", nbins=4)
        as_percent(axes.xaxis)
        axes.set_xlabel("accuracy on held-out texts, 95 % interval")
        axes.grid(axis="y", visible=False)
    return canvas.svg


def step_seconds(items: dict[str, float]) -> str:
    """Seconds per step of the demo."""
    with _figure(WIDTH, 0.32 * len(items) + 0.8) as (axes, canvas):
        names = list(items)
        axes.barh(range(len(names)), list(items.values()), color=CHAMPION, height=0.6)
        for row, value in enumerate(items.values()):
            beside(axes, row, f"{value:.1f} s")
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlabel("seconds")
        axes.grid(axis="y", visible=False)
    return canvas.svg
