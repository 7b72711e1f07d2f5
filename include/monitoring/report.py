"""Evidently's report of a window against the baseline, with the same methods and limits as the verdict."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

from include.files import whole, write_text
from include.monitoring.drift import ColumnCheck, ColumnVerdict, values


def draw(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    checks: Sequence[ColumnCheck],
    verdicts: Sequence[ColumnVerdict],
    folder: Path,
    *,
    heading: str,
    minimum_drifted: int = 1,
) -> None:
    """Write ``drift.html`` and ``drift.json`` of every column that was judged, of which there must be one."""
    limits = {verdict.name: verdict.limit for verdict in verdicts if verdict.judged}
    judged = [check for check in checks if check.name in limits]
    sides = [_shown(values(reference, current, check), check) for check in judged]
    definition = DataDefinition(
        numerical_columns=[check.name for check in judged if check.kind == "number"],
        categorical_columns=[check.name for check in judged if check.kind == "category"],
    )
    before, after = (
        Dataset.from_pandas(pd.DataFrame({column.name: column for column in side}), data_definition=definition)
        for side in zip(*sides, strict=True)
    )
    preset = DataDriftPreset(
        columns=[check.name for check in judged],
        drift_share=math.floor(10_000 * minimum_drifted / len(judged)) / 10_000,  # it is shown as it is
        per_column_method={check.name: check.method for check in judged},
        per_column_threshold=limits,
    )
    snapshot = Report([preset]).run(current_data=after, reference_data=before)
    with whole(folder / "drift.json") as path:
        snapshot.save_json(str(path))
    write_text(folder / "drift.html", _headed(snapshot.get_html_str(as_iframe=False), heading))


def _shown(sides: tuple[pd.Series, pd.Series], check: ColumnCheck) -> tuple[pd.Series, pd.Series]:
    """Text that callers may have sent, so that it stays text on Evidently's page, which has it in a script."""
    if check.kind == "number":
        return sides
    before, after = (side.map(lambda text: html.escape(text, quote=False), na_action="ignore") for side in sides)
    return before, after


def _headed(page: str, heading: str) -> str:
    """Evidently's page with a title: by itself it says neither which days it is of nor which model."""
    title = html.escape(heading)
    shown = f'<h1 style="font: 20px sans-serif; text-align: center; padding: 12px">{title}</h1>'
    return page.replace("<head>", f"<head><title>{title}</title>", 1).replace("<body>", f"<body>{shown}", 1)
