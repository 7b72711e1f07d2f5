"""What people and other programs get of a scoring: all scores as Parquet, the highest with their reasons as CSV."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.data.served import ACTED_ON
from include.data.stream import BATCH_ROWS
from include.data.window import OBSERVED
from include.explanation.reasons import TOP, Reason, Reasons
from include.explanation.shapley import AdditivityError
from include.explanation.single import background_of, explain_rows
from include.files import whole
from include.scoring import partition
from include.scoring.partition import SCORE, Lineage
from include.spec import UseCase
from include.training.package import LoadedModel

log = logging.getLogger(__name__)

DIGITS = 4


@dataclass(frozen=True)
class TopTable:
    """What people are shown, row by row; ``without_reasons`` says why there are no reasons, if there are none."""

    rows: pd.DataFrame
    without_reasons: str | None


def batches(parts: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    """The rows of the staged partitions, one after the other."""
    for part in parts:
        with pq.ParquetFile(part, page_checksum_verification=True) as file:
            yield from file.iter_batches(BATCH_ROWS)


def write_scores(path: Path, parts: Sequence[Path], spec: UseCase) -> None:
    """Write all rows of the staged partitions to one Parquet file, whole or not at all."""
    with whole(path) as temporary, partition.writer(temporary, spec) as file:
        for batch in batches(parts):
            file.write_batch(batch)


def top_table(top: pd.DataFrame, model: LoadedModel, package: Path, lineage: Lineage, spec: UseCase) -> TopTable:
    """The highest scores, those of ``Scored.top``, for people; ``package`` is the folder of the model.

    A model of before there were explanations has no reasons, and one whose reasons do not add up to its scores gets
    none; their scores are as good as ever.
    """
    why, missing = _reasons(top, model, package, spec)
    rows = pd.DataFrame(
        {
            spec.id: top[spec.id],
            SCORE: top[SCORE].round(DIGITS),
            "decision": top[ACTED_ON].map({True: "act", False: "do not act"}),
            **{f"raised_by_{place + 1}": [_text(one.raising, place) for one in why] for place in range(TOP)},
            **{f"lowered_by_{place + 1}": [_text(one.lowering, place) for one in why] for place in range(TOP)},
            OBSERVED: top[OBSERVED].map(lambda time: time.isoformat()),
            **asdict(lineage),
        }
    )
    return TopTable(rows, missing)


def _reasons(top: pd.DataFrame, model: LoadedModel, package: Path, spec: UseCase) -> tuple[list[Reasons], str | None]:
    try:
        return explain_rows(model, top, background_of(package, model), spec), None
    except FileNotFoundError:
        missing = "the model was registered without an explanation; retrain once"
    except AdditivityError as error:
        missing = f"they do not add up to the scores: {error}"
    log.warning("the highest scores are written without reasons: %s", missing)
    return [Reasons((), ())] * len(top), missing


def _text(found: Sequence[Reason], place: int) -> str:
    return found[place].text if place < len(found) else ""
