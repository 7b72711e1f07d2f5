"""The working rows of a retrain: what one task writes to the folder of the run and the later ones read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from include.data.calendar import midnight
from include.data.window import LABEL, OBSERVED
from include.files import FileDamaged, read_parquet, write_parquet
from include.state import publications
from include.state import sources as source_rows
from include.state.publications import Publication
from include.steps.ledger import Record, Work

HOLDOUT_SCORES = "holdout_scores.parquet"
INGREDIENTS = "ingredients.json"
TRAIN, HOLDOUT = "<", ">="
"""The two parts of a run's rows, by how their days compare with the first day of the hold-out."""
ROW_GROUP = 100_000
"""Rows that are read, or left out, together."""
KEY_OBSERVED, KEY_LABEL = "key_observed_at", "key_label"


def write(frame: pd.DataFrame, path: Path) -> str:
    """Keep ``frame`` for the later steps of this run."""
    write_parquet(path, frame, row_group_size=ROW_GROUP)
    return str(path)


def read(path: str, record: Record, part: str, columns: list[str] | None = None) -> pd.DataFrame:
    """The rows of one part of the window or the matrix, oldest first."""
    observed = KEY_OBSERVED if path == record["matrix"] else OBSERVED
    return read_parquet(Path(path), columns=columns, filters=[(observed, part, midnight(record["holdout_from"]))])


def inputs(work: Work, record: Record, part: str) -> tuple[pd.DataFrame, np.ndarray, pd.Series]:
    """The model inputs of one part, the labels and the times of observation."""
    stored = read(record["matrix"], record, part)
    return stored[list(work.spec.feature_types)], stored[KEY_LABEL].to_numpy(), stored[KEY_OBSERVED]


def holdout_scores(work: Work) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The labels of the hold-out, and by model the scores; each of shape (rows,)."""
    stored = {str(name): column.to_numpy() for name, column in read_parquet(work.folder / HOLDOUT_SCORES).items()}
    return stored.pop(KEY_LABEL), stored


def group_columns(work: Work, record: Record, part: str, labels: np.ndarray) -> pd.DataFrame:
    """The columns by which the rows of one part are divided into groups, row by row as in ``labels``."""
    names = sorted({name for by in work.spec.groupings for name in by})
    rows = read(record["window"], record, part, columns=[*names, LABEL])
    if not np.array_equal(rows[LABEL].to_numpy(), labels):
        raise FileDamaged(f"{record['window']}: its rows are not the {len(labels)} that are scored")
    return rows[names]


def publication_of(work: Work, record: Record) -> Publication:
    publication = publications.of_run(work.engine, work.run.use_case, "data", record["publication"])
    if publication is None:
        raise LookupError(f"the publication of run {record['publication']} is gone from the state database")
    return publication


def source_uri(work: Work) -> str:
    return source_rows.uri_of(work.engine, work.spec)
