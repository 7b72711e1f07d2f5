"""The steps of ``<use case>_monitor``: the newest days against what the champion was trained on, and what follows."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

import pandas as pd

from include.data import sources as data_sources
from include.data.calendar import midnight
from include.data.window import OBSERVED, Lake
from include.errors import DataRejected, NothingToDo
from include.features import build as features
from include.files import read_json, write_text
from include.monitoring import drift as drifting
from include.monitoring import policy, quality, windows
from include.monitoring.baseline import SCORE, Baseline, sample
from include.monitoring.drift import DriftReport
from include.monitoring.windows import Days, Window
from include.registry import versions
from include.serving import collection
from include.state import decisions, promotions, publications, requests, runs, sources
from include.state.publications import Publication
from include.steps import production
from include.steps.ledger import DRY_RUN, Record, Work, step
from include.training.package import LoadedModel

log = logging.getLogger(__name__)

VERDICT = "drift_verdict.json"


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
    """Judge the data of each window and the ingests behind them; what is bad is reported and blocks any retrain."""
    version = production.champion_version(work)
    publication = production.newest_data(work)
    _, baseline = _champion(work, version)
    found = [quality.check_window(baseline.rows, days.rows, work.spec) for days in _windows(work, publication)]
    messages = [[violation.message for violation in violations] for violations in found]
    faults = [*messages[0], *_ingest_faults(work, publication)]
    for fault in faults:
        log.warning("DATA_QUALITY: %s", fault)
    alarms = _stale_champion(work, version, baseline)
    _write(work, "quality.json", [[asdict(violation) for violation in violations] for violations in found])
    runs.record(work.engine, work.run, None, quality=faults, champion=version)
    return {
        "champion": version,
        "publication": publication.run_id,
        "faults": faults,
        "violations": messages,
        "alarms": alarms,
    }


@step
def measure_drift(work: Work, record: Record) -> Record:
    """Measure each of the last N windows; the newest one's verdict goes to the ledger column by column."""
    model, baseline = _champion(work, record["champion"])
    checks, minimum = drifting.checks_of(work.spec), work.spec.monitoring.minimum_rows
    judged, reports = [], []
    for days, faults in zip(_windows(work, _publication(work, record)), record["violations"], strict=True):
        scored = _scored(work, model, days.rows, days.first)
        report = drifting.measure(baseline.rows, scored, checks, work.spec, work.spec.training.seed)
        judged.append(asdict(windows.judge(days, report, faults, baseline.until, minimum)))
        reports.append(report)
        log.info("%s to before %s: %s: %s", *judged[-1].values())
    _write(work, VERDICT, [{**window, **report.to_json()} for window, report in zip(judged, reports, strict=True)])
    runs.record(work.engine, work.run, None, drifted_columns=list(reports[0].drifted), windows=judged)
    alarms = [*record["alarms"], *_not_scored(reports[0])]
    return {"windows": judged, "drifted": list(reports[0].drifted), "alarms": alarms}


@step
def draw_report(work: Work, record: Record) -> Record:
    """Draw Evidently's report of the newest window, of every column that was judged."""
    from include.monitoring import report  # Evidently takes seconds to import; only this step needs it

    newest = read_json(work.folder / VERDICT)[0]
    verdicts = [drifting.ColumnVerdict(**column) for column in newest["columns"]]
    left_out = [verdict.name for verdict in verdicts if not verdict.judged]
    if left_out:
        log.warning("not in the report, since they could not be judged: %s", ", ".join(left_out))
    if len(left_out) == len(verdicts):
        return {"report": None, "left_out": left_out}
    model, baseline = _champion(work, record["champion"])
    (days, *_) = _windows(work, _publication(work, record))
    rows = sample(days.rows, work.spec.training.seed)
    drawn = f" (drawn from {len(rows)})" if len(rows) < len(days.rows) else ""
    report.draw(
        baseline.rows,
        _scored(work, model, rows, days.first),
        drifting.checks_of(work.spec),
        verdicts,
        work.folder,
        heading=f"{work.spec.title}, {newest['first']} to before {newest['end']}: {newest['current_rows']} rows{drawn} "
        f"against {newest['reference_rows']} of champion {record['champion']}: {newest['verdict']}",
        minimum_drifted=work.spec.monitoring.minimum_drifted_columns,
    )
    page = str(work.folder / "drift.html")
    runs.record(work.engine, work.run, None, report=page)
    return {"report": page, "left_out": left_out}


@step
def decide(work: Work, record: Record) -> Record:
    """Apply the retrain policy and record the decision, fired or suppressed, with all its reasons."""
    judged = tuple(Window(**window) for window in record["windows"])
    evidence = policy.evidence_fingerprint(work.run.use_case, judged[0])
    earlier = [
        request
        for request in requests.every(work.engine, work.run.use_case)
        if (request.requested_by, request.evidence) != (work.run.run_id, evidence)
    ]
    facts = policy.Facts(
        as_of=date.fromisoformat(work.run.as_of),
        windows=judged,
        faults=tuple(record["faults"]),
        attempts=tuple(date.fromisoformat(request.as_of) for request in earlier),
        pending=any(request.outcome is None for request in earlier),
        unhelped=bool(earlier) and _unhelped(work, earlier[-1], record["drifted"]),
        new_labels=_new_labels(work, record),
        dry_run=work.run.run_mode == DRY_RUN,
    )
    decision = policy.decide(facts, work.spec.retrain_policy)
    reasons = [*decision.reasons, *record["alarms"]]
    found = {"champion": record["champion"], "windows": record["windows"], "drifted": record["drifted"]}
    found |= {"evidence": evidence, "new_labels": facts.new_labels}
    decisions.record(work.engine, work.run, "drift", decision.outcome, reasons, found)
    runs.record(work.engine, work.run, decision.outcome, reasons)
    quiet = decision.outcome == "NO_DRIFT" and not record["alarms"]
    log.log(logging.INFO if quiet else logging.WARNING, "%s: %s", decision.outcome, "; ".join(reasons))
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


def _champion(work: Work, version: str) -> tuple[LoadedModel, Baseline]:
    model = production.champion(work, version)
    return model, Baseline.load(versions.folder(work.models, work.run.use_case, version))


def _publication(work: Work, record: Record) -> Publication:
    """The publication that the run's first step chose: what is published meanwhile is for the next run."""
    publication = publications.of_run(work.engine, work.run.use_case, "data", record["publication"])
    if publication is None:
        raise LookupError(f"the publication of run {record['publication']} is gone from the state database")
    return publication


def _windows(work: Work, publication: Publication) -> list[Days]:
    """The last N windows, newest first; the newest ends with the last published day."""
    count, days = work.spec.retrain_policy.num_evaluation_windows, work.spec.monitoring.window_days
    newest = date.fromisoformat(publication.last_day) + timedelta(days=1)
    end = min(newest, date.fromisoformat(work.run.as_of))
    lake = Lake(work.settings.lake_uri, work.spec, publication)
    rows = lake.observations(end - timedelta(days=count * days), end, known_at=work.run.as_of)
    return windows.cut(rows, end, days, count)


def _scored(work: Work, model: LoadedModel, rows: pd.DataFrame, first: date) -> pd.DataFrame:
    """The rows with the champion's score, without it where the model's inputs cannot be made of them."""
    try:
        built = features.build(rows, work.spec)
    except DataRejected as refusal:
        log.warning("the days from %s on cannot be scored: %s", first, refusal)
        return rows
    if missing := sorted(set(model.manifest.feature_types) - set(built)):
        log.warning("the champion needs %s, which the use case does not make any more", ", ".join(missing))
        return rows
    return rows.assign(**{SCORE: model.score(built)})


def _not_scored(report: DriftReport) -> list[str]:
    """The alarm for a champion that does not answer the newest days; drift of its scores is not watched then."""
    (score,) = [verdict for verdict in report.columns if verdict.name == SCORE]
    return [f"NO_SCORES: {score.status} in the newest window"] if score.status in ("MISSING", "NAN_SCORES") else []


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


def _unhelped(work: Work, last: requests.Request, drifted: list[str]) -> bool:
    """Whether the last request was answered, and no champion was made since that knows more of these columns."""
    if last.outcome is None or not set(drifted) & set(last.columns):
        return False
    # By run and ``as_of``, since a clock that was put right in between would turn their order around.
    history = promotions.history(work.engine, work.run.use_case)
    return not any(made.run_id == last.claimed_by or made.as_of > last.as_of for made in history)


def _new_labels(work: Work, record: Record) -> int:
    """Labels known now of rows that were observed after the days that the champion was trained or judged on."""
    _, baseline = _champion(work, record["champion"])
    lake = Lake(work.settings.lake_uri, work.spec, _publication(work, record))
    labels = lake.labels(date.fromisoformat(work.run.as_of))
    return int((labels[OBSERVED] >= midnight(baseline.until)).sum())


def _write(work: Work, name: str, content: Any) -> None:
    write_text(work.folder / name, json.dumps(content, indent=2))
