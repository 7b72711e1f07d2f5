"""The step that scores challenger and champion on the same hold-out rows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from include.evaluation import figures
from include.evaluation.checks import SAME
from include.evaluation.leakage import columns_alone
from include.evaluation.metrics import evaluate
from include.evaluation.sanity import TURNED_ROWS, CompiledScores, LoadAndPredict, Sanity, order_difference
from include.evaluation.verdict import Reason
from include.files import write_parquet
from include.registry import tracking, versions
from include.steps import learned
from include.steps.ledger import Record, Work, step
from include.steps.retrain.dossier import failing_closed
from include.steps.retrain.rows import HOLDOUT, HOLDOUT_SCORES, KEY_LABEL, TRAIN, inputs, read
from include.training import package
from include.training.probe import FreshProcess

ANSWERED_ROWS = 100


@dataclass(frozen=True)
class _Scored:
    """A champion's scores, of shape (rows,), and what its package says of it."""

    scores: np.ndarray
    manifest: package.Manifest


@step
@failing_closed
def evaluate_challenger(work: Work, record: Record) -> Record:
    """Score challenger and champion on the same hold-out rows, and a dummy that knows only the base rate."""
    with FreshProcess() as fresh:  # it imports its libraries beside what is done here
        train_matrix, train_labels, _ = inputs(work, record, TRAIN)
        matrix, labels, _ = inputs(work, record, HOLDOUT)
        challenger, compiled = _challenger(Path(record["packages"][record["challenger"]]), matrix)
        scores = {"challenger": challenger.score(matrix)}
        metrics = {
            "challenger": evaluate(labels, scores["challenger"], work.spec.decision),
            "dummy": evaluate(labels, np.full(len(labels), train_labels.mean()), work.spec.decision),
        }
        champion = _score_champion(work, record, matrix)
        scored = champion if isinstance(champion, _Scored) else None
        if scored:
            scores["champion"] = scored.scores
            metrics["champion"] = evaluate(labels, scores["champion"], work.spec.decision)
        write_parquet(work.folder / HOLDOUT_SCORES, pd.DataFrame({KEY_LABEL: labels, **scores}))
        target = work.spec.target
        classes = (f"{target.column}: {target.negative}", f"{target.column}: {target.positive}")
        on = f"hold-out rows from {record['holdout_from']} on"
        figures.draw(labels, scores, work.folder / "figures", rows=on, classes=classes, decision=work.spec.decision)
        sanity = Sanity(
            columns=columns_alone(train_matrix, train_labels, matrix, labels),
            order_difference=_order_difference(work, record, challenger, scores["challenger"]),
            load_and_predict=_load_and_predict(fresh, record, matrix, scores["challenger"]),
            compiled=compiled,
        )
    return {
        "metrics": {name: found.as_dict() for name, found in metrics.items()},
        "sanity": asdict(sanity),
        "thresholds": {
            who: manifest.thresholds and manifest.thresholds.model_dump(mode="json")
            for who, manifest in (("challenger", challenger.manifest), ("champion", scored and scored.manifest))
            if manifest
        },
        "champion_trained_until": scored.manifest.trained_until if scored else None,
        "obstacle": asdict(champion) if isinstance(champion, Reason) else None,
    }


def _challenger(folder: Path, matrix: pd.DataFrame) -> tuple[package.LoadedModel, CompiledScores | None]:
    """The challenger; its package is told not to use compiled scores that are not scikit-learn's."""
    model = package.load(folder)
    differences = model.differences(matrix)
    if differences is None:
        return model, None
    found = CompiledScores(len(matrix), float(differences.max()))
    if not found.difference <= SAME:
        package.save(folder, model.pipeline, model.provenance.model_copy(update={"scoring": "scikit-learn"}))
        model = package.load(folder)
    return model, found


def _order_difference(work: Work, record: Record, challenger: package.LoadedModel, scores: np.ndarray) -> float:
    rows = read(record["window"], record, HOLDOUT).head(TURNED_ROWS)
    return order_difference(challenger.score, rows, scores[: len(rows)], work.spec)


def _load_and_predict(fresh: FreshProcess, record: Record, matrix: pd.DataFrame, scores: np.ndarray) -> LoadAndPredict:
    rows = matrix.head(ANSWERED_ROWS)
    found = fresh.answers(Path(record["packages"][record["challenger"]]), rows)
    return LoadAndPredict(
        rows=len(rows),
        difference=float(np.abs(found.scores - scores[: len(rows)]).max()),
        load_seconds=found.load_seconds,
        predict_milliseconds=found.predict_milliseconds,
        memory_megabytes=found.memory_megabytes,
    )


def _score_champion(work: Work, record: Record, matrix: pd.DataFrame) -> _Scored | Reason | None:
    """The champion's scores, if there is one, or why it cannot be judged on the rows of ``matrix``."""
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
    if why := learned.difference(work, champion.manifest):
        message = f"version {record['champion']}: {why}, or override this for one run"
        return Reason("CHAMPION_FEATURES_DIFFER", message)
    try:
        scores = champion.score(matrix)
    except (TypeError, ValueError) as error:  # what scikit-learn says of inputs that do not fit
        return Reason("CHAMPION_CANNOT_SCORE", f"version {record['champion']}: {type(error).__name__}: {error}")
    if not ((scores >= 0) & (scores <= 1)).all():
        return Reason("CHAMPION_CANNOT_SCORE", f"version {record['champion']} gives scores that are no probabilities")
    return _Scored(scores, champion.manifest)
