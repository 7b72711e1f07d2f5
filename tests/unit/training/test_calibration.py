"""Probabilities are calibrated where that helps, and only there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score

from include.evaluation.metrics import single
from include.spec import Candidate, UseCase
from include.training.calibration import calibrate
from include.training.package import Provenance, load, save
from include.training.preparation import ESTIMATOR, PREPARE, as_categories, probability, transform
from include.training.search import fit
from include.training.split import split
from include.training.train import Trained, train

# As many positive as negative rows in effect: the scores are far too high.
BALANCED = {"class_weight": "balanced"}


def trained(training, churn: UseCase, candidate: Candidate) -> Trained:
    rows = split(training.rows, churn.training.split).train
    observed = training.rows["observed_at"][rows].reset_index(drop=True)
    return train(training.inputs[rows].reset_index(drop=True), training.labels[rows], observed, candidate, churn)


@pytest.mark.parametrize(
    ("kind", "asked", "used"),
    [
        ("logistic_regression", "sigmoid", "sigmoid"),
        ("logistic_regression", "isotonic", "isotonic"),
        ("hist_gradient_boosting", "auto", "sigmoid"),
        ("random_forest", "auto", "sigmoid"),
    ],
)
def test_it_helps_where_scores_are_no_rates(
    kind: str, asked: str, used: str, training, churn: UseCase, about: Provenance, tmp_path: Path
) -> None:
    small = {"hist_gradient_boosting": {"max_iter": 40}, "random_forest": {"n_estimators": 30}}
    params = BALANCED | small.get(kind, {})
    candidate = Candidate(kind=kind, params=params, calibration=asked)
    plain, found = (
        trained(training, churn, candidate.model_copy(update={"calibration": how})) for how in ("none", asked)
    )
    assert (plain.calibration.method, found.calibration.method) == ("none", used)
    brier = found.calibration.brier
    assert brier[used] == min(brier.values()) < brier["none"]
    holdout = split(training.rows, churn.training.split).holdout
    inputs, labels = training.inputs[holdout], training.labels[holdout]
    before, after = (probability(one.pipeline, inputs) for one in (plain, found))
    assert single("brier", labels, after) < single("brier", labels, before)
    assert roc_auc_score(labels, after) == pytest.approx(roc_auc_score(labels, before), abs=0.003)
    save(tmp_path / "package", found.pipeline, about)
    np.testing.assert_allclose(load(tmp_path / "package").score(inputs), after, rtol=0, atol=1e-12)


def test_scores_that_are_rates_are_left_alone(training, churn: UseCase) -> None:
    candidate = Candidate(kind="logistic_regression", calibration="auto")
    found = trained(training, churn, candidate)
    assert found.calibration.method == "none"
    assert set(found.calibration.brier) == {"none", "sigmoid", "isotonic"}
    assert not isinstance(found.pipeline[ESTIMATOR], CalibratedClassifierCV)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("kind", ["logistic_regression", "decision_tree"], ids=["log-odds", "probabilities"])
def test_a_calibrated_score_is_that_of_scikit_learn(kind: str, method: str, training, churn: UseCase) -> None:
    candidate = Candidate(kind=kind, params=BALANCED | ({"max_depth": 5} if kind == "decision_tree" else {}))
    inputs, labels = as_categories(training.inputs), training.labels
    pipeline = fit(inputs.iloc[:3000], labels[:3000], candidate, {}, churn)
    places = np.split(np.arange(3000, 6000), 3)
    validated = tuple((rows, probability(pipeline, inputs.iloc[rows])) for rows in places)
    calibrated, found = calibrate(pipeline, method, validated, labels)
    assert found.method == method
    encoded = transform(pipeline[PREPARE], inputs)
    theirs = CalibratedClassifierCV(FrozenEstimator(pipeline[ESTIMATOR]), method=method)
    theirs.fit(encoded[3000:6000], labels[3000:6000])
    expected = theirs.predict_proba(encoded[6000:])[:, 1]
    np.testing.assert_allclose(probability(calibrated, inputs.iloc[6000:]), expected, atol=1e-6)
