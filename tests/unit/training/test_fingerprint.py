"""Equal trainings and models have equal hashes, and the smallest difference shows."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io

from include.spec import UseCase
from include.training.fingerprint import library_versions, model_hash, training_fingerprint
from include.training.package import TRUSTED_TYPES

VERSIONS = library_versions()
KINDS = ["logistic_regression", "decision_tree", "gradient_boosting"]


def of(rows: pd.DataFrame, spec: UseCase, versions: dict[str, str] = VERSIONS, seed: int = 1, threads: int = 1) -> str:
    return training_fingerprint(rows, spec, versions, seed, threads)


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(lambda rows: rows.sample(frac=1, random_state=3), id="order of rows"),
        pytest.param(lambda rows: rows[rows.columns[::-1]], id="order of columns"),
        pytest.param(lambda rows: rows.astype({"tenure": "float64"}), id="integers as floats"),
        pytest.param(lambda rows: rows.astype({"Contract": "category", "gender": object}), id="storage of text"),
        pytest.param(lambda rows: rows.assign(as_of="2026-03-01", known_at=1), id="columns that are no content"),
        pytest.param(lambda rows: rows.assign(observed_at=rows["observed_at"].dt.as_unit("s")), id="unit of time"),
    ],
)
def test_form_does_not_matter(same, training, churn: UseCase) -> None:
    assert of(same(training.rows), churn) == of(training.rows, churn)


def test_order_of_equal_keys_does_not_matter(training, churn: UseCase) -> None:
    rows = training.rows.iloc[:50].assign(customerID="one", observed_at=training.rows["observed_at"].iloc[0])
    assert of(rows, churn) == of(rows[::-1], churn)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda rows: rows.iloc[1:], id="a row less"),
        pytest.param(lambda rows: pd.concat([rows, rows.iloc[:1]]), id="a row twice"),
        pytest.param(lambda rows: rows.assign(tenure=rows["tenure"].where(rows.index != 5, 99)), id="a number"),
        pytest.param(lambda rows: rows.assign(Churn=rows["Churn"].where(rows.index != 5, "?")), id="a label"),
        pytest.param(lambda rows: rows.assign(Partner=rows["Partner"].where(rows.index != 5)), id="a null"),
        pytest.param(lambda rows: rows.assign(Partner=rows["Dependents"], Dependents=rows["Partner"]), id="swapped"),
    ],
)
def test_content_matters(other, training, churn: UseCase) -> None:
    assert of(other(training.rows), churn) != of(training.rows, churn)


def test_circumstances_matter(training, churn: UseCase, tmp_path: Path) -> None:
    rows = training.rows.iloc[:20]
    (tmp_path / "features.py").write_text("# another source\n", encoding="utf-8")
    seen = {
        of(rows, churn),
        of(rows, churn, seed=2),
        of(rows, churn, threads=2),
        of(rows, churn, {**VERSIONS, "numpy": "0"}),
        of(rows, churn.model_copy(update={"title": "another"})),
        of(rows, churn.model_copy(update={"folder": tmp_path})),
    }
    assert len(seen) == 6


@pytest.mark.parametrize("column", ["customerID", "observed_at", "Churn"])
def test_key_and_label_are_needed(column: str, training, churn: UseCase) -> None:
    with pytest.raises(ValueError, match="lack"):
        of(training.rows.drop(columns=column), churn)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_keeps_its_hash_through_a_file(kind: str, models) -> None:
    stored = skops.io.dumps(models[kind])
    assert model_hash(skops.io.loads(stored, trusted=list(TRUSTED_TYPES))) == model_hash(models[kind])
    assert model_hash(copy.deepcopy(models[kind])) == model_hash(models[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_another_process_finds_the_same_hash(kind: str, models, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(pickle.dumps(models[kind]))
    program = (
        "import pickle, sys; from include.training.fingerprint import model_hash; "
        "print(model_hash(pickle.load(open(sys.argv[1], 'rb'))))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "model")],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == model_hash(models[kind])


def _coefficient(estimator) -> None:
    estimator.coef_[0, 0] = np.nextafter(estimator.coef_[0, 0], 9)


def _boosted_leaf(estimator) -> None:
    nodes = estimator._predictors[3][0].nodes
    nodes["value"][-1] = np.nextafter(nodes["value"][-1], 9)


def _tree_leaf(estimator) -> None:
    state = estimator.tree_.__getstate__()
    state["values"] = state["values"].copy()
    state["values"][-1, 0, 0] = np.nextafter(state["values"][-1, 0, 0], 9)
    estimator.tree_.__setstate__(state)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        pytest.param("logistic_regression", _coefficient, id="coefficient"),
        pytest.param("decision_tree", _tree_leaf, id="leaf of a tree"),
        pytest.param("gradient_boosting", _boosted_leaf, id="leaf of a boosted tree"),
    ],
)
def test_one_bit_of_a_model_shows(kind: str, change, models) -> None:
    changed = copy.deepcopy(models[kind])
    change(changed["estimator"])
    assert model_hash(changed) != model_hash(models[kind])


@pytest.mark.parametrize("seed", [1, 2])
def test_random_states_are_told_apart(seed: int, models) -> None:
    model = copy.deepcopy(models["decision_tree"])
    model["estimator"].random_state = np.random.RandomState(1)
    other = copy.deepcopy(models["decision_tree"])
    other["estimator"].random_state = np.random.RandomState(seed)
    assert (model_hash(model) == model_hash(other)) == (seed == 1)
