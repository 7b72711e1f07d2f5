"""Distances between a reference and a current sample, as Evidently defines them.

``wasserstein``: the first Wasserstein distance over the reference's standard deviation, which counts as at least 0.001,
so that a column of smaller numbers needs another method. ``jensenshannon``: the square root of the Jensen-Shannon
divergence (natural logarithm). ``psi``: the population stability index.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import wasserstein_distance

SMALLEST_SCALE = 0.001
FEW_VALUES = 20
"""Numbers with at most so many values in the reference are compared value by value, others in bins."""
EMPTY_SHARE = 0.0001
"""What an empty cell counts as in ``psi``, which would else be infinite."""


def distance(method: str, reference: np.ndarray, current: np.ndarray) -> float:
    """Distance of two samples without nulls, shapes (n,) and (m,): float64 numbers, or categories as int64 codes."""
    if method == "wasserstein":
        return float(wasserstein_distance(reference, current) / scale(reference))
    return float(divergence(method, *shares(reference, current)))


def scale(reference: np.ndarray) -> float:
    """The unit of ``wasserstein``."""
    return max(float(np.std(reference)), SMALLEST_SCALE)


def shares(reference: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of each category, value or bin in the reference and in the current sample, shape (k,) each."""
    both = np.concatenate([reference, current])
    if reference.dtype.kind == "f" and len(np.unique(reference)) > FEW_VALUES:
        edges = np.histogram_bin_edges(both, bins="sturges")
        before, after = (np.histogram(side, edges)[0] for side in (reference, current))
    else:
        _, codes = np.unique(both, return_inverse=True)
        before, after = (np.bincount(side, minlength=codes.max() + 1) for side in np.split(codes, [len(reference)]))
    return before / len(reference), after / len(current)


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
