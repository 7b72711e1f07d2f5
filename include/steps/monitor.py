"""The steps of ``<use case>_monitor``: the newest days against what the champion was trained on, and what follows."""

from __future__ import annotations

import json
import logging
from datetime import date, timedelta
from typing import Any

import pandas as pd

from include.data import sources as data_sources
from include.data.window import LABEL, Lake
from include.errors import DataRejected, NothingToDo
from include.features import build as features
from include.files import write_text
from include.monitoring import drift as drifting
from include.monitoring import policy, quality
from include.monitoring.baseline import SCORE, Baseline
from include.registry import promotion, tracking, versions
from include.state import decisions, promotions, publications, requests, runs, sources
from include.state.publications import Publication
from include.steps.ledger import Record, Work, step
from include.training.package import LoadedModel

log = logging.getLogger(__name__)

HELPED = (None, "PROMOTED", "CHAMPION_CHANGED")
"""Outcomes of a retrain after which another one may help; None: it has not ended yet."""


@step
def check_quality(work: Work, record: Record) -> Record:
    """Judge the latest window and the ingests behind it; bad data is reported and blocks any retrain."""
    version = _champion_version(work)
    publication = _publication(work)
    _, baseline = _champion(work, version)
    violations = quality.check_window(baseline.rows, _window(work, publication, 0), work.spec)
    found = [violation.message for violation in violations] + _ingest_faults(work, publication)
    if stale := _stale_champion(work):
        log.warning("%s", stale)
    runs.record(work.engine, work.run, None, quality=found, champion=version, stale_champion=stale)
    return {"champion": version, "publication": publication.run_id, "violations": found, "stale": stale}


@step
def measure_drift(work: Work, record: Record) -> Record:
    """Measure each of the last N windows; the newest one's verdict goes to the ledger column by column."""
    model, baseline = _champion(work, record["champion"])
    publication = _publication(work)
    checks = drifting.checks_of(work.spec)
    reports = []
    for index in range(work.spec.retrain_policy.num_evaluation_windows):
        window = _scored(work, model, _window(work, publication, index))
        reports.append(drifting.measure(baseline.rows, window, checks, work.spec, work.spec.training.seed))
    write_text(work.folder / "drift_verdict.json", json.dumps(reports[0].to_json(), indent=2))
    log.info("windows, newest first: %s", ", ".join(report.outcome for report in reports))
    runs.record(work.engine, work.run, None, drifted_columns=list(reports[0].drifted))
    return {
        "windows": [report.outcome for report in reports],
        "drifted": list(reports[0].drifted),
        "last_day": _edges(work, publication, 0)[1].isoformat(),
    }


@step
def draw_report(work: Work, record: Record) -> Record:
    """Draw Evidently's report of the newest window."""
    from include.monitoring import report  # Evidently takes seconds to import; only this step needs it

    model, baseline = _champion(work, record["champion"])
    window = _scored(work, model, _window(work, _publication(work), 0))
    if window.empty:
        raise NothingToDo("INSUFFICIENT", "the newest window has no rows to draw")
    verdict = json.loads((work.folder / "drift_verdict.json").read_text(encoding="utf-8"))
    verdicts = [drifting.ColumnVerdict(**column) for column in verdict["columns"]]
    checks = drifting.checks_of(work.spec)
    left_out = report.draw(baseline.rows, window, checks, verdicts, work.folder, work.spec.training.seed)
    return {"report": str(work.folder / "drift.html"), "left_out": left_out}


@step
def decide(work: Work, record: Record) -> Record:
    """Apply the retrain policy and record the decision, fired or suppressed, with all its reasons."""
    drifted = tuple(record["drifted"])
    earlier = requests.every(work.engine, work.run.use_case)
    others = [request for request in earlier if request.requested_by != work.run.run_id]
    evidence = policy.evidence_fingerprint(work.run.use_case, record["champion"], drifted, record["last_day"])
    facts = policy.Facts(
        as_of=date.fromisoformat(work.run.as_of),
        windows=tuple(record["windows"]),
        quality=tuple(record["violations"]),
        evidence=evidence,
        known_evidence=frozenset(request.evidence for request in others),
        attempts=tuple(date.fromisoformat(request.as_of) for request in others),
        new_labels=_new_labels(work, record["champion"]),
        last_attempt_helped=not others or others[-1].outcome in HELPED or not set(drifted) <= set(others[-1].columns),
    )
    decision = policy.decide(facts, work.spec.retrain_policy)
    reasons = [*decision.reasons, *([record["stale"]] if record["stale"] else [])]
    found = {name: record[name] for name in ("champion", "windows", "drifted", "last_day")}
    found |= {"evidence": evidence, "new_labels": facts.new_labels}
    decisions.record(work.engine, work.run, "drift", decision.outcome, reasons, found)
    runs.record(work.engine, work.run, decision.outcome, reasons)
    log.info("%s: %s", decision.outcome, "; ".join(reasons))
    return {"outcome": decision.outcome, "reasons": reasons, "evidence": evidence}


@step
def request_retrain(work: Work, record: Record) -> Record:
    """Write the request; the asset event that follows only wakes the scheduler."""
    if record["outcome"] != "REQUESTED":
        raise NothingToDo(record["outcome"], *record["reasons"])
    reason = f"drift of {', '.join(record['drifted'])} as of {work.run.as_of}"
    requests.add(work.engine, work.run, record["evidence"], record["drifted"], reason)
    return {"requested": reason}


# What the steps share.


def _champion_version(work: Work) -> str:
    client = tracking.connect(work.settings.mlflow_uri)
    promotion.reconcile(work.engine, client, work.run.use_case)
    version = versions.alias(client, work.run.use_case)
    if version is None:
        raise NothingToDo("NO_CHAMPION", f"nothing is in production yet; run {work.run.use_case}_retrain")
    return version


def _champion(work: Work, version: str) -> tuple[LoadedModel, Baseline]:
    cache = work.settings.home / "models"
    model = versions.fetch(tracking.connect(work.settings.mlflow_uri), work.run.use_case, version, cache)
    return model, Baseline.load(versions.folder(cache, work.run.use_case, version))


def _publication(work: Work) -> Publication:
    publication = publications.latest(work.engine, work.run.use_case, "data", work.run.as_of)
    if publication is None:
        raise DataRejected("NO_DATA", f"nothing was published up to {work.run.as_of}; run {work.run.use_case}_ingest")
    return publication


def _edges(work: Work, publication: Publication, index: int) -> tuple[date, date]:
    """First day and end (exclusive) of the ``index``-th newest window; the newest ends with the last published day."""
    newest = date.fromisoformat(publication.last_day) + timedelta(days=1)
    end = min(newest, date.fromisoformat(work.run.as_of)) - timedelta(days=index * work.spec.monitoring.window_days)
    return end - timedelta(days=work.spec.monitoring.window_days), end


def _window(work: Work, publication: Publication, index: int) -> pd.DataFrame:
    first, end = _edges(work, publication, index)
    return Lake(work.settings.lake_uri, work.spec, publication).observations(first, end, known_at=work.run.as_of)


def _scored(work: Work, model: LoadedModel, window: pd.DataFrame) -> pd.DataFrame:
    if window.empty:
        return window.assign(**{SCORE: pd.Series(dtype="float64")})
    built = features.build(window, work.spec)
    return window.assign(**{SCORE: model.score(built[list(model.manifest.feature_types)])})


def _ingest_faults(work: Work, publication: Publication) -> list[str]:
    faults = []
    row = sources.get(work.engine, work.run.use_case)
    age = (date.fromisoformat(work.run.as_of) - date.fromisoformat(publication.last_day)).days
    limit = work.spec.limits.maximum_data_age_days
    if row and data_sources.kind_of(row.uri) != "replay" and age > limit:
        faults.append(f"the newest day is {publication.last_day}, {age} days before {work.run.as_of}; at most {limit}")
    last = runs.last(work.engine, work.run.use_case, "ingest")
    if last and last.outcome == "DATA_REJECTED":
        faults.append(f"the last ingest ({last.run_id}) was refused: {'; '.join(last.reasons)}")
    return faults


def _stale_champion(work: Work) -> str | None:
    serving = promotions.champion(work.engine, work.run.use_case)
    limit = work.spec.monitoring.champion_stale_after_days
    if serving is None:
        return None
    age = (date.fromisoformat(work.run.as_of) - date.fromisoformat(serving.as_of)).days
    return f"STALE_CHAMPION: version {serving.version} is {age} days old, at most {limit}" if age > limit else None


def _new_labels(work: Work, version: str) -> int:
    """Labels known now of rows that were observed after the champion's training and hold-out ended."""
    as_of = date.fromisoformat(work.run.as_of)
    labels: Any = Lake(work.settings.lake_uri, work.spec, _publication(work)).labels(as_of)
    serving = promotions.champion(work.engine, work.run.use_case)
    if serving is None or serving.version != version:
        return int(labels[LABEL].notna().sum())
    return int((labels["known_at"] >= pd.Timestamp(serving.as_of, tz="UTC")).sum())
