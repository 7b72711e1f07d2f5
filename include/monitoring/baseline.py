"""The baseline: what a champion was trained on, kept in its package for every later comparison."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.data.window import LABEL, OBSERVED
from include.files import read_json, read_parquet, write_parquet, write_text
from include.monitoring.constraints import Constraint, constraints
from include.spec import UseCase

MAXIMUM_ROWS = 20_000
SCORE = "score"
ROWS, JUDGED, STATISTICS = "baseline.parquet", "judged.parquet", "baseline.json"


@dataclass(frozen=True)
class Baseline:
    """``rows``: a sample of the input columns with ``score`` (NaN where the model was fitted on the row).

    ``judged``: ``score`` and ``label`` of rows that the model, or one of its kind and settings, was not fitted on; no
    row for a champion of an older version of the project. ``statistics`` and ``constraints`` are those of all rows.
    """

    rows: pd.DataFrame
    judged: pd.DataFrame
    statistics: dict[str, Any]
    constraints: dict[str, Constraint]

    @property
    def until(self) -> str:
        """The day after the last one that the champion was trained or judged on, as ISO text."""
        return str(self.statistics["until"])

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_parquet(folder / ROWS, self.rows)
        write_parquet(folder / JUDGED, self.judged)
        found = {name: constraint.to_json() for name, constraint in self.constraints.items()}
        write_text(folder / STATISTICS, json.dumps({**self.statistics, "constraints": found}, indent=2))

    @classmethod
    def load(cls, folder: Path, spec: UseCase) -> Baseline:
        """What ``save`` wrote; what an older version of the project did not write is made of the rows."""
        statistics = read_json(folder / STATISTICS)
        rows, found = read_parquet(folder / ROWS), statistics.pop("constraints", None)
        judged = read_parquet(folder / JUDGED) if (folder / JUDGED).is_file() else empty_judged()
        known = constraints(rows, spec) if found is None else {n: Constraint.from_json(one) for n, one in found.items()}
        return cls(rows, judged, statistics, known)


def make_baseline(frame: pd.DataFrame, scores: np.ndarray, judged: pd.DataFrame, spec: UseCase, seed: int) -> Baseline:
    """The baseline of ``frame`` (columns of the spec, ``observed_at`` and ``label``) and ``scores``, shape (rows,).

    ``judged`` is that of ``Baseline``; of many rows a sample is kept, since the oldest are of a few days.
    """
    rows = frame[[name for name in spec.columns if name != spec.id]].assign(**{SCORE: scores})
    observed = frame[OBSERVED]
    statistics = {
        "rows": len(rows),
        "from": observed.min().date().isoformat(),
        "until": (observed.max().date() + timedelta(days=1)).isoformat(),
        "label_rate": round(float(frame[LABEL].mean()), 6),
        "columns": {name: _describe(rows[name]) for name in rows},
    }
    known = constraints(rows, spec)
    kept, kept_judged = (sample(one, seed).reset_index(drop=True) for one in (rows, judged))
    return Baseline(kept, kept_judged, statistics, known)


def empty_judged() -> pd.DataFrame:
    return pd.DataFrame({SCORE: np.empty(0), LABEL: np.empty(0)})


def sample(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """At most ``MAXIMUM_ROWS`` of the rows: more do not make a comparison of distributions better."""
    return frame if len(frame) <= MAXIMUM_ROWS else frame.sample(MAXIMUM_ROWS, random_state=seed)


def _describe(column: pd.Series) -> dict[str, Any]:
    found: dict[str, Any] = {"null_rate": round(float(column.isna().mean()), 6)}
    if pd.api.types.is_numeric_dtype(column):
        quantiles = column.quantile([0.0, 0.25, 0.5, 0.75, 1.0])
        found |= {"mean": _known(column.mean()), "std": _known(column.std())}
        found["quantiles"] = [_known(value) for value in quantiles]
    else:
        shares = column.value_counts(normalize=True).head(50)
        found["shares"] = {str(value): round(float(share), 6) for value, share in shares.items()}
    return found


def _known(value: float) -> float | None:
    """NaN, as of a column without a value, is no number in JSON."""
    return None if np.isnan(value) else float(value)
