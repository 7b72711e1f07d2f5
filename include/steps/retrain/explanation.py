"""The step of the retrain that explains the challenger; it has no say in the verdict."""

from __future__ import annotations

import logging
from pathlib import Path

from include.explanation import report
from include.registry import tracking
from include.steps.ledger import Record, Work, step
from include.steps.retrain.rows import HOLDOUT, TRAIN, inputs
from include.training import package

log = logging.getLogger(__name__)


@step
def explain_challenger(work: Work, record: Record) -> Record:
    """Explain the challenger on pinned hold-out rows, in figures and data that go to MLflow."""
    training, _, _ = inputs(work, record, TRAIN)
    matrix, labels, _ = inputs(work, record, HOLDOUT)
    challenger = package.load(Path(record["packages"][record["challenger"]]))
    explanation = report.explain(challenger, training, matrix, labels, work.spec)
    target = work.spec.target
    paths = report.write(
        explanation,
        work.folder / report.FOLDER,
        rows=f"hold-out rows from {record['holdout_from']} on",
        positive=f"{target.column}: {target.positive}",
    )
    client = tracking.connect(work.settings.mlflow_uri)
    tracking.log(client, record["mlflow_run"], files={report.FOLDER: paths})
    found = explanation.attributions
    log.info("%s goes by %s first (%s)", record["challenger"], found.names[explanation.order[0]], found.method)
    return {}
