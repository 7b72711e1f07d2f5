"""Champion and challenger on live traffic: the shadow answers the rows that the champion answers, a canary others.

It is a report: what is promoted is decided by the gate alone, on rows that nobody chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd

from include.data.window import LABEL
from include.evaluation.metrics import single
from include.evaluation.resampling import percentiles, resample
from include.monitoring.baseline import SCORE
from include.monitoring.expectation import Estimate
from include.monitoring.performance import FEWEST_OF_A_CLASS, MOST_ROWS
from include.spec import UseCase

T = TypeVar("T")
_ByModel = Mapping[str, Mapping[str, T]]

METRICS = ("roc_auc", "brier", "expected_profit")
CHAMPION, CHALLENGER = "champion", "challenger"


@dataclass(frozen=True)
class Side:
    """One model's answers: ``version``, how many ``rows`` with labels that are due, how many of them are labelled."""

    version: str
    rows: int
    labelled: int

    @property
    def coverage(self) -> float:
        return self.labelled / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Compared:
    """One metric of both, and the challenger's less the champion's, each with its 95 % interval."""

    champion: Estimate
    challenger: Estimate
    difference: Estimate


@dataclass(frozen=True)
class Comparison:
    """``how``: *shadow* compares answers to the same rows, *canary* those of two groups of rows."""

    outcome: Literal["COMPARED", "INSUFFICIENT"]
    note: str
    how: Literal["shadow", "canary"]
    champion: Side
    challenger: Side
    figures: dict[str, Compared]

    def to_json(self) -> dict[str, Any]:
        sides = {who: asdict(side) | {"coverage": side.coverage} for who, side in self._sides}
        return {**asdict(self), **sides, "said": str(self)}

    def __str__(self) -> str:
        versions = f"version {self.challenger.version} ({self.how}) beside champion {self.champion.version}"
        if self.outcome == "INSUFFICIENT":
            return f"INSUFFICIENT: {versions}: {self.note}"
        auc, labelled = self.figures["roc_auc"], f"{self.challenger.labelled} labelled rows"
        return f"{versions}: ROC AUC {auc.challenger}, by {auc.difference} more, on {labelled}"

    @property
    def _sides(self) -> tuple[tuple[str, Side], ...]:
        return (CHAMPION, self.champion), (CHALLENGER, self.challenger)


def of_shadow(rows: pd.DataFrame, versions: tuple[str, str], spec: UseCase) -> Comparison:
    """Of rows that both answered, with ``score`` of the champion, ``shadow`` of the other and ``label`` or NaN."""
    labelled = rows[rows[LABEL].notna()]
    sides = Side(versions[0], len(rows), len(labelled)), Side(versions[1], len(rows), len(labelled))
    if why := _too_few(spec, labelled):
        return Comparison("INSUFFICIENT", why, "shadow", *sides, {})
    rows = _sample(labelled, spec)
    labels, scores = rows[LABEL].to_numpy(), {CHAMPION: rows[SCORE].to_numpy(), CHALLENGER: rows["shadow"].to_numpy()}
    draws = resample(labels, scores, METRICS, spec.decision, seed=spec.training.seed).draws
    values = {who: _values(labels, one, spec) for who, one in scores.items()}
    return Comparison("COMPARED", "", "shadow", *sides, _figures(values, draws))


def of_canary(champion: pd.DataFrame, challenger: pd.DataFrame, versions: tuple[str, str], spec: UseCase) -> Comparison:
    """Of the rows that each of them answered, with ``score`` and ``label`` or NaN."""
    labelled = [side[side[LABEL].notna()] for side in (champion, challenger)]
    sides = (
        Side(versions[0], len(champion), len(labelled[0])),
        Side(versions[1], len(challenger), len(labelled[1])),
    )
    if why := _too_few(spec, *labelled):
        return Comparison("INSUFFICIENT", why, "canary", *sides, {})
    values, draws = {}, {}
    for number, (who, known) in enumerate(zip((CHAMPION, CHALLENGER), labelled, strict=True)):
        rows = _sample(known, spec)
        labels, scores = rows[LABEL].to_numpy(), rows[SCORE].to_numpy()
        found = resample(labels, {who: scores}, METRICS, spec.decision, seed=spec.training.seed + number)
        values[who], draws[who] = _values(labels, scores, spec), found.draws[who]
    return Comparison("COMPARED", "", "canary", *sides, _figures(values, draws))


def _too_few(spec: UseCase, *sides: pd.DataFrame) -> str:
    enough = spec.monitoring.minimum_rows
    for rows in sides:
        positives = int((rows[LABEL] == 1).sum())
        if len(rows) < enough:
            return f"{len(rows)} labelled rows, at least {enough} needed"
        if min(positives, len(rows) - positives) < FEWEST_OF_A_CLASS:
            return f"fewer than {FEWEST_OF_A_CLASS} labels of a class"
    return ""


def _values(labels: np.ndarray, scores: np.ndarray, spec: UseCase) -> dict[str, float]:
    return {metric: single(metric, labels, scores, spec.decision) for metric in METRICS}


def _figures(values: _ByModel[float], draws: _ByModel[np.ndarray]) -> dict[str, Compared]:
    found = {}
    for metric in METRICS:
        one, other = values[CHAMPION][metric], values[CHALLENGER][metric]
        drawn = draws[CHAMPION][metric], draws[CHALLENGER][metric]
        pairs = ((one, drawn[0]), (other, drawn[1]), (other - one, drawn[1] - drawn[0]))
        found[metric] = Compared(*(Estimate.of(value, percentiles(sample)) for value, sample in pairs))
    return found


def _sample(rows: pd.DataFrame, spec: UseCase) -> pd.DataFrame:
    return rows if len(rows) <= MOST_ROWS else rows.sample(MOST_ROWS, random_state=spec.training.seed)
