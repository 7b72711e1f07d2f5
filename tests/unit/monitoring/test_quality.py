"""Data quality and the shift guard on real rows: bad data is named with its numbers, ordinary drift passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.data import contract
from include.monitoring import quality
from include.spec import UseCase

Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def rows(telco_csv: Path, churn: UseCase) -> pd.DataFrame:
    return contract.conform(contract.read(telco_csv, churn), churn).frame


def sides(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    order = np.random.default_rng(0).permutation(len(rows))
    return rows.iloc[order[:5000]], rows.iloc[order[5000:6000]]


def share_of(column: str, share: float, value: object) -> Change:
    """Replace the first ``share`` of the rows of ``column``."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[column].astype(object).to_numpy(copy=True)
        values[: int(share * len(frame))] = value
        return frame.assign(**{column: pd.Series(values, frame.index).astype(frame[column].dtype)})

    return change


VIOLATIONS: dict[str, tuple[Change, str, str, tuple[str, ...]]] = {
    "missing": (lambda f: f.drop(columns="Partner"), "missing_column_check", "Partner", ("'Partner'", "missing")),
    "blank": (share_of("tenure", 0.3, np.nan), "completeness_check", "tenure", ("'tenure'", "30.0%", "0.0%")),
    "all-blank": (lambda f: f.assign(tenure=np.nan), "completeness_check", "tenure", ("100.0%",)),
    "unseen": (
        share_of("Contract", 0.6, "Weekly"),
        "categorical_values_check",
        "Contract",
        ("'Contract'", "60.0%", "50%"),
    ),
}


@pytest.mark.parametrize("case", VIOLATIONS)
def test_bad_data_is_named_with_its_numbers(case: str, rows: pd.DataFrame, churn: UseCase):
    change, kind, column, named = VIOLATIONS[case]
    baseline, window = sides(rows)
    (violation,) = quality.check_window(baseline, change(window), churn)
    assert (violation.type, violation.column) == (kind, column)
    assert violation.value > violation.limit
    for part in named:
        assert part in violation.message


ORDINARY: dict[str, Change] = {
    "as-it-is": lambda f: f,
    "price-rise": lambda f: f.assign(MonthlyCharges=f["MonthlyCharges"] * 1.3),
    "some-blank": share_of("tenure", 0.1, np.nan),
    "new-category": share_of("Contract", 0.4, "Weekly"),
    "one-contract": lambda f: f.assign(Contract="Two year"),
}


@pytest.mark.parametrize("case", ORDINARY)
def test_ordinary_drift_is_no_fault(case: str, rows: pd.DataFrame, churn: UseCase):
    baseline, window = sides(rows)
    assert quality.check_window(baseline, ORDINARY[case](window), churn) == []
    assert quality.shift_guard(baseline, ORDINARY[case](window), churn) == []


@pytest.mark.parametrize("factor", [1000, 1 / 1000, 3.1], ids=["B25-up", "B25-down", "above-the-limit"])
def test_a_change_of_unit_is_held_by_the_shift_guard(factor: float, rows: pd.DataFrame, churn: UseCase):
    baseline, window = sides(rows)
    baseline = baseline.assign(MonthlyCharges=70.0)
    window = window.assign(MonthlyCharges=70.0 * factor)
    (violation,) = quality.shift_guard(baseline, window, churn)
    assert (violation.type, violation.column) == ("baseline_drift_check", "MonthlyCharges")
    assert "from 70 to" in violation.message
    assert "a change of unit?" in violation.message


def test_categories_that_nobody_has_seen_are_held_by_the_shift_guard(rows: pd.DataFrame, churn: UseCase):
    baseline, window = sides(rows)
    (violation,) = quality.shift_guard(baseline, share_of("PaymentMethod", 0.51, "Crypto")(window), churn)
    assert (violation.type, violation.column) == ("categorical_values_check", "PaymentMethod")


def test_an_empty_window_has_no_quality(rows: pd.DataFrame, churn: UseCase):
    baseline, window = sides(rows)
    assert quality.check_window(baseline, window.head(0), churn) == []
