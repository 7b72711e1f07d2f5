"""A model trained again from its record: equal, or another one and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from include.features.build import build
from include.spec import Candidate, UseCase
from include.training.fingerprint import ingredients
from include.training.package import Manifest, Provenance, save
from include.training.reproduction import reproduce
from include.training.split import split
from include.training.train import train


@pytest.fixture(scope="module")
def window(training) -> pd.DataFrame:
    """2,000 real rows with their labels."""
    rows = training.rows.iloc[:2000].assign(label=(training.rows["Churn"] == "Yes").astype(float))
    return rows.sort_values(["observed_at", "customerID"])


@pytest.fixture(scope="module")
def spec(churn: UseCase) -> UseCase:
    boosting = Candidate(
        kind="hist_gradient_boosting", params={"max_iter": 10}, search={"max_leaf_nodes": (6, 12)}, calibration="auto"
    )
    training = churn.training.model_copy(update={"candidates": {"trees": boosting}})
    return churn.model_copy(update={"training": training})


@pytest.fixture
def manifest(window: pd.DataFrame, spec: UseCase, about: Provenance, tmp_path: Path) -> Manifest:
    """The record of a model that was trained on the older part of the window."""
    labelled = window.reset_index(drop=True)
    rows = labelled[split(labelled, spec.training.split).train].reset_index(drop=True)
    matrix, labels, candidate = build(rows, spec), rows["label"].to_numpy(), spec.training.candidates["trees"]
    pipeline = train(matrix, labels, rows["observed_at"], candidate, spec).pipeline
    made_of = ingredients(rows, spec, threads=1)
    return save(tmp_path / "package", pipeline, about.model_copy(update={"candidate": "trees", "ingredients": made_of}))


def with_library(manifest: Manifest) -> Manifest:
    older = manifest.ingredients.model_copy(update={"libraries": {**manifest.ingredients.libraries, "numpy": "1.0"}})
    return manifest.model_copy(update={"ingredients": older})


def test_the_same_rows_make_the_same_model(window, spec: UseCase, manifest: Manifest) -> None:
    found = reproduce(window, spec, manifest)
    assert (found.equal, found.found, found.changes) == (True, manifest.model_sha256, ())


def test_another_version_of_a_library_is_named_and_the_model_compared(window, spec, manifest: Manifest) -> None:
    found = reproduce(window, spec, with_library(manifest))
    assert found.equal
    assert [change.split(",")[0] for change in found.changes] == ["numpy was 1.0"]


def test_another_model_is_told(window, spec: UseCase, manifest: Manifest) -> None:
    found = reproduce(window, spec, manifest.model_copy(update={"model_sha256": "5e" * 32}))
    assert (found.equal, found.recorded, found.found) == (False, "5e" * 32, manifest.model_sha256)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda rows: rows.iloc[3:], id="rows gone"),
        pytest.param(lambda rows: rows.assign(tenure=rows["tenure"] + 1), id="another value"),
        pytest.param(lambda rows: rows.assign(label=1 - rows["label"]), id="other labels"),
    ],
)
def test_other_rows_are_not_trained_on(
    change: Callable[[pd.DataFrame], pd.DataFrame], window, spec: UseCase, manifest: Manifest
) -> None:
    found = reproduce(change(window), spec, manifest)
    assert (found.equal, found.found, found.changes) == (False, None, ("the rows are not the same",))


def test_a_search_that_was_bound_to_a_time_is_named(window, spec: UseCase, manifest: Manifest) -> None:
    """The time in which the record was made is not the time that there is now."""
    hurried = spec.training.candidates["trees"].model_copy(update={"seconds": 60.0})
    training = spec.training.model_copy(update={"candidates": {"trees": hurried}})
    other = manifest.model_copy(update={"model_sha256": "5e" * 32})
    found = reproduce(window, spec.model_copy(update={"training": training}), other)
    assert not found.equal
    assert found.changes[-1].startswith("the search had 60 s")
