"""Figures of a comparison as PNG files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

from include.drawing import STYLES, blank, plain, write
from include.evaluation.metrics import DEFAULT, Metrics, evaluate
from include.spec import Decision

GROUPS = 10
DARK = 0.55
TITLE_WIDTH = 70


@dataclass(frozen=True)
class _Model:
    name: str
    scores: np.ndarray
    metrics: Metrics
    color: str
    line: str
    marker: str


def draw(
    labels: np.ndarray,
    scores: Mapping[str, np.ndarray],
    folder: Path,
    *,
    rows: str = "rows",
    classes: tuple[str, str] = ("negative", "positive"),
    decision: Decision = DEFAULT,
) -> list[Path]:
    """Write ``roc``, ``precision_recall``, ``calibration`` and ``confusion`` (.png) to ``folder``; return their paths.

    ``labels`` (0 or 1, both present) and the ``scores`` of each model, four at most, are of shape (rows,); the keys are
    the legend. ``rows`` says what the rows are, ``classes`` what 0 and 1 mean, ``decision`` from which score on a row
    is flagged. The same arguments make the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    models = [
        _Model(name, values, evaluate(labels, values, decision), *style)
        for (name, values), style in zip(scores.items(), STYLES, strict=False)
    ]
    on = f"{len(labels):,} {rows}, {int(labels.sum()):,} of them {classes[1]}"
    classes = plain(classes[0]), plain(classes[1])
    curves: dict[str, tuple[str, Callable[[Axes, np.ndarray, Sequence[_Model]], None]]] = {
        "roc": ("ROC", _roc),
        "precision_recall": ("Precision and recall", _precision_recall),
        "calibration": ("Calibration, by tenths of the rows", _calibration),
    }
    paths = []
    for name, (title, curve) in curves.items():
        figure, (axes,) = _figure(1, f"{title}\n{on}")
        curve(axes, labels, models)
        axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
        axes.grid(alpha=0.25)
        axes.legend(fontsize=9)
        paths.append(write(figure, folder / f"{name}.png"))
    figure, panels = _figure(len(models), f"Confusion\n{on}")
    for axes, model in zip(panels, models, strict=True):
        _confusion(axes, labels, model, classes)
    return [*paths, write(figure, folder / "confusion.png")]


def _figure(panels: int, title: str) -> tuple[Figure, list[Axes]]:
    size = (5.6, 5.8) if panels == 1 else (4.6 * panels, 5.2)
    figure = blank(size, title, TITLE_WIDTH)
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def _roc(axes: Axes, labels: np.ndarray, models: Sequence[_Model]) -> None:
    for model in models:
        x, y, _ = roc_curve(labels, model.scores)
        interval = f"95 % {model.metrics.roc_auc_low:.3f} to {model.metrics.roc_auc_high:.3f}"
        label = f"{model.name}: AUC {model.metrics.roc_auc:.3f} ({interval})"
        axes.plot(x, y, color=model.color, linestyle=model.line, label=label)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":", label="chance: AUC 0.5")
    axes.set(xlabel="false positive rate: share of the negatives that are flagged")
    axes.set(ylabel="true positive rate: share of the positives that are found")


def _precision_recall(axes: Axes, labels: np.ndarray, models: Sequence[_Model]) -> None:
    for model in models:
        precision, recall, _ = precision_recall_curve(labels, model.scores)
        label = f"{model.name}: average precision {model.metrics.average_precision:.3f}"
        axes.plot(recall, precision, color=model.color, linestyle=model.line, label=label, drawstyle="steps-post")
    base = float(labels.mean())
    axes.axhline(base, color="grey", linewidth=0.8, linestyle=":", label=f"flagging all: {base:.3f}")
    axes.set(xlabel="recall: share of the positives that are found")
    axes.set(ylabel="precision: share of the flagged that are positive")


def _calibration(axes: Axes, labels: np.ndarray, models: Sequence[_Model]) -> None:
    for model in models:
        predicted, observed, errors = _tenths(labels, model.scores)
        axes.errorbar(
            predicted,
            observed,
            errors,
            color=model.color,
            linestyle=model.line,
            marker=model.marker,
            markersize=4,
            capsize=2,
            elinewidth=0.9,
            label=f"{model.name}: Brier score {model.metrics.brier:.3f}",
        )
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":", label="perfect; bars: 95 % (Wilson)")
    axes.set(xlabel="mean score of a tenth", ylabel="share of it that is positive")


def _tenths(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean score and share of positives, shape (k,), and how far its interval reaches down and up, shape (2, k).

    Equal scores stay together, so that there may be fewer than ten groups.
    """
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, GROUPS + 1)[1:-1]))
    groups = np.searchsorted(edges, scores)
    present = np.unique(groups)
    predicted = np.array([scores[groups == group].mean() for group in present])
    tests = [binomtest(int(labels[groups == group].sum()), int((groups == group).sum())) for group in present]
    observed = np.array([test.statistic for test in tests])
    low, high = np.array([test.proportion_ci(method="wilson") for test in tests]).T
    return predicted, observed, np.clip([observed - low, high - observed], 0, None)


def _confusion(axes: Axes, labels: np.ndarray, model: _Model, classes: tuple[str, str]) -> None:
    threshold = model.metrics.threshold
    counts = confusion_matrix(labels, model.scores >= threshold, labels=[0, 1])
    shares = counts / counts.sum(axis=1, keepdims=True)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        text = f"{counts[row, column]:,}\n{100 * share:.0f} % of the row"
        color = "white" if share > DARK else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=11, color=color)
    axes.set_title(f"{model.name}, flagged from a score of {threshold:.3g} on", fontsize=10)
    axes.set(xlabel="predicted", ylabel="actual", xticks=[0, 1], yticks=[0, 1], xticklabels=classes)
    axes.set_yticklabels(classes, rotation=90, va="center")
