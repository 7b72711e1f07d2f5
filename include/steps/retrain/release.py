"""The steps that register what passed and make it champion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema

from include.data.calendar import midnight
from include.data.window import LABEL, OBSERVED
from include.errors import NothingToDo
from include.evaluation.metrics import Metrics
from include.explanation import report, samples
from include.features import build as features
from include.files import read_json, read_parquet
from include.governance import card
from include.governance import record as governance
from include.monitoring.baseline import SCORE, make_baseline
from include.registry import promotion, tracking, versions
from include.registry.promotion import Candidacy, ChampionChanged
from include.state import runs
from include.steps.ledger import Record, Work, step
from include.steps.retrain import dossier
from include.steps.retrain.rows import TRAIN, holdout_scores, inputs, publication_of
from include.training import package
from include.training.calibration import calibrated
from include.training.crossfit import cross_fitted

CARD_FIGURES = ("Calibration", "Importance of the inputs (SHAP)")
ENOUGH_JUDGED = 5_000
"""Rows of a hold-out that say by themselves what scores mean."""
GATE_OUTCOMES = {"FAIL": "REFUSED", "NOT_EVALUATED": "NOT_EVALUATED"}


@step
def register(work: Work, record: Record) -> Record:
    """Complete the package and register it as ``challenger``; a refused one ends the run here.

    What arrived in the registry has to be the model that was judged, whole, before it becomes a version.
    """
    if record["verdict"] in GATE_OUTCOMES:
        raise NothingToDo(GATE_OUTCOMES[record["verdict"]], *record["reasons"])
    if work.run.run_mode == "dry_run":
        raise NothingToDo("DRY_RUN", "run_mode is dry_run: judged, nothing registered", *record["reasons"])
    client = tracking.connect(work.settings.mlflow_uri)
    model = package.load(Path(record["packages"][record["challenger"]]))
    submission, manifest = _submission(work, record, model)
    version = versions.register(work.engine, client, submission, package.load)
    cards = [submission.package / name for name in (card.MARKDOWN, card.HTML)]
    tracking.log(client, record["mlflow_run"], files={dossier.FOLDER: cards})
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


def _submission(work: Work, record: Record, model: package.LoadedModel) -> tuple[versions.Submission, package.Manifest]:
    """The complete package, written to the run's folder, as it goes to the registry."""
    folder = work.folder / "package"
    manifest = package.save(folder, model.pipeline, model.provenance, _package_files(work, record, model))
    tags = {
        "fingerprint": record["fingerprint"],
        "model_sha256": manifest.model_sha256,
        "data_version": record["data_version"],
        "as_of": work.run.as_of,
        "candidate": manifest.candidate,
        "simulated": str(publication_of(work, record).simulated).lower(),
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


def _package_files(work: Work, record: Record, model: package.LoadedModel) -> dict[str, bytes]:
    """What goes into the package beside the model: signature, baseline, verdict, card, explanation and spec."""
    rows = read_parquet(Path(record["window"]))
    # Scores of rows that the model was fitted on are too sure of themselves to compare live scores with.
    scores = np.full(len(rows), np.nan)
    judged = _judged(work, record, model)
    held_out = (rows[OBSERVED] >= midnight(record["holdout_from"])).to_numpy()
    scores[held_out] = judged[SCORE].head(held_out.sum())
    baseline = work.folder / "baseline"
    make_baseline(rows, scores, judged, work.spec, work.spec.training.seed).save(baseline)
    inputs = Schema(
        [ColSpec("double" if kind == "number" else "string", name) for name, kind in work.spec.feature_types.items()]
    )
    signature = ModelSignature(inputs=inputs, outputs=Schema([ColSpec("double", "score")]))
    described = {"flavors": {"skops": {"data": "model.skops"}}, "signature": signature.to_dict()}
    verdict = read_json(work.folder / dossier.VERDICT)
    return {
        **_model_card(work, record, verdict),
        "MLmodel": json.dumps(described, indent=2).encode(),  # JSON is YAML
        dossier.VERDICT: json.dumps(verdict, sort_keys=True).encode(),
        "spec.yaml": (work.spec.folder / "spec.yaml").read_bytes(),
        "features.py.txt": features.source_path(work.spec).read_bytes(),
        **{path.name: path.read_bytes() for path in sorted(baseline.iterdir())},
        **{f"{samples.FOLDER}/{name}": content for name, content in report.kept(work.folder / samples.FOLDER).items()},
    }


def _judged(work: Work, record: Record, model: package.LoadedModel) -> pd.DataFrame:
    """Scores with labels that say what a score of ``model`` means: those of the hold-out, and where it is small, of the
    training rows by models that were not fitted on them.
    """
    labels, scores = holdout_scores(work)
    held_out = pd.DataFrame({SCORE: scores["challenger"], LABEL: labels})
    if len(held_out) >= ENOUGH_JUDGED:
        return held_out
    frame, known, observed = inputs(work, record, TRAIN)
    about = model.manifest
    candidate = work.spec.training.candidates[about.candidate]
    found = cross_fitted(frame, known, observed, candidate, dict(about.params), work.spec)
    scored = ~np.isnan(found)
    fitted = pd.DataFrame({SCORE: calibrated(model.pipeline, about.calibration, found[scored]), LABEL: known[scored]})
    return pd.concat([held_out, fitted], ignore_index=True)


def _model_card(work: Work, record: Record, verdict: Any) -> dict[str, bytes]:
    """Both forms of the card, by name."""
    explanation = read_json(work.folder / samples.FOLDER / report.SUMMARY)
    manifest = dossier.manifest_of(record, record["challenger"])
    made = card.compose(work.spec, governance.Record.model_validate(verdict), manifest, explanation)
    figures = {title: work.folder / dossier.FIGURES[title] for title in CARD_FIGURES}
    return {card.MARKDOWN: card.as_markdown(made).encode(), card.HTML: card.as_html(made, figures).encode()}
