"""Figures of a comparison as PNG files. No pyplot: it keeps global state, and tasks share a process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_auc_score, roc_curve

COLORS = ("#1f5fa8", "#d9822b", "#4c9a5b", "#8a5aa8")
THRESHOLD = 0.5
Scores = Mapping[str, np.ndarray]


def draw(labels: np.ndarray, scores: Scores, folder: Path) -> list[Path]:
    """Write ``roc``, ``precision_recall``, ``calibration`` and ``confusion`` (.png) to ``folder``; return their paths.

    ``labels`` (0 or 1, both present) and each model's ``scores`` are of shape (rows,); the keys are the legend.
    """
    folder.mkdir(parents=True, exist_ok=True)
    curves: dict[str, Callable[[Axes, np.ndarray, Scores], None]] = {
        "roc": _roc,
        "precision_recall": _precision_recall,
        "calibration": _calibration,
    }
    paths = []
    for name, curve in curves.items():
        figure, (axes,) = _figure(1)
        curve(axes, labels, scores)
        axes.set(xlim=(0, 1), ylim=(0, 1.01))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
        paths.append(_write(figure, folder / f"{name}.png"))
    return [*paths, _confusion(labels, scores, folder / "confusion.png")]


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(5.2 * panels, 4.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


def _write(figure: Figure, path: Path) -> Path:
    # Without the software's version the same figure is the same file.
    figure.savefig(path, metadata={"Software": None})
    return path


def _roc(axes: Axes, labels: np.ndarray, scores: Scores) -> None:
    for (name, values), color in zip(scores.items(), COLORS, strict=False):
        x, y, _ = roc_curve(labels, values)
        axes.plot(x, y, color=color, label=f"{name} (AUC {roc_auc_score(labels, values):.3f})")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--", label="chance")
    axes.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")


def _precision_recall(axes: Axes, labels: np.ndarray, scores: Scores) -> None:
    for (name, values), color in zip(scores.items(), COLORS, strict=False):
        precision, recall, _ = precision_recall_curve(labels, values)
        axes.plot(recall, precision, color=color, label=name, drawstyle="steps-post")
    axes.axhline(labels.mean(), color="grey", linewidth=0.8, linestyle="--", label="base rate")
    axes.set(title="Precision and recall", xlabel="recall", ylabel="precision")


def _calibration(axes: Axes, labels: np.ndarray, scores: Scores) -> None:
    for (name, values), color in zip(scores.items(), COLORS, strict=False):
        observed, predicted = calibration_curve(labels, values, n_bins=10, strategy="quantile")
        axes.plot(predicted, observed, color=color, marker="o", markersize=4, label=name)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--", label="perfect")
    axes.set(title="Calibration (tenths of the rows)", xlabel="mean score", ylabel="observed rate")


def _confusion(labels: np.ndarray, scores: Scores, path: Path) -> Path:
    figure, panels = _figure(len(scores))
    for axes, (name, values) in zip(panels, scores.items(), strict=True):
        counts = confusion_matrix(labels, values >= THRESHOLD, labels=[0, 1])
        axes.imshow(counts, cmap="Blues", vmin=0, vmax=counts.max() * 1.4)
        for (row, column), count in np.ndenumerate(counts):
            axes.text(column, row, f"{count:,}", ha="center", va="center", fontsize=13)
        axes.set(title=f"{name} at {THRESHOLD}", xlabel="predicted", ylabel="actual")
        axes.set(xticks=[0, 1], yticks=[0, 1], xticklabels=["negative", "positive"])
        axes.set_yticklabels(["negative", "positive"], rotation=90, va="center")
    return _write(figure, path)
