"""Data quality against the baseline, and the shift guard before training. It never asks for a retrain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from include.spec import UseCase


@dataclass(frozen=True)
class Violation:
    """One check that failed, with SageMaker Model Monitor's name for it where there is one."""

    type: str
    column: str
    message: str
    value: float
    limit: float


def check_window(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> list[Violation]:
    """Nulls, unseen categories and missing columns of ``window`` (rows, input columns) against ``baseline``."""
    return [*_missing(baseline, window, spec), *_nulls(baseline, window, spec), *_unseen(baseline, window, spec)]


def shift_guard(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> list[Violation]:
    """Only what is implausible: a scale changed manifold, or most rows in categories never seen before."""
    return [*_scale(baseline, window, spec), *_unseen(baseline, window, spec)]


def _missing(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    for name in spec.columns:
        if name in baseline and name not in window:
            yield Violation("missing_column_check", name, f"column '{name}' is missing from the window", 1, 0)


def _nulls(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    limit = spec.monitoring.maximum_null_rate_change
    for name in _shared(baseline, window, spec):
        before, after = float(baseline[name].isna().mean()), float(window[name].isna().mean())
        if after - before > limit:
            message = f"'{name}' is blank in {after:.1%} of the rows, {before:.1%} in the baseline"
            yield Violation("completeness_check", name, message, after - before, limit)


def _unseen(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    limit = spec.limits.shift_unseen_share
    for name in _shared(baseline, window, spec):
        if spec.columns[name].type != "category":
            continue
        known = window[name].isna() | window[name].isin(baseline[name].dropna().unique())
        share = float((~known).mean())
        if share > limit:
            message = (
                f"'{name}': {share:.1%} of the rows are in categories that the baseline never saw, at most {limit:.0%}"
            )
            yield Violation("categorical_values_check", name, message, share, limit)


def _scale(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    limit = spec.limits.shift_median_ratio
    for name in _shared(baseline, window, spec):
        if not spec.columns[name].is_numeric:
            continue
        before, after = baseline[name].abs().median(), window[name].abs().median()
        if not before > 0 or not after > 0:
            continue
        ratio = max(before / after, after / before)
        if ratio > limit:
            message = (
                f"'{name}': the median went from {before:g} to {after:g}, more than {limit:g}-fold; a change of unit?"
            )
            yield Violation("baseline_drift_check", name, message, float(ratio), limit)


def _shared(baseline: pd.DataFrame, window: pd.DataFrame, spec: UseCase) -> list[str]:
    return [name for name in spec.columns if name in baseline and name in window and len(window)]
