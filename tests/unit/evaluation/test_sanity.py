"""What a model has to be beside good, on Telco's rows."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from include.evaluation.leakage import Alone, columns_alone
from include.evaluation.sanity import order_difference
from include.features.build import build
from include.settings import PROJECT
from include.spec import UseCase, load
from include.training.preparation import as_categories, probability
from include.training.search import fit

TRAIN = 5000


@pytest.fixture(scope="module")
def rows(telco_csv: Path) -> pd.DataFrame:
    rows = pd.read_csv(telco_csv, dtype={"SeniorCitizen": str})
    return rows.assign(TotalCharges=pd.to_numeric(rows["TotalCharges"], errors="coerce"))


@pytest.fixture(scope="module")
def labels(rows: pd.DataFrame) -> np.ndarray:
    return (rows["Churn"] == "Yes").to_numpy().astype(int)


def alone(inputs: pd.DataFrame, labels: np.ndarray) -> dict[str, Alone]:
    inputs = as_categories(inputs)
    return columns_alone(inputs.iloc[:TRAIN], labels[:TRAIN], inputs.iloc[TRAIN:], labels[TRAIN:])


def test_no_column_of_telco_gives_the_label_away(rows: pd.DataFrame, labels: np.ndarray, churn: UseCase):
    found = alone(build(rows, churn), labels)
    assert set(found) == set(churn.feature_types)
    assert 0.7 < max(one.roc_auc for one in found.values()) < 0.8
    assert max(one.missing_roc_auc for one in found.values()) < 0.51
    assert not any(one.is_copy for one in found.values())


def test_each_way_to_give_the_label_away_is_told_from_the_others(
    rows: pd.DataFrame, labels: np.ndarray, churn: UseCase
):
    random = np.random.default_rng(1)
    left_on = np.where(labels == 1, random.normal(size=len(labels)), np.nan)
    inputs = build(rows, churn).assign(
        status=np.where(labels == 1, "closed", "open"),
        flag=1.0 - labels,
        left_on=left_on,
        why=pd.Series(np.where(labels == 1, random.choice(["price", "moved"], len(labels)), None)).astype("category"),
        refund=labels * 50 + random.random(len(labels)),
    )
    found = alone(inputs, labels)
    assert (found["status"].is_copy, found["flag"].is_copy) == (True, True)
    assert (found["left_on"].missing_roc_auc, found["why"].missing_roc_auc) == (1.0, 1.0)
    assert (found["refund"].roc_auc, found["refund"].missing_roc_auc, found["refund"].is_copy) == (1.0, 0.5, False)


def use_case_with(folder: Path, feature: str, body: str) -> UseCase:
    """Churn with one more derived feature."""
    target = folder / "churn"
    shutil.copytree(PROJECT / "include" / "use_cases" / "churn", target)
    (target / "features.py").write_text(f"{(target / 'features.py').read_text()}\n\n{body}")
    spec = yaml.safe_load((target / "spec.yaml").read_text())
    spec["features"]["derived"][feature] = {"description": "one more"}
    (target / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return load(target / "spec.yaml")


BODIES = {
    "among others": ("def more(columns):\n    return columns['tenure'] - columns['tenure'].mean()\n", True),
    "its neighbour": ("def more(columns):\n    return np.roll(columns['tenure'], 1)\n", True),
    "by place": ("def more(columns):\n    return (list(columns.values())[0] == 'Yes') * 1.0\n", False),
    "of its own row": ("def more(columns):\n    return columns['tenure'] ** 2\n", False),
}


@pytest.mark.parametrize("body", BODIES)
def test_a_feature_that_looks_at_other_rows_is_found_out(
    body: str, rows: pd.DataFrame, labels: np.ndarray, tmp_path: Path
):
    source, depends = BODIES[body]
    spec = use_case_with(tmp_path, "more", source)
    inputs = build(rows, spec)
    pipeline = fit(inputs, labels, spec.training.candidates["logistic_regression"], {}, spec)
    few = rows.iloc[TRAIN : TRAIN + 500]
    scores = probability(pipeline, inputs)[TRAIN : TRAIN + 500]
    found = order_difference(lambda frame: probability(pipeline, frame[inputs.columns]), few, scores, spec)
    assert (found > 1e-9) == depends


def test_a_model_that_goes_by_the_place_of_a_column_is_found_out(rows: pd.DataFrame, churn: UseCase):
    few = rows.iloc[:500]

    def first_column(frame: pd.DataFrame) -> np.ndarray:
        return (pd.factorize(frame.iloc[:, 0], sort=True)[0] / len(frame)).astype(float)

    assert order_difference(first_column, few, first_column(build(few, churn)), churn) > 1e-9
