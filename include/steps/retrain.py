"""The steps of ``<use case>_retrain``: from a window of published days to a champion, or to the reason why not."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema

from include.data import sources as data_sources
from include.data import tables
from include.data.calendar import midnight
from include.data.window import AS_OF, LABEL, OBSERVED, Lake, window_start
from include.errors import DataRejected, NothingToDo
from include.evaluation import figures, gate
from include.evaluation.leakage import column_roc_auc
from include.evaluation.metrics import Metrics, evaluate, single
from include.evaluation.resampling import Resamples, resample
from include.explanation import report
from include.features import build as features
from include.files import read_json, read_parquet, write_parquet, write_text
from include.monitoring.baseline import Baseline, make_baseline
from include.registry import promotion, tracking, versions
from include.registry.promotion import Candidacy, ChampionChanged
from include.spec import LOWER_IS_BETTER
from include.state import decisions, promotions, publications, requests, runs
from include.state import sources as source_rows
from include.state.lock import hold
from include.state.publications import Publication
from include.steps.ledger import Record, Work, step
from include.training import package, search
from include.training import split as splitting
from include.training.fingerprint import Ingredients, ingredients
from include.training.preparation import as_categories
from include.training.probe import FreshProcess, require_same
from include.training.window import judge_window, too_many_categories

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 600.0
SAMPLE_ROWS = 100
INGREDIENTS = "ingredients.json"
HOLDOUT_SCORES = "holdout_scores.parquet"
TRAIN, HOLDOUT = "<", ">="
"""The two parts of a run's rows, by how their days compare with the first day of the hold-out."""
ROW_GROUP = 100_000
"""Rows that are read, or left out, together."""
KEY_OBSERVED, KEY_LABEL = "key_observed_at", "key_label"
GATE_OUTCOMES = {"FAIL": "REFUSED", "NOT_EVALUATED": "NOT_EVALUATED"}


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
    baseline = _champion_baseline(work)
    verdict = judge_window(
        frame,
        work.spec,
        as_of=as_of,
        label_delay=data_sources.label_delay(_source_uri(work), work.spec),
        last_day=date.fromisoformat(publication.last_day),
        grows=data_sources.kind_of(_source_uri(work)) != "replay",
        baseline=baseline.rows if baseline else None,
    )
    evidence = {**verdict.facts, "data_version": publication.data_version, "simulated": publication.simulated}
    reasons = [f"{code}: {message}" for code, message in verdict.faults]
    decisions.record(work.engine, work.run, "window", "REFUSED" if reasons else "PASS", reasons, evidence)
    runs.record(work.engine, work.run, None, data_version=publication.data_version, simulated=publication.simulated)
    if verdict.faults:
        raise DataRejected(verdict.faults[0][0], "; ".join(message for _, message in verdict.faults))
    labelled = frame.loc[frame[LABEL].notna(), [*work.spec.columns, OBSERVED, LABEL]]
    labelled = labelled.astype(dict.fromkeys(work.spec.categories, "category"))
    return {
        "publication": publication.run_id,
        "data_version": publication.data_version,
        "window": _write(labelled, work.folder / "window.parquet"),
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
    _store_features(work, _publication(work, record), labelled, matrix, version)
    keys = {KEY_OBSERVED: labelled[OBSERVED], KEY_LABEL: labelled[LABEL]}
    return {
        "matrix": _write(matrix.assign(**keys), work.folder / "matrix.parquet"),
        "feature_version": version,
        "holdout_from": parts.holdout_from.date().isoformat(),
    }


@step
def compare_with_last_training(work: Work, record: Record) -> Record:
    """End the run as ``UNCHANGED`` when this very training was judged before against the same champion."""
    rows = _read(record["window"], record, TRAIN)
    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    made_of = ingredients(rows, work.spec, threads)
    write_text(work.folder / INGREDIENTS, made_of.model_dump_json(indent=2))
    fingerprint = made_of.fingerprint
    client = tracking.connect(work.settings.mlflow_uri)
    _end_left_open(work, client)
    champion = promotion.sound_champion(work.engine, client, work.run, work.models)
    _end_if_unchanged(work, fingerprint, champion)
    tags = {
        "as_of": work.run.as_of,
        "run_mode": work.run.run_mode,
        "reason": work.run.reason,
        "fingerprint": fingerprint,
        "feature_version": record["feature_version"],
        "data_version": record["data_version"],
    }
    mlflow_run = tracking.parent_run(client, work.run, tags)
    tracking.log_data(client, mlflow_run, work.run.use_case, record["data_version"], work.settings.lake_uri)
    runs.record(work.engine, work.run, None, fingerprint=fingerprint, mlflow_run=mlflow_run)
    return {"fingerprint": fingerprint, "mlflow_run": mlflow_run, "champion": champion}


@step
def train(work: Work, record: Record, candidate: str) -> Record:
    """Search and fit one candidate on the training rows; its package waits in the run's folder."""
    frame, labels, observed = inputs(work, record, TRAIN)
    chosen = work.spec.training.candidates[candidate]
    client = tracking.connect(work.settings.mlflow_uri)
    child = tracking.candidate_run(client, work.run, record["mlflow_run"], candidate, {"kind": chosen.kind})
    with tracking.finishing(client, child):
        found = search.search(frame, labels, observed, chosen, work.spec)
        pipeline = search.fit(frame, labels, chosen, found.params, work.spec)
        folder = work.folder / "candidates" / candidate
        manifest = package.save(folder, pipeline, _provenance(work, record, candidate, found.params, observed))
        metric = work.spec.training.selection_metric
        trials = [trial.mean for trial in found.scores_per_trial]
        tracking.log(
            client,
            child,
            params=found.params,
            metrics={f"cv_{metric}": found.score, f"cv_{metric}_by_trial": trials, "search_seconds": found.seconds},
            tags={"model_sha256": manifest.model_sha256},
        )
    log.info("%s: %s %.4f with %s", candidate, metric, found.score, found.params)
    return {"trained": {"candidate": candidate, "score": found.score, "package": str(folder)}}


@step
def select(work: Work, record: Record, trained: list[Record]) -> Record:
    """Pick the challenger by its score in the folds; the hold-out has no say in it."""
    candidates = {one["trained"]["candidate"]: one["trained"] for one in trained}
    scores = {name: found["score"] for name, found in candidates.items()}
    lower = work.spec.training.selection_metric in LOWER_IS_BETTER
    best = (min if lower else max)(scores, key=scores.__getitem__)
    missing = sorted(set(work.spec.training.candidates) - set(scores))
    runs.record(work.engine, work.run, None, challenger=best, cv_scores=scores, failed_candidates=missing)
    return {"challenger": best, "packages": {name: found["package"] for name, found in candidates.items()}}


@step
def evaluate_challenger(work: Work, record: Record) -> Record:
    """Score challenger and champion on the same hold-out rows, and a dummy that knows only the base rate."""
    train_matrix, train_labels, _ = inputs(work, record, TRAIN)
    matrix, labels, _ = inputs(work, record, HOLDOUT)
    challenger = package.load(Path(record["packages"][record["challenger"]]))
    scores = {"challenger": challenger.score(matrix)}
    metrics = {
        "challenger": evaluate(labels, scores["challenger"], work.spec.decision),
        "dummy": evaluate(labels, np.full(len(labels), train_labels.mean()), work.spec.decision),
    }
    champion = _load_champion(work, record, matrix)
    scored = champion if isinstance(champion, package.LoadedModel) else None
    if scored:
        scores["champion"] = scored.score(matrix)
        metrics["champion"] = evaluate(labels, scores["champion"], work.spec.decision)
    write_parquet(work.folder / HOLDOUT_SCORES, pd.DataFrame({KEY_LABEL: labels, **scores}))
    target = work.spec.target
    classes = (f"{target.column}: {target.negative}", f"{target.column}: {target.positive}")
    on = f"hold-out rows from {record['holdout_from']} on"
    figures.draw(labels, scores, work.folder / "figures", rows=on, classes=classes)
    return {
        "metrics": {name: found.as_dict() for name, found in metrics.items()},
        "column_roc_auc": column_roc_auc(train_matrix, train_labels, matrix, labels),
        "champion_trained_until": scored.manifest.trained_until if scored else None,
        "obstacle": asdict(champion) if isinstance(champion, gate.Reason) else None,
    }


@step
def judge(work: Work, record: Record) -> Record:
    """Form the verdict, write it as an artifact, and only then look at the other candidates' hold-out figures."""
    metrics = {name: Metrics(**values) for name, values in record["metrics"].items()}
    obstacle = record["obstacle"] and gate.Reason(**record["obstacle"])
    evidence = gate.Evidence(
        challenger=metrics["challenger"],
        champion=metrics.get("champion"),
        dummy=metrics["dummy"],
        resamples=_resamples(work),
        column_roc_auc=record["column_roc_auc"],
    )
    verdict = gate.judge(evidence, work.spec.gate, no_gain_needed=_freshness(work, record), not_evaluated=obstacle)
    write_text(work.folder / "verdict.json", verdict.to_json())
    reasons = [f"{reason.code}: {reason.message}" for reason in verdict.reasons]
    facts = {
        "fingerprint": record["fingerprint"],
        "champion": record["champion"],
        "challenger": record["challenger"],
        "metrics": record["metrics"],
        "holdout_from": record["holdout_from"],
        "others": _other_candidates(work, record),
    }
    decisions.record(work.engine, work.run, "gate", verdict.outcome.value, reasons, facts)
    runs.record(work.engine, work.run, None, verdict=verdict.outcome.value, metrics=record["metrics"])
    _log_evaluation(work, record, verdict)
    log.info("gate: %s", verdict.summary)
    return {"verdict": verdict.outcome.value, "reasons": reasons}


@step
def register(work: Work, record: Record) -> Record:
    """Complete the package and register it as ``challenger``; a refused one ends the run here.

    What arrived in the registry has to answer sample rows as the model does here before it becomes a version.
    """
    if record["verdict"] in GATE_OUTCOMES:
        raise NothingToDo(GATE_OUTCOMES[record["verdict"]], *record["reasons"])
    if work.run.run_mode == "dry_run":
        raise NothingToDo("DRY_RUN", "run_mode is dry_run: judged, nothing registered", *record["reasons"])
    client = tracking.connect(work.settings.mlflow_uri)
    with FreshProcess() as fresh:
        model = package.load(Path(record["packages"][record["challenger"]]))
        submission, manifest = _submission(work, record, model)
        sample = inputs(work, record, HOLDOUT)[0].head(SAMPLE_ROWS)
        expected = model.score(sample)
        version = versions.register(
            work.engine, client, submission, lambda arrived: require_same(expected, fresh.scores(arrived, sample))
        )
    versions.set_alias(client, work.run.use_case, versions.CHALLENGER, version)
    return {"version": version, "model_sha256": manifest.model_sha256}


@step
def promote(work: Work, record: Record) -> Record:
    """Make the registered version champion, if the champion is still the one it was compared with."""
    client = tracking.connect(work.settings.mlflow_uri)
    candidacy = Candidacy(
        version=record["version"],
        compared_with=record["champion"],
        run_id=work.run.run_id,
        as_of=work.run.as_of,
        model_sha256=record["model_sha256"],
        fingerprint=record["fingerprint"],
        data_version=record["data_version"],
        metrics=record["metrics"]["challenger"],
        reasons=record["reasons"],
    )
    try:
        replaced = promotion.promote(work.engine, client, work.run.use_case, candidacy)
    except ChampionChanged as change:
        raise NothingToDo("CHAMPION_CHANGED", str(change)) from change
    versions.drop_alias(client, work.run.use_case, versions.CHALLENGER)
    what = f"replaces version {replaced}" if replaced else "is the first champion"
    reasons = [f"version {record['version']} {what}", *record["reasons"]]
    runs.record(work.engine, work.run, "PROMOTED", reasons, version=record["version"])
    return {"replaced": replaced}


# What the steps share.


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
    return Baseline.load(versions.folder(work.models, work.run.use_case, version))


def _source_uri(work: Work) -> str:
    return source_rows.uri_of(work.engine, work.spec)


def _publication(work: Work, record: Record) -> Publication:
    publication = publications.of_run(work.engine, work.run.use_case, "data", record["publication"])
    if publication is None:
        raise LookupError(f"the publication of run {record['publication']} is gone from the state database")
    return publication


def _write(frame: pd.DataFrame, path: Path) -> str:
    """Keep ``frame`` for the later steps of this run."""
    write_parquet(path, frame, row_group_size=ROW_GROUP)
    return str(path)


def _read(path: str, record: Record, part: str, columns: list[str] | None = None) -> pd.DataFrame:
    """The rows of one part of the window or the matrix, oldest first."""
    observed = KEY_OBSERVED if path == record["matrix"] else OBSERVED
    return read_parquet(Path(path), columns=columns, filters=[(observed, part, midnight(record["holdout_from"]))])


def inputs(work: Work, record: Record, part: str) -> tuple[pd.DataFrame, np.ndarray, pd.Series]:
    """The model inputs of one part, the labels and the times of observation."""
    stored = _read(record["matrix"], record, part)
    return stored[list(work.spec.feature_types)], stored[KEY_LABEL].to_numpy(), stored[KEY_OBSERVED]


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


def _end_left_open(work: Work, client: MlflowClient) -> None:
    """End in MLflow what runs left open there that have closed meanwhile: MLflow was away at their end."""
    for run_id in tracking.left_open(client, work.run.use_case):
        row = runs.get(work.engine, work.run.use_case, work.run.kind, run_id)
        if row is None or row.ended_at is not None:
            tracking.end_all(client, replace(work.run, run_id=run_id), "KILLED")


def _end_if_unchanged(work: Work, fingerprint: str, champion: str | None) -> None:
    for earlier in decisions.of_kind(work.engine, work.run.use_case, "gate"):
        if earlier.run_id == work.run.run_id or earlier.evidence["fingerprint"] != fingerprint:
            continue
        promoted = {p.version for p in promotions.history(work.engine, work.run.use_case) if p.run_id == earlier.run_id}
        refused = earlier.outcome != gate.Outcome.PASS and earlier.evidence["champion"] == champion
        # One that passed and was never promoted, since its run died or was a dry run, is not over.
        if champion in promoted or refused:
            again = f"the same rows, spec, code and versions as in run {earlier.run_id}, which ended {earlier.outcome}"
            runs.record(work.engine, work.run, None, fingerprint=fingerprint, metrics=earlier.evidence["metrics"])
            raise NothingToDo("UNCHANGED", again, *earlier.reasons)


def _provenance(
    work: Work, record: Record, candidate: str, params: dict[str, Any], observed: pd.Series
) -> package.Provenance:
    return package.Provenance(
        use_case=work.run.use_case,
        candidate=candidate,
        kind=work.spec.training.candidates[candidate].kind,
        params=params,
        feature_types=work.spec.feature_types,
        trained_from=observed.min().date().isoformat(),
        trained_until=(observed.max().date() + timedelta(days=1)).isoformat(),
        feature_version=record["feature_version"],
        ingredients=Ingredients.model_validate(read_json(work.folder / INGREDIENTS)),
    )


def _submission(work: Work, record: Record, model: package.LoadedModel) -> tuple[versions.Submission, package.Manifest]:
    """The complete package, written to the run's folder, as it goes to the registry."""
    folder = work.folder / "package"
    manifest = package.save(folder, model.pipeline, _as_provenance(model), _package_files(work, record))
    tags = {
        "fingerprint": record["fingerprint"],
        "model_sha256": manifest.model_sha256,
        "data_version": record["data_version"],
        "as_of": work.run.as_of,
        "candidate": manifest.candidate,
        "simulated": str(_publication(work, record).simulated).lower(),
    }
    found = Metrics(**record["metrics"]["challenger"])
    description = (
        f"{manifest.candidate}, trained on {manifest.trained_from} to {manifest.trained_until} (exclusive). "
        f"ROC AUC {found.roc_auc:.3f} ({found.roc_auc_low:.3f} to {found.roc_auc_high:.3f}) "
        f"on {found.n} hold-out rows from {record['holdout_from']} on. Gate: {'; '.join(record['reasons'])}"
    )
    about = f"{work.spec.title}: {work.spec.description}"
    run = record["mlflow_run"]
    return versions.Submission(work.run.use_case, folder, run, tags, description, about), manifest


def _as_provenance(model: package.LoadedModel) -> package.Provenance:
    return package.Provenance(**{name: getattr(model.manifest, name) for name in package.Provenance.model_fields})


def _package_files(work: Work, record: Record) -> dict[str, bytes]:
    """What goes into the package beside the model: signature, baseline, verdict, explanation and spec."""
    rows = read_parquet(Path(record["window"]))
    # Scores of rows that the model was fitted on are too sure of themselves to compare live scores with.
    scores = np.full(len(rows), np.nan)
    on_holdout = read_parquet(work.folder / HOLDOUT_SCORES)["challenger"]
    scores[(rows[OBSERVED] >= midnight(record["holdout_from"])).to_numpy()] = on_holdout
    baseline = work.folder / "baseline"
    made = make_baseline(rows, scores, rows[LABEL].to_numpy(), work.spec, work.spec.training.seed)
    made.save(baseline)
    inputs = Schema(
        [ColSpec("double" if kind == "number" else "string", name) for name, kind in work.spec.feature_types.items()]
    )
    signature = ModelSignature(inputs=inputs, outputs=Schema([ColSpec("double", "score")]))
    described = {"flavors": {"skops": {"data": "model.skops"}}, "signature": signature.to_dict()}
    return {
        "MLmodel": json.dumps(described, indent=2).encode(),  # JSON is YAML
        "verdict.json": json.dumps(read_json(work.folder / "verdict.json"), sort_keys=True).encode(),
        "spec.yaml": (work.spec.folder / "spec.yaml").read_bytes(),
        "features.py.txt": features.source_path(work.spec).read_bytes(),
        **{path.name: path.read_bytes() for path in sorted(baseline.iterdir())},
        **{f"{report.FOLDER}/{name}": content for name, content in report.kept(work.folder / report.FOLDER).items()},
    }


def _load_champion(work: Work, record: Record, matrix: pd.DataFrame) -> package.LoadedModel | gate.Reason | None:
    """The champion, if there is one, or why it cannot be judged on the rows of ``matrix``."""
    if record["champion"] is None:
        return None
    client = tracking.connect(work.settings.mlflow_uri)
    try:
        champion = versions.fetch(client, work.run.use_case, record["champion"], work.models)
    except package.PackageRefused as refusal:
        return gate.Reason("CHAMPION_DAMAGED", str(refusal))
    until, holdout_from = champion.manifest.trained_until, record["holdout_from"]
    if until > holdout_from:
        message = f"version {record['champion']} was trained until {until}, the hold-out starts {holdout_from}"
        return gate.Reason("CHAMPION_SAW_HOLDOUT", message)
    if missing := sorted(set(champion.manifest.feature_types) - set(matrix.columns)):
        return gate.Reason("CHAMPION_CANNOT_SCORE", f"version {record['champion']} needs {', '.join(missing)}")
    return champion


def _resamples(work: Work) -> Resamples:
    """The rules' figures of challenger and champion on resamples of the hold-out."""
    scores = {str(name): column.to_numpy() for name, column in read_parquet(work.folder / HOLDOUT_SCORES).items()}
    labels = scores.pop(KEY_LABEL)
    rules = gate.rule_metrics(work.spec.gate)
    return resample(labels, scores, rules, work.spec.decision, seed=work.spec.training.seed)


def _freshness(work: Work, record: Record) -> str:
    """Why a challenger need not be better than the champion this time, if so; see ``gate.freshness`` of the spec."""
    freshness = work.spec.gate.freshness
    if freshness.on_drift and requests.claimed(work.engine, work.run.use_case, work.run.run_id):
        return "the monitor asked for this retrain: no gain needed, newer data is worth something (gate.freshness)"
    trained_until = record["champion_trained_until"]
    if trained_until is None or freshness.champion_older_than_days is None:
        return ""
    age = (date.fromisoformat(work.run.as_of) - date.fromisoformat(trained_until)).days
    if age <= freshness.champion_older_than_days:
        return ""
    return f"the champion's training rows end {age} days ago: no gain needed (gate.freshness)"


def _other_candidates(work: Work, record: Record) -> dict[str, float]:
    matrix, labels, _ = inputs(work, record, HOLDOUT)
    others = {name: path for name, path in record["packages"].items() if name != record["challenger"]}
    return {
        name: round(single("roc_auc", labels, package.load(Path(path)).score(matrix)), 5)
        for name, path in others.items()
    }


def _log_evaluation(work: Work, record: Record, verdict: gate.Verdict) -> None:
    client = tracking.connect(work.settings.mlflow_uri)
    # MLflow's charts are grouped by what stands before the slash.
    metrics = {
        f"holdout_{who}/{name}": value for who, found in record["metrics"].items() for name, value in found.items()
    }
    drawn = sorted((work.folder / "figures").iterdir())
    files = {"figures": drawn, "evaluation": [work.folder / "verdict.json"]}
    tags = {"verdict": verdict.outcome.value, "challenger": record["challenger"], tracking.NOTE: verdict.markdown}
    tracking.log(client, record["mlflow_run"], metrics=metrics, tags=tags, files=files)
