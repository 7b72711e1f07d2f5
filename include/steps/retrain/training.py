"""The steps that fit the candidates and pick the challenger, unless this very training was judged before."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from mlflow import MlflowClient

from include.errors import NothingToDo
from include.evaluation import mitigation, slices
from include.evaluation.thresholds import Thresholds
from include.evaluation.verdict import Outcome
from include.files import read_json, write_text
from include.registry import promotion, tracking
from include.spec import LOWER_IS_BETTER
from include.state import decisions, overrides, promotions, runs
from include.state.decisions import DecisionRow
from include.steps.ledger import Record, Work, step
from include.steps.retrain import freshness
from include.steps.retrain.dossier import ERROR
from include.steps.retrain.rows import HOLDOUT, INGREDIENTS, TRAIN, group_columns, inputs, read
from include.training import package
from include.training.calibration import calibrated
from include.training.fingerprint import Ingredients, ingredients, rows_hash
from include.training.search import SearchResult
from include.training.train import Trained
from include.training.train import train as train_candidate

log = logging.getLogger(__name__)

SEARCH, TRIALS = "search", "trials.json"


@step
def compare_with_last_training(work: Work, record: Record) -> Record:
    """End the run as ``UNCHANGED`` when this very training was judged before against the same champion."""
    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    made_of = ingredients(read(record["window"], record, TRAIN), work.spec, threads)
    holdout = rows_hash(read(record["window"], record, HOLDOUT), work.spec)
    write_text(work.folder / INGREDIENTS, made_of.model_dump_json(indent=2))
    fingerprint = made_of.fingerprint
    client = tracking.connect(work.settings.mlflow_uri)
    _end_left_open(work, client)
    champion = promotion.sound_champion(work.engine, client, work.run, work.models)
    _end_if_unchanged(work, fingerprint, holdout, champion)
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
    return {
        "fingerprint": fingerprint,
        "holdout_rows_hash": holdout,
        "mlflow_run": mlflow_run,
        "champion": champion,
    }


@step
def train(work: Work, record: Record, candidate: str) -> Record:
    """Search, fit and calibrate one candidate on the training rows; its package waits in the run's folder."""
    frame, labels, observed = inputs(work, record, TRAIN)
    chosen = work.spec.training.candidates[candidate]
    client = tracking.connect(work.settings.mlflow_uri)
    child = tracking.candidate_run(client, work.run, record["mlflow_run"], candidate, {"kind": chosen.kind})
    with tracking.finishing(client, child):
        trained = train_candidate(frame, labels, observed, chosen, work.spec)
        folder = work.folder / "candidates" / candidate
        manifest = package.save(
            folder, trained.pipeline, _provenance(work, record, candidate, trained, labels, observed)
        )
        _log_training(work, client, child, candidate, trained, manifest)
    found = trained.search
    log.info("%s: %s %.4f with %s", candidate, work.spec.training.selection_metric, found.score, found.params)
    facts = {"score": found.score, "package": str(folder), "out_of_time": found.out_of_time}
    return {"trained": {"candidate": candidate, **facts}}


@step
def select(work: Work, record: Record, trained: list[Record]) -> Record:
    """Pick the challenger by its score in the folds; the hold-out has no say in it."""
    candidates = {one["trained"]["candidate"]: one["trained"] for one in trained}
    scores = {name: found["score"] for name, found in candidates.items()}
    lower = work.spec.training.selection_metric in LOWER_IS_BETTER
    best = (min if lower else max)(scores, key=scores.__getitem__)
    runs.record(
        work.engine,
        work.run,
        None,
        challenger=best,
        cv_scores=scores,
        failed_candidates=sorted(set(work.spec.training.candidates) - set(scores)),
        out_of_time=sorted(name for name, found in candidates.items() if found["out_of_time"]),
    )
    return {"challenger": best, "packages": {name: found["package"] for name, found in candidates.items()}}


def _end_left_open(work: Work, client: MlflowClient) -> None:
    """End in MLflow what runs left open there that have closed meanwhile: MLflow was away at their end."""
    for run_id in tracking.left_open(client, work.run.use_case):
        row = runs.get(work.engine, work.run.use_case, work.run.kind, run_id)
        if row is None or row.ended_at is not None:
            tracking.end_all(client, replace(work.run, run_id=run_id), "KILLED")


def _end_if_unchanged(work: Work, fingerprint: str, holdout: str, champion: str | None) -> None:
    for earlier in decisions.of_kind(work.engine, work.run.use_case, "gate"):
        if earlier.run_id == work.run.run_id or earlier.evidence["fingerprint"] != fingerprint:
            continue
        promoted = {p.version for p in promotions.history(work.engine, work.run.use_case) if p.run_id == earlier.run_id}
        refused = earlier.outcome != Outcome.PASS and earlier.evidence["champion"] == champion
        if refused and not _would_be_judged_alike(work, earlier, holdout):
            continue
        hindrances = _hindrances(work, earlier, champion) if refused else []
        if refused and (ERROR in earlier.evidence.get("codes", []) or None in hindrances):
            continue  # what kept the earlier run from a verdict need not keep this one from it
        # One that passed and was never promoted, since its run died or was a dry run, is not over.
        if champion in promoted or refused:
            again = f"the same rows, spec, code and versions as in run {earlier.run_id}, which ended {earlier.outcome}"
            kept = {"metrics": earlier.evidence["metrics"], "verdict_page": earlier.evidence.get("page")}
            runs.record(work.engine, work.run, None, fingerprint=fingerprint, **kept)
            notes = [": ".join(hindrance) for hindrance in hindrances if hindrance]
            raise NothingToDo("UNCHANGED", again, *earlier.reasons, *notes)


def _would_be_judged_alike(work: Work, earlier: DecisionRow, holdout: str) -> bool:
    """Whether the same model, beside the same champion, is judged on the same rows, and needs a gain if it did."""
    known = earlier.evidence
    if known.get("holdout_rows_hash") != holdout:
        return False
    return known["no_gain_needed"] or not freshness.no_gain_needed(work, known["champion_trained_until"])


def _hindrances(work: Work, earlier: DecisionRow, champion: str | None) -> list[tuple[str, str] | None]:
    """Of each override for what hindered the earlier run: why it does not help this one, None if it does."""
    codes = earlier.evidence.get("codes", [])
    given = overrides.matching(work.engine, work.run.use_case, champion, codes) if champion else []
    return [overrides.hindrance(work.engine, work.run, one) for one in given]


def _provenance(
    work: Work, record: Record, candidate: str, trained: Trained, labels: np.ndarray, observed: pd.Series
) -> package.Provenance:
    return package.Provenance(
        use_case=work.run.use_case,
        candidate=candidate,
        kind=work.spec.training.candidates[candidate].kind,
        params=trained.search.params,
        feature_types=work.spec.feature_types,
        trained_from=observed.min().date().isoformat(),
        trained_until=(observed.max().date() + timedelta(days=1)).isoformat(),
        feature_version=record["feature_version"],
        calibration=trained.calibration.method,
        fitted_rows=trained.rows,
        training_rows=len(observed),
        ingredients=Ingredients.model_validate(read_json(work.folder / INGREDIENTS)),
        thresholds=_thresholds(work, record, trained, labels),
    )


def _thresholds(work: Work, record: Record, trained: Trained, labels: np.ndarray) -> Thresholds | None:
    """A threshold for each group, if the spec asks for them, chosen on the scores of the folds."""
    fairness, support = work.spec.gate.fairness, work.spec.gate.slices
    if fairness.mitigation is None:
        return None
    rows, scores = (np.concatenate(parts) for parts in zip(*trained.search.validated, strict=True))
    scores = calibrated(trained.pipeline, trained.calibration.method, scores)
    columns = group_columns(work, record, TRAIN, labels).iloc[rows]
    division = slices.grouping(columns, fairness.mitigation.by, work.spec)
    return mitigation.choose(
        division, labels[rows].astype(int), scores, fairness.mitigation.constraint, work.spec.decision, support
    )


def _log_training(
    work: Work, client: MlflowClient, child: str, candidate: str, trained: Trained, manifest: package.Manifest
) -> None:
    """Log what was tried and what became of it; the trials are a table on the page of the candidate's run."""
    found, metric = trained.search, work.spec.training.selection_metric
    metrics = {f"cv_{metric}": found.score, "search_seconds": found.seconds, "search_trials": len(found.trials)}
    table = work.folder / "trials" / candidate / TRIALS
    table.parent.mkdir(parents=True, exist_ok=True)
    write_text(table, json.dumps(_trials(found)))
    tags = {"model_sha256": manifest.model_sha256, **tracking.as_tables(f"{SEARCH}/{TRIALS}")}
    if found.out_of_time:
        seconds = work.spec.training.candidates[candidate].seconds
        tags[tracking.NOTE] = f"The search was ended by its budget of {seconds:g} s; see {SEARCH}/{TRIALS}"
    tracking.log(
        client,
        child,
        params={**found.params, "calibration": trained.calibration.method, "fitted_rows": trained.rows},
        metrics=metrics | {f"cv_brier/{method}": score for method, score in trained.calibration.brier.items()},
        tags=tags,
        files={SEARCH: [table]},
    )


def _trials(found: SearchResult) -> dict[str, Any]:
    """Every setting that was drawn, how it ended and its score on each fold, as MLflow shows a table."""
    names, folds = sorted({name for trial in found.trials for name in trial.params}), range(len(found.validated))
    rows = [
        [
            *(trial.params.get(name) for name in names),
            trial.mean if trial.folds else None,
            trial.ended,
            *(trial.folds[number] if number < len(trial.folds) else None for number in folds),
            round(trial.seconds, 3),
        ]
        for trial in found.trials
    ]
    return {"columns": [*names, "mean", "ended", *(f"fold {number + 1}" for number in folds), "seconds"], "data": rows}
