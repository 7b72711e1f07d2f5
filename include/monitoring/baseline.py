"""The baseline: what a champion was trained on, kept in its package for every later comparison."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from include.spec import UseCase

MAXIMUM_ROWS = 20_000
SCORE = "score"


@dataclass(frozen=True)
class Baseline:
    """``rows``: a sample of the input columns with ``score`` (NaN where the model was fitted on the row)."""

    rows: pd.DataFrame
    statistics: dict[str, Any]

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.rows.to_parquet(folder / "baseline.parquet", index=False)
        (folder / "baseline.json").write_text(json.dumps(self.statistics, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Baseline:
        statistics = json.loads((folder / "baseline.json").read_text(encoding="utf-8"))
        return cls(pd.read_parquet(folder / "baseline.parquet"), statistics)


def make_baseline(frame: pd.DataFrame, scores: np.ndarray, labels: np.ndarray, spec: UseCase, seed: int) -> Baseline:
    """The baseline of ``frame`` (rows, columns of the spec) with ``scores`` and ``labels`` of shape (rows,)."""
    rows = frame[[name for name in spec.columns if name != spec.id]].assign(**{SCORE: scores})
    statistics = {
        "rows": len(rows),
        "label_rate": round(float(np.nanmean(labels)), 6),
        "columns": {name: _describe(rows[name]) for name in rows},
    }
    if len(rows) > MAXIMUM_ROWS:
        rows = rows.sample(MAXIMUM_ROWS, random_state=seed)
    return Baseline(rows.reset_index(drop=True), statistics)


def _describe(column: pd.Series) -> dict[str, Any]:
    found: dict[str, Any] = {"null_rate": round(float(column.isna().mean()), 6)}
    if pd.api.types.is_numeric_dtype(column):
        quantiles = column.quantile([0.0, 0.25, 0.5, 0.75, 1.0])
        found |= {"mean": float(column.mean()), "std": float(column.std()), "quantiles": quantiles.tolist()}
    else:
        shares = column.value_counts(normalize=True).head(50)
        found["shares"] = {str(value): round(float(share), 6) for value, share in shares.items()}
    return found
