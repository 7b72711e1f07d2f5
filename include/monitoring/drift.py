"""Drift of a window against the baseline: a verdict per column and in all, safe for small and for huge windows.

A column drifts when its distance passes both the spec's threshold and what chance alone reaches with samples of the
sizes at hand, at a level that keeps the false alarms of all columns together at the spec's rate (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from include.monitoring import chance
from include.monitoring.baseline import SCORE
from include.monitoring.distances import distance
from include.spec import UseCase

MAXIMUM_CATEGORIES = 256
OTHER = "(other)"

Status = Literal["OK", "DRIFT", "INSUFFICIENT", "ALL_NULL", "MISSING", "NAN_SCORES"]


@dataclass(frozen=True)
class ColumnCheck:
    name: str
    kind: Literal["number", "category"]
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
    reference: pd.DataFrame, current: pd.DataFrame, checks: Sequence[ColumnCheck], spec: UseCase, seed: int
) -> DriftReport:
    """Judge every check; a column that cannot be measured has a status of its own and stops no other."""
    rules = spec.monitoring
    level = 1 - rules.false_alarm_rate / max(len(checks), 1)
    columns = tuple(
        _judge(reference, current, check, rules.minimum_rows, level, np.random.default_rng([seed, n]))
        for n, check in enumerate(checks)
    )
    drifted = sum(verdict.status == "DRIFT" for verdict in columns)
    if len(current) < rules.minimum_rows:
        return DriftReport("INSUFFICIENT", len(reference), len(current), columns)
    outcome: Literal["DRIFT", "OK"] = "DRIFT" if drifted >= rules.minimum_drifted_columns else "OK"
    return DriftReport(outcome, len(reference), len(current), columns)


def comparable(reference: pd.Series, current: pd.Series, check: ColumnCheck) -> tuple[pd.Series, pd.Series]:
    """Both sides as they are compared: numbers that are finite as float64, categories as text, without nulls.

    Of a column with very many categories, all but the most frequent of the reference count as one.
    """
    if check.kind == "number":
        numbers = [side.astype("float64") for side in (reference, current)]
        return numbers[0][np.isfinite(numbers[0])], numbers[1][np.isfinite(numbers[1])]
    before, after = (side.dropna().astype("str") for side in (reference, current))
    if len(pd.unique(pd.concat([before, after]))) > MAXIMUM_CATEGORIES:
        kept = before.value_counts().index[: MAXIMUM_CATEGORIES - 1]
        return before.where(before.isin(kept), OTHER), after.where(after.isin(kept), OTHER)
    return before, after


def _judge(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    check: ColumnCheck,
    minimum: int,
    level: float,
    rng: np.random.Generator,
) -> ColumnVerdict:
    if check.name not in reference or check.name not in current:
        return ColumnVerdict(check.name, "MISSING", check.method)
    # In the baseline, rows that the model was fitted on have no score; in a window each row has one.
    if check.name == SCORE and current[SCORE].isna().any():
        return ColumnVerdict(check.name, "NAN_SCORES", check.method)
    before, after = _arrays(*comparable(reference[check.name], current[check.name], check))
    if not len(before) or not len(after):
        return ColumnVerdict(check.name, "ALL_NULL", check.method)
    found = distance(check.method, before, after)
    limit = max(check.threshold, chance.limit(check.method, before, len(after), level, rng))
    enough = min(len(before), len(after)) >= minimum
    status: Status = "INSUFFICIENT" if not enough else "DRIFT" if found > limit else "OK"
    return ColumnVerdict(check.name, status, check.method, round(found, 6), round(limit, 6))


def _arrays(before: pd.Series, after: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Numbers as they are, categories as codes that both sides share."""
    if before.dtype.kind == "f":
        return before.to_numpy(), after.to_numpy()
    codes, _ = pd.factorize(pd.concat([before, after]))
    return codes[: len(before)], codes[len(before) :]
