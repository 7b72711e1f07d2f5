"""A compiled pipeline answers what scikit-learn answers, for one row and for many, known values and unknown ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from include.training import lookup
from include.training.calibration import calibrate
from include.training.compiled import NotCompiled, compiled
from include.training.preparation import ESTIMATOR, PREPARE, fit_prepare

KINDS = (
    "logistic_regression",
    "decision_tree",
    "random_forest",
    "gradient_boosting",
    "linear_svm",
    "mlp",
    "calibrated",
)
SAME = 1e-12


def of(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    return {name: frame[name].to_numpy() for name in frame}


@pytest.fixture(scope="module")
def odd(training) -> pd.DataFrame:
    """Rows with values that were never seen, with none, and with numbers at and beside every edge of other rows."""
    rows = training.inputs.iloc[:600].copy()
    rows.iloc[::7, rows.columns.get_loc("Contract")] = "Weekly ⏳"
    rows.iloc[::5, rows.columns.get_loc("TotalCharges")] = np.nan
    rows.iloc[::3, rows.columns.get_loc("tenure")] += 0.5
    rows.iloc[::11, rows.columns.get_loc("MonthlyCharges")] = 1e30
    rows.iloc[::13, rows.columns.get_loc("MonthlyCharges")] = -1e30
    return rows


@pytest.mark.parametrize("kind", KINDS)
def test_all_rows_of_telco_have_scikit_learn_s_scores(kind: str, models, training, odd: pd.DataFrame) -> None:
    fast = compiled(models[kind])
    for rows in (training.inputs, odd):
        expected = models[kind].predict_proba(rows)[:, 1]
        np.testing.assert_allclose(fast.score_frame(rows), expected, rtol=0, atol=SAME)
    np.testing.assert_allclose(fast.score(of(odd)), expected, rtol=0, atol=SAME)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_alone_has_the_score_that_it_has_among_others(kind: str, models, odd: pd.DataFrame) -> None:
    fast = compiled(models[kind])
    alone = [fast.score(of(odd.iloc[[place]]))[0] for place in range(20)]
    np.testing.assert_allclose(alone, fast.score(of(odd))[:20], rtol=0, atol=SAME)
    assert fast.score_frame(odd.iloc[:0]).shape == (0,)


@pytest.mark.parametrize("kind", ["gradient_boosting", "linear_svm", "mlp", "logistic_regression"])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibrated_ones_too(kind: str, method: str, models, training) -> None:
    rarer = training.labels * (np.arange(len(training.labels)) % 2)
    folds = np.array_split(np.arange(800, 2000), 3)
    scores = models[kind].predict_proba(training.inputs)[:, 1]
    pipeline, found = calibrate(models[kind], method, tuple((rows, scores[rows]) for rows in folds), rarer)
    assert found.method == method
    expected = pipeline.predict_proba(training.inputs)[:, 1]
    np.testing.assert_allclose(compiled(pipeline).score_frame(training.inputs), expected, rtol=0, atol=SAME)


def test_trees_of_many_leaves_take_several_words(models, training) -> None:
    pipeline = _fitted(
        HistGradientBoostingClassifier(max_iter=5, max_leaf_nodes=200, min_samples_leaf=2), models, training
    )
    fast = compiled(pipeline)
    assert len(fast.core.offsets) > 5
    expected = pipeline.predict_proba(training.inputs)[:, 1]
    np.testing.assert_allclose(fast.score_frame(training.inputs), expected, rtol=0, atol=SAME)


def test_trees_without_a_split_have_a_score(models, training) -> None:
    pipeline = _fitted(HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=10_000), models, training)
    expected = pipeline.predict_proba(training.inputs)[:, 1]
    np.testing.assert_allclose(compiled(pipeline).score_frame(training.inputs), expected, rtol=0, atol=SAME)


def test_what_is_not_known_or_too_large_is_refused_with_a_reason(models, training, monkeypatch) -> None:
    with pytest.raises(NotCompiled, match="ExtraTreesClassifier"):
        compiled(_fitted(ExtraTreesClassifier(n_estimators=2), models, training))
    monkeypatch.setattr(lookup, "MOST_BYTES", 1000)
    with pytest.raises(NotCompiled, match="MB"):
        compiled(models["gradient_boosting"])


def _fitted(estimator, models, training) -> Pipeline:
    prepare = models["gradient_boosting"][PREPARE]
    encoded = fit_prepare(prepare, training.inputs)
    return Pipeline([(PREPARE, prepare), (ESTIMATOR, estimator.fit(encoded, training.labels))])
