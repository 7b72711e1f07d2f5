"""What is measured of parts of the rows: how good the models are on each, and how far the sensitive groups differ."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from include.evaluation import fairness, slices
from include.evaluation.thresholds import Thresholds
from include.spec import UseCase


def measure(
    rows: pd.DataFrame,
    labels: np.ndarray,
    scores: Mapping[str, np.ndarray],
    spec: UseCase,
    thresholds: Mapping[str, Thresholds | None] | None = None,
) -> tuple[tuple[slices.Slice, ...], tuple[fairness.Fairness, ...]]:
    """The slices of the ``challenger`` and, where ``scores`` has one, the ``champion``, and their fairness.

    ``rows`` has the columns of ``spec.groupings``; ``labels`` (0 or 1) and scores (probabilities) are of shape (rows,).
    ``thresholds`` are those of a model that has one for each group.
    """
    seed, sensitive = spec.training.seed, set(spec.sensitive_columns)
    divisions = slices.groupings(rows, spec)
    protected = [division for division in divisions if sensitive.issuperset(division.by)]
    chosen = {name: acted_on(rows, one, (thresholds or {}).get(name), spec) for name, one in scores.items()}
    decided = {name: fairness.Decided(one, chosen[name]) for name, one in scores.items()}
    return (
        slices.measure(divisions, labels, scores, spec.gate, spec.decision, seed=seed),
        fairness.measure(protected, labels, decided, spec.gate.slices, seed=seed),
    )


def acted_on(rows: pd.DataFrame, scores: np.ndarray, thresholds: Thresholds | None, spec: UseCase) -> np.ndarray:
    """Which rows are acted on; with one threshold for all, too, where the spec has the groups of a champion no more."""
    if thresholds is None or not thresholds.go_with(spec):
        return np.asarray(scores >= spec.decision.threshold)
    return thresholds.decide(scores, slices.grouping(rows, thresholds.by, spec).of_rows)
