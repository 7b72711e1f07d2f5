"""Candidates and the search for their settings."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from include.errors import DataRejected
from include.evaluation.metrics import evaluate
from include.spec import Candidate, SpecError, UseCase
from include.training.candidates import ESTIMATORS, SCALED, make
from include.training.search import SearchResult, draw, fit, search, threads
from include.training.split import split

TREES = Candidate(
    kind="decision_tree", search={"max_depth": (1, 2, 3, 4), "min_samples_leaf": (1, 20, 50, 100)}, trials=8
)


@pytest.mark.parametrize("name", ["logistic_regression", "random_forest", "linear_svm", "mlp"])
def test_real_churn_is_learned(name: str, training, churn: UseCase) -> None:
    candidate = churn.training.candidates[name]
    made = split(training.rows, churn.training.split)
    inputs, labels = training.inputs, training.labels
    found = search(inputs[made.train], labels[made.train], training.rows["observed_at"][made.train], candidate, churn)
    model = fit(inputs[made.train], labels[made.train], candidate, found.params, churn)
    metrics = evaluate(labels[made.holdout], model.predict_proba(inputs[made.holdout])[:, 1])
    assert metrics.roc_auc >= 0.82
    assert metrics.roc_auc_low < metrics.roc_auc < metrics.roc_auc_high
    assert metrics.calibration_error < 0.06
    assert len(found.trials) == candidate.trials
    assert found.score == max(trial.mean for trial in found.trials if len(trial.folds) == 3)


@pytest.mark.parametrize(("metric", "best"), [("roc_auc", max), ("log_loss", min), ("brier", min)])
def test_better_means_what_the_metric_means(metric: str, best, training, churn: UseCase) -> None:
    spec = churn.model_copy(update={"training": churn.training.model_copy(update={"selection_metric": metric})})
    candidate = Candidate(kind="decision_tree", search={"max_depth": (1, 3)}, trials=2)
    found = searched(training, candidate, spec)
    means = {trial.params["max_depth"]: trial.mean for trial in found.trials}
    assert len(set(means.values())) == 2
    assert found.score == means[found.params["max_depth"]] == best(means.values())


def searched(training, candidate: Candidate, spec: UseCase) -> SearchResult:
    return search(training.inputs, training.labels, training.rows["observed_at"], candidate, spec)


def test_the_better_half_goes_on_to_the_next_fold(training, churn: UseCase) -> None:
    found = searched(training, TREES, churn)
    by_folds = {number: [t for t in found.trials if len(t.folds) == number] for number in (1, 2, 3)}
    assert {number: len(trials) for number, trials in by_folds.items()} == {1: 4, 2: 2, 3: 2}
    assert max(t.folds[0] for t in by_folds[1]) <= min(t.folds[0] for t in by_folds[2] + by_folds[3])
    assert max(np.mean(t.folds[:2]) for t in by_folds[2]) <= min(np.mean(t.folds[:2]) for t in by_folds[3])
    assert sorted(t.ended for t in found.trials) == [
        "chosen",
        *(f"halved after fold 1, rank {place} of 8; the best 4 went on" for place in (5, 6, 7, 8)),
        *(f"halved after fold 2, rank {place} of 4; the best 2 went on" for place in (3, 4)),
        "met all folds, rank 2 of 2",
    ]
    assert not found.out_of_time


@pytest.mark.parametrize("kind", ["random_forest", "hist_gradient_boosting", "mlp"])
def test_another_number_of_cores_finds_the_same(
    kind: str, training, churn: UseCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = {"mlp": {"hidden_layer_sizes": 4}, "random_forest": {"n_estimators": 10}}.get(kind, {"max_iter": 10})
    grid = {"alpha": (0.1, 1.0, 5.0)} if kind == "mlp" else {"min_samples_leaf": (10, 40, 90)}
    candidate = Candidate(kind=kind, params=params, search=grid, trials=3)
    results = []
    for cores in (1, 24):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        results.append(searched(training, candidate, churn))
    one, many = ([replace(trial, seconds=0) for trial in result.trials] for result in results)
    assert one == many
    for (_, once), (_, again) in zip(results[0].validated, results[1].validated, strict=True):
        np.testing.assert_array_equal(once, again)


def test_out_of_time_only_the_best_so_far_meets_the_other_folds(training, churn: UseCase) -> None:
    found = searched(training, TREES.model_copy(update={"seconds": 1e-9}), churn)
    assert found.out_of_time
    first, *others = found.trials
    assert (first.ended, len(first.folds), found.score) == ("chosen", 3, first.mean)
    assert {(trial.ended, trial.folds) for trial in others} == {("out of time before fold 1", ())}
    assert all(np.isnan(trial.mean) for trial in others)


def test_a_budget_that_is_not_used_up_changes_nothing(training, churn: UseCase) -> None:
    found, free = (
        searched(training, TREES.model_copy(update={"seconds": seconds}), churn) for seconds in (1000.0, None)
    )
    assert [replace(trial, seconds=0) for trial in found.trials] == [replace(trial, seconds=0) for trial in free.trials]
    assert not found.out_of_time


def test_a_candidate_may_learn_from_a_pinned_part_of_the_rows(training, churn: UseCase) -> None:
    candidate = Candidate(kind="decision_tree", params={"max_depth": 4}, max_rows=1000)
    models = [fit(training.inputs, training.labels, candidate, {}, churn)["estimator"] for _ in range(2)]
    assert [model.tree_.n_node_samples[0] for model in models] == [1000, 1000]
    np.testing.assert_array_equal(models[0].tree_.threshold, models[1].tree_.threshold)
    found = searched(training, candidate, churn)
    everything = searched(training, candidate.model_copy(update={"max_rows": None}), churn)
    assert found.score < everything.score
    # Both are validated on the same rows, so that their scores can be compared.
    for (rows, _), (same, _) in zip(found.validated, everything.validated, strict=True):
        np.testing.assert_array_equal(rows, same)


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


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("types", [{"n": "number"}, {"c": "category"}, {"n": "number", "c": "category"}], ids=str)
def test_any_mix_of_types_with_nulls_and_unseen_values(kind: str, types: dict[str, str]) -> None:
    frame = pd.DataFrame({"n": [np.nan] * 40, "c": pd.Series(["a", "b"] * 20, dtype=object)})[list(types)]
    model = make(Candidate(kind=kind), types, {}, 1).fit(frame, np.tile([0, 0, 1, 1], 10))
    unseen = frame.assign(**{name: "new" for name in types if name == "c"})
    assert model.predict_proba(unseen).shape == (40, 2)
    text = str(model.get_params())
    assert (StandardScaler.__name__ in text) == (kind in SCALED and "n" in types)


@pytest.mark.parametrize("kind", ["decision_tree", "linear_svm"])
def test_an_unknown_parameter_is_a_spec_error(kind: str) -> None:
    with pytest.raises(SpecError, match=f"{kind}.*depth"):
        make(Candidate(kind=kind, params={"depth": 3}), {"n": "number"}, {}, 1)


def test_drawn_settings_win() -> None:
    candidate = Candidate(kind="logistic_regression", params={"C": 2.0, "max_iter": 50})
    estimator = make(candidate, {"n": "number"}, {"C": 3.0}, 7)["estimator"]
    assert (estimator.C, estimator.max_iter, estimator.random_state) == (3.0, 50, 7)


@pytest.mark.parametrize(
    ("cores", "candidates", "expected"), [(1, 1, 1), (2, 6, 1), (16, 6, 2), (8, 1, 8), (None, 2, 1)], ids=str
)
def test_candidates_that_train_side_by_side_share_the_cores(
    cores: int | None, candidates: int, expected: int, churn: UseCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    named = {f"tree_{number}": TREES for number in range(candidates)}
    training = churn.training.model_copy(update={"candidates": named})
    assert threads(churn.model_copy(update={"training": training})) == expected
