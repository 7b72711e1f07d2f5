"""What the monitor's steps share: the champion with its baseline, and the rows that a run watches.

They are the rows that were served, as callers sent them and were answered, where there are enough of them; else the
rows that were published. A run watches rows of one kind, and its ledger row says which.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from include.data import sources as data_sources
from include.data.served import ADDED, DATASET, LEFT_OUT, PREDICTIONS, VERSION, WHOLE, Served, empty
from include.data.window import Lake
from include.errors import DataRejected
from include.features import build as features
from include.files import write_text
from include.monitoring import windows
from include.monitoring.baseline import SCORE, Baseline
from include.monitoring.quality import Requests
from include.monitoring.windows import Days
from include.registry import versions
from include.state import publications, sources
from include.state.publications import Publication
from include.steps import learned, production
from include.steps.ledger import Record, Work
from include.training.package import LoadedModel

log = logging.getLogger(__name__)

SERVED, PUBLISHED = "served", "published"


@dataclass(frozen=True)
class Champion:
    """The model that serves, what it was trained on, and where its package is on this machine."""

    version: str
    model: LoadedModel
    baseline: Baseline
    package: Path


@dataclass(frozen=True)
class Watched:
    """Which rows a run watches: the newest window ends before ``end`` (ISO text); ``why`` they and not others."""

    rows: Literal["served", "published"]
    end: str
    why: str


def champion(work: Work, version: str) -> Champion:
    """Raises what ``production.champion`` raises."""
    folder = versions.folder(work.models, work.run.use_case, version)
    return Champion(version, production.champion(work, version), Baseline.load(folder, work.spec), folder)


def lake(work: Work, record: Record) -> Lake:
    """The publication that the run's first step chose: what is published meanwhile is for the next run."""
    publication = publications.of_run(work.engine, work.run.use_case, "data", record["publication"])
    if publication is None:
        raise LookupError(f"the publication of run {record['publication']} is gone from the state database")
    return Lake(work.settings.lake_uri, work.spec, publication)


def served(work: Work, record: Record) -> Served | None:
    """What was collected up to this run; None where nothing was ever served."""
    if record["served"] is None:
        return None
    publication = publications.of_run(work.engine, work.run.use_case, DATASET, record["served"])
    if publication is None:
        raise LookupError(f"the collection of run {record['served']} is gone from the state database")
    return Served(work.settings.lake_uri, work.spec, publication)


def choose(work: Work, record: Record, publication: Publication) -> Watched:
    """The kind of rows that the spec asks for; *auto*: served ones if the newest window has enough that are whole."""
    rules, as_of = work.spec.monitoring, date.fromisoformat(work.run.as_of)
    of_published = min(date.fromisoformat(publication.last_day) + timedelta(days=1), as_of).isoformat()
    if rules.rows != "auto":
        end = work.run.as_of if rules.rows == SERVED else of_published
        return Watched(rules.rows, end, f"monitoring.rows is {rules.rows}")
    count = int(answers(work, record, as_of - timedelta(days=rules.window_days), as_of)[WHOLE].sum())
    why = f"{count} whole rows were served in the {rules.window_days} days before {as_of}, {rules.minimum_rows} needed"
    if count >= rules.minimum_rows:
        return Watched("served", work.run.as_of, why)
    return Watched("published", of_published, why)


def last_windows(work: Work, record: Record) -> list[Days]:
    """The last N windows, newest first."""
    count, days = work.spec.retrain_policy.num_evaluation_windows, work.spec.monitoring.window_days
    end = date.fromisoformat(record["watched"]["end"])
    rows = observed(work, record, end - timedelta(days=count * days), end)
    return windows.cut(rows, end, days, count)


def whole(rows: pd.DataFrame) -> pd.DataFrame:
    """Those of the rows that can be compared: all columns of theirs are known."""
    return rows[rows[WHOLE]].reset_index(drop=True) if WHOLE in rows else rows


def observed(work: Work, record: Record, first: date, end: date) -> pd.DataFrame:
    """The watched rows of these days; of served ones all, with what they were answered."""
    if record["watched"]["rows"] == PUBLISHED:
        return lake(work, record).observations(first, end, known_at=work.run.as_of)
    return answers(work, record, first, end)


def answers(work: Work, record: Record, first: date, end: date) -> pd.DataFrame:
    """What callers were answered on these days, as collected up to this run."""
    tables = served(work, record)
    return empty(PREDICTIONS, work.spec) if tables is None else tables.answers(first, end, work.run.as_of)


def scored(work: Work, found: Champion, rows: pd.DataFrame, first: date) -> pd.DataFrame:
    """Served rows as they are; others with the champion's score, unless its inputs cannot be made of them."""
    if VERSION in rows:
        return rows
    inputs = inputs_of(work, found, rows, first)
    return rows if inputs is None else rows.assign(**{SCORE: found.model.score(inputs)})


def inputs_of(work: Work, found: Champion, rows: pd.DataFrame, first: date) -> pd.DataFrame | None:
    """The champion's inputs; None where they cannot be made of the rows, which the log then says."""
    try:
        built = features.build(rows, work.spec)
    except DataRejected as refusal:
        log.warning("the days from %s on cannot be scored: %s", first, refusal)
        return None
    if missing := sorted(set(found.model.manifest.feature_types) - set(built)):
        log.warning("the champion needs %s, which the use case does not make any more", ", ".join(missing))
        return None
    if why := learned.difference(work, found.model.manifest):
        log.warning("champion %s cannot score the days from %s on: %s, or retrain", found.version, first, why)
        return None
    return built


def by_champion(rows: pd.DataFrame, version: str) -> np.ndarray:
    """Which rows count for the champion's scores, shape (rows,): of served ones those that it answered itself."""
    return (rows[VERSION] == version).to_numpy() if VERSION in rows else np.ones(len(rows), dtype=bool)


def sent(rows: pd.DataFrame) -> Requests | None:
    """What callers left out and added; None for rows that were not served."""
    if LEFT_OUT not in rows or rows.empty:
        return None
    return Requests(
        len(rows), *(Counter(chain(*rows[column].dropna().map(json.loads))) for column in (LEFT_OUT, ADDED))
    )


def label_delay(work: Work) -> timedelta:
    row = sources.get(work.engine, work.run.use_case)
    return data_sources.label_delay(row.uri if row else work.spec.source_uri, work.spec)


def write(work: Work, name: str, content: Any) -> None:
    write_text(work.folder / name, json.dumps(content, indent=2))
