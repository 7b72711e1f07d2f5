"""The step that forms the verdict."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from include.evaluation import gate, mitigation, parts
from include.evaluation.leakage import Alone
from include.evaluation.metrics import Metrics, single
from include.evaluation.resampling import Resamples, resample
from include.evaluation.sanity import CompiledScores, LoadAndPredict, Sanity
from include.evaluation.thresholds import Thresholds
from include.evaluation.verdict import Reason, Verdict
from include.governance import part_figures
from include.governance.words import sentence
from include.registry import tracking
from include.state import overrides
from include.state.overrides import Override
from include.state.runs import ENABLED
from include.steps.ledger import Record, Work, step
from include.steps.retrain import dossier, freshness
from include.steps.retrain.dossier import Circumstances
from include.steps.retrain.rows import HOLDOUT, group_columns, holdout_scores, inputs
from include.training import package

log = logging.getLogger(__name__)

NOT_IN_A_NAME, LONGEST_NAME, MOST_METRICS = re.compile(r"[^\w\-. :/]"), 250, 900
"""What MLflow takes as the name of a metric, and about how many at once."""


@step
@dossier.failing_closed
def judge(work: Work, record: Record) -> Record:
    """Form the verdict, write it as an artifact, and only then look at the other candidates' hold-out figures."""
    client = tracking.connect(work.settings.mlflow_uri)
    page = tracking.page(client, work.settings.mlflow_pages, record["mlflow_run"], f"{dossier.FOLDER}/{dossier.PAGE}")
    override, hindrances = _override(work, record)
    no_gain_needed = freshness.no_gain_needed(work, record["champion_trained_until"])
    under = Circumstances(no_gain_needed=no_gain_needed, override=override, mlflow_page=page)
    verdict = _verdict(work, record, under, hindrances)
    dossier.write_record(work, dossier.compose(work, record, verdict, under))
    _draw(work, record, verdict)
    under = replace(under, others=_other_candidates(work, record))
    kept = dossier.compose(work, record, verdict, under)
    files = [dossier.write_record(work, kept), dossier.write_page(work, kept)]
    reasons = dossier.note(work, record, verdict, under)
    _log_evaluation(work, record, verdict, f"{sentence(kept)}\n\n{verdict.markdown}", files)
    log.info("gate: %s. %s", verdict.outcome, sentence(kept))
    log.info("every check: %s", page)
    return {"verdict": verdict.outcome.value, "reasons": reasons, "verdict_page": page}


def _verdict(work: Work, record: Record, under: Circumstances, hindrances: list[Reason]) -> Verdict:
    metrics = {name: Metrics(**values) for name, values in record["metrics"].items()}
    obstacle = Reason(**record["obstacle"]) if record["obstacle"] else None
    override = obstacle and under.override and Reason("CHAMPION_OVERRIDDEN", f"{under.override}; {obstacle.message}")
    unexplained = [Reason(**record["unexplained"])] if record["unexplained"] else []
    unknown = record["champion"] is not None and obstacle is None and "champion" not in metrics
    labels, scores = holdout_scores(work)
    rows = group_columns(work, record, HOLDOUT, labels)
    thresholds = {who: found and Thresholds.model_validate(found) for who, found in record["thresholds"].items()}
    slices, fairness = parts.measure(rows, labels, scores, work.spec, thresholds)
    own = thresholds["challenger"]
    evidence = gate.Evidence(
        challenger=metrics["challenger"],
        champion=metrics.get("champion"),
        dummy=metrics["dummy"],
        resamples=_resamples(work, labels, scores),
        sanity=_sanity(record["sanity"]),
        obstacle=Reason("NO_CHAMPION_METRICS", "the champion was not evaluated") if unknown else obstacle,
        slices=slices,
        fairness=fairness,
        mitigation=mitigation.effect(own, rows, labels, scores["challenger"], work.spec) if own else None,
    )
    return gate.judge(
        evidence,
        work.spec.gate,
        no_gain_needed=under.no_gain_needed,
        override=override or None,
        not_evaluated=[*hindrances, *unexplained],
    )


def _override(work: Work, record: Record) -> tuple[Override | None, list[Reason]]:
    """The override that lets this run judge without the champion, or why those that there are do not."""
    if record["obstacle"] is None:
        return None, []
    hindrances = []
    for one in overrides.matching(work.engine, work.run.use_case, record["champion"], [record["obstacle"]["code"]]):
        hindrance = overrides.hindrance(work.engine, work.run, one)
        # A dry run changes nothing, so it must not use up what the run needs that can promote.
        if hindrance is None and (work.run.run_mode != ENABLED or overrides.take(work.engine, work.run, one)):
            return one, []
        hindrances.append(Reason(*(hindrance or ("OVERRIDE_USED", f"another run has just used {one}"))))
    return None, hindrances


def _sanity(found: Mapping[str, Any]) -> Sanity:
    columns = {name: Alone(**alone) for name, alone in found["columns"].items()}
    compiled = found["compiled"] and CompiledScores(**found["compiled"])
    return Sanity(columns, found["order_difference"], LoadAndPredict(**found["load_and_predict"]), compiled)


def _resamples(work: Work, labels: np.ndarray, scores: Mapping[str, np.ndarray]) -> Resamples | None:
    """The rules' figures of challenger and champion on resamples of the hold-out; None without a rule."""
    if not work.spec.gate.rules:
        return None
    rules = gate.rule_metrics(work.spec.gate)
    return resample(labels, scores, rules, work.spec.decision, seed=work.spec.training.seed)


def _other_candidates(work: Work, record: Record) -> dict[str, float]:
    matrix, labels, _ = inputs(work, record, HOLDOUT)
    others = {name: path for name, path in record["packages"].items() if name != record["challenger"]}
    return {
        name: round(single("roc_auc", labels, package.load(Path(path)).score(matrix)), 5)
        for name, path in others.items()
    }


def _draw(work: Work, record: Record, verdict: Verdict) -> None:
    rows = f"hold-out rows from {record['holdout_from']} on"
    columns = {name: column.description for name, column in work.spec.columns.items()}
    part_figures.draw(verdict, work.folder / "figures", rows=rows, columns=columns)


def _of_parts(verdict: Verdict) -> dict[str, float]:
    """What was measured of parts of the rows, by names that MLflow takes."""
    slices = {f"slices/{one.metric} {part.name}": one.value for part in verdict.slices for one in part.figures}
    groups = {
        f"fairness/{one.metric} by {' and '.join(one.by)}": one.value
        for found in verdict.fairness
        for one in found.disparities
    }
    if verdict.mitigation:
        own = verdict.mitigation
        groups |= {f"mitigation/threshold {name}": threshold for name, threshold in own.thresholds.groups.items()}
        groups |= {
            f"mitigation/{name}": getattr(own, name) for name in ("before", "after", "profit_before", "profit_after")
        }
    known = {name: value for name, value in {**groups, **slices}.items() if math.isfinite(value)}
    return {NOT_IN_A_NAME.sub("_", name)[:LONGEST_NAME]: known[name] for name in list(known)[:MOST_METRICS]}


def _log_evaluation(work: Work, record: Record, verdict: Verdict, text: str, pages: list[Path]) -> None:
    client = tracking.connect(work.settings.mlflow_uri)
    # MLflow's charts are grouped by what stands before the slash.
    metrics = {
        f"holdout_{who}/{name}": value for who, found in record["metrics"].items() for name, value in found.items()
    } | _of_parts(verdict)
    drawn = sorted((work.folder / "figures").iterdir())
    files = {"figures": drawn, dossier.FOLDER: pages}
    tags = {"verdict": verdict.outcome.value, "challenger": record["challenger"], tracking.NOTE: text}
    tracking.log(client, record["mlflow_run"], metrics=metrics, tags=tags, files=files)
