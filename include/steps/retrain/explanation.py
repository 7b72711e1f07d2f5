"""The step of the retrain that explains the challenger. An explanation that is wrong forbids a verdict."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict
from pathlib import Path

from include.evaluation.verdict import Reason
from include.explanation import report, samples
from include.explanation.shapley import AdditivityError
from include.registry import tracking
from include.steps.ledger import Record, Work, step
from include.steps.retrain.dossier import failing_closed
from include.steps.retrain.rows import HOLDOUT, TRAIN, inputs
from include.training import package

log = logging.getLogger(__name__)


@step
@failing_closed
def explain_challenger(work: Work, record: Record) -> Record:
    """Explain the challenger on pinned hold-out rows, in figures and data that go to MLflow.

    Values that do not add up to the scores that they explain are no explanation: they are not written, and the gate is
    told why.
    """
    training, _, _ = inputs(work, record, TRAIN)
    matrix, labels, _ = inputs(work, record, HOLDOUT)
    challenger = package.load(Path(record["packages"][record["challenger"]]))
    try:
        explanation = report.explain(challenger, training, matrix, labels, work.spec)
    except AdditivityError as error:  # of this model, so that no retry helps
        shutil.rmtree(work.folder / samples.FOLDER, ignore_errors=True)  # of an earlier try, of another model
        return {"unexplained": asdict(Reason("EXPLANATION_NOT_ADDITIVE", str(error)))}
    target = work.spec.target
    paths = report.write(
        explanation,
        work.folder / samples.FOLDER,
        rows=f"hold-out rows from {record['holdout_from']} on",
        positive=f"{target.column}: {target.positive}",
    )
    client = tracking.connect(work.settings.mlflow_uri)
    tracking.log(client, record["mlflow_run"], files={samples.FOLDER: paths})
    found = explanation.attributions
    log.info("%s goes by %s first (%s)", record["challenger"], found.names[explanation.order[0]], found.method)
    return {"unexplained": None}
