"""No row and no day may stand on both sides of a split."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.errors import DataRejected
from include.spec import Split as Rule
from include.training.split import split, time_folds


def observed(days: int, rows_a_day: int = 2) -> pd.Series:
    times = pd.date_range("2026-03-01", periods=days, freq="D", tz="UTC") + pd.Timedelta(hours=23)
    return pd.Series(np.repeat(times, rows_a_day)).sample(frac=1, random_state=1, ignore_index=True)


@pytest.mark.parametrize(
    ("days", "fraction", "held_out"),
    [(60, 0.25, 15), (8, 0.25, 2), (5, 0.01, 1), (10, 0.5, 5)],
    ids=["a quarter", "few days", "at least one", "half"],
)
def test_the_newest_days_are_held_out(days: int, fraction: float, held_out: int) -> None:
    times = observed(days)
    made = split(times.to_frame("observed_at"), Rule(holdout_fraction=fraction))
    assert made.holdout.sum() == held_out * 2
    assert (made.train ^ made.holdout).all()
    assert times[made.train].max() < made.holdout_from <= times[made.holdout].min()
    assert made.holdout_from == pd.Timestamp("2026-03-01", tz="UTC") + pd.Timedelta(days=days - held_out)


def test_days_are_those_of_utc() -> None:
    late = pd.to_datetime(["2026-03-01T23:30-05:00"] + [f"2026-03-0{d}T12:00Z" for d in (1, 2, 3, 4, 5, 6)], utc=True)
    local = pd.Series(late).dt.tz_convert("America/New_York")
    made = split(local.to_frame("observed_at"), Rule(holdout_fraction=0.8, folds=2).model_copy(update={"folds": 0}))
    assert made.holdout.tolist() == [True, False, True, True, True, True, True]


@pytest.mark.parametrize(("days", "folds"), [(4, 3), (10, 4), (60, 5)])
def test_folds_expand_along_time(days: int, folds: int) -> None:
    times = observed(days)
    made = time_folds(times, folds)
    assert len(made) == folds
    for (train, valid), (longer, _) in zip(made, [*made[1:], (np.arange(len(times)), None)], strict=True):
        assert len(train)
        assert times.iloc[train].max() < times.iloc[valid].min()
        assert set(train) | set(valid) <= set(longer)
    assert times.iloc[made[-1][1]].max() == times.max()


@pytest.mark.parametrize(("days", "folds"), [(1, 2), (3, 2), (4, 3)])
def test_too_few_days_to_split(days: int, folds: int) -> None:
    with pytest.raises(DataRejected, match="day") as refused:
        split(observed(days).to_frame("observed_at"), Rule(folds=folds))
    assert refused.value.code == "TOO_FEW_DAYS"


@pytest.mark.parametrize(("times", "code"), [(observed(3), "TOO_FEW_DAYS"), (observed(9)[:0], "TOO_FEW_DAYS")])
def test_too_few_days_for_folds(times: pd.Series, code: str) -> None:
    with pytest.raises(DataRejected) as refused:
        time_folds(times, 3)
    assert refused.value.code == code


def test_a_row_without_a_time_is_refused() -> None:
    with pytest.raises(DataRejected) as refused:
        time_folds(pd.Series([pd.NaT, *observed(9)]), 3)
    assert refused.value.code == "NO_OBSERVED_AT"
