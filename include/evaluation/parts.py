"""What is measured of parts of the rows: how good the models are on each, and how far the sensitive groups differ."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from include.evaluation import fairness, slices
from include.spec import UseCase


def measure(
    rows: pd.DataFrame, labels: np.ndarray, scores: Mapping[str, np.ndarray], spec: UseCase
) -> tuple[tuple[slices.Slice, ...], tuple[fairness.Fairness, ...]]:
    """The slices of the ``challenger`` and, where ``scores`` has one, the ``champion``, and their fairness.

    ``rows`` has the columns of ``spec.groupings``; ``labels`` (0 or 1) and scores (probabilities) are of shape (rows,).
    """
    seed, sensitive = spec.training.seed, set(spec.sensitive_columns)
    divisions = slices.groupings(rows, spec)
    protected = [division for division in divisions if sensitive.issuperset(division.by)]
    decided = {name: fairness.Decided(one, one >= spec.decision.threshold) for name, one in scores.items()}
    return (
        slices.measure(divisions, labels, scores, spec.gate, spec.decision, seed=seed),
        fairness.measure(protected, labels, decided, spec.gate.slices, seed=seed),
    )
