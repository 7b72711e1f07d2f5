"""Drift on real Telco rows: equal to Evidently's distances, quiet without drift, awake with it, never stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.data import contract
from include.monitoring import drift
from include.monitoring.distances import distance
from include.spec import UseCase

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def rows(telco_csv: Path, churn: UseCase) -> pd.DataFrame:
    frame = contract.conform(contract.read(telco_csv, churn), churn).frame
    return frame.assign(score=np.random.default_rng(0).random(len(frame)))


def halves(rows: pd.DataFrame, size: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    order = np.random.default_rng(seed).permutation(len(rows))
    return rows.iloc[order[:3500]], rows.iloc[order[3500 : 3500 + size]]


def test_without_drift_at_most_the_stated_false_alarms(rows: pd.DataFrame, churn: UseCase):
    """At a family-wise rate of 1 % two or more alarms in 60 windows come up once in 8 such tests; seeds are fixed."""
    checks = drift.checks_of(churn)
    windows = [(size, seed) for size in (200, 360, 1000, 3000) for seed in range(15)]
    alarms = [(w, drift.measure(*halves(rows, *w), checks, churn, w[1]).drifted) for w in windows]
    assert len([alarm for alarm in alarms if alarm[1]]) <= 1, alarms


def test_a_price_rise_alarms(rows: pd.DataFrame, churn: UseCase):
    for seed in range(5):
        reference, current = halves(rows, 500, seed)
        current = current.assign(MonthlyCharges=current["MonthlyCharges"] * 1.2)
        report = drift.measure(reference, current, drift.checks_of(churn), churn, seed)
        assert report.outcome == "DRIFT"
        assert "MonthlyCharges" in report.drifted


def test_bad_columns_have_a_status_and_stop_nothing(rows: pd.DataFrame, churn: UseCase):
    reference, current = halves(rows, 1000, 1)
    current = current.drop(columns="Partner").assign(TotalCharges=np.nan, PaperlessBilling="Yes")
    reference = reference.assign(PaperlessBilling="Yes")
    report = drift.measure(reference, current, drift.checks_of(churn), churn, 0)
    found = {column.name: column for column in report.columns}
    assert found["Partner"].status == "MISSING"
    assert found["TotalCharges"].status == "ALL_NULL"
    assert (found["PaperlessBilling"].status, found["PaperlessBilling"].distance) == ("OK", 0.0)
    assert found["tenure"].status == "OK"


def test_a_small_window_is_insufficient(rows: pd.DataFrame, churn: UseCase):
    report = drift.measure(*halves(rows, 35, 0), drift.checks_of(churn), churn, 0)
    assert report.outcome == "INSUFFICIENT"
    assert report.drifted == ()


@pytest.mark.parametrize("method", ["wasserstein", "jensenshannon", "psi"])
def test_distances_equal_evidentlys(rows: pd.DataFrame, churn: UseCase, method: str):
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    reference, current = halves(rows, 3000, 3)
    checks = [c for c in drift.checks_of(churn) if method != "wasserstein" or c.kind == "number"]
    if method != "wasserstein":
        checks = [c for c in checks if c.kind == "category"]
    names = [c.name for c in checks]
    definition = DataDefinition(
        numerical_columns=[c.name for c in checks if c.kind == "number"],
        categorical_columns=[c.name for c in checks if c.kind == "category"],
    )
    sides = [Dataset.from_pandas(side[names], data_definition=definition) for side in (current, reference)]
    snapshot = Report([ValueDrift(column=n, method=method) for n in names]).run(
        current_data=sides[0], reference_data=sides[1]
    )
    theirs = {m["config"]["column"]: m["value"] for m in snapshot.dict()["metrics"]}
    for check in checks:
        before, after = drift._values(reference[check.name], current[check.name], check)
        assert distance(method, before, after) == pytest.approx(theirs[check.name], abs=1e-3), check.name
