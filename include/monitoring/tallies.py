"""How often each value stands in a sample: all that distances need of it, however many rows it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

MAXIMUM_CATEGORIES = 256
OTHER = "(other)"

Kind = Literal["number", "category"]


@dataclass(frozen=True)
class Tally:
    """``values`` are distinct and sorted, float64 numbers or texts, ``counts`` say how often each stands there."""

    values: np.ndarray
    counts: np.ndarray

    @property
    def rows(self) -> int:
        return int(self.counts.sum())

    @property
    def is_numeric(self) -> bool:
        return self.values.dtype.kind == "f"

    def cumulative(self, at: np.ndarray) -> np.ndarray:
        """The distribution function of the sample at each of ``at``."""
        up_to = np.concatenate([[0], np.cumsum(self.counts)])
        return np.asarray(up_to[np.searchsorted(self.values, at, side="right")] / self.rows)

    def std(self) -> float:
        """The standard deviation, of all rows (not n - 1)."""
        mean = np.average(self.values, weights=self.counts)
        return float(np.sqrt(np.average((self.values - mean) ** 2, weights=self.counts)))


def comparable(column: pd.Series, kind: Kind) -> pd.Series:
    """``column`` as it is compared: numbers that are finite as float64, categories as text, without nulls.

    Raises ``TypeError`` or ``ValueError`` for what cannot be read as numbers.
    """
    if kind == "number":
        numbers = column.astype("float64")
        return numbers[np.isfinite(numbers.to_numpy())]
    return column.dropna().astype("str")


def tally(column: pd.Series, kind: Kind) -> Tally:
    """The values of ``column`` as of ``comparable``. Raises what that raises."""
    if kind == "number":
        return Tally(*np.unique(comparable(column, kind).to_numpy(), return_counts=True))
    counts = column.value_counts(sort=False)  # far fewer to be made texts than there are rows
    counts = counts[counts > 0].groupby(counts.index[counts > 0].astype("str")).sum()
    return Tally(counts.index.to_numpy(dtype=object), counts.to_numpy())


def frequent(reference: Tally, current: Tally) -> np.ndarray | None:
    """The categories that are compared by themselves where there are very many: the most frequent of the reference.

    None where all are.
    """
    if reference.is_numeric or len(np.union1d(reference.values, current.values)) <= MAXIMUM_CATEGORIES:
        return None
    places = np.argsort(-reference.counts, kind="stable")[: MAXIMUM_CATEGORIES - 1]
    return np.sort(reference.values[places])


def merged(one: Tally, names: np.ndarray | None) -> Tally:
    """``one`` with all categories but ``names`` as one."""
    if names is None:
        return one
    stays = np.isin(one.values, names)
    counts = pd.Series(one.counts).groupby(np.where(stays, one.values, OTHER)).sum()
    return Tally(counts.index.to_numpy(dtype=object), counts.to_numpy())
