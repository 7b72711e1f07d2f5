"""One score: LIME beside SHAP, and the reasons in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from include.explanation.lime import lime
from include.explanation.model import Explained
from include.explanation.reasons import as_text, reasons
from include.explanation.shapley import attribute
from include.spec import UseCase
from tests.unit.explanation.conftest import Telco


@pytest.mark.parametrize("kind", ["logistic_regression", "gradient_boosting", "random_forest"])
def test_the_top_reasons_of_lime_are_those_of_shap(models: dict[str, Explained], telco: Telco, kind: str) -> None:
    model, background, rows = models[kind], telco.training.sample(200, random_state=1), telco.holdout.head(12)
    exact = attribute(model, rows, background).values
    shared, agreement = [], []
    for number in range(len(rows)):
        local = lime(model, rows.iloc[[number]], background, seed=number)
        top_local, top_exact = (np.argsort(-np.abs(one))[:3] for one in (local.effects, exact[number]))
        both = set(top_local) & set(top_exact)
        shared.append(len(both))
        agreement.append(spearmanr(local.effects, exact[number])[0])
        assert local.unit == model.unit
        assert 0.1 < local.fidelity < 1
        strong = [one for one in both if abs(exact[number, one]) > 0.1 * np.abs(exact[number]).sum()]
        assert (np.sign(local.effects[strong]) == np.sign(exact[number, strong])).all()
    assert min(shared) >= 1
    assert np.mean(shared) > 2
    assert min(agreement) > 0.75


def test_lime_is_the_same_again_and_another_with_another_seed(models: dict[str, Explained], telco: Telco) -> None:
    model, row, background = models["gradient_boosting"], telco.holdout.iloc[[0]], telco.training.head(200)
    effects = [lime(model, row, background, seed=seed).effects for seed in (1, 1, 2)]
    np.testing.assert_array_equal(effects[0], effects[1])
    assert (effects[0] != effects[2]).any()


def test_lime_takes_a_row_without_a_number(models: dict[str, Explained], telco: Telco) -> None:
    background = telco.training.head(200).assign(TotalCharges=np.nan)
    local = lime(models["logistic_regression"], telco.holdout.iloc[[0]].assign(TotalCharges=np.nan), background)
    assert np.isfinite(local.effects).all()


def test_reasons_in_words(churn: UseCase) -> None:
    row = pd.Series(
        {"Contract": "Month-to-month", "tenure": 2.0, "TotalCharges": np.nan, "add_ons": 3.0, "Partner": "No"}
    )
    found = reasons(row, [0.612, -1.25, 0.1, 0.2, 0.0001], "log-odds", churn, top=2)
    assert [reason.text for reason in found.raising] == [
        "Contract is Month-to-month (length of the contract): raises the score by 0.612 log-odds",
        "add_ons is 3 (number of internet add-ons taken): raises the score by 0.2 log-odds",
    ]
    assert [reason.text for reason in found.lowering] == [
        "tenure is 2 (months with the company): lowers the score by 1.25 log-odds"
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.0, "3"),
        (1234.5, "1,234.5"),
        (0.1 + 0.2, "0.3"),
        (np.nan, "missing"),
        ("0", "0"),
        (0.0, "0"),
        (-1e-3, "-0.001"),
    ],
    ids=str,
)
def test_values_as_text(value: float | str, text: str) -> None:
    assert as_text(value) == text
