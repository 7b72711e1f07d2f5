"""The quick way through a pipeline gives what scikit-learn's own gives, bit for bit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.spec import Candidate, UseCase
from include.training.candidates import ESTIMATORS, make
from include.training.fingerprint import model_hash
from include.training.preparation import (
    ESTIMATOR,
    PREPARE,
    as_categories,
    fit_prepare,
    learned_categories,
    probability,
    transform,
)

ROWS = pd.DataFrame(
    {
        "n": [1.0, np.nan, 3.0, 4.0, 0.0, -1.0] * 5,
        "m": [np.nan] * 30,
        "c": pd.Series(["b", "a", "b", "missing", "a", "é"] * 5, dtype=object),
        "d": pd.Series(["x"] * 30, dtype=object),
    }
)
LABELS = np.tile([0.0, 1.0, 1.0], 10)


def fitted(kind: str, frame: pd.DataFrame, labels: np.ndarray, types: dict[str, str]):
    """The pipeline fitted by scikit-learn, and the same fitted the quick way to categories."""
    slow, quick = (make(Candidate(kind=kind), types, {}, 3) for _ in range(2))
    quick[ESTIMATOR].fit(fit_prepare(quick[PREPARE], as_categories(frame)), labels)
    return slow.fit(frame, labels), quick


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_telco(kind: str, training, churn: UseCase) -> None:
    slow, quick = fitted(kind, training.inputs, training.labels, churn.feature_types)
    assert model_hash(quick) == model_hash(slow)
    np.testing.assert_array_equal(probability(quick, training.inputs), slow.predict_proba(training.inputs)[:, 1])


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("columns", [["n"], ["c"], ["d", "n", "c", "m"]], ids=" ".join)
def test_any_mix_of_types(kind: str, columns: list[str]) -> None:
    types = {name: "number" if name in "nm" else "category" for name in columns}
    slow, quick = fitted(kind, ROWS[columns], LABELS, types)
    assert model_hash(quick) == model_hash(slow)
    new = ROWS[columns].assign(**{name: "never seen" for name in columns if name in "cd"}).head(1)
    for asked in (ROWS[columns], ROWS[columns].iloc[[1]], new):
        np.testing.assert_array_equal(probability(quick, as_categories(asked)), slow.predict_proba(asked)[:, 1])


def test_only_the_categories_of_the_rows_are_learned() -> None:
    """A fold of a longer frame still knows the categories of the whole frame."""
    prepare = make(Candidate(kind="decision_tree"), {"c": "category"}, {}, 3)[PREPARE]
    fold = as_categories(ROWS[["c"]]).iloc[:2]
    assert fit_prepare(prepare, fold).tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert transform(prepare, ROWS[["c"]].iloc[3:5]).tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_what_was_learned_of_each_category_is_told() -> None:
    types = {"n": "number", "c": "category", "d": "category"}
    prepare = make(Candidate(kind="decision_tree"), types, {}, 3)[PREPARE]
    fit_prepare(prepare, as_categories(ROWS[list(types)].iloc[:4]))
    assert learned_categories(prepare) == {"c": {"a", "b", "missing"}, "d": {"x"}}
