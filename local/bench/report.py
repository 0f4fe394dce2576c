"""Figures as a table on the terminal and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from local.bench.measure import Comparison, Figure

_UNITS = ((1.0, 1, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "µs"))


def durations(*seconds: float) -> tuple[str, str]:
    """``("24.1 / 26.7", "ms")`` of 0.0241 and 0.0267: three digits or so, in the unit that fits the first one."""
    factor, name = next((factor, name) for least, factor, name in _UNITS if seconds[0] >= least)
    values = (value * factor for value in seconds)
    return " / ".join(f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}" for value in values), name


def table(comparison: Comparison, figures: Sequence[Figure]) -> Table:
    """A line a way: median and quartiles of its time, and the ratio to the first one."""
    title = f"{comparison.name}: {comparison.question}; time per {comparison.unit}"
    result = Table("way", title=title, title_justify="left", title_style="bold", min_width=78)
    for name in ("median", "quartiles", "ratio", "quartiles"):
        result.add_column(name, justify="right")
    for figure in figures:
        median, unit = durations(figure.seconds.median)
        quartiles, same = durations(figure.seconds.low, figure.seconds.high)
        ratio = (f"{figure.ratio.median:.2f}", f"{figure.ratio.low:.2f} / {figure.ratio.high:.2f}")
        result.add_row(figure.name, f"{median} {unit}", f"{quartiles} {same}", *(("base", "") if figure is figures[0] else ratio))
    return result


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {"system": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count(), "load": os.getloadavg()}


def write(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def as_json(comparison: Comparison, figures: Sequence[Figure], seconds: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """One comparison with the seconds of every round."""
    return {
        "question": comparison.question,
        "unit": comparison.unit,
        "base": figures[0].name,
        "ways": [{**asdict(figure), "every_round": list(seconds[figure.name])} for figure in figures],
    }
