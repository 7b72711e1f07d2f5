"""What all figures have in common. No pyplot: it keeps global state, and tasks share a process."""

from __future__ import annotations

import textwrap
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from include.files import whole

# Told apart without colours, too: a figure may be printed, and not everybody sees the same ones.
STYLES = (("#1f5fa8", "-", "o"), ("#d9822b", "--", "s"), ("#4c9a5b", "-.", "^"), ("#8a5aa8", ":", "D"))
BLUE, ORANGE = STYLES[0][0], STYLES[1][0]
TITLE_WIDTH = 90


def blank(size: tuple[float, float], title: str, width: int = TITLE_WIDTH) -> Figure:
    """An empty figure of this size in inches; each line of ``title`` is broken after ``width`` characters."""
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle("\n".join(textwrap.fill(plain(line), width) for line in title.splitlines()), fontsize=11)
    return figure


def plain(text: str) -> str:
    """``text`` with dollars as such: between two of them Matplotlib sees a formula."""
    return text.replace("$", r"\$")


def write(figure: Figure, path: Path) -> Path:
    """Write a PNG; the same figure is the same file, since the software's version is left out."""
    with whole(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})
    return path
