"""Distances between a reference and a current sample, as Evidently defines them, and what chance makes of them.

``wasserstein``: the first Wasserstein distance over the reference's standard deviation. ``jensenshannon``: the square
root of the Jensen-Shannon divergence (natural logarithm). ``psi``: the population stability index.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import wasserstein_distance

BINS = 10
CELLS = 256
"""Numbers are resampled as this many quantile cells: as exact as needed, and fast at any number of rows."""
FLOOR = 0.0001  # an empty cell counts as this share, else psi is infinite


def distance(method: str, reference: np.ndarray, current: np.ndarray) -> float:
    """Distance of two samples without nulls, shapes (n,) and (m,): float64 numbers, or categories as int64 codes."""
    if method == "wasserstein":
        return float(wasserstein_distance(reference, current) / _scale(reference))
    return float(_of_shares(method, *shares(reference, current)))


def by_chance(method: str, reference: np.ndarray, size: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Distances, shape (resamples,), between two samples of the reference itself, of its own length and of ``size``."""
    if method == "wasserstein":
        weights, gaps = _cells(reference)
    else:
        weights, gaps = shares(reference, reference)[0], None
    before, after = (rng.multinomial(n, weights, resamples) / n for n in (len(reference), size))
    if gaps is None:
        return _of_shares(method, before, after)
    return np.asarray(np.abs(np.cumsum(before - after, axis=1))[:, :-1] @ gaps / _scale(reference))


def shares(reference: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of each category, or of each of the bins of both samples together, shape (k,) each."""
    if reference.dtype.kind == "f":
        edges = np.histogram_bin_edges(np.concatenate([reference, current]), bins=BINS)
        counts = [np.histogram(side, edges)[0] for side in (reference, current)]
    else:
        size = int(max(reference.max(), current.max())) + 1
        counts = [np.bincount(side, minlength=size) for side in (reference, current)]
    return counts[0] / len(reference), counts[1] / len(current)


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Square root of the Jensen-Shannon divergence of distributions, shape (..., k): 0 to 0.833."""
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(p > 0, p * np.log(p / middle), 0.0)
        right = np.where(q > 0, q * np.log(q / middle), 0.0)
    return np.sqrt(np.maximum((left + right).sum(axis=-1) / 2, 0.0))


def stability_index(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Population stability index of distributions, shape (..., k)."""
    p, q = np.maximum(p, FLOOR), np.maximum(q, FLOOR)
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=-1))


def _of_shares(method: str, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return jensen_shannon(p, q) if method == "jensenshannon" else stability_index(p, q)


def _scale(reference: np.ndarray) -> float:
    return max(float(np.std(reference)), 0.001)


def _cells(reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The reference as quantile cells: the share of each, shape (k,), and the gaps between their means, (k - 1,)."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, CELLS + 1)))
    codes = np.clip(np.searchsorted(edges, reference, side="right") - 1, 0, max(len(edges) - 1, 0))
    counts = np.bincount(codes)
    present = counts > 0
    means = np.bincount(codes, weights=reference)[present] / counts[present]
    return counts[present] / len(reference), np.diff(means)
