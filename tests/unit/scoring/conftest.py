"""Telco's rows as a published table, and packages of the small models that were fitted on some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import settings
from sklearn.pipeline import Pipeline

from include.data import tables
from include.data.stream import TableVersion
from include.explanation.samples import BACKGROUND, FOLDER, as_csv
from include.scoring.partition import Lineage, Scored, columns_of, score
from include.spec import UseCase
from include.training import package
from include.training.package import LoadedModel, Provenance
from tests.unit.training.conftest import Training, about, models, training  # noqa: F401 - fixtures of these tests, too

EXAMPLES = settings(max_examples=300, deadline=None, derandomize=True, database=None)
"""The same ones on every machine."""
LINEAGE = Lineage("3", "customers@4 labels@4", "2026-03-03", "s1")

Batches = Callable[[pd.DataFrame], Iterator[pa.RecordBatch]]
Load = Callable[..., tuple[LoadedModel, Path]]


@pytest.fixture
def published(tmp_path: Path, churn: UseCase) -> Batches:
    """The rows of a frame as they come out of a published table."""

    def publish(rows: pd.DataFrame) -> Iterator[pa.RecordBatch]:
        columns, texts = columns_of(churn)
        uri = str(tmp_path / "customers")
        table = TableVersion(uri, tables.append(uri, rows[columns], "i1", after=None))
        return table.batches(table.row_groups(), columns, texts)

    return publish


@pytest.fixture
def load(models: dict[str, Pipeline], training: Training, about: Provenance, tmp_path: Path) -> Load:  # noqa: F811
    """A model of this kind as it is loaded from its package, and the folder of that."""

    def loaded(kind: str, explained: bool = True, **changes: object) -> tuple[LoadedModel, Path]:
        background = {f"{FOLDER}/{BACKGROUND}": as_csv(training.inputs.iloc[800:830])} if explained else {}
        folder = tmp_path / kind
        package.save(folder, models[kind], about.model_copy(update=changes), background)
        return package.load(folder), folder

    return loaded


def scored(batches: Iterator[pa.RecordBatch], model: LoadedModel, spec: UseCase) -> tuple[pd.DataFrame, Scored]:
    """What is written of the batches, and what else is found."""
    written: list[pa.RecordBatch] = []
    found = score(batches, model, spec, LINEAGE, written.append)
    rows = pd.concat([batch.to_pandas() for batch in written], ignore_index=True) if written else pd.DataFrame()
    return rows, found


def by_scikit_learn(model: LoadedModel, inputs: pd.DataFrame) -> np.ndarray:
    return model.pipeline.predict_proba(inputs[list(model.manifest.feature_types)])[:, 1]
