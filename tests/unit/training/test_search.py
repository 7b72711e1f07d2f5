"""Candidates and the search for their settings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from include.errors import DataRejected
from include.evaluation.metrics import evaluate
from include.spec import Candidate, SpecError, UseCase
from include.training.candidates import make
from include.training.search import draw, fit, search
from include.training.split import split


def test_real_churn_is_learned(training, churn: UseCase) -> None:
    candidate = churn.training.candidates["logistic_regression"]
    made = split(training.rows, churn.training.split)
    inputs, labels = training.inputs, training.labels
    found = search(inputs[made.train], labels[made.train], training.rows["observed_at"][made.train], candidate, churn)
    model = fit(inputs[made.train], labels[made.train], candidate, found.params, churn)
    metrics = evaluate(labels[made.holdout], model.predict_proba(inputs[made.holdout])[:, 1])
    assert metrics.roc_auc >= 0.82
    assert metrics.roc_auc_low < metrics.roc_auc < metrics.roc_auc_high
    assert len(found.scores_per_trial) == candidate.trials
    assert found.score == max(trial.mean for trial in found.scores_per_trial)


@pytest.mark.parametrize(("metric", "best"), [("roc_auc", max), ("log_loss", min), ("brier", min)])
def test_better_means_what_the_metric_means(metric: str, best, training, churn: UseCase) -> None:
    spec = churn.model_copy(update={"training": churn.training.model_copy(update={"selection_metric": metric})})
    candidate = Candidate(kind="decision_tree", search={"max_depth": (1, 3, 12)}, trials=3)
    found = search(training.inputs, training.labels, training.rows["observed_at"], candidate, spec)
    means = {trial.params["max_depth"]: trial.mean for trial in found.scores_per_trial}
    assert len(set(means.values())) == 3
    assert found.score == means[found.params["max_depth"]] == best(means.values())


@pytest.mark.parametrize(
    ("grid", "trials", "count"),
    [({}, 1, 1), ({}, 5, 1), ({"C": (0.1, 1.0)}, 9, 2), ({"C": (0.1, 1.0, 2.0)}, 2, 2)],
    ids=["no grid", "no grid, many trials", "more trials than settings", "fewer"],
)
def test_settings_are_drawn_once_and_seeded(grid: dict, trials: int, count: int, churn: UseCase) -> None:
    candidate = Candidate(kind="logistic_regression", search=grid, trials=trials)
    drawn = draw(candidate, churn)
    assert len(drawn) == len({str(params) for params in drawn}) == count
    assert drawn == draw(candidate, churn)


def test_a_fold_of_one_class_is_refused(training, churn: UseCase) -> None:
    labels = np.where(training.rows["observed_at"] < "2026-01-20", 0, training.labels)
    candidate = churn.training.candidates["decision_tree"]
    with pytest.raises(DataRejected) as refused:
        search(training.inputs, labels, training.rows["observed_at"], candidate, churn)
    assert refused.value.code == "ONE_CLASS_FOLD"


@pytest.mark.parametrize("kind", ["logistic_regression", "decision_tree", "hist_gradient_boosting"])
@pytest.mark.parametrize("types", [{"n": "number"}, {"c": "category"}, {"n": "number", "c": "category"}], ids=str)
def test_any_mix_of_types_with_nulls_and_unseen_values(kind: str, types: dict[str, str]) -> None:
    frame = pd.DataFrame({"n": [np.nan] * 40, "c": pd.Series(["a", "b"] * 20, dtype=object)})[list(types)]
    model = make(Candidate(kind=kind), types, {}, 1).fit(frame, np.tile([0, 0, 1, 1], 10))
    unseen = frame.assign(**{name: "new" for name in types if name == "c"})
    assert model.predict_proba(unseen).shape == (40, 2)
    text = str(model.get_params())
    assert (StandardScaler.__name__ in text) == (kind == "logistic_regression" and "n" in types)


def test_an_unknown_parameter_is_a_spec_error() -> None:
    with pytest.raises(SpecError, match="depth"):
        make(Candidate(kind="decision_tree", params={"depth": 3}), {"n": "number"}, {}, 1)


def test_drawn_settings_win() -> None:
    candidate = Candidate(kind="logistic_regression", params={"C": 2.0, "max_iter": 50})
    estimator = make(candidate, {"n": "number"}, {"C": 3.0}, 7)["estimator"]
    assert (estimator.C, estimator.max_iter, estimator.random_state) == (3.0, 50, 7)
