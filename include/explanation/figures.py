"""Figures of an explanation as PNG files."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from include.drawing import BLUE, ORANGE, blank, plain, write
from include.explanation.importance import DEPENDENCE_ROWS, Dependence, labels_of
from include.explanation.surrogate import Node, Surrogate

if TYPE_CHECKING:
    from include.explanation.report import Explanation

LOW_TO_HIGH = LinearSegmentedColormap.from_list("low to high", [BLUE, "#c9c9c9", ORANGE])
MOST_BARS, MOST_SWARMS, MOST_CURVES = 20, 12, 9
NAMED_CATEGORIES = 4
LONGEST_LABEL = 26
CENTRED: dict[str, Any] = {"ha": "center", "va": "center"}


def draw(explanation: Explanation, folder: Path, *, rows: str, positive: str) -> list[Path]:
    """Write ``importance``, ``shap_summary``, ``partial_dependence`` and ``surrogate`` (.png); return their paths.

    ``rows`` says what the rows are, ``positive`` what the score is the probability of. The same arguments make the same
    bytes.
    """
    found = explanation.attributions
    on = f"{len(explanation.rows):,} {rows}"
    few = f"{min(len(explanation.rows), DEPENDENCE_ROWS):,} {rows}"
    how = f"{on}; SHAP values: {'sampled' if found.method == 'sampled' else 'exact'}"
    same = f"Mean score ({positive}) if all rows had the same value"
    made = {
        "importance": _importance(explanation, f"What the model goes by\n{how}"),
        "shap_summary": _summary(explanation, f"What raises and lowers the score ({positive})\n{how}"),
        "partial_dependence": _dependence(explanation, f"{same}\n{few}"),
        "surrogate": _surrogate(explanation.surrogate, positive, on),
    }
    return [write(figure, folder / f"{name}.png") for name, figure in made.items() if figure]


def _short(text: str, longest: int = LONGEST_LABEL) -> str:
    return plain(text if len(text) <= longest else f"{text[: longest - 1]}…")


def _importance(explanation: Explanation, title: str) -> Figure:
    order = explanation.order[:MOST_BARS]
    found, permutation = explanation.attributions, explanation.permutation
    figure = blank((9.2, 1.7 + 0.28 * len(order)), title)
    shap, loss = figure.subplots(1, 2, sharey=True)
    places = np.arange(len(order))
    shap.barh(places, found.importance[order], color=BLUE)
    shap.set(xlabel=f"mean of |SHAP value|, {found.unit}", yticks=places)
    shap.set_yticklabels([_short(found.names[number]) for number in order])
    shap.invert_yaxis()
    loss.barh(places, permutation.mean[order], xerr=permutation.std[order], color=ORANGE, ecolor="#555555")
    lost = f"{permutation.metric.replace('_', ' ')} lost, of {permutation.baseline:.3f}, when the input is shuffled"
    loss.set(xlabel=f"{lost}\nlines: standard deviation")
    for axes in (shap, loss):
        axes.grid(axis="x", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _summary(explanation: Explanation, title: str) -> Figure:
    found, order = explanation.attributions, explanation.order[:MOST_SWARMS]
    figure = blank((9.2, 1.9 + 0.62 * len(order)), title)
    axes = figure.subplots()
    for place, number in enumerate(order):
        _swarm(axes, place, found.values[:, number], explanation.rows[found.names[number]].to_numpy(dtype=object))
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set(xlabel=f"SHAP value: what the input adds to the score, {found.unit}", ylim=(len(order) - 0.4, -0.6))
    axes.set_yticks(np.arange(len(order)), [_short(found.names[number]) for number in order])
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    bar = figure.colorbar(ScalarMappable(cmap=LOW_TO_HIGH), ax=axes, ticks=[0, 1], aspect=40, pad=0.01)
    bar.set_ticklabels(["low", "high"])
    bar.set_label("value of a number; categories are named in the order of their mean")
    return figure


def _swarm(axes: Axes, place: int, effects: np.ndarray, values: np.ndarray) -> None:
    """One dot for each row, those of about the same effect side by side."""
    spread = place + 0.26 * _side_by_side(effects)
    if isinstance(values[0], float):
        numbers = values.astype(float)
        ranks = np.searchsorted(np.sort(numbers), numbers) / max(len(numbers) - 1, 1)
        axes.scatter(effects, spread, s=5, c=ranks, cmap=LOW_TO_HIGH, vmin=0, vmax=1, linewidths=0)
        return
    axes.scatter(effects, spread, s=5, c="#8f8f8f", linewidths=0)
    names, counts = np.unique(values.astype(str), return_counts=True)
    common = names[np.argsort(-counts, kind="stable")][:NAMED_CATEGORIES]
    from_left = sorted(common, key=lambda name: float(effects[values == name].mean()))
    text = "   <   ".join(_short(name) for name in from_left)
    axes.text(0.5, place + 0.4, text, transform=axes.get_yaxis_transform(), ha="center", va="center", fontsize=7.5)


def _side_by_side(effects: np.ndarray, bins: int = 120) -> np.ndarray:
    """Where each dot goes, -1 to 1: dots of one narrow bin are spread evenly, the fuller the bin the wider."""
    width = np.ptp(effects) or 1.0
    bin_of = np.minimum(((effects - effects.min()) / width * bins).astype(int), bins - 1)
    order = np.argsort(bin_of, kind="stable")
    counts = np.bincount(bin_of, minlength=bins)
    rank = np.empty(len(effects))
    rank[order] = np.arange(len(effects)) - np.repeat(np.cumsum(counts) - counts, counts)
    full = counts[bin_of]
    return (2 * (rank + 0.5) / full - 1) * np.sqrt(full / full.max())


def _dependence(explanation: Explanation, title: str) -> Figure | None:
    by_name = {one.name: one for one in explanation.dependence}
    names = [explanation.attributions.names[number] for number in explanation.order]
    shown = [by_name[name] for name in names if name in by_name][:MOST_CURVES]
    if not shown:
        return None
    across = min(3, len(shown))
    down = -(-len(shown) // across)
    figure = blank((3.6 * across, 1.0 + 2.6 * down), title)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    low = min(one.scores.min() for one in shown)
    high = max(one.scores.max() for one in shown)
    room = max(high - low, 0.02) * 0.15
    for axes, one in zip(panels, shown, strict=False):
        _curve(axes, one)
        axes.set(ylim=(max(0.0, low - room), min(1.0, high + room)))
        axes.set_title(_short(one.name), fontsize=10)
        axes.grid(axis="y", alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for axes in panels[::across]:
        axes.set_ylabel("mean score")
    return figure


def _curve(axes: Axes, one: Dependence) -> None:
    if isinstance(one.values[0], float):
        axes.plot(one.values, one.scores, color=BLUE, marker="o", markersize=3)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        return
    order = np.argsort(-one.shares, kind="stable")[:5]
    places = np.arange(len(order))
    axes.vlines(places, 0, one.scores[order], color=BLUE, alpha=0.35, linewidth=6)
    axes.plot(places, one.scores[order], color=BLUE, marker="o", linestyle="none")
    texts = labels_of(one)
    axes.set_xticks(places, [textwrap.fill(_short(texts[number]), 12) for number in order], fontsize=7.5)
    axes.set_xlim(-0.6, len(order) - 0.4)


def _surrogate(surrogate: Surrogate, positive: str, on: str) -> Figure:
    fidelity = f"R² {surrogate.r2:.2f}, rank agreement {surrogate.rank_agreement:.2f} with the model's own scores"
    title = f"The model in a few rules: mean score ({positive}) and share of the rows"
    figure = blank((12.5, 5.6), f"{title}\n{fidelity}, measured on {on}")
    axes = figure.subplots()
    axes.set_axis_off()
    leaves = _width(surrogate.root)
    depth = _depth(surrogate.root)
    _box(axes, surrogate.root, 0.0, float(leaves), 0)
    axes.set(xlim=(0, leaves), ylim=(-depth - 0.45, 0.45))
    figure.colorbar(
        ScalarMappable(cmap=LOW_TO_HIGH), ax=axes, format=PercentFormatter(1), aspect=40, pad=0.01, label="mean score"
    )
    return figure


def _box(axes: Axes, node: Node, left: float, right: float, level: int) -> float:
    """Draw ``node`` and what is below it between ``left`` and ``right``; return where its middle is."""
    middle = (left + right) / 2
    if node.yes is not None and node.no is not None:
        cut = left + _width(node.yes)
        below = (_box(axes, node.yes, left, cut, level + 1), _box(axes, node.no, cut, right, level + 1))
        for word, x in zip(("yes", "no"), below, strict=True):
            axes.plot([middle, x], [-level, -level - 1], color="#777777", linewidth=0.9, zorder=1)
            axes.text((middle + x) / 2, -level - 0.5, word, fontsize=8, zorder=2, backgroundcolor="w", **CENTRED)
    question = f"{textwrap.fill(_short(node.condition, 60), 22)}?\n" if node.condition else ""
    text = f"{question}{node.score:.1%}\n{node.share:.0%} of rows"
    # White below the colour, so that no line shines through.
    for color, order in (("white", 3), ((*LOW_TO_HIGH(node.score)[:3], 0.55), 4)):
        box = {"boxstyle": "round,pad=0.45", "facecolor": color, "edgecolor": "none"}
        axes.text(middle, -level, text, fontsize=8.5, zorder=order, bbox=box, **CENTRED)
    return middle


def _width(node: Node) -> int:
    return 1 if node.yes is None or node.no is None else _width(node.yes) + _width(node.no)


def _depth(node: Node) -> int:
    return 0 if node.yes is None or node.no is None else 1 + max(_depth(node.yes), _depth(node.no))
