"""How much of the label one feature alone gives away: what nothing honest reaches was written after the event."""

from __future__ import annotations

import numpy as np
import pandas as pd

from include.evaluation.metrics import single


def column_roc_auc(
    train: pd.DataFrame, train_labels: np.ndarray, holdout: pd.DataFrame, labels: np.ndarray
) -> dict[str, float]:
    """ROC AUC of each feature alone on the hold-out rows, whichever way it points: 0.5 (nothing) to 1 (the label).

    Numbers are scored as they are, null as the median; categories as their share of positives among the training
    rows. Frames are (rows, features), labels 0 or 1 of shape (rows,). NaN where the hold-out has one class only.
    """
    return {name: _either_way(_score(train[name], train_labels, holdout[name]), labels) for name in holdout.columns}


def _score(train: pd.Series, labels: np.ndarray, holdout: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(train):
        ranks = holdout.fillna(train.median()).fillna(0.0).rank()
    else:
        shares = pd.Series(labels).groupby(train.array, observed=True).mean()
        ranks = holdout.map(shares).astype(float).fillna(labels.mean()).rank()
    return (ranks / max(len(ranks), 1)).to_numpy(dtype=float)


def _either_way(scores: np.ndarray, labels: np.ndarray) -> float:
    found = single("roc_auc", labels, scores)
    return max(found, 1 - found)
