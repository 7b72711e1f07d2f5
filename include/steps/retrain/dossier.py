"""What the retrain keeps of its verdict: the record, its page, its row in the ledger."""

from __future__ import annotations

import functools
import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from include.errors import DataRejected, NothingToDo
from include.evaluation.verdict import Outcome, Reason, Verdict
from include.explanation import samples
from include.files import write_text
from include.governance import record as governance
from include.governance import verdict_page
from include.state import decisions, requests, runs
from include.state.overrides import Override
from include.steps.ledger import Record, Work
from include.steps.retrain.rows import HOLDOUT, inputs
from include.training.package import MANIFEST, Manifest

log = logging.getLogger(__name__)

VERDICT, PAGE = "verdict.json", "verdict.html"
FOLDER = "evaluation"
"""Where both are in MLflow."""
FIGURES = {
    "ROC": "figures/roc.png",
    "Precision and recall": "figures/precision_recall.png",
    "Calibration": "figures/calibration.png",
    "Slices": "figures/slices.png",
    "Fairness": "figures/fairness.png",
    "Importance of the inputs (SHAP)": f"{samples.FOLDER}/importance.png",
    "Confusion": "figures/confusion.png",
}
FACTS = (
    "fingerprint",
    "champion",
    "champion_trained_until",
    "challenger",
    "metrics",
    "holdout_from",
    "holdout_rows_hash",
)
"""Of the record of the run, what the decision keeps."""
ERROR = "EVALUATION_FAILED"


@dataclass(frozen=True)
class Circumstances:
    """What a verdict was formed under: see ``GateSettings`` and ``Override`` of the record.

    ``others`` are the hold-out figures of the candidates that were not chosen, once the verdict is formed.
    """

    no_gain_needed: str = ""
    override: Override | None = None
    mlflow_page: str | None = None
    others: Mapping[str, float] = field(default_factory=dict)


def failing_closed(step: Callable[[Work, Record], Record]) -> Callable[[Work, Record], Record]:
    """Let an error of ``step`` leave a verdict that says so. The error goes on, so that the task is tried again."""

    @functools.wraps(step)
    def closed(work: Work, record: Record) -> Record:
        try:
            return step(work, record)
        except (NothingToDo, DataRejected):
            raise
        except Exception as error:  # whatever it is, nobody may take the run for judged
            try:
                _not_evaluated(work, record, f"{step.__name__}: {type(error).__name__}: {error}")
            except Exception:  # a disk or a database that is full or away; what stopped the step says more
                log.exception("the verdict NOT_EVALUATED could not be kept")
            raise

    return closed


def _not_evaluated(work: Work, record: Record, error: str) -> None:
    without_champion = record["champion"] is None
    verdict = Verdict(Outcome.NOT_EVALUATED, (), (Reason(ERROR, error),), cold_start=without_champion)
    known = {"champion_trained_until": None, **record, "metrics": {}}
    kept = compose(work, known, verdict, Circumstances())
    write_record(work, kept)
    write_page(work, kept)
    note(work, known, verdict, Circumstances())


def note(work: Work, record: Record, verdict: Verdict, under: Circumstances) -> list[str]:
    """Keep the verdict as a decision and in the ledger row of the run; return its reasons."""
    reasons = [f"{reason.code}: {reason.message}" for reason in verdict.reasons]
    page = {"page": str(work.folder / PAGE), "mlflow": f"runs:/{record['mlflow_run']}/{FOLDER}/{PAGE}"}
    facts = {name: record[name] for name in FACTS}
    codes = [reason.code for reason in verdict.reasons]
    given = under.override and under.override.id
    rules = {"codes": codes, "no_gain_needed": bool(under.no_gain_needed), "override": given}
    evidence = {**facts, **page, **rules, "others": under.others}
    decisions.record(work.engine, work.run, "gate", verdict.outcome.value, reasons, evidence)
    outcome = {"verdict": verdict.outcome.value, "metrics": record["metrics"]}
    outcome |= {"verdict_page": page["page"], "verdict_mlflow": page["mlflow"], "verdict_link": under.mlflow_page}
    runs.record(work.engine, work.run, None, **outcome)
    return reasons


def write_record(work: Work, record: governance.Record) -> Path:
    """Write ``verdict.json`` to the folder of the run."""
    path = work.folder / VERDICT
    write_text(path, record.model_dump_json(indent=2))
    return path


def write_page(work: Work, record: governance.Record) -> Path:
    """Write ``verdict.html`` beside it, with those of ``FIGURES`` that there are."""
    path = work.folder / PAGE
    figures = {title: work.folder / name for title, name in FIGURES.items()} if record.metrics else {}
    write_text(path, verdict_page.render(record, {title: file for title, file in figures.items() if file.is_file()}))
    return path


def compose(work: Work, record: Record, verdict: Verdict, under: Circumstances) -> governance.Record:
    """All that is known of ``verdict``."""
    spec, gate = work.spec, work.spec.gate
    row = runs.get(work.engine, work.run.use_case, work.run.kind, work.run.run_id)
    details = row.details if row else {}
    of_gate = {name: getattr(gate, name) for name in ("confidence", "minimum_rows", "minimum_class_rows", "freshness")}
    content = {
        **json.loads(verdict.to_json()),
        "use_case": spec.name,
        "title": spec.title,
        "owner": spec.owner,
        "predicts": f"{spec.target.column}: {spec.target.positive}",
        "run": _asked(work, details),
        "champion": record["champion"],
        "challenger": record["challenger"],
        "override": under.override and {n: getattr(under.override, n) for n in governance.Override.model_fields},
        "gate": {**of_gate, "no_gain_needed": under.no_gain_needed},
        "data": _data(work, record, details) if record["metrics"] else None,
        "metrics": {who: _finite(found) for who, found in record["metrics"].items()},
        "selection": _selection(work, record, details, under.others) if record["metrics"] else None,
        "mlflow_run": record["mlflow_run"],
        "mlflow_page": under.mlflow_page,
    }
    return governance.Record.model_validate(content)


def _asked(work: Work, details: Mapping[str, Any]) -> dict[str, Any]:
    claimed = requests.claimed(work.engine, work.run.use_case, work.run.run_id)
    return {
        "run_id": work.run.run_id,
        "run_type": details.get("run_type", ""),
        "run_mode": work.run.run_mode,
        "as_of": work.run.as_of,
        "started_by": details.get("started_by"),
        "reason": work.run.reason,
        "requests": [
            {name: getattr(one, name) for name in ("requested_by", "as_of", "reason", "columns")} for one in claimed
        ],
    }


def _data(work: Work, record: Record, details: Mapping[str, Any]) -> dict[str, Any]:
    manifest = manifest_of(record, record["challenger"])
    _, labels, observed = inputs(work, record, HOLDOUT)
    return {
        "data_version": record["data_version"],
        "simulated": bool(details.get("simulated")),
        "label_coverage": record["label_coverage"],
        "trained_from": manifest.trained_from,
        "trained_until": manifest.trained_until,
        "training_rows": record["labelled"] - len(labels),
        "holdout_from": record["holdout_from"],
        "holdout_until": (observed.max().date() + timedelta(days=1)).isoformat(),
        "holdout_rows": len(labels),
        "holdout_positives": int(labels.sum()),
        "feature_version": record["feature_version"],
        "fingerprint": record["fingerprint"],
    }


def _selection(work: Work, record: Record, details: Mapping[str, Any], others: Mapping[str, float]) -> dict[str, Any]:
    chosen = record["challenger"]
    holdout = _finite({**others, chosen: record["metrics"]["challenger"]["roc_auc"]})
    candidates = [
        {
            "name": name,
            "kind": (manifest := manifest_of(record, name)).kind,
            "params": {**work.spec.training.candidates[name].params, **manifest.params},
            "fold_score": score,
            "chosen": name == chosen,
            "holdout_roc_auc": holdout.get(name),
        }
        for name, score in details.get("cv_scores", {}).items()
    ]
    training = work.spec.training
    return {
        "metric": training.selection_metric,
        "folds": training.split.folds,
        "candidates": candidates,
        "failed": details.get("failed_candidates", []),
    }


def _finite(found: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def manifest_of(record: Record, candidate: str) -> Manifest:
    """What the package of a candidate of this run says of itself."""
    return Manifest.model_validate_json((Path(record["packages"][candidate]) / MANIFEST).read_bytes())
