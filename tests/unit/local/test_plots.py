"""What a reader of the plots sees: whole markers, no words over other words or over bars, and nothing that only a colour says."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from cli import plot_style
from cli.release import figures
from cli.release.evidence import Evidence
from cli.release.history import Decision, Rollout
from contracts.report.drawing import contrast, heat, interval_bar
from lambdas.rollout.progress import WeightChange
from local.demo import plots
from local.demo.summary import DriftPoint, Interval, Score, Trial

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNTIL = BEGAN + timedelta(minutes=40)
LABELS = ("negative", "neutral", "positive")


def interval(value: float) -> Interval:
    return Interval(value, max(0.0, value - 0.05), min(1.0, value + 0.05))


def trial(objective: float, trained: str = "2") -> Trial:
    chosen = {"learning_rate": "0.000117", "epochs": "2", "layers": "4", "trained_layers": trained}
    return Trial("t", "Completed", objective, chosen, 60.0)


def rollout() -> Rollout:
    told = [(0.6, 1.04, 0, 0, 50.0), (4.03, 0.26, 12, 10, 30.0), (4e6, 1e-4, 40, 40, 4.0)]
    decisions = tuple(
        Decision(
            BEGAN + timedelta(minutes=10 + 10 * place), "hold", "thin", 0.1, place + 1,
            Evidence.parse({
                "pairs": 90, "differ": differ, "labelled": labelled, "e_promote": promote, "e_roll_back": roll_back,
                "interval": [-wide / 100, wide / 100], "threshold": {"promote": 20, "roll_back": 40},
            }),
            {"margin": 0.05},
        )
        for place, (promote, roll_back, differ, labelled, wide) in enumerate(told)
    )  # fmt: skip
    changes = (WeightChange((BEGAN + timedelta(minutes=2)).isoformat(), 0.9, 0.1), WeightChange(UNTIL.isoformat(), 0.0, 1.0))
    return Rollout("r", BEGAN, UNTIL, decisions=decisions, weights=changes)


SCORES = dict.fromkeys(("majority", "tfidf", "challenger", "champion", "human_1", "human_3"), Score(interval(0.97), interval(0.9)))
DRIFT = [
    DriftPoint("amazon", 300, 0.0, {}, "OK"), DriftPoint("tweets", 50, 9.0, {}, "ALARM"), DriftPoint("tweets again", 250, 0.1, {}, "OK")
]  # fmt: skip
CONFIDENT = {"requested": [0.4, 0.99], "not_required": [0.99] * 60, "unavailable": [0.6]}
STEPS = {"1 data": 1.2, "4 tune, evaluate, gate": 101.1, "8 retrain and roll out": 117.4}
DRAWN: Mapping[str, Callable[[], str]] = {
    "two trials": lambda: plots.trials([trial(0.755), trial(0.776)]),
    "one trial": lambda: plots.trials([trial(0.9, "all")]),
    "nine trials": lambda: plots.trials([trial(0.7 + number / 100) for number in range(9)]),
    "scores": lambda: plots.scores(SCORES, "accuracy"),
    "confusion": lambda: plots.confusion(LABELS, [[280, 26, 42], [25, 85, 40], [35, 18, 1_320]]),
    "confusion of ten": lambda: plots.confusion([f"a label of {place} words, {place}" for place in range(10)], [[1_000] * 10] * 10),
    "histogram": lambda: plots.confidence_histogram(CONFIDENT, 0.6),
    "drift": lambda: plots.drift(DRIFT),
    "before and after": lambda: plots.before_after({
        kind: {"before": interval(value), "after": interval(0.99)} for kind, value in (("amazon", 0.7), ("tweets", 0.98))
    }),
    "steps": lambda: plots.step_seconds(STEPS),
    "weights": lambda: figures.weights(rollout(), UNTIL),
    "e-values": lambda: figures.e_values(rollout(), UNTIL),
    "interval": lambda: figures.interval(rollout(), UNTIL),
    "pairs": lambda: figures.pairs(rollout(), UNTIL),
}  # fmt: skip


@dataclass
class Seen:
    """Boxes of a figure in pixels: of each marker, of all words, of the legend, the axes and the whole figure."""

    markers: list[Any] = field(default_factory=list)
    words: dict[str, Any] = field(default_factory=dict)
    turned: set[str] = field(default_factory=set)
    legend: Any = None
    axes: Any = None
    whole: Any = None
    kinds: list[tuple[str, ...]] = field(default_factory=list)
    """Of each line and row of markers with a name: all but its colour."""


@contextmanager
def watched(width: float, height: float, *, seen: Seen, of: Any) -> Iterator[Any]:
    with of(width, height) as (axes, canvas):
        yield axes, canvas
        axes.figure.tight_layout()
        axes.figure.canvas.draw()
        _look(axes, seen)


def _look(axes: Any, seen: Seen) -> None:
    from matplotlib.transforms import Bbox

    drawn = axes.figure
    pixels = drawn.dpi / 72
    seen.axes, seen.whole = axes.bbox.frozen(), drawn.bbox.frozen()

    def marker(place: Any, points: float) -> Any:
        x, y = axes.transData.transform(place)
        return Bbox.from_extents(x - points * pixels / 2, y - points * pixels / 2, x + points * pixels / 2, y + points * pixels / 2)

    for collection in axes.collections:
        if hasattr(collection, "get_sizes") and len(collection.get_sizes()):
            side = collection.get_sizes()[0] ** 0.5
            seen.markers += [marker(place, side) for place in collection.get_offsets()]
    for line in axes.lines:
        if line.get_marker() not in ("None", None, ""):
            seen.markers += [marker(place, line.get_markersize()) for place in line.get_xydata()]
        if not str(line.get_label()).startswith("_"):
            seen.kinds.append((str(line.get_marker()), str(line.get_linestyle())))
    texts = [*axes.texts, axes.xaxis.label, axes.yaxis.label]
    for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        places = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
        texts += [label for place, label in places if min(low, high) <= place <= max(low, high)]
    legend = axes.get_legend()
    if legend is not None:
        seen.legend = legend.get_window_extent().frozen()
        texts += legend.get_texts()
    inside = [one for one in texts if one.get_text() and one.get_visible()]
    seen.words = {f"{place} {one.get_text()}": one.get_window_extent() for place, one in enumerate(inside)}
    seen.turned = {f"{place} {one.get_text()}" for place, one in enumerate(inside) if one.get_rotation() % 90}


@pytest.fixture(params=DRAWN, scope="module")
def seen(request: pytest.FixtureRequest) -> Seen:
    found = Seen()
    replaced = partial(watched, seen=found, of=plot_style.figure)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "_figure", replaced)
        patch.setattr(figures, "figure", replaced)
        assert DRAWN[request.param]().startswith("<svg")
    assert found.words
    return found


def test_no_marker_is_cut_by_the_axes(seen: Seen) -> None:
    cut = [one for one in seen.markers if not (seen.axes.contains(one.x0, one.y0) and seen.axes.contains(one.x1, one.y1))]
    assert cut == []


def test_no_words_lie_over_others_and_all_are_in_the_figure(seen: Seen) -> None:
    upright = [one for one in seen.words.items() if one[0] not in seen.turned]  # the boxes of turned words overlap, and the words do not
    pairs = itertools.combinations(upright, 2)
    overlaps = [(one, other) for (one, box), (other, second) in pairs if box.padded(-1).overlaps(second.padded(-1))]
    assert overlaps == []
    outside = [text for text, box in seen.words.items() if box.x0 < -1 or box.y0 < -1 or box.x1 > seen.whole.x1 + 1]
    assert outside == []


def test_a_legend_hides_nothing(seen: Seen) -> None:
    assert seen.legend is None or seen.legend.y0 >= seen.axes.y1 - 1


def test_lines_of_one_figure_differ_in_more_than_their_colour(seen: Seen) -> None:
    assert len(set(seen.kinds)) == len(seen.kinds)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4, 0.5, 0.57, 0.6, 0.8, 1.0])
def test_figures_on_a_coloured_cell_have_contrast(share: float) -> None:
    cell = heat(round(100 * share), 100).code
    red, green, blue = (int(part) / 255 for part in cell.partition("rgb(")[2].partition(")")[0].split(","))
    ink = cell.partition("color:#")[2].partition('"')[0]
    assert contrast((red, green, blue), [int(ink[start : start + 2], 16) / 255 for start in (0, 2, 4)]) >= 4.5


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_dot_of_a_bar_is_whole(share: float) -> None:
    drawn = interval_bar({"value": share, "low": share, "high": share}).code
    place, radius = (float(drawn.partition(f'{name}="')[2].partition('"')[0]) for name in ("cx", " r"))
    assert radius <= place <= 120 - radius


def test_the_colours_of_words_and_of_markers_have_contrast_on_the_page() -> None:
    def on_white(code: str) -> float:
        return contrast([int(code[start : start + 2], 16) / 255 for start in (1, 3, 5)], (1, 1, 1))

    assert min(map(on_white, (plot_style.INK, plot_style.MUTED))) >= 4.5
    markers = (plot_style.CHAMPION, plot_style.CHALLENGER, plot_style.BASELINE, plot_style.HUMAN, plot_style.WARNING)
    assert min(map(on_white, markers)) >= 3
