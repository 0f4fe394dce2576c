"""How every figure of this project's pages looks: colours, type, and SVG text that needs no other file.

No figure says anything by colour alone: markers, dashes, hatches and words say it, too. Text has a contrast of 4.5, markers one of 3.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

INK, MUTED, GRID = "#1f2933", "#52606d", "#e4e7eb"
CHAMPION, CHALLENGER, BASELINE, HUMAN, WARNING = "#2563eb", "#d97706", "#7b8794", "#059669", "#dc2626"
WIDTH = 5.6
"""Inches. As wide as a page's column, the type is a little larger than the page's; on a phone it can be read still."""
ROOM_OF_A_LEGEND = 44
"""Characters of a legend that stand in one line above a figure."""
_STYLE: Any = {
    "font.family": "DejaVu Sans", "font.size": 10, "axes.edgecolor": GRID, "axes.labelcolor": MUTED, "axes.grid": True,
    "axes.axisbelow": True, "grid.color": GRID, "xtick.color": MUTED, "ytick.color": INK, "axes.spines.top": False,
    "axes.spines.right": False, "svg.fonttype": "path", "svg.hashsalt": "reviewloop", "text.color": INK,
}  # fmt: skip
PAGE_STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{font:16px/1.55 system-ui,sans-serif;color:#1f2933;background:#f5f7fa;margin:0;overflow-wrap:break-word}
main{max-width:860px;margin:0 auto;padding:32px 20px 64px}h1{margin:0 0 4px;font-size:28px;line-height:1.25}
h2{font-size:19px;line-height:1.3;margin:0 0 4px}
section{background:#fff;border:1px solid #e4e7eb;border-radius:10px;padding:20px 24px;margin:18px 0}p{margin:4px 0 12px;color:#52606d}
a{color:#2563eb}svg{display:block;width:100%;max-width:680px;height:auto;margin:0 0 8px}
.facts{display:flex;flex-wrap:wrap;gap:12px;margin:18px 0}
.facts div{background:#fff;border:1px solid #e4e7eb;
border-radius:10px;padding:12px 18px;min-width:120px}.facts b{display:block;font-size:22px}.facts small{color:#52606d}
dt{font-weight:600}dd{margin:0 0 8px;color:#52606d}summary{cursor:pointer;font-weight:600}
@media(max-width:600px){main{padding:16px 8px 40px}section{padding:14px 12px}.facts div{padding:8px 12px;min-width:0}
.facts{display:grid;grid-template-columns:1fr 1fr;gap:8px}.facts b{font-size:19px}}
"""


class Canvas:
    """The SVG text, there once the ``with`` block has ended."""

    svg = ""


@contextmanager
def figure(width: float, height: float) -> Iterator[tuple[Any, Canvas]]:
    """Axes of one figure, in inches, and the canvas that has its SVG afterwards."""
    import matplotlib as mpl  # takes a second, which a page without a figure need not wait for

    mpl.use("svg")
    import matplotlib.pyplot as plt

    canvas = Canvas()
    with plt.rc_context(_STYLE):
        drawn, axes = plt.subplots(figsize=(width, height))
        try:
            yield axes, canvas
            drawn.tight_layout()
            buffer = io.StringIO()
            drawn.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
            text = buffer.getvalue()
            canvas.svg = text[text.index("<svg") :]
        finally:
            plt.close(drawn)


def legend_above(axes: Any, handles: Sequence[Any] | None = None) -> None:
    """The legend above the axes, where it hides nothing; one entry per line where they are long."""
    known = axes.get_legend_handles_labels()[0] if handles is None else list(handles)
    words = sum(len(str(one.get_label())) + 4 for one in known)
    axes.legend(
        handles=known, frameon=False, fontsize=9, loc="lower left", bbox_to_anchor=(0, 1.02), borderaxespad=0,
        ncols=len(known) if words <= ROOM_OF_A_LEGEND else 1,
    )  # fmt: skip


def beside(axes: Any, row: float, text: str) -> None:
    """A row's figure at the right of the axes, where no marker is."""
    axes.text(1.02, row, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9)


def as_percent(axis: Any) -> None:
    """Shares from 0 to 1 are written as percent."""
    axis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
