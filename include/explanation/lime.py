"""LIME: a simple model that stands for the model near one row.

M. T. Ribeiro, S. Singh and C. Guestrin, "'Why Should I Trust You?' Explaining the Predictions of Any Classifier", KDD
2016, for tables: rows around the one that is asked for are drawn input by input from the background; each is described
by which inputs agree with the row (the same category, or a number in the same quarter of the background), weighted by
an exponential kernel of how many do, and a ridge regression of the model's output on that gives the effects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from include.explanation.model import Explained, Unit

SAMPLES = 5000
KERNEL_WIDTH = 0.75
"""Times the square root of the number of inputs, as the authors' own program has it."""
RIDGE = 1.0


@dataclass(frozen=True)
class LocalModel:
    """``effects``, of shape (inputs,), in ``unit``: how the output differs where the input agrees with the row.

    ``fidelity`` is the weighted R² of the simple model around the row: near 0, the effects say little.
    """

    names: tuple[str, ...]
    effects: np.ndarray
    base: float
    fidelity: float
    unit: Unit


def lime(model: Explained, row: pd.DataFrame, background: pd.DataFrame, seed: int = 0) -> LocalModel:
    """Explain the one ``row``; ``background`` is the distribution it is disturbed by. Both are model inputs."""
    rng = np.random.default_rng(seed)
    inputs = len(model.names)
    drawn = rng.integers(0, len(background), (SAMPLES, inputs))
    same = np.column_stack([_agrees(background[name], row[name].iloc[0]) for name in model.names])
    agrees = np.take_along_axis(same, drawn, axis=0)
    encoded = model.encode(background)[drawn[:, model.groups], np.arange(len(model.groups))]
    agrees[0], encoded[0] = True, model.encode(row)[0]
    distance = np.sqrt((~agrees).sum(axis=1))
    weights = np.exp(-0.5 * (distance / (KERNEL_WIDTH * np.sqrt(inputs))) ** 2)
    outputs = model.output(encoded)
    local = Ridge(alpha=RIDGE).fit(agrees, outputs, weights)
    fidelity = float(local.score(agrees, outputs, weights))
    return LocalModel(model.names, local.coef_, float(local.intercept_), fidelity, model.unit)


def _agrees(column: pd.Series, value: object) -> np.ndarray:
    """Which values of ``column`` count as the same as ``value``, of shape (rows,)."""
    if column.dtype != np.float64:
        return (column.astype(object) == value).to_numpy()
    numbers, number = column.to_numpy(), np.float64(value)  # type: ignore[arg-type]
    if np.isnan(number) or np.isnan(numbers).all():
        return np.isnan(numbers)
    edges = np.unique(np.nanquantile(numbers, [0.25, 0.5, 0.75]))
    return (np.searchsorted(edges, numbers) == np.searchsorted(edges, number)) & ~np.isnan(numbers)
