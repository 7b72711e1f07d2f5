"""Performance over time on real rows: what is actual, what is estimated, and that they are never mixed."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from include.evaluation.metrics import single
from include.monitoring.performance import Reference, Window, measure, metrics_of, newest_actual
from include.spec import Monitoring, UseCase

SINCE, END = date(2026, 1, 1), date(2026, 3, 2)
MATURE = END - timedelta(days=14)


@pytest.fixture(scope="module")
def reference(rows: pd.DataFrame) -> Reference:
    found = Reference.of(rows)
    assert found is not None
    return found


def spec_of(churn: UseCase, **rules: object) -> UseCase:
    performance = churn.monitoring.performance.model_copy(update=rules)
    return churn.model_copy(update={"monitoring": churn.monitoring.model_copy(update={"performance": performance})})


def measured(rows: pd.DataFrame, reference: Reference | None, spec: UseCase, **days: date) -> tuple[Window, ...]:
    return measure(rows, reference, spec, **{"since": SINCE, "end": END, "mature": MATURE, **days})


def test_windows_are_actual_up_to_the_day_from_which_on_labels_are_not_mature(
    rows: pd.DataFrame, reference: Reference, churn: UseCase
):
    found = measured(rows, reference, churn)
    assert [(one.first, one.end, one.basis) for one in found] == [
        ("2026-02-16", "2026-03-02", "estimated"),
        ("2026-02-02", "2026-02-16", "actual"),
        ("2026-01-19", "2026-02-02", "actual"),
        ("2026-01-05", "2026-01-19", "actual"),
        ("2026-01-01", "2026-01-05", "actual"),
    ]
    newest = newest_actual(found)
    assert newest is found[1]
    inside = rows[(rows["observed_at"] >= "2026-02-02") & (rows["observed_at"] < "2026-02-16")]
    auc = newest.figures["roc_auc"]
    assert auc.value == single("roc_auc", inside["label"].to_numpy(), inside["score"].to_numpy())
    assert auc.low < auc.value < auc.high
    assert (newest.rows, newest.mature, newest.labelled, newest.coverage) == (len(inside),) * 3 + (1.0,)
    assert not newest.alarm
    assert set(newest.figures) == set(metrics_of(churn))


def test_labels_that_came_early_are_not_used(rows: pd.DataFrame, reference: Reference, churn: UseCase):
    """Half of the labels of the last days are known, those of customers who left: an estimate does not look at them."""
    early = rows.assign(label=rows["label"].where((rows["observed_at"] < str(MATURE)) | (rows["label"] == 1)))
    newest, with_all = (measured(frame, reference, churn)[0] for frame in (early, rows))
    assert newest == with_all
    assert (newest.basis, newest.mature, newest.labelled, newest.coverage) == ("estimated", 0, 0, None)
    assert newest.expected is newest.drop is None
    assert "estimated" in str(newest)
    assert "actual" not in str(newest)
    assert "calibration_error" not in newest.figures


def test_an_estimate_covers_what_the_labels_then_say(rows: pd.DataFrame, reference: Reference, churn: UseCase):
    estimated = measured(rows, reference, churn)[0]
    actual = measured(rows, reference, churn, mature=END)[0]
    assert (estimated.first, actual.basis) == (actual.first, "actual")
    assert estimated.figures["roc_auc"].low <= actual.figures["roc_auc"].value <= estimated.figures["roc_auc"].high
    assert actual.expected == estimated.figures


def test_too_few_labels_leave_an_estimate_that_says_so(rows: pd.DataFrame, reference: Reference, churn: UseCase):
    kept = np.random.default_rng(0).random(len(rows)) < 0.7
    some = rows.assign(label=rows["label"].where(kept))
    one = measured(some, reference, churn)[1]
    assert (one.basis, one.note.partition(":")[0]) == ("estimated", "LOW_LABEL_COVERAGE")
    assert one.coverage == pytest.approx(0.7, abs=0.03)
    assert "at least 80% needed" in one.note
    assert measured(some, reference, spec_of(churn, minimum_coverage=0.5))[1].basis == "actual"


def test_few_rows_are_insufficient(rows: pd.DataFrame, reference: Reference, churn: UseCase):
    found = measured(rows.iloc[::40], reference, churn)
    assert {one.basis for one in found} == {"none"}
    assert "INSUFFICIENT" in str(found[0])
    assert f"{found[0].rows} rows, at least 200 needed" in str(found[0])
    assert newest_actual(found) is None


def test_one_class_is_no_performance(rows: pd.DataFrame, reference: Reference, churn: UseCase):
    found = measured(rows.assign(label=0.0), reference, churn)
    assert {one.basis for one in found} == {"estimated"}
    assert "fewer than 10 labels of a class" in found[1].note


def test_without_judged_rows_there_are_actual_figures_and_no_estimate(rows: pd.DataFrame, churn: UseCase):
    found = measured(rows, None, churn)
    assert [one.basis for one in found] == ["none", *["actual"] * 4]
    assert found[1].expected is found[1].drop is None
    assert "INSUFFICIENT: labels are not mature, and the package keeps no judged rows" in found[0].note
    assert Reference.of(rows.head(0)) is None


def test_labels_at_random_alarm_and_the_sentence_says_why(rows: pd.DataFrame, reference: Reference, churn: UseCase):
    rng = np.random.default_rng(0)
    drifted = (rows["observed_at"] >= "2026-02-02") & (rng.random(len(rows)) < 0.3)
    labels = np.where(drifted, rng.random(len(rows)) < rows["label"].mean(), rows["label"])
    newest, *_ = (one for one in measured(rows.assign(label=labels), reference, churn) if one.basis == "actual")
    assert newest.alarm
    assert newest.figures["roc_auc"].value < newest.expected["roc_auc"].low
    assert "their scores promise 0.8" in str(newest)
    assert "chance alone makes such labels with p = " in str(newest)


def test_as_many_windows_are_shown_as_the_spec_says(rows: pd.DataFrame, reference: Reference, churn: UseCase):
    found = measured(rows, reference, spec_of(churn, windows=3, window_days=7))
    assert [one.first for one in found if one.first < str(MATURE)] == ["2026-02-09", "2026-02-02", "2026-01-26"]
    assert [one.first for one in found if one.first >= str(MATURE)] == ["2026-02-23", "2026-02-16"]


def test_labels_that_come_months_late_are_looked_at(rows: pd.DataFrame, reference: Reference, churn: UseCase):
    late = rows.assign(label=np.random.default_rng(0).permutation(rows["label"]))
    days = {"mature": date(2026, 2, 1), "end": date(2026, 5, 2)}
    found = measured(late, reference, spec_of(churn, windows=2), **days)
    assert [(one.first, one.basis) for one in found if one.first < "2026-02-01"] == [
        ("2026-01-18", "actual"),
        ("2026-01-04", "actual"),
    ]
    assert [one.first for one in found if one.first >= "2026-02-01"] == ["2026-04-26", "2026-04-12"]
    assert newest_actual(found).alarm


def test_days_that_the_champion_knows_are_no_evidence(rows: pd.DataFrame, reference: Reference, churn: UseCase):
    found = measured(rows, reference, churn, since=date(2026, 2, 10))
    assert [(one.first, one.end) for one in found] == [("2026-02-16", "2026-03-02"), ("2026-02-10", "2026-02-16")]
    assert measured(rows, reference, churn, since=END) == ()


def test_it_is_plain_json(rows: pd.DataFrame, reference: Reference, churn: UseCase):
    content = json.loads(json.dumps([one.to_json() for one in measured(rows, reference, churn)], allow_nan=False))
    assert content[1]["figures"]["roc_auc"]["low"] > 0.7
    assert content[0]["coverage"] is None


def test_the_minimum_of_rows_is_one_setting(churn: UseCase):
    assert "minimum_rows" in Monitoring.model_fields
    assert "minimum_rows" not in type(churn.monitoring.performance).model_fields
