"""Data quality and the shift guard on real rows: bad data is named with its numbers, ordinary drift passes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from include.monitoring import quality
from include.monitoring.constraints import constraints
from include.spec import UseCase
from tests.unit.monitoring.conftest import Deal

Change = Callable[[pd.DataFrame], pd.DataFrame]


def share_of(column: str, share: float, value: object) -> Change:
    """Replace the first ``share`` of the rows of ``column``."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[column].astype(object).to_numpy(copy=True)
        values[: int(share * len(frame))] = value
        return frame.assign(**{column: pd.Series(values, frame.index).astype(frame[column].dtype)})

    return change


def times(column: str, factor: float) -> Change:
    return lambda frame: frame.assign(**{column: frame[column] * factor})


BLANK, DRIFT, UNSEEN, KIND = "completeness_check", "baseline_drift_check", "categorical_values_check", "data_type_check"
IMPLAUSIBLE: dict[str, tuple[Change, str, str, tuple[str, ...]]] = {
    "unit": (times("MonthlyCharges", 1000), DRIFT, "MonthlyCharges", ("'MonthlyCharges'", " to 7", "3-fold", "unit?")),
    "unit-down": (times("MonthlyCharges", 0.001), DRIFT, "MonthlyCharges", ("to 0.07", "limits.shift_median_ratio")),
    "unseen": (share_of("Contract", 0.6, "Weekly"), UNSEEN, "Contract", ("'Contract'", "60.0%", "'Weekly'", "50%")),
    "text": (lambda f: f.assign(tenure="long"), KIND, "tenure", ("'tenure' holds text", "has numbers", "such as long")),
    "number": (lambda f: f.assign(gender=1.0), KIND, "gender", ("'gender' holds numbers", "has text", "such as 1.0")),
}
BAD = IMPLAUSIBLE | {
    "missing": (lambda f: f.drop(columns="Partner"), "missing_column_check", "Partner", ("'Partner' is missing",)),
    "blank": (share_of("tenure", 0.3, np.nan), BLANK, "tenure", ("'tenure'", "30.0%", "in 0.0% of", "at most 20%")),
    "B22-all-blank": (lambda f: f.assign(tenure=np.nan), BLANK, "tenure", ("100.0%",)),
    "all-of-a-text": (lambda f: f.assign(Partner=None), BLANK, "Partner", ("'Partner'", "100.0%")),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_data_is_named_with_its_numbers(case: str, deal: Deal, churn: UseCase):
    change, kind, column, named = BAD[case]
    baseline, window = deal()
    found = [v for v in quality.check_window(constraints(baseline, churn), change(window), churn) if v.type == kind]
    assert [violation.column for violation in found] == [column]
    assert found[0].value > found[0].limit
    for part in named:
        assert part in found[0].message


@pytest.mark.parametrize("case", BAD)
def test_only_what_is_implausible_is_held_by_the_shift_guard(case: str, deal: Deal, churn: UseCase):
    change, kind, column, _ = BAD[case]
    baseline, window = deal()
    held = {
        (violation.type, violation.column)
        for violation in quality.shift_guard(constraints(baseline, churn), change(window), churn)
    }
    assert ((kind, column) in held) == (case in IMPLAUSIBLE)


def test_a_column_that_was_nearly_blank_and_now_is_wholly_is_bad_data(deal: Deal, churn: UseCase):
    baseline, window = deal()
    baseline = share_of("TotalCharges", 0.9, np.nan)(baseline)
    (violation,) = quality.check_window(constraints(baseline, churn), window.assign(TotalCharges=np.nan), churn)
    assert "'TotalCharges' is blank in 100.0% of the rows, in 90.0" in violation.message


ORDINARY: dict[str, Change] = {
    "as-it-is": lambda f: f,
    "price-rise": times("MonthlyCharges", 1.3),
    "price-doubled": times("MonthlyCharges", 2.9),
    "newer-customers": lambda f: f.assign(tenure=f["tenure"].where(f["tenure"].rank(pct=True) > 0.65, 5)),
    "some-blank": share_of("tenure", 0.1, np.nan),
    "new-category": share_of("Contract", 0.4, "Weekly"),
    "one-contract": lambda f: f.assign(Contract="Two year"),
    "an-extra-column": lambda f: f.assign(Colour="blue"),
    "no-rows": lambda f: f.head(0),
}


@pytest.mark.parametrize("case", ORDINARY)
def test_ordinary_drift_is_no_fault(case: str, deal: Deal, churn: UseCase):
    baseline, window = deal()
    assert quality.check_window(constraints(baseline, churn), ORDINARY[case](window), churn) == []
    assert quality.shift_guard(constraints(baseline, churn), ORDINARY[case](window), churn) == []


def test_a_unit_that_changed_this_week_is_held_in_a_year_that_is_well(rows: pd.DataFrame, churn: UseCase):
    newest = rows["observed_at"] >= rows["observed_at"].max() - pd.Timedelta(days=churn.monitoring.window_days - 1)
    assert churn.monitoring.minimum_rows <= newest.sum() < len(rows) / 15
    window = rows.assign(MonthlyCharges=rows["MonthlyCharges"].where(~newest, rows["MonthlyCharges"] * 1000))
    (violation,) = quality.shift_guard(constraints(rows, churn), window, churn)
    assert (violation.type, violation.column) == ("baseline_drift_check", "MonthlyCharges")
    assert violation.value == pytest.approx(1000, rel=0.2)


def test_a_few_new_rows_by_themselves_prove_nothing(rows: pd.DataFrame, churn: UseCase):
    newest = rows["observed_at"] >= rows["observed_at"].max() - pd.Timedelta(days=churn.monitoring.window_days - 1)
    few = pd.concat([rows[~newest], rows[newest].head(churn.monitoring.minimum_rows - 1).assign(Contract="Weekly")])
    assert quality.shift_guard(constraints(rows, churn), few, churn) == []


def sent(rows: int, left_out: dict[str, int] | None = None, added: dict[str, int] | None = None) -> quality.Requests:
    return quality.Requests(rows, left_out or {}, added or {})


def test_a_column_that_callers_leave_out_is_missing(deal: Deal, churn: UseCase):
    baseline, window = deal()
    known = constraints(baseline, churn)
    few, many = sent(1000, left_out={"Partner": 200}), sent(1000, left_out={"Partner": 201, "tenure": 3})
    assert quality.check_window(known, window, churn, few) == []
    (violation,) = quality.check_window(known, window, churn, many)
    assert (violation.type, violation.column, violation.blocks) == ("missing_column_check", "Partner", True)
    assert "'Partner' is left out in 20.1% of the 1000 rows that callers sent; at most 20%" in violation.message


def test_a_column_that_callers_add_is_reported_and_blocks_nothing(deal: Deal, churn: UseCase):
    baseline, window = deal()
    found = quality.check_window(constraints(baseline, churn), window, churn, sent(100, added={"Colour": 21}))
    assert [(violation.type, violation.column, violation.blocks) for violation in found] == [
        ("extra_column_check", "Colour", False)
    ]


def test_a_column_that_the_champion_does_not_know_is_reported_and_blocks_nothing(deal: Deal, churn: UseCase):
    baseline, window = deal()
    (violation,) = quality.check_window(constraints(baseline.drop(columns="Partner"), churn), window, churn)
    assert (violation.type, violation.column, violation.blocks) == ("extra_column_check", "Partner", False)
    assert "came after the champion was trained" in violation.message


def test_a_column_from_after_the_event_is_not_missed_in_what_callers_send(deal: Deal, churn: UseCase):
    late = churn.columns["Partner"].model_copy(update={"after_event": True})
    spec = churn.model_copy(update={"columns": {**churn.columns, "Partner": late}})
    baseline, window = deal()
    known = constraints(baseline.drop(columns="Partner"), spec)
    assert quality.check_window(known, window, spec, sent(100)) == []
    assert [violation.column for violation in quality.check_window(known, window, spec)] == ["Partner"]


def test_b26_unseen_categories_are_counted(deal: Deal, churn: UseCase):
    baseline, window = deal()
    window = share_of("Contract", 0.01, "Weekly")(window)
    assert quality.unseen(constraints(baseline, churn), window, churn) == {"Contract": 10}


def test_every_check_of_model_monitor_is_there(deal: Deal, churn: UseCase):
    baseline, window = deal()
    window = BAD["unit"][0](BAD["unseen"][0](BAD["missing"][0](window))).assign(tenure=np.nan, gender=1.0)
    found = quality.check_window(constraints(baseline, churn), window, churn, sent(10, added={"Colour": 10}))
    assert {violation.type for violation in found} == {
        *("data_type_check", "completeness_check", "baseline_drift_check", "missing_column_check"),
        *("extra_column_check", "categorical_values_check"),
    }
