"""The step that forms the verdict."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from include.evaluation import gate
from include.evaluation.leakage import Alone
from include.evaluation.metrics import Metrics, single
from include.evaluation.resampling import Resamples, resample
from include.evaluation.sanity import LoadAndPredict, Sanity
from include.evaluation.verdict import Reason, Verdict
from include.files import read_parquet, write_text
from include.registry import tracking
from include.state import decisions, requests, runs
from include.steps.ledger import Record, Work, step
from include.steps.retrain.rows import HOLDOUT, HOLDOUT_SCORES, KEY_LABEL, inputs
from include.training import package

log = logging.getLogger(__name__)


@step
def judge(work: Work, record: Record) -> Record:
    """Form the verdict, write it as an artifact, and only then look at the other candidates' hold-out figures."""
    metrics = {name: Metrics(**values) for name, values in record["metrics"].items()}
    obstacle = record["obstacle"] and Reason(**record["obstacle"])
    evidence = gate.Evidence(
        challenger=metrics["challenger"],
        champion=metrics.get("champion"),
        dummy=metrics["dummy"],
        resamples=_resamples(work),
        sanity=_sanity(record["sanity"]),
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


def _sanity(found: Mapping[str, Any]) -> Sanity:
    columns = {name: Alone(**alone) for name, alone in found["columns"].items()}
    return Sanity(columns, found["order_difference"], LoadAndPredict(**found["load_and_predict"]))


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


def _log_evaluation(work: Work, record: Record, verdict: Verdict) -> None:
    client = tracking.connect(work.settings.mlflow_uri)
    # MLflow's charts are grouped by what stands before the slash.
    metrics = {
        f"holdout_{who}/{name}": value for who, found in record["metrics"].items() for name, value in found.items()
    }
    drawn = sorted((work.folder / "figures").iterdir())
    files = {"figures": drawn, "evaluation": [work.folder / "verdict.json"]}
    tags = {"verdict": verdict.outcome.value, "challenger": record["challenger"], tracking.NOTE: verdict.markdown}
    tracking.log(client, record["mlflow_run"], metrics=metrics, tags=tags, files=files)
