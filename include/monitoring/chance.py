"""What chance alone makes of distances: between two samples of one distribution, here the reference's own.

The limits of all columns are drawn together, from the same resampled rows, so that as many windows without drift pass
one of them as should: columns that say the same count as one (the smallest p-value of all columns is held against its
own distribution: P. Westfall and S. Young, "Resampling-Based Multiple Testing", 1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.special import gammaincc, gammainccinv
from scipy.stats import poisson

from include.monitoring.distances import bins, divergence, scale
from include.monitoring.tallies import Tally

RESAMPLES = 2_000
MOST_ROWS = 5_000
"""Rows that are resampled; of more rows, chance is scaled down as it falls with their number."""
PERCENTILES = 100
"""Numbers are resampled as percentile cells: within 1 % of resampling them, and as fast for any number of values."""


@dataclass(frozen=True)
class Compared:
    """A column of the reference as its distance sees it.

    ``cells`` are the cells of the resampled rows, of shape (rows,), -1 without a value. ``gaps`` are those between
    neighbouring cells in the unit of ``wasserstein``, of shape (cells - 1,), and None for other methods. ``sizes`` are
    the rows with a value in the whole reference and in the current sample.
    """

    method: str
    cells: np.ndarray
    gaps: np.ndarray | None
    sizes: tuple[int, int]


def compared(method: str, rows: pd.Series, reference: Tally, current: Tally) -> Compared:
    """The column of which ``rows`` are those of the reference that are resampled, null without a value."""
    gaps: np.ndarray | None = None
    if method == "wasserstein":
        numbers = rows.to_numpy()
        edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, PERCENTILES + 1)))
        cells = pd.factorize(pd.Series(np.searchsorted(edges, numbers, side="right")).where(rows.notna()), sort=True)[0]
        known = cells >= 0
        means = np.bincount(cells[known], weights=numbers[known]) / np.bincount(cells[known])
        gaps = np.diff(means) / scale(reference)
    elif (between := bins(reference, reference)) is not None:
        cells = pd.factorize(pd.Series(np.searchsorted(between, rows.to_numpy())).where(rows.notna()))[0]
    else:
        cells = pd.factorize(rows)[0]
    return Compared(method, cells, gaps, (reference.rows, current.rows))


def limits(columns: Sequence[Compared], level: float, rng: np.random.Generator) -> list[float]:
    """For each column the distance that it stays below; all of them do together with probability ``level``.

    The bootstrap (Efron 1979) shows the squares of the distances, which for samples of many rows are sums of squares;
    each column's are taken as a multiple of chi-square with their mean and variance (F. Satterthwaite, "An Approximate
    Distribution of Estimates of Variance Components", Biometrics 2, 1946). That makes columns comparable; the level is
    kept by what the smallest p-value of all columns is in the resamples.
    """
    rows = len(columns[0].cells)
    share = min(1.0, max(column.sizes[1] for column in columns) / rows)
    weights = [_copies(rate, (rows, RESAMPLES), rng) for rate in (1.0, share)]
    squares = [_squares(column, *weights) for column in columns]
    fits = [_Scaled.of(found) for found in squares]
    smallest = np.min([fit.p_values(found) for fit, found in zip(fits, squares, strict=True)], axis=0)
    p_value = float(np.quantile(smallest, 1 - level))
    # The population stability index is a square itself.
    return [
        fit.at(p_value) ** (1.0 if column.method == "psi" else 0.5) for column, fit in zip(columns, fits, strict=True)
    ]


@dataclass(frozen=True)
class _Scaled:
    """A gamma distribution by its moments: chi-square times a factor, with any number of degrees of freedom."""

    mean: float
    variance: float

    @classmethod
    def of(cls, squares: np.ndarray) -> _Scaled:
        return cls(float(squares.mean()), float(squares.var()))

    def p_values(self, squares: np.ndarray) -> np.ndarray:
        if not self.variance:
            return np.ones(len(squares))
        return np.asarray(gammaincc(self.mean**2 / self.variance, squares * self.mean / self.variance))

    def at(self, p_value: float) -> float:
        """The square that is passed with this probability."""
        if not self.variance:
            return self.mean
        return float(gammainccinv(self.mean**2 / self.variance, p_value) * self.variance / self.mean)


def _squares(column: Compared, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Squared distances of resamples as if they were of the column's sizes, shape (RESAMPLES,)."""
    known = np.flatnonzero(column.cells >= 0)
    shape = (int(column.cells.max()) + 1, len(column.cells))
    belongs = csr_array((np.ones(len(known), np.float32), (column.cells[known], known)), shape=shape)
    counts = [np.asarray(belongs @ weights, dtype=np.float64).T for weights in (before, after)]
    drawn = [np.maximum(side.sum(axis=1), 1.0) for side in counts]
    p, q = (side / total[:, None] for side, total in zip(counts, drawn, strict=True))
    if column.gaps is not None:
        squares = (np.abs(np.cumsum(p - q, axis=1))[:, :-1] @ column.gaps) ** 2
    else:
        squares = divergence(column.method, p, q) ** (1 if column.method == "psi" else 2)
    return np.asarray(squares * _noise(*column.sizes) / _noise(*drawn))


def _copies(rate: float, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """How often each row is drawn: Poisson with mean ``rate`` of at most 1, from a table of 65,536 equal chances."""
    table = np.searchsorted(poisson.cdf(np.arange(12), rate), (np.arange(1 << 16) + 0.5) / (1 << 16))
    return table.astype(np.float32)[rng.integers(0, 1 << 16, shape, dtype=np.uint16)]


def _noise(n: np.ndarray | float, m: np.ndarray | float) -> np.ndarray:
    """What the square of a distance is proportional to that samples of ``n`` and ``m`` rows have by chance."""
    return np.asarray(1 / n + 1 / m)
