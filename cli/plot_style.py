"""How every figure of this project's pages looks: colours, type, and SVG text that needs no other file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
CHAMPION, CHALLENGER, BASELINE, HUMAN, WARNING = "#2563eb", "#d97706", "#9aa5b1", "#059669", "#dc2626"
_STYLE: Any = {
    "font.family": "DejaVu Sans", "font.size": 10, "axes.edgecolor": GRID, "axes.labelcolor": MUTED, "axes.grid": True,
    "axes.axisbelow": True, "grid.color": GRID, "xtick.color": MUTED, "ytick.color": INK, "axes.spines.top": False,
    "axes.spines.right": False, "svg.fonttype": "path", "svg.hashsalt": "reviewloop",
}  # fmt: skip
PAGE_STYLE = """
:root{color-scheme:light}body{font:16px/1.55 system-ui,sans-serif;color:#1f2933;background:#f5f7fa;margin:0}
main{max-width:860px;margin:0 auto;padding:32px 20px 64px}h1{margin:0 0 4px;font-size:28px}h2{font-size:19px;margin:0 0 4px}
section{background:#fff;border:1px solid #e4e7eb;border-radius:10px;padding:20px 24px;margin:18px 0}p{margin:4px 0 12px;color:#52606d}
svg{max-width:100%;height:auto}.facts{display:flex;flex-wrap:wrap;gap:12px;margin:18px 0}
.facts div{background:#fff;border:1px solid #e4e7eb;
border-radius:10px;padding:12px 18px;min-width:120px}.facts b{display:block;font-size:22px}
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
