"""SHAP values of each kind of model: they add up, and they are those of the definition."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import factorial

import numpy as np
import pytest
from scipy.special import expit
from sklearn.tree import DecisionTreeClassifier

from include.explanation import sampling, trees
from include.explanation.model import Explained
from include.explanation.samples import digest
from include.explanation.shapley import AdditivityError, attribute
from tests.unit.explanation.conftest import KINDS, Telco

METHODS = {
    "logistic_regression": ("linear", "log-odds"),
    "decision_tree": ("tree", "probability"),
    "gradient_boosting": ("tree", "log-odds"),
    "random_forest": ("tree", "probability"),
    "linear_svm": ("linear", "margin before calibration"),
    "mlp": ("sampled", "probability"),
    "svm_ensemble": ("sampled", "probability"),
    "native_categories": ("sampled", "probability"),
    "calibrated_boosting": ("tree", "log-odds before calibration"),
    "calibrated_forest": ("tree", "probability before calibration"),
    "calibrated_svm": ("linear", "margin before calibration"),
    "calibrated_mlp": ("sampled", "probability"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_base_and_values_add_up_to_the_score_of_each_row(models: dict[str, Explained], telco: Telco, kind: str) -> None:
    rows, background = telco.holdout.head(40), telco.training.head(30)
    model = models[kind]
    found = attribute(model, rows, background)
    assert (found.method, found.unit) == METHODS[kind]
    assert found.values.shape == (40, 20)
    assert found.background_sha256 == digest(background)
    sums = found.base + found.values.sum(axis=1)
    expected = model.score(model.encode(rows))
    if "before calibration" in found.unit:
        assert (np.diff(expected[np.argsort(sums)]) > -1e-12).all()
    else:
        scores = expit(sums) if found.unit == "log-odds" else sums
        np.testing.assert_allclose(scores, expected, atol=1e-12)
    assert found.error < 1e-12


def by_definition(model: Explained, row: np.ndarray, background: np.ndarray, inputs: list[int]) -> np.ndarray:
    """Shapley values of ``inputs`` over all their subsets; the other inputs must be the same in all rows."""
    n = len(inputs)
    values = np.zeros(n)

    def worth(present: tuple[int, ...]) -> float:
        from_row = np.isin(model.groups, [inputs[place] for place in present])
        return float(model.output(np.where(from_row, row, background)).mean())

    for place in range(n):
        others = [other for other in range(n) if other != place]
        for size in range(n):
            share = factorial(size) * factorial(n - size - 1) / factorial(n)
            for subset in combinations(others, size):
                values[place] += share * (worth((*subset, place)) - worth(subset))
    return values


VARIED = ["tenure", "TotalCharges", "Contract", "InternetService", "PaymentMethod", "OnlineSecurity"]


@pytest.mark.parametrize("kind", [kind for kind, (method, _) in METHODS.items() if method != "sampled"])
def test_exact_values_are_those_of_the_definition(models: dict[str, Explained], telco: Telco, kind: str) -> None:
    model = models[kind]
    background = telco.training.head(15).copy()
    for row in (telco.holdout.iloc[[3]], telco.holdout.iloc[[11]]):
        # Of all other inputs the row and the background have the same values, so that those are worth nothing.
        mixed = row.iloc[np.zeros(len(background), dtype=int)].reset_index(drop=True)
        mixed[VARIED] = background[VARIED].reset_index(drop=True)
        found = attribute(model, row, mixed).values[0]
        inputs = [model.names.index(name) for name in VARIED]
        expected = by_definition(model, model.encode(row)[0], model.encode(mixed), inputs)
        np.testing.assert_allclose(found[inputs], expected, atol=1e-10)
        np.testing.assert_allclose(np.delete(found, inputs), 0, atol=1e-12)
        assert np.abs(expected).max() > 0.02


def test_a_deep_tree_is_exact_too(telco: Telco, models: dict[str, Explained]) -> None:
    encoded = models["logistic_regression"].encode(telco.training)
    groups = np.arange(encoded.shape[1])
    deep = DecisionTreeClassifier(random_state=0, max_features=1).fit(encoded, telco.labels[:5000])
    paths = trees._leaves(trees.trees_of(deep)[0], np.asfortranarray(encoded[:1]), groups)
    assert max(len(path) for path, _, _ in paths) > trees.DENSE
    background, rows = encoded[:20], encoded[100:150]
    values = trees.shapley_values(deep, rows, background, groups)
    outputs, base = deep.predict_proba(rows)[:, 1], deep.predict_proba(background)[:, 1].mean()
    np.testing.assert_allclose(base + values.sum(axis=1), outputs, atol=1e-12)


def test_rows_in_parts_are_as_rows_at_once(
    models: dict[str, Explained], telco: Telco, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, background = telco.holdout.head(50), telco.training.head(30)
    at_once = attribute(models["gradient_boosting"], rows, background)
    monkeypatch.setattr(trees, "ROWS_AT_ONCE", 20)
    in_parts = attribute(models["gradient_boosting"], rows, background)
    np.testing.assert_allclose(in_parts.values, at_once.values, atol=1e-12)


def test_sampling_comes_close_to_the_exact_values(models: dict[str, Explained], telco: Telco) -> None:
    model = models["gradient_boosting"]
    rows, background = telco.holdout.head(30), telco.training.head(200)
    exact = attribute(model, rows, background).values
    sampled = sampling.shapley_values(model.output, model.encode(rows), model.encode(background), model.groups, seed=1)
    assert np.corrcoef(exact.ravel(), sampled.ravel())[0, 1] > 0.99
    again = sampling.shapley_values(model.output, model.encode(rows), model.encode(background), model.groups, seed=1)
    np.testing.assert_array_equal(sampled, again)


def test_an_input_that_the_model_does_not_use_is_worth_nothing(telco: Telco, models: dict[str, Explained]) -> None:
    found = attribute(models["decision_tree"], telco.holdout.head(100), telco.training.head(50))
    used = set(models["decision_tree"].groups[models["decision_tree"].estimator.tree_.feature.clip(0)])
    unused = sorted(set(range(20)) - used)
    assert unused
    assert (found.values[:, unused] == 0).all()


def test_values_that_do_not_add_up_are_refused_saying_by_how_much(models: dict[str, Explained], telco: Telco) -> None:
    found = attribute(models["logistic_regression"], telco.holdout.head(5), telco.training.head(30))
    outputs = found.outputs.copy()
    outputs[3] += 0.25
    with pytest.raises(AdditivityError, match=r"in row 3, .*log-odds: off by 0.25, at most 1e-06 .* 1 of 5 rows"):
        replace(found, outputs=outputs)
    values = found.values.copy()
    values[2, 1] = np.nan
    with pytest.raises(AdditivityError, match="in row 2"):
        replace(found, values=values)


def test_native_categorical_splits_would_not_add_up_if_they_were_walked(
    models: dict[str, Explained], telco: Telco, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Explained(models["native_categories"].pipeline)
    monkeypatch.setattr("include.explanation.model._kind", lambda _: ("tree", "log-odds"))
    with pytest.raises(AdditivityError):
        attribute(model, telco.holdout.head(200), telco.training.head(50))
