"""Scores of training rows by models of one kind and settings that were not fitted on them.

Where few rows are held out, they say little of what a model's scores mean. Of the rows that it was fitted on, models
that learned from all but some days say nearly the same (M. Stone, "Cross-Validatory Choice and Assessment of
Statistical Predictions", 1974). They learn from later days, too: nothing is chosen by these scores.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from include.spec import Candidate, UseCase
from include.training.preparation import probability
from include.training.search import Params, fit
from include.training.split import utc_days

PARTS = 5


def cross_fitted(
    frame: pd.DataFrame, labels: np.ndarray, observed_at: pd.Series, candidate: Candidate, params: Params, spec: UseCase
) -> np.ndarray:
    """Probabilities of the positive class, before any calibration, of shape (rows,); the days are cut into ``PARTS``.

    NaN for rows whose model would have learned from one class only.
    """
    days = utc_days(observed_at)
    scores = np.full(len(labels), np.nan)
    for part in np.array_split(np.unique(days), PARTS):
        left_out = np.isin(days, part)
        if len(part) and len(np.unique(labels[~left_out])) == 2:
            model = fit(frame[~left_out], labels[~left_out], candidate, params, spec)
            scores[left_out] = probability(model, frame[left_out])
    return scores
