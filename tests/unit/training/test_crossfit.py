"""Scores of training rows by models that did not see them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.evaluation.metrics import single
from include.spec import UseCase
from include.training.crossfit import PARTS, cross_fitted

Matrix = tuple[pd.DataFrame, np.ndarray, pd.Series]


@pytest.fixture(scope="module")
def matrix(telco_csv, churn: UseCase) -> Matrix:
    from include.data import contract
    from include.features.build import build
    from include.training.preparation import as_categories

    rows = contract.conform(contract.read(telco_csv, churn), churn).frame.head(1500)
    days = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(len(rows)) % 30, unit="D")
    return as_categories(build(rows, churn)), rows["label"].to_numpy(), pd.Series(days)


def scores(matrix: Matrix, churn: UseCase) -> np.ndarray:
    candidate = churn.training.candidates["decision_tree"]
    return cross_fitted(*matrix, candidate, {"max_depth": 12, "min_samples_leaf": 2}, churn)


def test_every_row_has_a_score_that_no_model_learned_by_heart(matrix: Matrix, churn: UseCase):
    """A deep tree knows the labels that it was fitted on; of other rows it knows what there is to know."""
    from include.training.search import fit

    found, labels = scores(matrix, churn), matrix[1]
    assert ((found >= 0) & (found <= 1)).all()
    candidate = churn.training.candidates["decision_tree"]
    by_heart = fit(matrix[0], labels, candidate, {"max_depth": 12, "min_samples_leaf": 2}, churn)
    assert single("roc_auc", labels, by_heart.predict_proba(matrix[0])[:, 1]) > 0.95
    assert 0.6 < single("roc_auc", labels, found) < 0.85


def test_rows_of_one_day_are_left_out_together(matrix: Matrix, churn: UseCase):
    """The labels of one part change nothing in the scores of that part."""
    frame, labels, observed = matrix
    part = observed < observed.min() + pd.Timedelta(days=30 // PARTS)
    other = np.where(part, 1 - labels, labels)
    before, after = scores(matrix, churn), scores((frame, other, observed), churn)
    np.testing.assert_array_equal(before[part], after[part])
    assert not np.array_equal(before[~part], after[~part])


def test_a_part_whose_model_would_know_one_class_only_has_no_score(matrix: Matrix, churn: UseCase):
    frame, _, observed = matrix
    part = observed < observed.min() + pd.Timedelta(days=30 // PARTS)
    found = scores((frame, (part & (np.arange(len(part)) % 2 == 0)).to_numpy().astype(float), observed), churn)
    np.testing.assert_array_equal(np.isnan(found), part)
