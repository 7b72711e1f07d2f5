"""Drift on real Telco rows: equal to Evidently's distances, quiet without drift, awake with it, never stopped."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from include.data.simulator import Drift, simulate_day
from include.monitoring import drift
from include.monitoring.baseline import SCORE
from include.monitoring.distances import distance
from include.monitoring.tallies import MAXIMUM_CATEGORIES, OTHER, tally
from include.spec import UseCase
from tests.unit.monitoring.conftest import Deal

pytestmark = pytest.mark.filterwarnings("default")

DAY = date(2026, 1, 1)


def test_without_drift_at_most_the_stated_false_alarms(deal: Deal, churn: UseCase):
    """At 1 % of the windows, 3 or more of 60 come up once in 50 such tests; the seeds are fixed."""
    checks = drift.checks_of(churn)
    cases = [(800, 200), (3500, 200), (3500, 360), (5000, 360), (3500, 1000), (3500, 3000)]
    windows = [(*sizes, seed) for sizes in cases for seed in range(10)]
    alarms = {w: found for w in windows if (found := drift.measure(*deal(*w), checks, churn, w[2]).drifted)}
    assert len(alarms) <= 2, alarms


def simulated(rows: int, seed: int, churn: UseCase, change: Drift | None = None) -> pd.DataFrame:
    frame = simulate_day(DAY, rows=rows, seed=seed, drift=change).astype({"SeniorCitizen": str})
    charges = pd.to_numeric(frame["TotalCharges"], errors="coerce")
    return frame.assign(TotalCharges=charges, score=np.random.default_rng(seed).random(rows))


def test_covariate_drift_of_the_simulator_is_seen_in_every_window_of_360_rows(churn: UseCase):
    reference, checks = simulated(3500, 0, churn), drift.checks_of(churn)
    for seed in range(1, 16):
        window = simulated(360, seed, churn, Drift("covariate", DAY))
        assert "MonthlyCharges" in drift.measure(reference, window, checks, churn, seed).drifted


def test_a_price_rise_alarms(deal: Deal, churn: UseCase):
    for seed in range(5):
        reference, current = deal(3500, 500, seed)
        current = current.assign(MonthlyCharges=current["MonthlyCharges"] * 1.2)
        report = drift.measure(reference, current, drift.checks_of(churn), churn, seed)
        assert report.outcome == "DRIFT"
        assert report.drifted == ("MonthlyCharges",)


def test_bad_columns_have_a_status_and_stop_nothing(deal: Deal, churn: UseCase):
    reference, current = deal()
    current = current.drop(columns="Partner").assign(TotalCharges=np.nan, PaperlessBilling="Yes", tenure=3)
    reference = reference.drop(columns="Contract").assign(PaperlessBilling="Yes", tenure=3, gender=None)
    current.loc[current.index[0], SCORE] = np.nan
    current.loc[current.index[150:], "PhoneService"] = None
    report = drift.measure(reference, current, drift.checks_of(churn), churn, 0)
    assert report.outcome == "OK"
    found = {column.name: column for column in report.columns}
    assert list(found) == [check.name for check in drift.checks_of(churn)]
    assert found["Partner"].status == found["Contract"].status == "MISSING"
    assert found["TotalCharges"].status == found["gender"].status == "ALL_NULL"
    assert found[SCORE].status == "NAN_SCORES"
    assert found["PhoneService"].status == "INSUFFICIENT"
    for constant in ("PaperlessBilling", "tenure"):  # B23
        assert (found[constant].status, found[constant].distance) == ("OK", 0.0)
    assert found["MonthlyCharges"].status == "OK"


def test_a_constant_that_changed_is_drift(deal: Deal, churn: UseCase):
    reference, current = deal()
    report = drift.measure(reference.assign(tenure=3), current.assign(tenure=4), drift.checks_of(churn), churn, 0)
    assert report.drifted == ("tenure",)


def test_a_value_that_is_infinite_is_left_out(deal: Deal, churn: UseCase):
    reference, current = deal()
    current.iloc[:5, current.columns.get_loc("tenure")] = np.inf
    found = drift.measure(reference, current, drift.checks_of(churn), churn, 0).columns
    (tenure,) = [column for column in found if column.name == "tenure"]
    assert tenure.status == "OK"


def test_a_small_window_is_insufficient_whatever_is_in_it(deal: Deal, churn: UseCase):
    reference, current = deal(3500, 35)
    for window in (current, current.assign(MonthlyCharges=400.0, Contract="Weekly"), current.head(0)):
        report = drift.measure(reference, window, drift.checks_of(churn), churn, 0)
        assert (report.outcome, report.drifted) == ("INSUFFICIENT", ())


def test_a_huge_window_is_not_alarmed_by_what_does_not_matter(rows: pd.DataFrame, churn: UseCase):
    """A price rise of 1 %: certain with so many rows, and far below the threshold."""
    many = rows.sample(400_000, replace=True, random_state=0)
    report = drift.measure(
        rows, many.assign(MonthlyCharges=many["MonthlyCharges"] * 1.01), drift.checks_of(churn), churn, 0
    )
    assert (report.outcome, report.drifted, report.current_rows) == ("OK", (), 400_000)


def test_how_many_columns_make_a_drift_is_in_the_spec(deal: Deal, churn: UseCase):
    reference, current = deal()
    current = current.assign(MonthlyCharges=current["MonthlyCharges"] * 1.3)
    two = churn.model_copy(update={"monitoring": churn.monitoring.model_copy(update={"minimum_drifted_columns": 2})})
    report = drift.measure(reference, current, drift.checks_of(churn), two, 0)
    assert (report.outcome, report.drifted) == ("OK", ("MonthlyCharges",))


def test_rare_categories_count_as_one_where_there_are_very_many(churn: UseCase):
    rng = np.random.default_rng(0)
    check = drift.ColumnCheck("city", "category", "jensenshannon", 0.1)
    shares = 1 / np.arange(1, 50_001)
    draw = lambda n: pd.Series(rng.choice(50_000, n, p=shares / shares.sum())).astype("str")  # noqa: E731
    before, after = drift.values(*(pd.DataFrame({"city": draw(rows)}) for rows in (20_000, 1000)), check)
    assert set(after) <= set(before)
    assert before.nunique() == MAXIMUM_CATEGORIES
    assert (before == OTHER).mean() == pytest.approx((after == OTHER).mean(), abs=0.05)
    frames = [pd.DataFrame({"city": side}) for side in (before, after)]
    assert drift.measure(*frames, [check], churn, 0).drifted == ()
    moved = pd.DataFrame({"city": pd.Series(rng.integers(60_000, 90_000, 1000)).astype("str")})
    assert drift.measure(frames[0], moved, [check], churn, 0).drifted == ("city",)


METHODS = {
    "numbers-wasserstein": ("number", "wasserstein"),
    "numbers-jensenshannon": ("number", "jensenshannon"),
    "numbers-psi": ("number", "psi"),
    "categories-jensenshannon": ("category", "jensenshannon"),
    "categories-psi": ("category", "psi"),
}


@pytest.mark.parametrize("case", METHODS)
def test_distances_equal_evidentlys(case: str, deal: Deal, churn: UseCase):
    """Also with blanks, with a category that only one side has, and with numbers of few values."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    kind, method = METHODS[case]
    reference, current = (
        side.assign(years=side["tenure"] // 12, PaymentMethod=side["PaymentMethod"]) for side in deal()
    )
    current.loc[current.index[:30], ["tenure", "Contract"]] = None
    current.loc[current.index[:30], "PaymentMethod"] = "Crypto"
    reference = reference[(reference["InternetService"] != "No").to_numpy()]
    checks = [check for check in drift.checks_of(churn) if check.kind == kind]
    checks += [drift.ColumnCheck("years", "number", method, 0.1)] if kind == "number" else []
    names = [check.name for check in checks]
    definition = DataDefinition(**{"numerical_columns" if kind == "number" else "categorical_columns": names})
    sides = [Dataset.from_pandas(side[names], data_definition=definition) for side in (current, reference)]
    snapshot = Report([ValueDrift(column=name, method=method) for name in names]).run(sides[0], sides[1])
    theirs = {metric["config"]["column"]: metric["value"] for metric in snapshot.dict()["metrics"]}
    for check in checks:
        pair = (tally(side[check.name], check.kind) for side in (reference, current))
        assert distance(method, *pair) == pytest.approx(theirs[check.name], abs=1e-9), check.name
