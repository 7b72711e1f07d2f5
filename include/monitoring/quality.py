"""Data quality against the baseline, and the shift guard before training. It never asks for a retrain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from include.spec import UseCase


@dataclass(frozen=True)
class Violation:
    """One check that failed, with SageMaker Model Monitor's name for it: ``value`` was found, ``limit`` is allowed."""

    type: str
    column: str
    message: str
    value: float
    limit: float


def check_window(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> list[Violation]:
    """What is wrong with the data of ``window`` (rows, input columns), for all that it resembles ``baseline``."""
    return [
        *_missing(baseline, window, spec),
        *_nulls(baseline, window, spec),
        *_implausible(baseline, window, spec),
    ]


def shift_guard(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> list[Violation]:
    """What must not be learned: another type, a scale changed manifold, most rows in categories never seen before.

    The newest days of ``window`` (rows, input columns and ``observed_at``) are judged by themselves, too: a year in
    which nearly all is well does not show a unit that changed this week.
    """
    first = window["observed_at"].max() - timedelta(days=spec.monitoring.window_days)
    newest = window[window["observed_at"] > first]
    found = {(violation.type, violation.column): violation for violation in _implausible(baseline, window, spec)}
    if len(newest) >= spec.monitoring.minimum_rows:
        found |= {(violation.type, violation.column): violation for violation in _implausible(baseline, newest, spec)}
    return list(found.values())


def _implausible(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    yield from _types(baseline, window, spec)
    yield from _scale(baseline, window, spec)
    yield from _unseen(baseline, window, spec)


def _missing(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    for name in spec.columns:
        if name in baseline and name not in window:
            yield Violation("missing_column_check", name, f"column '{name}' is missing from the window", 1, 0)


def _types(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    for name in _shared(baseline, window, spec):
        before, after = baseline[name].dropna(), window[name].dropna()
        was, has = (pd.api.types.is_numeric_dtype(side) for side in (before, after))
        if len(before) and len(after) and was != has:
            message = f"'{name}' holds {_kind(has)} where the baseline has {_kind(was)}, such as {after.iloc[0]}"
            yield Violation("data_type_check", name, message, 1, 0)


def _kind(numeric: bool) -> str:
    return "numbers" if numeric else "text"


def _nulls(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    limit = spec.monitoring.maximum_null_rate_change
    for name in _shared(baseline, window, spec):
        before, after = float(baseline[name].isna().mean()), float(window[name].isna().mean())
        if after - before > limit or before < after == 1:
            message = f"'{name}' is blank in {after:.1%} of the rows, in {before:.1%} of the baseline's"
            yield Violation("completeness_check", name, f"{message}; at most {limit:.0%} more", after - before, limit)


def _unseen(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    limit = spec.limits.shift_unseen_share
    for name in _shared(baseline, window, spec):
        if spec.columns[name].type != "category":
            continue
        given = window[name].dropna()
        unseen = given[~given.isin(baseline[name].dropna().unique())]
        share = len(unseen) / len(window)
        if share > limit:
            message = f"'{name}': {share:.1%} of the rows are in categories that the baseline never saw, such as"
            yield Violation(
                "categorical_values_check", name, f"{message} {unseen.iloc[0]!r}; at most {limit:.0%}", share, limit
            )


def _scale(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    """Numbers whose median and both quartiles changed manifold: a unit does that, other customers hardly do."""
    limit = spec.limits.shift_median_ratio
    for name in _shared(baseline, window, spec):
        if not all(pd.api.types.is_numeric_dtype(side[name]) for side in (baseline, window)):
            continue
        before, after = (side[name].abs().quantile([0.5, 0.25, 0.75]) for side in (baseline, window))
        if not before.iloc[0] > 0 or not after.iloc[0] > 0:
            continue
        growth = (after / before)[(before > 0) & (after > 0)]
        ratio = max(growth.min(), 1 / growth.max())
        if ratio > limit:
            message = f"'{name}': the median went from {before.iloc[0]:g} to {after.iloc[0]:g}"
            real = f"the quartiles with it, more than {limit:g}-fold; a change of unit?"
            mend = "If it is real, raise limits.shift_median_ratio"
            yield Violation("baseline_drift_check", name, f"{message}, {real} {mend}", float(ratio), limit)


def _shared(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> list[str]:
    return [name for name in spec.columns if name in baseline and name in window and len(window)]
