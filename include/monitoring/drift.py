"""Drift of a window against the baseline: a verdict per column and in all, safe for small and for huge windows.

A column drifts when its distance passes both the spec's threshold and what chance alone reaches: the distance between
two samples of the baseline itself, of the sizes at hand, at a quantile that keeps the false alarms of all
columns together at the spec's rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from include.monitoring.baseline import SCORE
from include.monitoring.distances import by_chance, distance
from include.spec import UseCase

RESAMPLES = 1_000
TAIL_FROM = 0.95

Status = Literal["OK", "DRIFT", "INSUFFICIENT", "ALL_NULL", "MISSING"]


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
    before, after = _values(reference[check.name], current[check.name], check)
    if not len(before) or not len(after):
        return ColumnVerdict(check.name, "ALL_NULL", check.method)
    found = distance(check.method, before, after)
    limit = max(check.threshold, _chance(before, len(after), check.method, level, rng))
    enough = min(len(before), len(after)) >= minimum
    status: Status = "INSUFFICIENT" if not enough else "DRIFT" if found > limit else "OK"
    return ColumnVerdict(check.name, status, check.method, round(found, 6), round(limit, 6))


def _values(reference: pd.Series, current: pd.Series, check: ColumnCheck) -> tuple[np.ndarray, np.ndarray]:
    """Both sides without nulls: numbers as float64, categories as codes that both sides share."""
    before, after = reference.dropna(), current.dropna()
    if check.kind == "number":
        return before.to_numpy(dtype="float64"), after.to_numpy(dtype="float64")
    codes, _ = pd.factorize(pd.concat([before.astype("str"), after.astype("str")]))
    return codes[: len(before)], codes[len(before) :]


def _chance(reference: np.ndarray, size: int, method: str, level: float, rng: np.random.Generator) -> float:
    """The distance that two samples of one distribution reach by chance, from resamples of the reference.

    The resamples are too few to show the tail. Beyond a high quantile it is taken as exponential with the mean excess
    that they do show, as peaks over threshold (Pickands 1975) with shape 0; tails of distances fall faster than that.
    """
    found = by_chance(method, reference, size, RESAMPLES, rng)
    threshold = np.quantile(found, TAIL_FROM)
    beyond = found[found > threshold] - threshold
    excess = float(beyond.mean()) if len(beyond) else 0.0
    return float(threshold + excess * np.log((1 - TAIL_FROM) / (1 - level)))
