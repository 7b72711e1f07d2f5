"""Permutation importance and partial dependence are those of scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import inspection
from sklearn.metrics import roc_auc_score

from include.explanation.importance import _grid, partial_dependence, permutation_importance
from include.explanation.model import Explained
from include.training.preparation import probability
from tests.unit.explanation.conftest import TRAINED, Telco


def test_permutation_importance_is_that_of_scikit_learn(models: dict[str, Explained], telco: Telco) -> None:
    model, rows, labels = models["gradient_boosting"], telco.holdout.head(600), telco.labels[TRAINED : TRAINED + 600]
    found = permutation_importance(model, rows, labels, "roc_auc", seed=1)
    theirs = inspection.permutation_importance(
        model.pipeline, rows, labels, scoring=lambda p, x, y: roc_auc_score(y, probability(p, x)), random_state=2
    )
    assert found.baseline == pytest.approx(roc_auc_score(labels, probability(model.pipeline, rows)))
    spread = np.maximum(found.std, theirs.importances_std) + 1e-3
    assert (np.abs(found.mean - theirs.importances_mean) < 4 * spread).all()
    assert model.names[int(found.mean.argmax())] == "Contract"


def test_a_metric_of_which_less_is_better_is_lost_upwards(models: dict[str, Explained], telco: Telco) -> None:
    rows, labels = telco.holdout.head(600), telco.labels[TRAINED : TRAINED + 600]
    found = permutation_importance(models["gradient_boosting"], rows, labels, "log_loss", seed=1)
    assert found.mean.max() > 0.01
    assert models["gradient_boosting"].names[int(found.mean.argmax())] == "Contract"


def test_partial_dependence_is_that_of_scikit_learn(models: dict[str, Explained], telco: Telco) -> None:
    model, rows = models["gradient_boosting"], telco.holdout.head(100)
    found = {one.name: one for one in partial_dependence(model, rows)}
    assert set(found) == set(model.names)
    for name in ("Contract", "tenure"):
        grid = np.array(found[name].values, dtype=object if name == "Contract" else float)
        theirs = inspection.partial_dependence(
            model.pipeline,
            rows.astype({"tenure": float}),
            [name],
            categorical_features=[name] if name == "Contract" else None,
            custom_values={name: grid},
            response_method="predict_proba",
            method="brute",
            kind="average",
        )
        np.testing.assert_allclose(found[name].scores, theirs["average"][0], atol=1e-12)
        assert found[name].shares.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("column", "values", "shares"),
    [
        (pd.Series([2.0, 1.0, np.nan, 2.0]), [1.0, 2.0], [0.25, 0.5]),
        (pd.Series(["b", "a", "b", "b"], dtype="category"), ["b", "a"], [0.75, 0.25]),
        (pd.Series([np.nan, np.nan]), [np.nan], [1.0]),
    ],
    ids=["few numbers", "categories by share", "no number at all"],
)
def test_the_values_that_are_asked_for(column: pd.Series, values: list, shares: list[float]) -> None:
    grid, found = _grid(column)
    assert repr(grid.tolist()) == repr(values)
    np.testing.assert_allclose(found, shares)


def test_an_input_that_never_varies_has_no_curve(models: dict[str, Explained], telco: Telco) -> None:
    rows = telco.holdout.head(50).assign(tenure=3.0, TotalCharges=np.nan)
    names = {one.name for one in partial_dependence(models["logistic_regression"], rows)}
    assert {"tenure", "TotalCharges"}.isdisjoint(names)
    assert "MonthlyCharges" in names
