"""The steps of ``<use case>_score``: the newest observation of each id scored by the champion, part by part."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa

from include.data import tables
from include.data.stream import TableVersion
from include.errors import DataRejected, NothingToDo
from include.features.build import feature_version
from include.files import FileDamaged, read_parquet, require_hash, sha256_of, whole, write_parquet
from include.registry import versions
from include.scoring import exports, partition, planning, spreadsheet
from include.scoring.partition import Lineage
from include.scoring.planning import Plan
from include.state import publications, runs
from include.state.lock import hold
from include.state.publications import Publication
from include.state.runs import DRY_RUN
from include.steps import production
from include.steps.ledger import Record, Work, step
from include.training.package import LoadedModel

log = logging.getLogger(__name__)

ROWS, SCORES = "customers", "scores"
"""The tables that are read and written; the second one is a data set of its own."""
PLAN, ALL, TOP = "plan.json", "scores.parquet", "top.csv"
PUBLISH_SECONDS = 600.0


@step
def plan(work: Work, record: Record) -> Record:
    """Choose champion and rows; ``UNCHANGED`` when the last scoring was of the same rows by the same champion."""
    path = work.folder / PLAN
    done = publications.of_run(work.engine, work.run.use_case, SCORES, work.run.run_id)
    # A run that has published and was cleared makes the same again, whatever is new since.
    made = _published_plan(path) if done else _make_plan(work)
    made.write(path)
    runs.record(work.engine, work.run, None, champion=made.champion, data_version=made.data_version)
    if work.run.run_mode == DRY_RUN:
        raise NothingToDo("DRY_RUN", f"run_mode is dry_run: would score {made.what}")
    log.info("scores %s, in %d partition(s)", made.what, len(made.partitions))
    return {"plan": str(path)}


@step
def score_partition(work: Work, record: Record, number: str) -> Record:
    """Score the partition of this ``number`` and stage it as one file, whole or not at all."""
    made = Plan.read(Path(record["plan"]))
    model = _model(work, made.champion)
    picked = read_parquet(_rows_file(work, number))["picked"].to_numpy()
    columns, texts = partition.columns_of(work.spec)
    table = TableVersion(_table_uri(work, ROWS), made.table_version)
    rows = planning.only(table.batches(made.partitions[int(number)], columns, texts), picked)
    staged = _scores_file(work, number)
    with whole(staged) as path, partition.writer(path, work.spec) as file:
        found = partition.score(rows, model, work.spec, _lineage(work, made), file.write_batch)
    write_parquet(_top_file(work, number), found.top)
    log.info("partition %s: %d rows, %d of them to act on", number, found.rows, found.acted_on)
    return {
        "partition": number,
        "sha256": sha256_of(staged),
        "rows": found.rows,
        "acted_on": found.acted_on,
        "unseen": found.unseen,
    }


@step
def publish_scores(work: Work, record: Record, scored: Sequence[Record]) -> Record:
    """Append all partitions to the table in one commit and make it visible with one row; a repeat changes nothing."""
    made = Plan.read(Path(record["plan"]))
    if (rows := sum(one["rows"] for one in scored)) != made.rows:
        raise FileDamaged(f"{record['plan']}: {rows} of {made.rows} rows are staged; clear the tasks `score`")
    digests = {one["partition"]: one["sha256"] for one in scored}
    files = _staged(work, digests)
    with hold(work.engine, f"publish {work.run.use_case} {SCORES}", PUBLISH_SECONDS):
        done = publications.of_run(work.engine, work.run.use_case, SCORES, work.run.run_id)
        publication = done or _publish(work, made, files)
    log.info("published %d rows as %s", publication.rows_published, publication.data_version)
    unseen: Counter[str] = sum((Counter(one["unseen"]) for one in scored), Counter())
    return {"staged": digests, "acted_on": sum(one["acted_on"] for one in scored), "unseen": dict(unseen)}


@step
def export(work: Work, record: Record) -> Record:
    """Write what is given away: all scores, and the highest ones with their reasons; these end the run as SCORED."""
    made = Plan.read(Path(record["plan"]))
    paths = {"scores": work.folder / ALL, "top": work.folder / TOP}
    exports.write_scores(paths["scores"], _staged(work, record["staged"]), work.spec)
    of_partitions = [read_parquet(_top_file(work, number)) for number in record["staged"]]
    top = exports.top_table(
        partition.highest(of_partitions, work.spec),
        _model(work, made.champion),
        versions.folder(work.models, work.run.use_case, made.champion),
        _lineage(work, made),
        work.spec,
    )
    spreadsheet.write_csv(paths["top"], top.rows, exact=[work.spec.id])
    reasons = [
        f"{made.what}; {record['acted_on']} of them to act on",
        *(f"UNSEEN: {name}: {count} rows have a value not learned" for name, count in record["unseen"].items()),
        *([f"NO_REASONS: {top.without_reasons}"] if top.without_reasons else []),
    ]
    found = {name: str(path) for name, path in paths.items()}
    facts = {"as_of": made.as_of, "rows": made.rows, "acted_on": record["acted_on"], "unseen": record["unseen"]}
    runs.record(
        work.engine, work.run, "SCORED", reasons, fingerprint=made.fingerprint, scored={**facts, "exports": found}
    )
    return {"exports": found}


# What the steps share.


def _published_plan(path: Path) -> Plan:
    if not path.is_file():
        why = f"this run has published its scores, and {path} is gone; a new run makes new exports"
        raise NothingToDo("UNCHANGED", why)
    return Plan.read(path)


def _make_plan(work: Work) -> Plan:
    version, publication = production.champion_version(work), production.newest_data(work)
    model = _model(work, version)
    table = TableVersion(_table_uri(work, ROWS), publication.versions[ROWS])
    days = planning.window(work.run.as_of, work.spec)
    rows = planning.choose(table, days, work.spec, work.folder / ".keys")
    if not rows.count:
        raise NothingToDo("NOTHING_TO_SCORE", f"no row was observed from {days.first} to before {days.end}")
    settings = (feature_version(work.spec), work.spec.decision.threshold, work.spec.scoring.top)
    fingerprint = rows.fingerprint(version, model.manifest.model_sha256, *map(str, settings))
    _end_if_unchanged(work, fingerprint, version)
    parts = rows.cut(work.spec.scoring.partitions)
    for number, part in enumerate(parts):
        write_parquet(_rows_file(work, str(number)), pd.DataFrame({"picked": part.picked}))
    return Plan(
        champion=version,
        publication=publication.run_id,
        data_version=publication.data_version,
        simulated=publication.simulated,
        table_version=table.number,
        as_of=work.run.as_of,
        first_day=str(days.first),
        last_day=str(days.end - timedelta(days=1)),
        rows=rows.count,
        partitions=tuple(part.groups for part in parts),
        fingerprint=fingerprint,
    )


def _model(work: Work, version: str) -> LoadedModel:
    """The champion, which must take the features that the use case makes now."""
    model = production.champion(work, version)
    if model.manifest.feature_version != feature_version(work.spec):
        raise DataRejected(
            "FEATURES_DIFFER",
            f"version {version} was trained with other features than {work.spec.folder} has now; put those back, or "
            f"run {work.run.use_case}_retrain",
        )
    return model


def _end_if_unchanged(work: Work, fingerprint: str, version: str) -> None:
    last = runs.last(work.engine, work.run.use_case, "score", outcomes=["SCORED"])
    if last and last.details["fingerprint"] == fingerprint:
        raise NothingToDo("UNCHANGED", f"run {last.run_id} has scored the same rows by version {version}")


def _publish(work: Work, made: Plan, staged: Sequence[Path]) -> Publication:
    """Called under the lock of the publication."""
    previous = publications.latest(work.engine, work.run.use_case, SCORES)
    rows = pa.RecordBatchReader.from_batches(partition.schema(work.spec), exports.batches(staged))
    after = previous.versions[SCORES] if previous else None
    publication = Publication(
        use_case=work.run.use_case,
        dataset=SCORES,
        run_id=work.run.run_id,
        as_of=made.as_of,
        first_day=made.first_day,
        last_day=made.last_day,
        versions={SCORES: tables.append(_table_uri(work, SCORES), rows, work.run.run_id, after=after)},
        rows_in=made.rows,
        rows_published=made.rows,
        rows_quarantined=0,
        simulated=made.simulated,
    )
    publications.publish(work.engine, publication)
    return publication


def _lineage(work: Work, made: Plan) -> Lineage:
    return Lineage(made.champion, made.data_version, made.as_of, work.run.run_id)


def _table_uri(work: Work, table: str) -> str:
    return tables.table_uri(work.settings.lake_uri, work.run.use_case, table)


def _staged(work: Work, digests: Mapping[str, str]) -> list[Path]:
    """The files of the partitions, which have to be those that were staged."""
    for number, digest in digests.items():
        require_hash(_scores_file(work, number), digest)
    return [_scores_file(work, number) for number in digests]


def _rows_file(work: Work, number: str) -> Path:
    return work.folder / f"rows_{number}.parquet"


def _scores_file(work: Work, number: str) -> Path:
    return work.folder / f"scores_{number}.parquet"


def _top_file(work: Work, number: str) -> Path:
    return work.folder / f"top_{number}.parquet"
