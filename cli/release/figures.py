"""The figures of a rollout's page, over the time since it began. All return SVG text; one without anything to show is empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cli.plot_style import CHALLENGER, CHAMPION, HUMAN, INK, MUTED, WARNING, WIDTH, figure, legend_above
from cli.release.history import Decision, Rollout, moment

_FOR_IT = {"color": CHALLENGER, "marker": "o", "ls": "-"}
_AGAINST_IT = {"color": CHAMPION, "marker": "s", "ls": "--"}
_DIFFER = {"color": MUTED, "marker": "s", "ls": "--"}
_ANSWERED = {"color": HUMAN, "marker": "o", "ls": "-"}
"""Lines of one figure differ in colour, marker and dashes."""
_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))


@dataclass(frozen=True)
class _Time:
    """The axis of all figures of one rollout: from its beginning, in the largest unit of which there are three."""

    began: datetime
    unit: str
    seconds: float
    end: float

    @classmethod
    def of(cls, rollout: Rollout, until: datetime) -> _Time:
        began = rollout.started or until
        took = max((until - began).total_seconds(), 1.0)
        unit, seconds = next((one for one in _UNITS if took >= 3 * one[1]), _UNITS[-1])
        return cls(began, unit, seconds, took / seconds)

    def at(self, moment: datetime | None) -> float:
        return 0.0 if moment is None else max(0.0, (moment - self.began).total_seconds() / self.seconds)


def weights(rollout: Rollout, until: datetime) -> str:
    """Share of the traffic per variant."""
    if not rollout.weights:
        return ""
    time = _Time.of(rollout, until)
    at = [0.0, *(time.at(moment(change.at)) for change in rollout.weights), time.at(until)]
    share = [0.0, *(100 * change.challenger for change in rollout.weights)]
    share.append(share[-1])
    with figure(WIDTH, 2.3) as (axes, canvas):
        axes.fill_between(at, share, 100, step="post", color=CHAMPION, label="champion", lw=0)
        axes.fill_between(at, 0, share, step="post", facecolor=CHALLENGER, edgecolor="white", hatch="//", label="challenger", lw=0)
        axes.set_ylim(0, 100)
        axes.set_ylabel("share of traffic, %")
        _over_time(axes, time)
        legend_above(axes)
    return canvas.svg


def e_values(rollout: Rollout, until: datetime) -> str:
    """Both e-values on a logarithmic scale, with the thresholds from which they decide."""
    looks = [one for one in rollout.looks if one.evidence.e_promote is not None or one.evidence.e_roll_back is not None]
    if not looks:
        return ""
    thresholds, time = looks[-1].evidence.thresholds, _Time.of(rollout, until)
    with figure(WIDTH, 3.0) as (axes, canvas):
        axes.set_yscale("log")
        axes.axhline(1, color=MUTED, lw=0.8)
        _line(axes, time, looks, lambda one: one.evidence.e_promote, label="for it: refutes a loss of the margin", kind=_FOR_IT)
        _line(axes, time, looks, lambda one: one.evidence.e_roll_back, label='against it: refutes "not worse"', kind=_AGAINST_IT)
        for value, words, dashes in _decisive(thresholds.promote, thresholds.roll_back):
            axes.axhline(value, color=INK, lw=1.2, ls=dashes, label=f"{words} from {value:,.0f}")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}" if 1e-4 < value < 1e5 else f"{value:.0e}")
        axes.margins(y=0.08)
        axes.set_ylabel("e-value")
        _over_time(axes, time)
        legend_above(axes)
    return canvas.svg


def interval(rollout: Rollout, until: datetime) -> str:
    """Where the difference in quality lies, closing with every answer."""
    looks = [one for one in rollout.looks if one.evidence.interval is not None]
    if not looks:
        return ""
    time = _Time.of(rollout, until)
    at = [time.at(one.at) for one in looks]
    ends = [one.evidence.interval or (0.0, 0.0) for one in looks]
    low, high = ([100 * end[side] for end in ends] for side in (0, 1))
    with figure(WIDTH, 2.6) as (axes, canvas):
        axes.fill_between(at, low, high, color=CHALLENGER, alpha=0.2, lw=0, step="post")
        axes.plot(at, low, color=CHALLENGER, lw=1.5, drawstyle="steps-post", marker="o", ms=3)
        axes.plot(at, high, color=CHALLENGER, lw=1.5, drawstyle="steps-post", marker="o", ms=3)
        axes.axhline(0, color=INK, lw=1)
        margin = looks[-1].margin
        if margin is not None:
            axes.axhline(-100 * margin, color=WARNING, lw=1.2, ls="--", label=f"the loss that must be refuted: {100 * margin:g} points")
            legend_above(axes)
        axes.set_ylabel("challenger minus\nchampion, points")
        _over_time(axes, time)
    return canvas.svg


def pairs(rollout: Rollout, until: datetime) -> str:
    """Pairs whose labels differ, and how many of them people have judged."""
    looks = [one for one in rollout.looks if one.evidence.differ is not None]
    if not looks:
        return ""
    time = _Time.of(rollout, until)
    with figure(WIDTH, 2.6) as (axes, canvas):
        _line(axes, time, looks, lambda one: one.evidence.differ, label="the labels differ", kind=_DIFFER)
        _line(axes, time, looks, lambda one: one.evidence.labelled, label="people have answered", kind=_ANSWERED)
        most = max(one.evidence.differ or 0 for one in looks)
        axes.set_ylim(-0.05 * max(1, most), 1.08 * max(1, most))
        axes.locator_params(axis="y", integer=True)
        axes.set_ylabel("pairs")
        _over_time(axes, time)
        legend_above(axes)
    return canvas.svg


def _decisive(promote: float | None, roll_back: float | None) -> Iterator[tuple[float, str, str]]:
    """The e-values from which a rollout is decided, in words, and their dashes; one where both are the same."""
    if promote is not None and promote == roll_back:
        yield promote, "decides", "--"
        return
    for value, words, dashes in ((promote, "promotes", "--"), (roll_back, "rolls back", ":")):
        if value is not None:
            yield value, words, dashes


def _line(
    axes: Any, time: _Time, looks: Sequence[Decision], value: Callable[[Decision], float | None], *, label: str, kind: Mapping[str, Any]
) -> None:
    points = [(time.at(one.at), value(one)) for one in looks]
    known = [(at, found) for at, found in points if found is not None]
    if known:
        at, found = zip(*known, strict=True)
        axes.plot(at, found, lw=1.6, ms=4.5, label=label, **kind)


def _over_time(axes: Any, time: _Time) -> None:
    axes.set_xlim(0, time.end)
    axes.set_xlabel(f"{time.unit} since the rollout began")
