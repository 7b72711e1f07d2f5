"""Drift of a window against the baseline: a verdict per column and in all, safe for small and for huge windows.

A column drifts when its distance passes both the spec's threshold and what chance alone reaches with samples of the
sizes at hand, at a level that keeps the false alarms of all columns together at the spec's rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from include.monitoring import chance
from include.monitoring.baseline import SCORE
from include.monitoring.distances import distance
from include.monitoring.tallies import OTHER, Kind, Tally, comparable, frequent, merged, tally
from include.spec import Monitoring, UseCase

Status = Literal["OK", "DRIFT", "INSUFFICIENT", "ALL_NULL", "MISSING", "NAN_SCORES", "NOT_NUMBERS"]


@dataclass(frozen=True)
class ColumnCheck:
    name: str
    kind: Kind
    method: str
    threshold: float


@dataclass(frozen=True)
class ColumnVerdict:
    """``limit`` is what ``distance`` is held against; both are None where nothing could be measured."""

    name: str
    status: Status
    method: str
    distance: float | None = None
    limit: float | None = None

    @property
    def judged(self) -> bool:
        return self.status in ("OK", "DRIFT")


@dataclass(frozen=True)
class DriftReport:
    outcome: Literal["DRIFT", "OK", "INSUFFICIENT"]
    reference_rows: int
    current_rows: int
    columns: tuple[ColumnVerdict, ...]

    @property
    def drifted(self) -> tuple[str, ...]:
        return tuple(verdict.name for verdict in self.columns if verdict.status == "DRIFT")

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "drifted_columns": list(self.drifted)}


def checks_of(spec: UseCase) -> list[ColumnCheck]:
    """Every input column but the id, texts and times, with its pinned method, and the champion's score."""
    rules = spec.monitoring
    checks = []
    for name, column in spec.columns.items():
        if column.type == "text" or name in (spec.id, spec.observed_at):
            continue
        rule = rules.columns.get(name) or (rules.number if column.is_numeric else rules.category)
        checks.append(ColumnCheck(name, "number" if column.is_numeric else "category", rule.method, rule.threshold))
    return [*checks, ColumnCheck(SCORE, "number", rules.score.method, rules.score.threshold)]


def measure(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    checks: Sequence[ColumnCheck],
    spec: UseCase,
    seed: int,
    *,
    own_scores: np.ndarray | None = None,
) -> DriftReport:
    """Judge every check on all rows; a column that cannot be measured has a status of its own and stops no other.

    ``own_scores``, of shape (rows,), says which rows of ``current`` the champion scored, where it was not all of them.
    """
    rules, rows = spec.monitoring, (len(reference), len(current))
    own = {SCORE: current if own_scores is None else current[own_scores]}
    found = {check.name: _sides(reference, own.get(check.name, current), check) for check in checks}
    sides = {name: pair for name, pair in found.items() if not isinstance(pair, str)}
    limits = _limits(reference, {check: sides[check.name] for check in checks if check.name in sides}, rules, seed)
    columns = []
    for check in checks:
        pair = found[check.name]
        if isinstance(pair, str):
            columns.append(ColumnVerdict(check.name, pair, check.method))
            continue
        far, limit = distance(check.method, *pair), max(check.threshold, limits[check.name])
        enough = min(side.rows for side in pair) >= rules.minimum_rows
        status: Status = "INSUFFICIENT" if not enough else "DRIFT" if far > limit else "OK"
        columns.append(ColumnVerdict(check.name, status, check.method, round(far, 6), round(limit, 6)))
    if len(current) < rules.minimum_rows:
        return DriftReport("INSUFFICIENT", *rows, tuple(columns))
    drifted = sum(verdict.status == "DRIFT" for verdict in columns)
    return DriftReport("DRIFT" if drifted >= rules.minimum_drifted_columns else "OK", *rows, tuple(columns))


def values(reference: pd.DataFrame, current: pd.DataFrame, check: ColumnCheck) -> tuple[pd.Series, pd.Series]:
    """Both sides of one column that was judged, value by value, as the distance sees them."""
    before, after = (comparable(side[check.name], check.kind) for side in (reference, current))
    names = frequent(*(tally(side, check.kind) for side in (before, after)))
    if names is None:
        return before, after
    return before.where(before.isin(names), OTHER), after.where(after.isin(names), OTHER)


def _sides(reference: pd.DataFrame, current: pd.DataFrame, check: ColumnCheck) -> tuple[Tally, Tally] | Status:
    """Both samples of one column, or why they cannot be compared."""
    if check.name not in reference or check.name not in current:
        return "MISSING"
    # In the baseline, rows that the model was fitted on have no score; in a window each row has one.
    if check.name == SCORE and current[SCORE].isna().any():
        return "NAN_SCORES"
    try:
        before, after = (tally(side[check.name], check.kind) for side in (reference, current))
    except (TypeError, ValueError):  # text where numbers are expected; data quality names it
        return "NOT_NUMBERS"
    if not before.rows or not after.rows:
        return "ALL_NULL"
    names = frequent(before, after)
    return merged(before, names), merged(after, names)


def _limits(
    reference: pd.DataFrame, sides: Mapping[ColumnCheck, tuple[Tally, Tally]], rules: Monitoring, seed: int
) -> dict[str, float]:
    """By column, the distance that chance alone does not reach."""
    if not sides:
        return {}
    rows = reference.sample(min(len(reference), chance.MOST_ROWS), random_state=seed).reset_index(drop=True)
    columns = []
    for check, (before, after) in sides.items():
        values = comparable(rows[check.name], check.kind)
        if check.kind == "category":
            values = values.where(values.isin(before.values), OTHER)
        columns.append(chance.compared(check.method, values.reindex(rows.index), before, after))
    found = chance.limits(columns, 1 - rules.false_alarm_rate, np.random.default_rng(seed))
    return {check.name: limit for check, limit in zip(sides, found, strict=True)}
