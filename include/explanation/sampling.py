"""Shapley values of any model, by sampling.

For the same game as that of the exact methods: E. Štrumbelj and I. Kononenko, "Explaining prediction models and
individual predictions with feature contributions", Knowledge and Information Systems 41 (2014), 647-665. Each
background row is turned into the row, one input after the other in a random order, and what the output changes by goes
to that input. So the values add up exactly, though each has an error. Every second order is the one before it reversed,
which lowers that error (R. Mitchell et al., "Sampling Permutations for Shapley Value Estimation", JMLR 23 (2022)).
"""

from __future__ import annotations

import numpy as np

from include.explanation.model import Output


def shapley_values(
    output: Output, rows: np.ndarray, background: np.ndarray, groups: np.ndarray, seed: int
) -> np.ndarray:
    """Shapley values, of shape (rows, inputs), of encoded rows; ``groups`` is the one of ``Explained``."""
    inputs = int(groups.max()) + 1
    orders = _orders(len(background), inputs, np.random.default_rng(seed))
    # After k steps the first k inputs of a background row's order come from the row: (background, steps, columns).
    ranks = np.argsort(orders, axis=1)
    from_row = (ranks[:, None, :] < np.arange(inputs + 1)[:, None])[:, :, groups]
    values = np.zeros((len(rows), inputs))
    for number, row in enumerate(rows):
        mixed = np.where(from_row, row, background[:, None, :])
        outputs = output(mixed.reshape(-1, len(groups))).reshape(len(background), inputs + 1)
        values[number] = np.take_along_axis(np.diff(outputs, axis=1), ranks, axis=1).mean(axis=0)
    return values


def _orders(rows: int, inputs: int, rng: np.random.Generator) -> np.ndarray:
    drawn = np.array([rng.permutation(inputs) for _ in range((rows + 1) // 2)])
    return np.stack([drawn, drawn[:, ::-1]], axis=1).reshape(-1, inputs)[:rows]
