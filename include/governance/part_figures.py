"""Figures of the slices and of the fairness of a verdict, as PNG files."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from include.drawing import BLUE, ORANGE, STYLES, blank, plain, write
from include.evaluation.fairness import Disparity
from include.evaluation.resampling import Interval
from include.evaluation.slices import Slice
from include.evaluation.verdict import Verdict
from include.governance.words import METRICS

MOST_SLICES, MOST_METRICS, MOST_GROUPS = 40, 4, 8
LABEL_WIDTH, TITLE_WIDTH = 44, 130
RED, GREY = "#c33333", "#8f8f8f"
CHALLENGER, CHAMPION = STYLES[0][2], STYLES[1][2]


@dataclass(frozen=True)
class _Mark:
    """One line of a panel: a value with its interval, the champion's value and the limit, where there are any."""

    value: float
    interval: Interval
    champion: float | None
    limit: float | None
    color: str


def draw(verdict: Verdict, folder: Path, *, rows: str, columns: Mapping[str, str]) -> list[Path]:
    """Write ``slices`` and ``fairness`` (.png), as far as there is something to show; return their paths.

    ``rows`` says what the rows are, ``columns`` what each column means. The same arguments make the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, Canvas] = {}
    if any(part.figures for part in verdict.slices):
        made["slices"] = _slices(verdict, rows, columns)
    if verdict.fairness:
        made["fairness"] = _fairness(verdict, rows, columns)
    return [write(figure, folder / f"{name}.png") for name, figure in made.items()]


def _slices(verdict: Verdict, rows: str, columns: Mapping[str, str]) -> Canvas:
    shown, more = verdict.slices[:MOST_SLICES], len(verdict.slices) - MOST_SLICES
    measured = {figure.metric for part in shown for figure in part.figures}
    metrics = [metric for metric in METRICS if metric in measured][:MOST_METRICS]
    names = dict.fromkeys(name for part in shown for name in part.values)
    title = f"Slices of the {rows}\n{'; '.join(f'{name}: {columns[name]}' for name in names)}"
    title += f"\n{more} more slices are in verdict.json" if more > 0 else ""
    figure = blank((3.3 + 2.6 * len(metrics), 1.9 + 0.32 * len(shown)), title, TITLE_WIDTH)
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        _panel(axes, [_of_slice(verdict, part, metric) for part in shown])
        axes.set_title(METRICS[metric], fontsize=10)
    labels = [plain(textwrap.fill(f"{part.name} ({part.n:,})", LABEL_WIDTH)) for part in shown]
    panels[0].set_yticks(range(len(shown)), labels, fontsize=8)
    _legend(figure)
    return figure


def _of_slice(verdict: Verdict, part: Slice, metric: str) -> _Mark | None:
    found = next((one for one in part.figures if one.metric == metric), None)
    if found is None or found.interval is None:
        return None
    checks = [check for check in verdict.checks if check.slice == part.name and check.metric == metric]
    limit = next((check.limit for check in checks if check.gain is None), None)
    color = RED if any(check.failed for check in checks) else BLUE if checks else GREY
    return _Mark(found.value, found.interval, found.baseline, limit, color)


def _fairness(verdict: Verdict, rows: str, columns: Mapping[str, str]) -> Canvas:
    metrics = [one.metric for one in verdict.fairness[0].disparities]
    figure = blank((2.9 + 2.9 * len(verdict.fairness), 4.6), f"How far groups of the {rows} differ")
    panels = figure.subplots(1, len(verdict.fairness), sharex=True, sharey=True, squeeze=False)[0]
    for axes, found in zip(panels, verdict.fairness, strict=True):
        _panel(axes, [_of_groups(verdict, one) for one in found.disparities])
        about = "\n".join(plain(f"{name}: {columns[name]}") for name in found.by)
        axes.set_title(about, fontsize=9)
        groups = [f"{group.name} ({group.n:,})" for group in found.groups[:MOST_GROUPS]]
        axes.set_xlabel(plain("\n".join(groups)), fontsize=7.5)
    panels[0].set_yticks(range(len(metrics)), [METRICS[metric] for metric in metrics], fontsize=9)
    panels[0].set_xlim(-0.12, 1.12)
    _legend(figure)
    return figure


def _of_groups(verdict: Verdict, found: Disparity) -> _Mark | None:
    if len(found.compared) < 2:
        return None
    of = " and ".join(found.by)
    check = next((one for one in verdict.checks if one.slice == of and one.metric == found.metric), None)
    if check is None:
        return _Mark(found.value, found.interval, found.champion, None, GREY)
    return _Mark(found.value, found.interval, found.champion, check.limit, RED if check.failed else BLUE)


def _panel(axes: Axes, marks: Sequence[_Mark | None]) -> None:
    """One mark below the other, from the top."""
    there = [(place, mark) for place, mark in enumerate(marks) if mark is not None]
    places, shown = [place for place, _ in there], [mark for _, mark in there]
    colors = [mark.color for mark in shown]
    axes.hlines(places, [m.interval.low for m in shown], [m.interval.high for m in shown], colors=colors, linewidth=1.3)
    axes.scatter([mark.value for mark in shown], places, c=colors, s=24, marker=CHALLENGER, zorder=3)
    champions = {place: mark.champion for place, mark in there if mark.champion is not None}
    axes.scatter(
        [*champions.values()], [*champions], s=20, marker=CHAMPION, facecolors="none", edgecolors=ORANGE, zorder=4
    )
    limits = {place: mark.limit for place, mark in there if mark.limit is not None}
    lines = [place - 0.32 for place in limits], [place + 0.32 for place in limits]
    axes.vlines(list(limits.values()), *lines, colors="black", linewidth=1.6)
    for place in set(range(len(marks))) - set(places):
        across = axes.get_yaxis_transform()
        axes.text(0.02, place, "too few rows", fontsize=7.5, color=GREY, va="center", transform=across)
    axes.set_ylim(len(marks) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="x", labelsize=8)


def _legend(figure: Canvas) -> None:
    dots = {"challenger (bar: 95 %)": BLUE, "not within its limit": RED, "without a limit": GREY}
    handles = [Line2D([], [], marker=CHALLENGER, color=color, linestyle="", label=name) for name, color in dots.items()]
    handles.append(Line2D([], [], marker=CHAMPION, color=ORANGE, linestyle="", fillstyle="none", label="champion"))
    handles.append(Line2D([], [], marker="|", color="black", linestyle="", markersize=9, label="limit"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)
