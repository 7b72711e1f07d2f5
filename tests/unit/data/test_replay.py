"""A static file as a history: the same rows get the same days, whatever order they come in."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from include.data.replay import spread

FIRST = date(2026, 1, 31)
IDS = pd.Series([f"{n:04}-ABCDE" for n in range(6000)])


def test_the_history_ends_the_day_before_the_first_as_of() -> None:
    times = spread(IDS, 60, FIRST)
    assert times.dtype == pd.DatetimeTZDtype("us", "UTC")
    assert (times == times.dt.normalize()).all()
    assert times.min() == pd.Timestamp("2025-12-02", tz="UTC")
    assert times.max() == pd.Timestamp("2026-01-30", tz="UTC")


def test_each_day_gets_about_its_share() -> None:
    counts = spread(IDS, 60, FIRST).value_counts()
    assert len(counts) == 60
    assert np.abs(counts - 100).max() < 50  # five standard deviations


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_rows_and_what_stands_beside_them_do_not_matter(seed: int) -> None:
    times = spread(IDS, 60, FIRST)
    shuffled = IDS.sample(frac=0.5, random_state=seed)
    pd.testing.assert_series_equal(spread(shuffled, 60, FIRST), times[shuffled.index])


def test_the_days_are_these_for_ever() -> None:
    times = spread(pd.Series(["7590-VHVEG", "5575-GNVDE", "007", "7"]), 60, FIRST)
    assert [str(day) for day in times.dt.date] == ["2026-01-21", "2025-12-07", "2026-01-09", "2025-12-08"]


def test_another_first_day_moves_all_rows_alike() -> None:
    moved = spread(IDS, 60, date(2026, 2, 10)) - spread(IDS, 60, FIRST)
    assert set(moved) == {pd.Timedelta(days=10)}
