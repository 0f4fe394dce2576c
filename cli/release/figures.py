"""The figures of a rollout's page, over the time since it began. All return SVG text; one without anything to show is empty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cli.plot_style import CHALLENGER, CHAMPION, HUMAN, INK, MUTED, WARNING, figure
from cli.release.history import Decision, Rollout, moment

WIDTH = 7.6
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
        axes.fill_between(at, share, 100, step="post", color=CHAMPION, alpha=0.75, label="champion", lw=0)
        axes.fill_between(at, 0, share, step="post", color=CHALLENGER, alpha=0.85, label="challenger", lw=0)
        axes.set_ylim(0, 100)
        axes.set_ylabel("traffic, %")
        _over_time(axes, time, "upper left")
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
        _line(axes, time, looks, lambda one: one.evidence.e_promote, label="for it: refutes a loss of the margin", colour=HUMAN)
        _line(axes, time, looks, lambda one: one.evidence.e_roll_back, label='against it: refutes "not worse"', colour=WARNING)
        for value, words, colour in ((thresholds.promote, "promote", HUMAN), (thresholds.roll_back, "roll back", WARNING)):
            if value is not None:
                same = thresholds.promote == thresholds.roll_back
                axes.axhline(value, color=INK if same else colour, lw=1, ls="--")
                axes.annotate(
                    f"{'decides' if same else words} from {value:,.0f}", (0, value), textcoords="offset points", xytext=(2, 3),
                    color=INK if same else colour, fontsize=8,
                )  # fmt: skip
        axes.set_ylabel("e-value")
        _over_time(axes, time, "lower left")
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
            axes.axhline(-100 * margin, color=WARNING, lw=1, ls="--")
            axes.annotate("the loss that must be refuted", (0, -100 * margin), textcoords="offset points", xytext=(2, -10), fontsize=8,
                          color=WARNING)  # fmt: skip
        axes.set_ylabel("challenger minus\nchampion, points")
        _over_time(axes, time, None)
    return canvas.svg


def pairs(rollout: Rollout, until: datetime) -> str:
    """Pairs whose labels differ, and how many of them people have judged."""
    looks = [one for one in rollout.looks if one.evidence.differ is not None]
    if not looks:
        return ""
    time = _Time.of(rollout, until)
    with figure(WIDTH, 2.6) as (axes, canvas):
        _line(axes, time, looks, lambda one: one.evidence.differ, label="people are asked: the labels differ", colour=CHAMPION)
        _line(axes, time, looks, lambda one: one.evidence.labelled, label="people have answered", colour=HUMAN)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("pairs")
        _over_time(axes, time, "upper left")
    return canvas.svg


def _line(axes: Any, time: _Time, looks: Sequence[Decision], value: Callable[[Decision], float | None], *, label: str, colour: str) -> None:
    points = [(time.at(one.at), value(one)) for one in looks]
    known = [(at, found) for at, found in points if found is not None]
    if known:
        at, found = zip(*known, strict=True)
        axes.plot(at, found, color=colour, lw=1.6, marker="o", ms=3.5, label=label)


def _over_time(axes: Any, time: _Time, legend: str | None) -> None:
    axes.set_xlim(0, time.end)
    axes.set_xlabel(f"{time.unit} since the rollout began")
    if legend is not None:
        axes.legend(frameon=False, loc=legend, fontsize=9)
