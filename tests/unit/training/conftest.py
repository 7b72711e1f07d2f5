"""Telco as training rows, and a small fitted model of each kind."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from include.features.build import build
from include.spec import UseCase
from include.training.calibration import calibrate
from include.training.fingerprint import Ingredients
from include.training.package import Provenance
from include.training.preparation import probability
from include.training.search import fit


@dataclass(frozen=True)
class Training:
    """Rows as they stand in the table, with model inputs and labels."""

    rows: pd.DataFrame
    inputs: pd.DataFrame
    labels: np.ndarray


@pytest.fixture(scope="session")
def training(telco_csv: Path, churn: UseCase) -> Training:
    rows = pd.read_csv(telco_csv, dtype={"SeniorCitizen": str})
    rows["TotalCharges"] = pd.to_numeric(rows["TotalCharges"], errors="coerce")
    days = [int(hashlib.sha256(key.encode()).hexdigest(), 16) % 60 for key in rows["customerID"]]
    rows["observed_at"] = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(days, unit="D")
    return Training(rows, build(rows, churn), (rows["Churn"] == "Yes").to_numpy().astype(int))


@pytest.fixture(scope="session")
def models(training: Training, churn: UseCase) -> dict[str, Pipeline]:
    """One fitted pipeline of each candidate, on 800 rows, and one that is calibrated."""
    inputs, labels = training.inputs.iloc[:800], training.labels[:800]
    made = {name: fit(inputs, labels, c, {}, churn) for name, c in churn.training.candidates.items()}
    # Every second of the positive labels is taken away, so that the scores are too high.
    rarer = training.labels * (np.arange(len(training.labels)) % 2)
    folds = np.array_split(np.arange(800, 2000), 3)
    validated = tuple((rows, probability(made["decision_tree"], training.inputs.iloc[rows])) for rows in folds)
    made["calibrated"], found = calibrate(made["decision_tree"], "isotonic", validated, rarer)
    assert found.method == "isotonic"
    return made


@pytest.fixture(scope="session")
def about(churn: UseCase) -> Provenance:
    return Provenance(
        use_case="churn",
        candidate="logistic_regression",
        kind="logistic_regression",
        params={"C": 1.0},
        feature_types=churn.feature_types,
        trained_from="2026-01-01",
        trained_until="2026-02-15",
        feature_version="0" * 16,
        ingredients=Ingredients(rows="a" * 64, spec="b" * 64, sources={}, libraries={"numpy": "2"}, threads=1),
    )
