"""The step that scores challenger and champion on the same hold-out rows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from include.evaluation import figures
from include.evaluation.leakage import column_roc_auc
from include.evaluation.metrics import evaluate
from include.evaluation.verdict import Reason
from include.files import write_parquet
from include.registry import tracking, versions
from include.steps.ledger import Record, Work, step
from include.steps.retrain.rows import HOLDOUT, HOLDOUT_SCORES, KEY_LABEL, TRAIN, inputs
from include.training import package


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
        "obstacle": asdict(champion) if isinstance(champion, Reason) else None,
    }


def _load_champion(work: Work, record: Record, matrix: pd.DataFrame) -> package.LoadedModel | Reason | None:
    """The champion, if there is one, or why it cannot be judged on the rows of ``matrix``."""
    if record["champion"] is None:
        return None
    client = tracking.connect(work.settings.mlflow_uri)
    try:
        champion = versions.fetch(client, work.run.use_case, record["champion"], work.models)
    except package.PackageRefused as refusal:
        return Reason("CHAMPION_DAMAGED", str(refusal))
    until, holdout_from = champion.manifest.trained_until, record["holdout_from"]
    if until > holdout_from:
        message = f"version {record['champion']} was trained until {until}, the hold-out starts {holdout_from}"
        return Reason("CHAMPION_SAW_HOLDOUT", message)
    if missing := sorted(set(champion.manifest.feature_types) - set(matrix.columns)):
        return Reason("CHAMPION_CANNOT_SCORE", f"version {record['champion']} needs {', '.join(missing)}")
    return champion
