"""Splits along time: a model is judged on days after those it learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.errors import DataRejected
from include.spec import Split as SplitRule

Fold = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, slots=True)
class Split:
    """Two boolean masks of shape (rows,) that share no row and no day; together they hold every row."""

    train: np.ndarray
    holdout: np.ndarray
    holdout_from: pd.Timestamp
    """Midnight UTC at which the hold-out begins."""


def split(frame: pd.DataFrame, rule: SplitRule) -> Split:
    """Hold out the newest ``rule.holdout_fraction`` of the distinct UTC days in ``frame["observed_at"]``, at least one.

    Raises ``DataRejected`` (``TOO_FEW_DAYS``) unless ``rule.folds`` + 1 days are left to train on.
    """
    days = utc_days(frame["observed_at"])
    distinct = np.unique(days)
    held_out = max(1, round(rule.holdout_fraction * len(distinct)))
    _require_days(len(distinct) - held_out, rule.folds, f" after holding out {held_out} of {len(distinct)}")
    first = distinct[-held_out]
    holdout = days >= first
    return Split(~holdout, holdout, pd.Timestamp(first, tz="UTC"))


def require_new_ids(ids: pd.Series, parts: Split, rule: SplitRule) -> None:
    """Raise ``DataRejected`` (``SAME_IDS``) when an id is in both parts, unless the spec says that ids return."""
    if rule.ids_return:
        return
    held_out = ids[parts.holdout]
    if both := sorted(held_out[held_out.isin(ids[parts.train])].unique()):
        raise DataRejected(
            "SAME_IDS",
            f"column '{ids.name}': {len(both)} ids are both in the training rows and in the hold-out, such as "
            f"{', '.join(map(repr, both[:3]))}; a model is judged on ids that it has not seen. If an id is observed "
            "again and again by design, say so: training.split.ids_return: true",
        )


def time_folds(observed_at: pd.Series, n: int) -> list[Fold]:
    """``n`` pairs of row positions (train, valid): the days are cut into n + 1 runs, each fold learns from all runs
    before the one it is validated on. Raises ``DataRejected`` (``TOO_FEW_DAYS``) with fewer than n + 1 days.
    """
    days = utc_days(observed_at)
    distinct = np.unique(days)
    _require_days(len(distinct), n)
    starts = [run[0] for run in np.array_split(distinct, n + 1)[1:]]
    ends = [*starts[1:], distinct[-1] + np.timedelta64(1, "D")]
    return [
        (np.flatnonzero(days < start), np.flatnonzero((days >= start) & (days < end)))
        for start, end in zip(starts, ends, strict=True)
    ]


def utc_days(observed_at: pd.Series) -> np.ndarray:
    """The UTC day of each row as datetime64[D]; times without a zone are taken as UTC."""
    times = pd.to_datetime(observed_at, utc=True)
    if times.isna().any():
        raise DataRejected("NO_OBSERVED_AT", f"{times.isna().sum()} row(s) without a time of observation")
    return times.dt.tz_localize(None).to_numpy().astype("datetime64[D]")


def _require_days(days: int, folds: int, when: str = "") -> None:
    if days < folds + 1:
        raise DataRejected(
            "TOO_FEW_DAYS",
            f"{max(days, 0)} day(s) to train on{when}, {folds} folds need {folds + 1}; "
            "wait for more days or lower training.split.folds",
        )
