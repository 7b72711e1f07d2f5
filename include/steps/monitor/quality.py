"""The steps that bring in what was served, choose what is watched, and judge its data."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import date

from include.data import sources as data_sources
from include.monitoring import quality
from include.monitoring.baseline import Baseline
from include.serving import collection
from include.state import decisions, promotions, runs, sources
from include.state.publications import Publication
from include.steps import production
from include.steps.ledger import Record, Work, step
from include.steps.monitor import watched

log = logging.getLogger(__name__)


@step
def collect(work: Work, record: Record) -> Record:
    """Bring what was served, and the labels that came back, into their tables: each once, whatever the run finds."""
    publication, gathered = collection.collect(work.engine, work.settings, work.spec, work.run)
    if gathered is not None:  # a run that comes here again has published, and its counts are in the ledger
        counts = {table: len(frame) for table, frame in gathered.frames.items()}
        counts |= {"not_captured": gathered.not_captured, "damaged": gathered.damaged}
        log.log(logging.WARNING if gathered.damaged else logging.INFO, "collected %s", counts)
        runs.record(work.engine, work.run, None, collected=counts)
    return {"served": publication.run_id if publication else None}


@step
def check_quality(work: Work, record: Record) -> Record:
    """Choose the rows to watch; judge the data of each window, and the ingests behind it. Bad data blocks a retrain."""
    version = production.champion_version(work)
    publication = production.newest_data(work)
    baseline = watched.champion(work, version).baseline
    chosen = watched.choose(work, record, publication)
    log.info("watching the rows that were %s: %s", chosen.rows, chosen.why)
    found = {"champion": version, "publication": publication.run_id, "watched": asdict(chosen)}
    windows = watched.last_windows(work, {**record, **found})
    known = _known(baseline, work, served=chosen.rows == watched.SERVED)
    violations = [
        quality.check_window(known, watched.whole(days.rows), work.spec, watched.sent(days.rows)) for days in windows
    ]
    watched.write(work, "quality.json", [[asdict(violation) for violation in of_one] for of_one in violations])
    blocking = [[violation.message for violation in of_one if violation.blocks] for of_one in violations]
    of_ingest = _ingest_faults(work, publication)
    reasons = [*(f"{violation.type}: {violation.message}" for violation in violations[0]), *of_ingest]
    evidence = {"unseen_categories": quality.unseen(known, watched.whole(windows[0].rows), work.spec)}
    faults = [*blocking[0], *of_ingest]
    for fault in faults:
        log.warning("DATA_QUALITY: %s", fault)
    decisions.record(work.engine, work.run, "quality", "DATA_QUALITY" if faults else "OK", reasons, evidence | found)
    details = {"watched": asdict(chosen), "violations": reasons, **evidence}
    runs.record(work.engine, work.run, None, quality=faults, champion=version, data=details)
    return {**found, "faults": faults, "violations": blocking, "alarms": _stale_champion(work, version, baseline)}


def _known(baseline: Baseline, work: Work, *, served: bool) -> quality.Known:
    """The constraints of the columns that rows have: callers know neither what comes after the event, nor must they say
    when they observed a row.
    """
    columns = work.spec.columns
    return {
        name: constraint
        for name, constraint in baseline.constraints.items()
        if name in columns and not (served and (columns[name].after_event or name == work.spec.observed_at))
    }


def _ingest_faults(work: Work, publication: Publication) -> list[str]:
    faults = []
    row = sources.get(work.engine, work.run.use_case)
    age = (date.fromisoformat(work.run.as_of) - date.fromisoformat(publication.last_day)).days
    limit = work.spec.limits.maximum_data_age_days
    if row and data_sources.kind_of(row.uri) != "replay" and age > limit:
        faults.append(f"the newest day is {publication.last_day}, {age} days before {work.run.as_of}; at most {limit}")
    judged = ("PUBLISHED", "DATA_REJECTED")
    last = runs.last(work.engine, work.run.use_case, "ingest", outcomes=judged, until=work.run.as_of)
    if last and last.outcome == "DATA_REJECTED":
        faults.append(f"the last ingest ({last.run_id}) was refused: {'; '.join(last.reasons)}")
    return faults


def _stale_champion(work: Work, version: str, baseline: Baseline) -> list[str]:
    """The alarm for a champion that is older than the spec allows, by the ``as_of`` of its training."""
    history = promotions.history(work.engine, work.run.use_case)
    # A version that was made champion by hand has no promotion; its data tells its age.
    made = next((promotion.as_of for promotion in history if promotion.version == version), baseline.until)
    age = (date.fromisoformat(work.run.as_of) - date.fromisoformat(made)).days
    limit = work.spec.monitoring.champion_stale_after_days
    return [f"STALE_CHAMPION: version {version} is {age} days old, at most {limit}"] if age > limit else []
