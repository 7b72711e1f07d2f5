"""The steps that hold the newest days against what the champion was trained on: columns, scores, attributions."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import date

import pandas as pd

from include.data.served import VERSION
from include.explanation.model import Explained
from include.explanation.report import EXPLAINED_ROWS, SAMPLED_ROWS, VALUES
from include.explanation.samples import FOLDER, pinned
from include.explanation.shapley import AdditivityError, attribute
from include.explanation.single import background_of
from include.files import read_json, read_parquet
from include.monitoring import attribution, windows
from include.monitoring import drift as drifting
from include.monitoring.attribution import AttributionDrift
from include.monitoring.baseline import SCORE, sample
from include.monitoring.drift import DriftReport
from include.state import runs
from include.steps.ledger import Record, Work, step
from include.steps.monitor import watched
from include.steps.monitor.watched import Champion

log = logging.getLogger(__name__)

VERDICT = "drift_verdict.json"


@step
def measure_drift(work: Work, record: Record) -> Record:
    """Measure each of the last N windows; the newest one's verdict goes to the ledger column by column."""
    champion = watched.champion(work, record["champion"])
    baseline, checks, rules = champion.baseline, drifting.checks_of(work.spec), work.spec.monitoring
    judged, reports, given = [], [], []
    for days, faults in zip(watched.last_windows(work, record), record["violations"], strict=True):
        rows = watched.scored(work, champion, watched.whole(days.rows), days.first)
        by_version = rows[VERSION].value_counts().to_dict() if VERSION in rows else {record["champion"]: len(rows)}
        own = watched.by_champion(rows, record["champion"])
        report = drifting.measure(baseline.rows, rows, checks, work.spec, work.spec.training.seed, own_scores=own)
        judged.append(asdict(windows.judge(days, report, faults, baseline.until, rules.minimum_rows)))
        reports.append(report)
        given.append({"served_by": by_version} if VERSION in rows else {})
        log.info("%s to before %s: %s: %s", *judged[-1].values())
    verdicts = [{**w, **report.to_json(), **by} for w, report, by in zip(judged, reports, given, strict=True)]
    watched.write(work, VERDICT, verdicts)
    newest = reports[0]
    columns = {one.name: {"status": one.status, "distance": one.distance, "limit": one.limit} for one in newest.columns}
    known = {"rows": newest.current_rows, "columns": columns, **given[0]}
    runs.record(work.engine, work.run, None, drifted_columns=list(newest.drifted), windows=judged, newest=known)
    alarms = [*record["alarms"], *_not_scored(newest)]
    return {"windows": judged, "drifted": list(newest.drifted), "alarms": alarms}


@step
def draw_report(work: Work, record: Record) -> Record:
    """Draw Evidently's report of the newest window, of every column that was judged, from a pinned sample."""
    from include.monitoring import report  # Evidently takes seconds to import; only this step needs it

    newest = read_json(work.folder / VERDICT)[0]
    verdicts = [drifting.ColumnVerdict(**column) for column in newest["columns"]]
    left_out = [verdict.name for verdict in verdicts if not verdict.judged]
    if left_out:
        log.warning("not in the report, since they could not be judged: %s", ", ".join(left_out))
    if len(left_out) == len(verdicts):
        return {"report": None, "left_out": left_out}
    champion = watched.champion(work, record["champion"])
    days = watched.last_windows(work, record)[0]
    rows = sample(watched.whole(days.rows), work.spec.training.seed)
    drawn = f" (drawn from {len(rows)})" if len(rows) < newest["current_rows"] else ""
    rows = watched.scored(work, champion, rows, days.first)
    if SCORE in rows:
        rows = rows.assign(**{SCORE: rows[SCORE].where(watched.by_champion(rows, champion.version))})
    report.draw(
        champion.baseline.rows,
        rows,
        drifting.checks_of(work.spec),
        verdicts,
        work.folder,
        heading=f"{work.spec.title}, {newest['first']} to before {newest['end']}: {newest['current_rows']} rows "
        f"{record['watched']['rows']}{drawn} against {newest['reference_rows']} of champion {record['champion']}: "
        f"{newest['verdict']}",
        minimum_drifted=work.spec.monitoring.minimum_drifted_columns,
    )
    page = str(work.folder / "drift.html")
    runs.record(work.engine, work.run, None, report=page)
    return {"report": page, "left_out": left_out}


@step
def measure_attribution(work: Work, record: Record) -> Record:
    """Hold the inputs that the champion goes by in the newest window against those of its baseline, by SHAP."""
    days = watched.last_windows(work, record)[0]
    rows = watched.whole(days.rows)
    found = _attribution(work, watched.champion(work, record["champion"]), rows, days.first)
    log.log(
        logging.WARNING if found.status == "DRIFT" else logging.INFO, "attribution: %s: %s", found.status, found.note
    )
    runs.record(work.engine, work.run, None, attribution=asdict(found))
    alarms = [f"ATTRIBUTION_DRIFT: {found.note}"] if found.status == "DRIFT" else []
    return {"alarms": [*record["alarms"], *alarms]}


def _attribution(work: Work, champion: Champion, rows: pd.DataFrame, first: date) -> AttributionDrift:
    rules, seed = work.spec.monitoring, work.spec.training.seed
    if len(rows) < rules.minimum_rows:
        return AttributionDrift("INSUFFICIENT", f"{len(rows)} rows, at least {rules.minimum_rows} needed")
    kept = champion.package / FOLDER / VALUES
    if not kept.is_file():
        return AttributionDrift("NOT_MEASURED", "the package keeps no SHAP values of its baseline")
    inputs = watched.inputs_of(work, champion, rows, first)
    if inputs is None:
        return AttributionDrift("NOT_MEASURED", "the champion's inputs cannot be made of the rows")
    model = Explained(champion.model.pipeline)
    names = list(model.names)
    few = inputs[names].iloc[pinned(inputs, SAMPLED_ROWS if model.method == "sampled" else EXPLAINED_ROWS, seed)]
    try:
        now = attribute(model, few, background_of(champion.package, champion.model), seed)
    except AdditivityError as error:  # values that explain something else say nothing, and stop nothing
        return AttributionDrift("NOT_MEASURED", str(error))
    before = read_parquet(kept, columns=names).to_numpy()
    return attribution.compare(model.names, before, now.values, rules, seed)


def _not_scored(report: DriftReport) -> list[str]:
    """The alarm for a champion that does not answer the newest days; drift of its scores is not watched then."""
    (score,) = [verdict for verdict in report.columns if verdict.name == SCORE]
    return [f"NO_SCORES: {score.status} in the newest window"] if score.status in ("MISSING", "NAN_SCORES") else []
