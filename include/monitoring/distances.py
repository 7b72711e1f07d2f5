"""Distances between a reference and a current sample, as Evidently defines them.

``wasserstein``: the first Wasserstein distance over the reference's standard deviation. ``jensenshannon``: the square
root of the Jensen-Shannon divergence (natural logarithm). ``psi``: the population stability index.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import wasserstein_distance

BINS = 10
FLOOR = 0.0001  # an empty cell counts as this share, else psi is infinite


def distance(method: str, reference: np.ndarray, current: np.ndarray) -> float:
    """Distance of two samples without nulls, shapes (n,) and (m,): float64 numbers, or categories as int64 codes."""
    if method == "wasserstein":
        scale = max(float(np.std(reference)), 0.001)
        return float(wasserstein_distance(reference, current) / scale)
    expected, found = shares(reference, current)
    return jensen_shannon(expected, found) if method == "jensenshannon" else stability_index(expected, found)


def shares(reference: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of each category, or of each of the bins of both samples together, shape (k,) each."""
    if reference.dtype.kind == "f":
        edges = np.histogram_bin_edges(np.concatenate([reference, current]), bins=BINS)
        counts = [np.histogram(side, edges)[0] for side in (reference, current)]
    else:
        size = int(max(reference.max(), current.max())) + 1
        counts = [np.bincount(side, minlength=size) for side in (reference, current)]
    return counts[0] / len(reference), counts[1] / len(current)


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """Square root of the Jensen-Shannon divergence of two distributions, shape (k,): 0 to 0.833."""
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(p > 0, p * np.log(p / middle), 0.0)
        right = np.where(q > 0, q * np.log(q / middle), 0.0)
    return float(np.sqrt(max((left.sum() + right.sum()) / 2, 0.0)))


def stability_index(p: np.ndarray, q: np.ndarray) -> float:
    """Population stability index of two distributions, shape (k,)."""
    p, q = np.maximum(p, FLOOR), np.maximum(q, FLOOR)
    return float(((q - p) * np.log(q / p)).sum())
