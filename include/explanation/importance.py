"""What the model as a whole makes of each input: permutation importance and partial dependence.

As scikit-learn's ``inspection`` defines them, on rows that are encoded once: a category's columns move together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.evaluation.metrics import single
from include.explanation.model import Explained
from include.explanation.reasons import as_text
from include.spec import LOWER_IS_BETTER

REPEATS = 5
DEPENDENCE_ROWS = 500
"""Rows that a curve of partial dependence is a mean of."""
GRID = 16
TAIL = 0.05
"""What a curve leaves out at each end of a number, where rows are few."""
MOST_CATEGORIES = 30


@dataclass(frozen=True)
class PermutationImportance:
    """By how much ``metric`` gets worse when an input is shuffled among the rows; arrays are of shape (inputs,)."""

    metric: str
    baseline: float
    mean: np.ndarray
    std: np.ndarray


@dataclass(frozen=True)
class Dependence:
    """Mean score of the rows when all of them have each of ``values`` in the input ``name``."""

    name: str
    values: tuple[float, ...] | tuple[str, ...]
    scores: np.ndarray
    shares: np.ndarray
    """Of the rows how many have the value; of a number, how many lie nearest to it."""


def permutation_importance(
    model: Explained, rows: pd.DataFrame, labels: np.ndarray, metric: str, seed: int
) -> PermutationImportance:
    """L. Breiman, "Random Forests", Machine Learning 45 (2001); ``rows`` are inputs that were not learned from."""
    rng = np.random.default_rng(seed)
    encoded, sign = model.encode(rows), -1 if metric in LOWER_IS_BETTER else 1
    baseline = single(metric, labels, model.score(encoded))
    drops = np.empty((len(model.names), REPEATS))
    for group in range(len(model.names)):
        columns = model.groups == group
        for repeat in range(REPEATS):
            shuffled = encoded.copy()
            shuffled[:, columns] = rng.permutation(encoded[:, columns])
            drops[group, repeat] = sign * (baseline - single(metric, labels, model.score(shuffled)))
    return PermutationImportance(metric, baseline, drops.mean(axis=1), drops.std(axis=1))


def partial_dependence(model: Explained, rows: pd.DataFrame) -> list[Dependence]:
    """J. Friedman, "Greedy Function Approximation", Annals of Statistics 29 (2001); one for each input that varies."""
    grids = {name: _grid(rows[name]) for name in model.names}
    longest = max(len(grid) for grid, _ in grids.values())
    # All values of all inputs are encoded at once, each in its column.
    values = model.encode(pd.DataFrame({name: np.resize(grid, longest) for name, (grid, _) in grids.items()}))
    encoded = model.encode(rows)
    return [
        Dependence(
            name, tuple(grid.tolist()), _means(model, encoded, model.groups == group, values[: len(grid)]), shares
        )
        for group, (name, (grid, shares)) in enumerate(grids.items())
        if len(grid) > 1
    ]


def _means(model: Explained, encoded: np.ndarray, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean score of all rows with each of ``values`` in the ``columns``, of shape (values,)."""
    scores = np.empty(len(values))
    changed = encoded.copy()
    for number, value in enumerate(values):
        changed[:, columns] = value[columns]
        scores[number] = model.score(changed).mean()
    return scores


def _grid(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The values to ask for, and the share of the rows that each stands for; at least one value."""
    if column.dtype != np.float64:
        counts = column.astype(object).value_counts().head(MOST_CATEGORIES)
        return counts.index.to_numpy(dtype=object), counts.to_numpy() / len(column)
    numbers = column.dropna().to_numpy()
    if not len(numbers):
        return np.array([np.nan]), np.ones(1)
    distinct = np.unique(numbers)
    grid = distinct if len(distinct) <= GRID else np.unique(np.quantile(numbers, np.linspace(TAIL, 1 - TAIL, GRID)))
    nearest = np.searchsorted((grid[1:] + grid[:-1]) / 2, numbers)
    return grid, np.bincount(nearest, minlength=len(grid)) / len(column)


def labels_of(dependence: Dependence) -> list[str]:
    """The values for a person."""
    return [as_text(value) for value in dependence.values]
