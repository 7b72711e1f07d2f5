"""A partition scored batch by batch: features, scores, decisions, with where each of them comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.data.served import ACTED_ON, VERSION
from include.data.window import AS_OF, OBSERVED
from include.errors import DataRejected
from include.evaluation.parts import acted_on
from include.features.build import build
from include.scoring.planning import RUN
from include.spec import UseCase
from include.training.package import LoadedModel
from include.training.preparation import PREPARE, learned_categories

SCORE, DATA_VERSION = "score", "data_version"


@dataclass(frozen=True)
class Lineage:
    """Where the scores of a run come from; it stands in each of their rows."""

    model_version: str
    data_version: str
    as_of: str
    run_id: str


@dataclass(frozen=True)
class Scored:
    """What became of a partition.

    ``unseen`` counts for each category the rows with a value that the model has not learned, which it takes for
    unknown. ``top`` are the rows with the highest scores, the highest first, with the model inputs; see ``highest``.
    """

    rows: int
    acted_on: int
    unseen: dict[str, int]
    top: pd.DataFrame


def schema(spec: UseCase) -> pa.Schema:
    """The columns of the table ``scores``: the decision is ``acted_on``, as in the table ``predictions``."""
    time, text = pa.timestamp("us", tz="UTC"), pa.string()
    own = [(spec.id, text), (OBSERVED, time), (SCORE, pa.float64()), (ACTED_ON, pa.bool_())]
    return pa.schema([*own, *((name, text) for name in (VERSION, DATA_VERSION, AS_OF, RUN))])


def writer(path: Path, spec: UseCase) -> pq.ParquetWriter:
    """Writes batches of ``schema`` to ``path``, with checksums; only what all rows share is worth a dictionary."""
    shared = [VERSION, DATA_VERSION, AS_OF, RUN]
    return pq.ParquetWriter(path, schema(spec), write_page_checksum=True, use_dictionary=shared)


def columns_of(spec: UseCase) -> tuple[list[str], list[str]]:
    """The columns of the published rows that are read, and those of them that pandas takes for categories."""
    texts = [name for name, column in spec.columns.items() if not column.is_numeric and name != spec.id]
    return [*spec.columns, OBSERVED], texts


def score(
    batches: Iterable[pa.RecordBatch],
    model: LoadedModel,
    spec: UseCase,
    lineage: Lineage,
    write: Callable[[pa.RecordBatch], Any],
) -> Scored:
    """Score ``batches`` of published rows and ``write`` what belongs into the table, batch by batch.

    Raises ``DataRejected`` (``NO_SCORE``) for a row whose score is no number, and what ``build`` raises.
    """
    learned = learned_categories(model.pipeline[PREPARE])
    rows, acted, unseen, top = 0, 0, Counter[str](), pd.DataFrame()
    for batch in (one for one in batches if len(one)):
        frame = batch.drop_columns([spec.id]).to_pandas()
        inputs = _coded(build(frame, spec))
        scores = model.score(inputs)
        _refuse_no_number(scores, batch[spec.id], spec)
        decided = acted_on(frame, scores, model.manifest.thresholds, spec)
        own = [batch[spec.id], batch[OBSERVED], pa.array(scores), pa.array(decided)]
        write(pa.record_batch([*own, *(pa.repeat(one, len(batch)) for one in asdict(lineage).values())], schema(spec)))
        rows, acted = rows + len(batch), acted + int(decided.sum())
        unseen.update(_unseen(inputs, learned))
        top = highest([top, _top(batch, inputs, scores, decided, _least(top, spec), spec)], spec)
    return Scored(rows, acted, dict(unseen), top)


def highest(frames: Iterable[pd.DataFrame], spec: UseCase) -> pd.DataFrame:
    """Of rows with id, ``observed_at``, ``score`` and ``acted_on`` the ``spec.scoring.top`` with the highest scores.

    Of equal scores the first by id.
    """
    found = [frame for frame in frames if len(frame)]
    if not found:
        return pd.DataFrame()
    every = pd.concat(found, ignore_index=True)
    return every.sort_values([SCORE, spec.id], ascending=[False, True]).head(spec.scoring.top).reset_index(drop=True)


def _coded(inputs: pd.DataFrame) -> pd.DataFrame:
    """As ``as_categories``, but for the order of the categories, at less than half of its time."""
    coded = {}
    for name in (name for name in inputs.columns if inputs[name].dtype != np.float64):
        codes, categories = pd.factorize(inputs[name].to_numpy())
        coded[name] = pd.Categorical.from_codes(codes, pd.Index(categories))
    return inputs.assign(**coded)


def _least(top: pd.DataFrame, spec: UseCase) -> float:
    """The score that a row needs to be among the highest, once there are enough of them."""
    return float(top[SCORE].iloc[-1]) if len(top) == spec.scoring.top else -np.inf


def _top(
    batch: pa.RecordBatch, inputs: pd.DataFrame, scores: np.ndarray, decided: np.ndarray, least: float, spec: UseCase
) -> pd.DataFrame:
    """The rows of a batch that may be among the highest; they have ``least`` or more."""
    if len(scores) > spec.scoring.top:
        least = max(least, float(np.partition(scores, -spec.scoring.top)[-spec.scoring.top]))
    places = np.flatnonzero(scores >= least)
    if not len(places):
        return pd.DataFrame()
    own = batch.select([spec.id, OBSERVED]).take(pa.array(places)).to_pandas()
    own = own.assign(**{SCORE: scores[places], ACTED_ON: decided[places]})
    texts = inputs.iloc[places].astype({name: object for name in inputs if inputs[name].dtype == "category"})
    return pd.concat([own, texts.reset_index(drop=True)], axis=1)


def _unseen(inputs: pd.DataFrame, learned: dict[str, frozenset[str]]) -> dict[str, int]:
    found = {}
    for name, values in learned.items():
        unknown = ~inputs[name].cat.categories.isin(values)
        if unknown.any():
            found[name] = int(unknown[inputs[name].cat.codes].sum())
    return found


def _refuse_no_number(scores: np.ndarray, ids: pa.Array, spec: UseCase) -> None:
    if len(broken := np.flatnonzero(~np.isfinite(scores))):
        raise DataRejected(
            "NO_SCORE",
            f"{len(broken)} of {len(scores)} rows have values so large that their score is no number, such as that of "
            f"{spec.id} {ids[broken[0]].as_py()!r}; give their columns a 'max' in the spec",
        )
