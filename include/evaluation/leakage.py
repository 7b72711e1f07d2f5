"""How much of the label one feature alone gives away: what nothing honest reaches was written after the event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.evaluation.metrics import single
from include.features.build import MISSING


@dataclass(frozen=True, slots=True)
class Alone:
    """What one feature says about the label by itself; each ROC AUC is from 0.5 (nothing) to 1 (the label)."""

    roc_auc: float
    missing_roc_auc: float
    """Of nothing but whether it has a value."""
    is_copy: bool
    """It has two values, one for each label."""


def columns_alone(
    train: pd.DataFrame, train_labels: np.ndarray, holdout: pd.DataFrame, labels: np.ndarray
) -> dict[str, Alone]:
    """What each feature reaches alone on the hold-out rows, whichever way it points.

    Numbers are scored as they are, null as the median; categories as their share of positives among the training rows.
    Frames are (rows, features), text as pandas categories; labels are 0 or 1, of shape (rows,). NaN where the hold-out
    has one class only.
    """
    return {
        name: Alone(
            roc_auc=_either_way(_score(train[name], train_labels, holdout[name]), labels),
            missing_roc_auc=_either_way(_missing(holdout[name]).to_numpy(dtype=float), labels),
            is_copy=_is_copy(holdout[name], labels),
        )
        for name in holdout.columns
    }


def _score(train: pd.Series, labels: np.ndarray, holdout: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(train):
        ranks = holdout.fillna(train.median()).fillna(0.0).rank()
    else:
        shares = pd.Series(labels).groupby(train.array, observed=True).mean()
        ranks = holdout.map(shares).astype(float).fillna(labels.mean()).rank()
    return (ranks / max(len(ranks), 1)).to_numpy(dtype=float)


def _missing(column: pd.Series) -> pd.Series:
    return column.isna() if pd.api.types.is_numeric_dtype(column) else column.isna() | (column == MISSING)


def _is_copy(column: pd.Series, labels: np.ndarray) -> bool:
    return column.nunique(dropna=False) == 2 and all(
        column[labels == label].nunique(dropna=False) == 1 for label in (0, 1)
    )


def _either_way(scores: np.ndarray, labels: np.ndarray) -> float:
    found = single("roc_auc", labels, scores)
    return max(found, 1 - found)
