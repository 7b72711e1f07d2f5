"""What chance alone makes of a distance: between two samples of one distribution, here the reference's own."""

from __future__ import annotations

import numpy as np

from include.monitoring.distances import divergence, scale, shares

RESAMPLES = 1_000
CELLS = 100
"""Numbers are resampled as percentile cells: within 1 % of resampling them, and as fast for any number of rows."""
TAIL_FROM = 0.95


def limit(method: str, reference: np.ndarray, size: int, level: float, rng: np.random.Generator) -> float:
    """The distance that two samples of one distribution stay below with probability ``level`` (above 0.95).

    ``reference``, of shape (n,), stands for the distribution; the samples are of length n and ``size``. The bootstrap
    (Efron 1979) shows the distances up to ``TAIL_FROM``; above it there are too few of them, and the tail is taken as
    exponential with their mean excess: peaks over threshold (Pickands 1975) with shape 0. Tails of distances fall
    faster, so that the limit is on the safe side.
    """
    # The population stability index is a squared distance: its root has the faster tail.
    power = 0.5 if method == "psi" else 1.0
    found = _resampled(method, reference, size, rng) ** power
    start = float(np.quantile(found, TAIL_FROM))
    beyond = found[found > start] - start
    excess = float(beyond.mean()) if len(beyond) else 0.0
    return float((start + excess * np.log((1 - TAIL_FROM) / (1 - level))) ** (1 / power))


def _resampled(method: str, reference: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Distances of resamples, shape (RESAMPLES,)."""
    if method != "wasserstein":
        before, after = _draws(shares(reference, reference)[0], len(reference), size, rng)
        return divergence(method, before, after)
    weights, gaps = _cells(reference)
    before, after = _draws(weights, len(reference), size, rng)
    # In one dimension the distance is the area between the two distribution functions.
    return np.asarray(np.abs(np.cumsum(before - after, axis=1))[:, :-1] @ gaps / scale(reference))


def _draws(weights: np.ndarray, n: int, m: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the cells in samples of ``n`` and of ``m`` rows, shape (RESAMPLES, k) each."""
    return rng.multinomial(n, weights, RESAMPLES) / n, rng.multinomial(m, weights, RESAMPLES) / m


def _cells(reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of each quantile cell, shape (k,), and the gaps between the means of neighbours, shape (k - 1,)."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, CELLS + 1)))
    cell = np.searchsorted(edges, reference, side="right")
    _, codes, counts = np.unique(cell, return_inverse=True, return_counts=True)
    means = np.bincount(codes, weights=reference) / counts
    return counts / len(reference), np.diff(means)
