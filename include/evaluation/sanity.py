"""What a model has to be beside good: free of leaks, the same in any order, and usable where it is served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.evaluation.leakage import Alone
from include.features.build import build
from include.spec import UseCase

TURNED_ROWS = 1000
"""Hold-out rows whose scores are compared in another order."""


@dataclass(frozen=True, slots=True)
class LoadAndPredict:
    """What the package did in a process that knew nothing of the training and answered ``rows`` rows."""

    rows: int
    difference: float
    """The greatest one of a score from what it is where the model was trained."""
    load_seconds: float
    predict_milliseconds: float
    """Of all ``rows`` at once; the median of several times."""
    memory_megabytes: float
    """The most that the process held, its libraries included."""


@dataclass(frozen=True, slots=True)
class CompiledScores:
    """How far compiled scores are from scikit-learn's at most, on all ``rows`` of the hold-out."""

    rows: int
    difference: float


@dataclass(frozen=True, slots=True)
class Sanity:
    """All that is found of one model."""

    columns: Mapping[str, Alone]
    order_difference: float
    """By how much a score changes at most with the order of rows and columns."""
    load_and_predict: LoadAndPredict
    compiled: CompiledScores | None = None
    """None where there are no compiled scores."""


def order_difference(
    score: Callable[[pd.DataFrame], np.ndarray], rows: pd.DataFrame, scores: np.ndarray, spec: UseCase
) -> float:
    """By how much ``scores`` change at most when ``rows`` and their columns come the other way round, turned back.

    ``rows`` are as they are published, at least one; ``scores``, of shape (rows,), were given to them among others. So
    a feature that looks at other rows, or at the place of a column, is found out, and so is a model that does.
    """
    turned = build(rows.iloc[::-1, ::-1], spec)
    return float(np.abs(score(turned.iloc[:, ::-1])[::-1] - scores).max())
