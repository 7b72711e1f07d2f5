"""Distances between a reference and a current sample, as Evidently defines them.

``wasserstein``: the first Wasserstein distance over the reference's standard deviation, which counts as at least 0.001,
so that a column of smaller numbers needs another method. ``jensenshannon``: the square root of the Jensen-Shannon
divergence (natural logarithm). ``psi``: the population stability index.
"""

from __future__ import annotations

import numpy as np

from include.monitoring.tallies import Tally

SMALLEST_SCALE = 0.001
FEW_VALUES = 20
"""Numbers with at most so many values in the reference are compared value by value, others in bins."""
EMPTY_SHARE = 0.0001
"""What an empty cell counts as in ``psi``, which would else be infinite."""


def distance(method: str, reference: Tally, current: Tally) -> float:
    """Distance of two samples, none of which is empty: both of numbers, or both of categories."""
    if method == "wasserstein":
        # In one dimension the distance is the area between the two distribution functions.
        values = np.union1d(reference.values, current.values)
        gaps = np.abs(reference.cumulative(values[:-1]) - current.cumulative(values[:-1]))
        return float(gaps @ np.diff(values) / scale(reference))
    return float(divergence(method, *shares(reference, current)))


def scale(reference: Tally) -> float:
    """The unit of ``wasserstein``."""
    return max(reference.std(), SMALLEST_SCALE)


def shares(reference: Tally, current: Tally) -> tuple[np.ndarray, np.ndarray]:
    """The share of each category, value or bin in the reference and in the current sample, shape (k,) each."""
    edges = bins(reference, current)
    cells = np.union1d(reference.values, current.values)
    before, after = (
        np.histogram(side.values, edges, weights=side.counts)[0]
        if edges is not None
        else np.bincount(np.searchsorted(cells, side.values), weights=side.counts, minlength=len(cells))
        for side in (reference, current)
    )
    return before / reference.rows, after / current.rows


def bins(reference: Tally, current: Tally) -> np.ndarray | None:
    """The edges between which numbers are counted, by Sturges' rule; None where each value counts by itself."""
    if not reference.is_numeric or len(reference.values) <= FEW_VALUES:
        return None
    low = min(reference.values[0], current.values[0])
    high = max(reference.values[-1], current.values[-1])
    width = (high - low) / (np.log2(reference.rows + current.rows) + 1)
    return np.linspace(low, high, int(np.ceil((high - low) / width)) + 1)


def divergence(method: str, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """``jensenshannon`` or ``psi`` of two distributions, shape (..., k) each; returns shape (...)."""
    return _jensen_shannon(p, q) if method == "jensenshannon" else _stability_index(p, q)


def _jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(p > 0, p * np.log(p / middle), 0.0) + np.where(q > 0, q * np.log(q / middle), 0.0)
    return np.asarray(np.sqrt(np.maximum(parts.sum(axis=-1) / 2, 0.0)))


def _stability_index(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    p, q = _filled(p), _filled(q)
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=-1))


def _filled(p: np.ndarray) -> np.ndarray:
    """``p`` with a small share for empty cells, smaller where the smallest share that is there is small itself."""
    least = np.min(p, axis=-1, keepdims=True, initial=1.0, where=p > 0)
    return np.where(p > 0, p, np.where(least <= EMPTY_SHARE, least / 10**6, EMPTY_SHARE))
