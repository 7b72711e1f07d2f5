"""The baseline: what a champion was trained on, kept in its package for every later comparison."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.files import write_parquet, write_text
from include.spec import UseCase

MAXIMUM_ROWS = 20_000
SCORE = "score"


@dataclass(frozen=True)
class Baseline:
    """``rows``: a sample of the input columns with ``score`` (NaN where the model was fitted on the row).

    ``statistics`` are those of all rows, for people; windows are checked against the rows and the limits of the spec.
    """

    rows: pd.DataFrame
    statistics: dict[str, Any]

    @property
    def until(self) -> str:
        """The day after the last one that the champion was trained or judged on, as ISO text."""
        return str(self.statistics["until"])

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_parquet(folder / "baseline.parquet", self.rows)
        write_text(folder / "baseline.json", json.dumps(self.statistics, indent=2))

    @classmethod
    def load(cls, folder: Path) -> Baseline:
        statistics = json.loads((folder / "baseline.json").read_text(encoding="utf-8"))
        return cls(pd.read_parquet(folder / "baseline.parquet"), statistics)


def make_baseline(frame: pd.DataFrame, scores: np.ndarray, labels: np.ndarray, spec: UseCase, seed: int) -> Baseline:
    """The baseline of ``frame`` (columns of the spec and ``observed_at``), ``scores`` and ``labels``, (rows,) each."""
    rows = frame[[name for name in spec.columns if name != spec.id]].assign(**{SCORE: scores})
    observed = frame["observed_at"]
    statistics = {
        "rows": len(rows),
        "from": observed.min().date().isoformat(),
        "until": (observed.max().date() + timedelta(days=1)).isoformat(),
        "label_rate": round(float(np.nanmean(labels)), 6),
        "columns": {name: _describe(rows[name]) for name in rows},
    }
    return Baseline(sample(rows, seed).reset_index(drop=True), statistics)


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
