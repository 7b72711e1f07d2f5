"""Evidently's report of a window against the baseline, with the same pinned methods and limits as the verdict."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

from include.monitoring.drift import ColumnCheck, ColumnVerdict

log = logging.getLogger(__name__)

MAXIMUM_ROWS = 20_000


def draw(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    checks: list[ColumnCheck],
    verdicts: list[ColumnVerdict],
    folder: Path,
    seed: int,
) -> list[str]:
    """Write ``drift.html`` and ``drift.json`` to ``folder``; return the columns that had to be left out."""
    limits = {verdict.name: verdict.limit for verdict in verdicts if verdict.limit is not None}
    usable = [check for check in checks if check.name in limits]
    metrics = [ValueDrift(column=c.name, method=c.method, threshold=limits[c.name]) for c in usable]
    definition = DataDefinition(
        numerical_columns=[c.name for c in usable if c.kind == "number"],
        categorical_columns=[c.name for c in usable if c.kind == "category"],
    )
    columns = [c.name for c in usable]
    sides = [
        Dataset.from_pandas(_sample(side[columns], seed), data_definition=definition) for side in (current, reference)
    ]
    snapshot = Report(metrics).run(current_data=sides[0], reference_data=sides[1])
    snapshot.save_html(str(folder / "drift.html"))
    snapshot.save_json(str(folder / "drift.json"))
    left_out = [check.name for check in checks if check.name not in limits]
    if left_out:
        log.warning("not in the report, since nothing of them could be measured: %s", ", ".join(left_out))
    return left_out


def _sample(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    return frame if len(frame) <= MAXIMUM_ROWS else frame.sample(MAXIMUM_ROWS, random_state=seed)
