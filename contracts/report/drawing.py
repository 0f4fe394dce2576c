"""Small parts of the page: escaped text, tables, and drawings in SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

ROWS_SHOWN = 30
_DARKEST = (30, 90, 150)
"""Of the confusion matrix: the cell of a label that is always answered right."""


@dataclass(frozen=True)
class Html:
    """What is HTML already. Everything else is escaped."""

    code: str


Cell = Html | str | int | float | None


def cell_html(value: Cell) -> str:
    if isinstance(value, Html):
        return value.code
    return "" if value is None else escape(f"{value:,}" if isinstance(value, int) else str(value))


def percent(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{100 * value:.{digits}f} %"


def ranged(interval: Mapping[str, Any] | None) -> str:
    """``79.1 % (76.2 to 81.9)``"""
    if interval is None:
        return ""
    return f"{percent(interval['value'])} ({100 * interval['low']:.1f} to {100 * interval['high']:.1f})"


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, texts: Sequence[int] = (), stacked: bool = True) -> Html:
    """A table; rows beyond the first thirty are folded away.

    Args:
        texts: indices of columns with text; the first column always has text.
        stacked: on a narrow screen the cells of a row stand below each other.
    """
    if not rows:
        return Html("")
    shown, more = (_table(columns, part, texts, stacked=stacked).code for part in (rows[:ROWS_SHOWN], rows[ROWS_SHOWN:]))
    folded = len(rows) - ROWS_SHOWN
    return Html(shown if folded <= 0 else f"{shown}<details><summary>{folded:,} more</summary>{more}</details>")


def _table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], texts: Sequence[int], *, stacked: bool) -> Html:
    kinds = [' class="t"' if index in texts or index == 0 else "" for index in range(len(columns))]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in zip(kinds, columns, strict=True))
    if stacked:
        kinds = [f'{kind} data-name="{escape(name)}"' if name else kind for kind, name in zip(kinds, columns, strict=True)]
    body = "".join(
        "<tr>" + "".join(f'<td{kind} dir="auto">{cell_html(value)}</td>' for kind, value in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    kind = ' class="stack"' if stacked else ""
    return Html(f'<div class="wide"><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def interval_bar(interval: Mapping[str, Any] | None) -> Html:
    """A share from 0 to 1 with its interval; the dot of 0 or 1 is whole."""
    if interval is None:
        return Html("")
    low, value, high = (3 + 114 * interval[name] for name in ("low", "value", "high"))
    return Html(
        f'<svg class="bar" viewBox="0 0 120 12" role="img" aria-label="{escape(ranged(interval))}"><rect width="120" height="12"/>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="6" y2="6"/><circle cx="{value:.1f}" cy="6" r="2.5"/></svg>'
    )


def curve(points: Sequence[tuple[float, Mapping[str, float]]]) -> Html:
    """Points (x, interval) joined by a line, x from 0, y from the lowest to the highest interval's end."""
    least, most = min(one["low"] for _, one in points), max(one["high"] for _, one in points)
    span, width = max(most - least, 1e-6), max(x for x, _ in points)

    def place(x: float, y: float) -> tuple[float, float]:
        return 70 + 410 * x / width, 190 - 150 * (y - least) / span

    dots, ends = [], []
    for x, one in points:
        left, middle = place(x, one["value"])
        ends.append(f"{left:.1f},{middle:.1f}")
        dots.append(
            f'<line x1="{left:.1f}" x2="{left:.1f}" y1="{place(x, one["low"])[1]:.1f}" y2="{place(x, one["high"])[1]:.1f}"/>'
            f'<circle cx="{left:.1f}" cy="{middle:.1f}" r="4"/><text x="{left:.1f}" y="211" text-anchor="middle">{x:,.0f}</text>'
        )
    marks = '<text x="8" y="16">accuracy, 95 % interval</text><text x="500" y="234" text-anchor="end">training texts</text>'
    marks += "".join(f'<text x="60" y="{place(0, y)[1] + 4:.1f}" text-anchor="end">{percent(y)}</text>' for y in (least, most))
    return Html(
        f'<svg class="curve" viewBox="0 0 520 240" role="img" aria-label="learning curve">{marks}'
        f'<polyline points="{" ".join(ends)}"/>{"".join(dots)}</svg>'
    )


def heat(value: int, row_total: int) -> Html:
    """A cell of a confusion matrix, darker the larger its share of the row."""
    share = value / row_total if row_total else 0.0
    red, green, blue = (round(255 + share * (dark - 255)) for dark in _DARKEST)
    ink = readable_on((red / 255, green / 255, blue / 255))
    return Html(f'<span class="heat" style="background:rgb({red},{green},{blue});color:{ink}">{value:,}</span>')


def readable_on(colour: Sequence[float]) -> str:
    """Black or white, whichever has more contrast with this colour of red, green and blue, 0..1 each: 4.5 at least with any colour.

    Source: WCAG 2.2, contrast ratio.
    """
    return "#000000" if contrast(colour, (0.0, 0.0, 0.0)) >= contrast(colour, (1.0, 1.0, 1.0)) else "#ffffff"


def contrast(one: Sequence[float], other: Sequence[float]) -> float:
    """1 to 21. WCAG asks for 4.5 of text, and for 3 of large text and of what a figure shows."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Sequence[float]) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=False))
