"""How much each input of a row moves the model's output away from that of the background: SHAP values.

All methods answer the same question (S. Lundberg and S.-I. Lee, "A Unified Approach to Interpreting Model
Predictions", NeurIPS 2017, in its interventional form), so that values of models of different kinds can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.explanation import sampling, trees
from include.explanation.model import Explained, Method, Unit
from include.explanation.samples import digest

TOLERANCE = 1e-6
"""How far base value and SHAP values may add up to something else than the model's output, in its unit."""


class AdditivityError(ValueError):
    """SHAP values that do not add up to the output of the model, so that they explain something else."""


@dataclass(frozen=True)
class Attributions:
    """``values`` are of shape (rows, inputs): what each input adds to ``base``, the background's mean output.

    Base and values add up to ``outputs``, of shape (rows,): the model's own, in ``unit``.
    """

    names: tuple[str, ...]
    values: np.ndarray
    base: float
    outputs: np.ndarray
    unit: Unit
    method: Method
    background_sha256: str

    def __post_init__(self) -> None:
        if not self.error <= TOLERANCE:  # NaN is no less an error
            gaps = np.abs(self.base + self.values.sum(axis=1) - self.outputs)
            row = int(np.argmax(np.where(np.isnan(gaps), np.inf, gaps)))
            raise AdditivityError(
                f"base value and SHAP values ({self.method}) add up to {self.base + self.values[row].sum():.9g} in row "
                f"{row}, the model's output is {self.outputs[row]:.9g} {self.unit}: off by {gaps[row]:.3g}, at most "
                f"{TOLERANCE:g} is allowed; {(~(gaps <= TOLERANCE)).sum()} of {len(gaps)} rows are off"
            )

    @property
    def error(self) -> float:
        """The greatest difference between the sums and the outputs."""
        return float(np.abs(self.base + self.values.sum(axis=1) - self.outputs).max(initial=0.0))

    @property
    def importance(self) -> np.ndarray:
        """Mean of the absolute values over the rows, of shape (inputs,)."""
        return np.abs(self.values).mean(axis=0)


def attribute(model: Explained, rows: pd.DataFrame, background: pd.DataFrame, seed: int = 0) -> Attributions:
    """SHAP values of ``rows`` against the rows of ``background``, both model inputs.

    ``seed`` matters for the method *sampled* only. Raises ``AdditivityError``.
    """
    encoded, against = model.encode(rows), model.encode(background)
    match model.method:
        case "linear":
            values = _linear(model, encoded, against)
        case "tree":
            values = trees.shapley_values(model.core, encoded, against, model.groups)
        case "sampled":
            values = sampling.shapley_values(model.output, encoded, against, model.groups, seed)
    base, outputs = float(model.output(against).mean()), model.output(encoded)
    return Attributions(model.names, values, base, outputs, model.unit, model.method, digest(background))


def _linear(model: Explained, rows: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Exact: a coefficient times the distance from the background's mean, summed over the columns of each input."""
    parts = model.core.coef_[0] * (rows - background.mean(axis=0))
    belongs = model.groups[:, None] == np.arange(len(model.names))
    return parts @ belongs
