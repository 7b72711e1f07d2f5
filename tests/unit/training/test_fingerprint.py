"""Equal trainings and models have equal hashes, and the smallest difference shows."""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io

from include.spec import Capturing, Serving, UseCase, load
from include.training.fingerprint import Ingredients, ingredients, library_versions, model_hash
from include.training.package import TRUSTED_TYPES

VERSIONS = library_versions()
KINDS = [
    "logistic_regression",
    "decision_tree",
    "random_forest",
    "gradient_boosting",
    "linear_svm",
    "mlp",
    "calibrated",
]


def of(rows: pd.DataFrame, spec: UseCase) -> str:
    return ingredients(rows, spec, threads=1).fingerprint


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


def changed(spec: UseCase, **training: object) -> UseCase:
    return spec.model_copy(update={"training": spec.training.model_copy(update=training)})


def with_features(spec: UseCase, folder: Path) -> UseCase:
    source = (spec.folder / "features.py").read_text(encoding="utf-8")
    (folder / "features.py").write_text(f"{source}# a word more\n", encoding="utf-8")
    return spec.model_copy(update={"folder": folder})


@pytest.mark.parametrize(
    ("other", "said"),
    [
        pytest.param(lambda rows, spec, _: ingredients(rows.iloc[1:], spec, 1), "the rows are not the same", id="rows"),
        pytest.param(
            lambda rows, spec, _: ingredients(rows, changed(spec, seed=21), 1), "the spec is not the same", id="seed"
        ),
        pytest.param(
            lambda rows, spec, _: ingredients(rows, changed(spec, selection_metric="brier"), 1),
            "the spec is not the same",
            id="spec",
        ),
        pytest.param(
            lambda rows, spec, folder: ingredients(rows, with_features(spec, folder), 1),
            "the source use case/features.py was",
            id="features.py",
        ),
        pytest.param(
            lambda rows, spec, _: ingredients(rows, spec, 2), "the number of threads was 1, is 2", id="threads"
        ),
        pytest.param(
            lambda rows, spec, _: replaced(ingredients(rows, spec, 1), "libraries", "numpy", "0.1"),
            f"numpy was {VERSIONS['numpy']}, is 0.1",
            id="library",
        ),
        pytest.param(
            lambda rows, spec, _: replaced(ingredients(rows, spec, 1), "sources", "training/search.py", "5e"),
            "the source training/search.py was",
            id="code",
        ),
        pytest.param(
            lambda rows, spec, _: replaced(ingredients(rows, spec, 1), "sources", "training/new.py", "5e"),
            "the source training/new.py was absent, is 5e",
            id="a module more",
        ),
    ],
)
def test_a_change_of_any_ingredient_is_named(other, said: str, training, churn: UseCase, tmp_path: Path) -> None:
    rows = training.rows.iloc[:20]
    first, second = ingredients(rows, churn, 1), other(rows, churn, tmp_path)
    assert first.fingerprint != second.fingerprint
    (change,) = first.changes(second)
    assert change.startswith(said)


def replaced(made_of: Ingredients, part: str, name: str, value: str) -> Ingredients:
    return made_of.model_copy(update={part: {**getattr(made_of, part), name: value}})


def test_the_code_that_makes_a_model_is_all_among_the_sources(training, churn: UseCase) -> None:
    sources = ingredients(training.rows.iloc[:20], churn, 1).sources
    for name in ("features/build.py", "training/search.py", "training/candidates.py", "training/split.py"):
        assert name in sources
    assert {"evaluation/metrics.py", "evaluation/gate.py", "use case/features.py"} <= set(sources)


def test_another_folder_makes_no_difference(training, churn: UseCase, tmp_path: Path) -> None:
    shutil.copytree(churn.folder, tmp_path / "churn")
    rows, moved = training.rows.iloc[:20], load(tmp_path / "churn" / "spec.yaml")
    assert ingredients(rows, moved, 1) == ingredients(rows, churn, 1)
    assert ingredients(rows, churn, 1).changes(ingredients(rows, moved, 1)) == []


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


def test_how_a_model_is_asked_and_its_answers_are_kept_makes_no_other_model(training, churn: UseCase) -> None:
    asked = churn.model_copy(update={"serving": Serving(challenger="shadow"), "capture": Capturing(sampling=0.5)})
    assert ingredients(training.rows, asked, 1).fingerprint == ingredients(training.rows, churn, 1).fingerprint
