"""Data quality against the baseline's constraints, and the shift guard before training. It never asks for a retrain.

A violation has the name that SageMaker Model Monitor gives its check. Of rows that were served, a column is missing
where callers left it out, and extra where they added it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from include.monitoring.constraints import Constraint, Kind, kind_of, quartiles
from include.spec import UseCase

Known = Mapping[str, Constraint]

EXTRA = "extra_column_check"
NAMES: dict[Kind, str] = {"number": "numbers", "text": "text"}


@dataclass(frozen=True)
class Violation:
    """One check that failed, with SageMaker Model Monitor's name for it: ``value`` was found, ``limit`` is allowed."""

    type: str
    column: str
    message: str
    value: float
    limit: float

    @property
    def blocks(self) -> bool:
        """Whether the data is bad. A column more is not: nobody reads it, and only a retrain could."""
        return self.type != EXTRA


@dataclass(frozen=True)
class Requests:
    """What callers sent for ``rows`` rows: in how many they left a column out, or added one, by its name."""

    rows: int
    left_out: Mapping[str, int]
    added: Mapping[str, int]


def check_window(known: Known, window: pd.DataFrame, spec: UseCase, sent: Requests | None = None) -> list[Violation]:
    """What is wrong with the data of ``window`` (rows, input columns), for all that it is like what was ``known``.

    ``sent`` is what its rows were made of, if they were served.
    """
    return [
        *_missing(known, window, spec),
        *_extra(known, spec, is_served=sent is not None),
        *(_sent(sent, spec) if sent else ()),
        *_nulls(known, window, spec),
        *_implausible(known, window, spec),
    ]


def unseen(known: Known, window: pd.DataFrame, spec: UseCase) -> dict[str, int]:
    """How many rows are in categories that the champion never saw, and scored as unknown; by column, where any are."""
    found = {
        name: int(_never_seen(known[name], window[name]).sum()) for name in _shared(known, window, spec, "category")
    }
    return {name: count for name, count in found.items() if count}


def shift_guard(known: Known, window: pd.DataFrame, spec: UseCase) -> list[Violation]:
    """What must not be learned: another type, a scale changed manifold, most rows in categories never seen before.

    The newest days of ``window`` (rows, input columns and ``observed_at``) are judged by themselves, too: a year in
    which nearly all is well does not show a unit that changed this week.
    """
    first = window["observed_at"].max() - timedelta(days=spec.monitoring.window_days)
    newest = window[window["observed_at"] > first]
    found = {(violation.type, violation.column): violation for violation in _implausible(known, window, spec)}
    if len(newest) >= spec.monitoring.minimum_rows:
        found |= {(violation.type, violation.column): violation for violation in _implausible(known, newest, spec)}
    return list(found.values())


def _implausible(known: Known, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    yield from _types(known, window, spec)
    yield from _scale(known, window, spec)
    yield from _unseen(known, window, spec)


def _missing(known: Known, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    for name in spec.columns:
        if name in known and name not in window:
            yield Violation("missing_column_check", name, f"column '{name}' is missing from the window", 1, 0)


def _extra(known: Known, spec: UseCase, *, is_served: bool) -> Iterator[Violation]:
    """Of what callers send, columns from after the event are no part."""
    for name, column in spec.columns.items():
        if name not in known and name not in (spec.id, spec.observed_at) and not (is_served and column.after_event):
            message = f"column '{name}' came after the champion was trained, which does not know it"
            yield Violation(EXTRA, name, message, 1, 0)


def _sent(sent: Requests, spec: UseCase) -> Iterator[Violation]:
    limit = spec.monitoring.maximum_null_rate_change
    for check, columns, said in (
        ("missing_column_check", sent.left_out, "left out"),
        (EXTRA, sent.added, "added, and nobody reads it"),
    ):
        for name, count in columns.items():
            if (share := count / sent.rows) > limit:
                message = f"column '{name}' is {said} in {share:.1%} of the {sent.rows} rows that callers sent"
                yield Violation(check, name, f"{message}; at most {limit:.0%}", share, limit)


def _types(known: Known, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    for name in _shared(known, window, spec):
        was, has = known[name].kind, kind_of(window[name])
        if was and has and was != has:
            example = window[name].dropna().iloc[0]
            message = f"'{name}' holds {NAMES[has]} where the baseline has {NAMES[was]}, such as {example}"
            yield Violation("data_type_check", name, message, 1, 0)


def _nulls(known: Known, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    limit = spec.monitoring.maximum_null_rate_change
    for name in _shared(known, window, spec):
        before, after = 1 - known[name].completeness, float(window[name].isna().mean())
        if after - before > limit or before < after == 1:
            message = f"'{name}' is blank in {after:.1%} of the rows, in {before:.1%} of the baseline's"
            yield Violation("completeness_check", name, f"{message}; at most {limit:.0%} more", after - before, limit)


def _unseen(known: Known, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    limit = spec.limits.shift_unseen_share
    for name in _shared(known, window, spec, "category"):
        never = _never_seen(known[name], window[name])
        share = float(never.mean())
        if share > limit:
            message = f"'{name}': {share:.1%} of the rows are in categories that the baseline never saw, such as"
            example = window[name][never].iloc[0]
            yield Violation(
                "categorical_values_check", name, f"{message} {example!r}; at most {limit:.0%}", share, limit
            )


def _never_seen(known: Constraint, column: pd.Series) -> pd.Series:
    return column.notna() & ~column.isin(known.domain or ())


def _scale(known: Known, window: pd.DataFrame, spec: UseCase) -> Iterator[Violation]:
    """Numbers whose median and both quartiles changed manifold: a unit does that, other customers hardly do."""
    limit = spec.limits.shift_median_ratio
    for name in _shared(known, window, spec):
        before, after = known[name].quartiles, quartiles(window[name].dropna())
        if before is None or after is None or not before[1] > 0 or not after[1] > 0:
            continue
        growth = [new / old for old, new in zip(before, after, strict=True) if old > 0 and new > 0]
        ratio = max(min(growth), 1 / max(growth))
        if ratio > limit:
            message = f"'{name}': the median went from {before[1]:g} to {after[1]:g}"
            real = f"the quartiles with it, more than {limit:g}-fold; a change of unit?"
            mend = "If it is real, raise limits.shift_median_ratio"
            yield Violation("baseline_drift_check", name, f"{message}, {real} {mend}", float(ratio), limit)


def _shared(known: Known, window: pd.DataFrame, spec: UseCase, kind: str | None = None) -> list[str]:
    wanted = (name for name, column in spec.columns.items() if kind in (None, column.type))
    return [name for name in wanted if name in known and name in window and len(window)]
