"""Windows: which rows are in them, and what they count for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pandas as pd
import pytest

from include.monitoring.drift import ColumnVerdict, DriftReport
from include.monitoring.windows import Days, cut, judge

END = date(2026, 3, 2)


def test_every_row_is_in_the_window_of_its_day(rows: pd.DataFrame):
    windows = cut(rows, END, days=3, count=4)
    assert [(w.first, w.end) for w in windows] == [
        (END - timedelta(3 * n + 3), END - timedelta(3 * n)) for n in range(4)
    ]
    for window in windows:
        observed = window.rows["observed_at"].dt.date
        assert len(observed) == pytest.approx(3 * 7043 / 60, abs=3)
        assert observed.between(window.first, window.end - timedelta(1)).all()
    assert sum(len(window.rows) for window in windows) == (rows["observed_at"] >= "2026-02-18").sum()


def test_a_window_without_rows_is_there_and_empty(rows: pd.DataFrame):
    after, newest = cut(rows, END + timedelta(3), days=3, count=2)
    assert after.rows.empty
    assert list(after.rows) == list(rows)
    assert len(newest.rows) > 0


COLUMN = ColumnVerdict("tenure", "DRIFT", "wasserstein", 0.4, 0.15)
DRIFTED = DriftReport("DRIFT", 5000, 360, (COLUMN, ColumnVerdict("gender", "OK", "jensenshannon", 0.01, 0.1)))
QUIET = DriftReport("OK", 5000, 360, (replace(COLUMN, status="OK"),))
FEW = DriftReport("INSUFFICIENT", 5000, 35, (replace(COLUMN, status="INSUFFICIENT"),))
CASES = {
    "drifted": (DRIFTED, [], "2026-02-27", "DRIFT", "tenure"),
    "quiet": (QUIET, [], "2026-02-27", "OK", "no column drifted"),
    "few": (FEW, [], "2026-02-27", "INSUFFICIENT", "2 rows, at least 200 needed"),
    "one-day-trained-on": (DRIFTED, [], "2026-02-28", "TRAINED_ON", "days before 2026-02-28"),
    "bad": (DRIFTED, ["'x' is blank", "'y' is missing"], "2026-02-27", "DATA_QUALITY", "'x' is blank; 'y' is missing"),
    "bad-and-trained-on": (DRIFTED, ["'x' is blank"], "2026-03-02", "DATA_QUALITY", "'x' is blank"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_window_counts_for(case: str, rows: pd.DataFrame):
    report, faults, trained_until, verdict, note = CASES[case]
    days = Days(END - timedelta(3), END, rows.head(2))
    window = judge(days, report, faults, trained_until, minimum_rows=200)
    assert (window.first, window.end, window.verdict) == ("2026-02-27", "2026-03-02", verdict)
    assert note in window.note
