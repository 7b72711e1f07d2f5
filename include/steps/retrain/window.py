"""The steps that judge the training window and build its features."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

import pandas as pd

from include.data import sources as data_sources
from include.data import tables
from include.data.window import AS_OF, LABEL, OBSERVED, Lake, window_start
from include.errors import DataRejected
from include.features import build as features
from include.files import read_parquet
from include.monitoring.baseline import Baseline
from include.registry import promotion, tracking, versions
from include.state import decisions, publications, runs
from include.state.lock import hold
from include.state.publications import Publication
from include.steps.ledger import Record, Work, step
from include.steps.retrain.rows import KEY_LABEL, KEY_OBSERVED, publication_of, source_uri, write
from include.training import package
from include.training import split as splitting
from include.training.preparation import as_categories
from include.training.window import judge_window, learnable, too_many_categories

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 600.0


@step
def validate_window(work: Work, record: Record) -> Record:
    """Judge the training window: volume, freshness, label coverage, shift guard."""
    publication = publications.latest(work.engine, work.run.use_case, "data", work.run.as_of)
    if publication is None:
        raise DataRejected(
            "NO_DATA",
            f"nothing was published up to {work.run.as_of}; run {work.run.use_case}_ingest for that day first",
        )
    as_of = date.fromisoformat(work.run.as_of)
    lake = Lake(work.settings.lake_uri, work.spec, publication)
    frame = lake.labelled(window_start(as_of, work.spec.training.split.window_days), as_of)
    label_delay = data_sources.label_delay(source_uri(work), work.spec)
    baseline = _champion_baseline(work)
    verdict = judge_window(
        frame,
        work.spec,
        as_of=as_of,
        label_delay=label_delay,
        last_day=date.fromisoformat(publication.last_day),
        grows=data_sources.kind_of(source_uri(work)) != "replay",
        known=baseline.constraints if baseline else None,
    )
    evidence = {**verdict.facts, "data_version": publication.data_version, "simulated": publication.simulated}
    reasons = [f"{code}: {message}" for code, message in verdict.faults]
    decisions.record(work.engine, work.run, "window", "REFUSED" if reasons else "PASS", reasons, evidence)
    runs.record(work.engine, work.run, None, data_version=publication.data_version, simulated=publication.simulated)
    if verdict.faults:
        raise DataRejected(verdict.faults[0][0], "; ".join(message for _, message in verdict.faults))
    labelled = learnable(frame, as_of, label_delay)[[*work.spec.columns, OBSERVED, LABEL]]
    labelled = labelled.astype(dict.fromkeys(work.spec.categories, "category"))
    return {
        "publication": publication.run_id,
        "data_version": publication.data_version,
        "window": write(labelled, work.folder / "window.parquet"),
        **verdict.facts,
    }


@step
def build_features(work: Work, record: Record) -> Record:
    """Add what is missing to the feature store and write the labelled matrix of this run."""
    labelled = read_parquet(Path(record["window"]))
    parts = splitting.split(labelled, work.spec.training.split)
    splitting.require_new_ids(labelled[work.spec.id], parts, work.spec.training.split)
    version = features.feature_version(work.spec)
    matrix = as_categories(features.build(labelled, work.spec))
    if faults := too_many_categories(matrix, work.spec):
        raise DataRejected(*faults[0])
    _store_features(work, publication_of(work, record), labelled, matrix, version)
    keys = {KEY_OBSERVED: labelled[OBSERVED], KEY_LABEL: labelled[LABEL]}
    return {
        "matrix": write(matrix.assign(**keys), work.folder / "matrix.parquet"),
        "feature_version": version,
        "holdout_from": parts.holdout_from.date().isoformat(),
    }


def _champion_baseline(work: Work) -> Baseline | None:
    """What the champion was trained on; None without a champion, or when its package is damaged."""
    client = tracking.connect(work.settings.mlflow_uri)
    version = promotion.sound_champion(work.engine, client, work.run, work.models)
    if version is None:
        return None
    try:
        versions.fetch(client, work.run.use_case, version, work.models)
    except package.PackageRefused as refusal:
        log.warning("no shift guard: champion %s is damaged: %s", version, refusal)
        return None
    return Baseline.load(versions.folder(work.models, work.run.use_case, version), work.spec)


def _store_features(
    work: Work, publication: Publication, labelled: pd.DataFrame, matrix: pd.DataFrame, version: str
) -> None:
    """Append the rows that the store does not have yet under this feature version."""
    dataset, use_case = f"features_{version}", work.run.use_case
    uri = tables.table_uri(work.settings.lake_uri, use_case, dataset)
    keys = [work.spec.id, OBSERVED]
    rows = pd.concat([labelled[keys], matrix.drop(columns=keys, errors="ignore")], axis=1)
    with hold(work.engine, f"publish {use_case} {dataset}", PUBLISH_SECONDS):
        previous = publications.latest(work.engine, use_case, dataset)
        known = previous.versions[dataset] if previous else None
        if known is not None:
            present = tables.read(uri, known, columns=keys)
            rows = rows[~pd.concat([present, rows[keys]]).duplicated().to_numpy()[len(present) :]]
        if rows.empty:
            return
        rows = rows.assign(**{AS_OF: work.run.as_of, "feature_version": version})
        written = tables.append(uri, rows, work.run.run_id, after=known)
        publications.publish(
            work.engine,
            Publication(
                use_case=use_case,
                dataset=dataset,
                run_id=work.run.run_id,
                as_of=work.run.as_of,
                first_day=str(rows[OBSERVED].min().date()),
                last_day=str(rows[OBSERVED].max().date()),
                versions={dataset: written},
                rows_in=len(labelled),
                rows_published=len(rows),
                rows_quarantined=0,
                simulated=publication.simulated,
            ),
        )
