"""From segments to tables: what was captured and what came back, published exactly once.

How far each segment was read stands in the row that publishes what was read of it, so that both become known in one
act: a collection that dies before it reads the same again, and one that dies after it goes on behind it. A segment is
removed once all of it is published and nobody writes it any more.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Engine

from include.data import served, tables
from include.data.served import DATASET, FEEDBACK, KEY, PREDICTED, PREDICTIONS
from include.data.window import OBSERVED
from include.serving import capture, feedback
from include.serving.capture import NOT_CAPTURED, Captured
from include.serving.feedback import Feedback
from include.serving.segments import Content, read_segment, remove_if_ended, segments
from include.settings import Settings
from include.spec import UseCase
from include.state import publications
from include.state.lock import hold
from include.state.publications import Publication
from include.state.runs import Run

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 600.0
Row = dict[str, Any]


@dataclass(frozen=True)
class Gathered:
    """What stands in the segments behind what was published.

    ``frames`` by table; ``ends``: how far each segment is read now; ``entries`` and ``damaged``: lines that were read,
    and those that could not be; ``not_captured``: predictions that the sampling left out.
    """

    frames: Mapping[str, pd.DataFrame]
    ends: Mapping[str, str]
    entries: int
    damaged: int
    not_captured: int


def collect(engine: Engine, settings: Settings, spec: UseCase, run: Run) -> tuple[Publication | None, Gathered | None]:
    """Publish what is new in the segments of the use case, unless this run has done so before.

    Returns the newest publication, None without any, and what was gathered for it by this call.
    """
    with hold(engine, f"publish {spec.name} {DATASET}", PUBLISH_SECONDS):
        done = publications.of_run(engine, spec.name, DATASET, run.run_id)
        previous = publications.latest(engine, spec.name, DATASET)
        gathered = None if done else _gather(settings, spec, previous)
        if gathered and gathered.entries + gathered.damaged:
            previous = _publish(engine, settings, spec, run, gathered, previous)
        if previous:
            _remove(settings, spec, previous.files)
    return previous, gathered


def _gather(settings: Settings, spec: UseCase, previous: Publication | None) -> Gathered:
    known = previous.files if previous else {}
    ends: dict[str, str] = {}
    frames: dict[str, list[pd.DataFrame]] = {PREDICTIONS: [], FEEDBACK: []}
    entries = damaged = not_captured = 0
    for table, path in _segments(settings, spec):
        name = f"{table}/{path.name}"
        content = read_segment(path, int(known.get(name, 0)))
        ends[name] = str(content.end)
        _report(path, content)
        # One frame a segment: as Python's objects all of them together would take ten times the memory.
        frames[table].append(_FRAMES[table](content.entries, spec))
        entries += len(content.entries)
        damaged += content.damaged
        not_captured += sum(entry.get(NOT_CAPTURED, 0) for entry in content.entries)
    whole = {table: pd.concat([served.empty(table, spec), *some], ignore_index=True) for table, some in frames.items()}
    return Gathered(whole, ends, entries, damaged, not_captured)


def _segments(settings: Settings, spec: UseCase) -> list[tuple[str, Path]]:
    return [
        *((PREDICTIONS, path) for path in segments(capture.folder_of(settings, spec.name))),
        *((FEEDBACK, path) for path in segments(feedback.folder_of(settings, spec.name))),
    ]


def _report(path: Path, content: Content) -> None:
    if content.damaged:
        log.error("%s: the checksum of %d line(s) is wrong; they are left out", path, content.damaged)
    if content.left:
        log.info("%s: %d byte(s) at its end are no whole line (yet)", path, content.left)


def _publish(
    engine: Engine, settings: Settings, spec: UseCase, run: Run, gathered: Gathered, previous: Publication | None
) -> Publication:
    versions = dict(previous.versions) if previous else {}
    published = {
        PREDICTIONS: _new_predictions(settings, spec, gathered.frames[PREDICTIONS], versions.get(PREDICTIONS)),
        FEEDBACK: gathered.frames[FEEDBACK].drop_duplicates(),
    }
    for table, frame in published.items():
        if len(frame):
            uri = tables.table_uri(settings.lake_uri, spec.name, table)
            stamped = frame.assign(as_of=run.as_of, run_id=run.run_id)
            versions[table] = tables.append(uri, stamped, run.run_id, after=versions.get(table))
    days = pd.concat([frame[OBSERVED] for frame in published.values()]).dropna()
    publication = Publication(
        use_case=spec.name,
        dataset=DATASET,
        run_id=run.run_id,
        as_of=run.as_of,
        first_day=str(days.min().date()) if len(days) else run.as_of,
        last_day=str(days.max().date()) if len(days) else run.as_of,
        versions=versions,
        rows_in=gathered.entries,
        rows_published=sum(map(len, published.values())),
        rows_quarantined=gathered.damaged,
        simulated=False,
        files=dict(gathered.ends),
    )
    publications.publish(engine, publication)
    log.info("published %s as %s", {table: len(frame) for table, frame in published.items()}, publication.data_version)
    return publication


def _new_predictions(settings: Settings, spec: UseCase, rows: pd.DataFrame, version: int | None) -> pd.DataFrame:
    """The rows whose key is neither twice among them nor in the table already."""
    rows = rows.drop_duplicates(KEY)
    if version is None or rows.empty:
        return rows
    uri = tables.table_uri(settings.lake_uri, spec.name, PREDICTIONS)
    since = [(PREDICTED, ">=", rows[PREDICTED].min())]
    known = pd.MultiIndex.from_frame(tables.read(uri, version, filters=since, columns=[*KEY, PREDICTED])[KEY])
    return rows[~pd.MultiIndex.from_frame(rows[KEY]).isin(known)]


def _remove(settings: Settings, spec: UseCase, ends: Mapping[str, str]) -> None:
    for table, path in _segments(settings, spec):
        end = ends.get(f"{table}/{path.name}")
        if end is not None and remove_if_ended(path, int(end)):
            log.info("removed %s, all of which is published", path)


def _predictions(entries: list[Row], spec: UseCase) -> pd.DataFrame:
    rows = [_prediction_row(capture.decode(entry), spec) for entry in entries if NOT_CAPTURED not in entry]
    return _frame(PREDICTIONS, rows, spec)


def _prediction_row(record: Captured, spec: UseCase) -> Row:
    inputs = record.inputs
    left_out, added = _misfits(inputs, spec)
    row = {
        name: _number(inputs.get(name)) if column.is_numeric else _text(inputs.get(name))
        for name, column in spec.columns.items()
    }
    return row | {
        "prediction_id": record.prediction_id,
        "predicted_at": record.at,
        "observed_at": record.observed_at or _observed(inputs, spec) or record.at,
        "model_version": record.version,
        "model_role": record.role,
        "score": record.score,
        "acted_on": record.decision,
        "latency_ms": record.latency_ms,
        "is_whole": not left_out,
        # The model's inputs leave out what they are made of; that is no fault of the caller.
        "columns_left_out": None if spec.feature_types.keys() <= inputs.keys() else _names(left_out),
        "columns_added": _names(added),
        spec.id: row[spec.id] if record.entity is None else record.entity,
    }


def _misfits(inputs: Mapping[str, Any], spec: UseCase) -> tuple[list[str], list[str]]:
    """The columns that a row lacks, and those that it has and nobody reads."""
    optional = {spec.id, spec.observed_at}
    needed = [name for name, column in spec.columns.items() if name not in optional and not column.after_event]
    added = inputs.keys() - spec.columns.keys() - spec.feature_types.keys()
    return [name for name in needed if name not in inputs], sorted(added)


def _names(columns: list[str]) -> str | None:
    return json.dumps(columns) if columns else None


def _observed(inputs: Mapping[str, Any], spec: UseCase) -> datetime | None:
    """The time of its observation that the row itself names."""
    try:
        found = datetime.fromisoformat(inputs[spec.observed_at or ""])
    except (KeyError, TypeError, ValueError):  # it was not sent, or is no time: the time of the answer stands for it
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _text(value: Any) -> str | None:
    return None if value is None or value != value else str(value)


def _feedback(entries: list[Row], spec: UseCase) -> pd.DataFrame:
    labels = [feedback.decode(entry) for entry in entries]
    return _frame(
        FEEDBACK, [{name: getattr(label, name) for name in Feedback.__dataclass_fields__} for label in labels], spec
    )


def _frame(table: str, rows: list[Row], spec: UseCase) -> pd.DataFrame:
    kinds = served.types(table, spec)
    return served.typed({name: [row[name] for row in rows] for name in kinds}, kinds)


_FRAMES: dict[str, Callable[[list[Row], UseCase], pd.DataFrame]] = {PREDICTIONS: _predictions, FEEDBACK: _feedback}
