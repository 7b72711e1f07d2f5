"""The DAGs without Airflow: each function runs the steps of one in their order and returns the outcome."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from include.errors import DataRejected, NothingToDo
from include.settings import Settings
from include.spec import find
from include.state.runs import Kind
from include.steps import ledger

log = logging.getLogger(__name__)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
FIRST = "2026-11-24"


def open_run(kind: Kind, run_id: str, conf: dict[str, Any], run_type: str = "manual", use_case: str = "churn") -> dict:
    return ledger.open_run(use_case, kind, run_id, conf=conf, run_type=run_type, interval_end=None, run_after=NOON)


def close(kind: Kind, run_id: str, use_case: str = "churn", failed: Sequence[str] = ()) -> str:
    return ledger.close_run(use_case, kind, run_id, list(failed))


def ingest(run_id: str, as_of: str, use_case: str = "churn", run_type: str = "manual", **conf: str) -> str:
    from include.steps import ingest as steps

    run = open_run("ingest", run_id, {"as_of": as_of, **conf}, run_type, use_case)
    with suppress(NothingToDo, DataRejected):
        steps.publish(steps.validate(steps.land(run)))
    return close("ingest", run_id, use_case)


def retrain(
    run_id: str, as_of: str | None = FIRST, run_type: str = "manual", use_case: str = "churn", **conf: str
) -> str:
    from include.steps.retrain import evaluation, explanation, judgement, release, training, window

    run = open_run("retrain", run_id, conf | ({"as_of": as_of} if as_of else {}), run_type, use_case)
    spec = find(use_case, Settings.from_environment().use_case_folders)
    with suppress(NothingToDo, DataRejected):
        compared = training.compare_with_last_training(window.build_features(window.validate_window(run)))
        trained = train_all(compared, list(spec.training.candidates))
        if not trained:
            return close("retrain", run_id, use_case, failed=["train"])
        evaluated = evaluation.evaluate_challenger(training.select(trained[0], trained))
        verdict = judgement.judge(explanation.explain_challenger(evaluated))
        release.promote(release.register(verdict))
    return close("retrain", run_id, use_case)


def train_all(compared: dict, candidates: Sequence[str]) -> list[dict]:
    """Every candidate, one after the other; those that fail are left out."""
    from include.steps.retrain import training

    return [one for name in candidates if (one := _try(training.train, compared, name))]


def _try(step: Callable[..., dict], *arguments: Any) -> dict | None:
    """One of several mapped tasks: what it raises is in the ledger, and the others go on."""
    try:
        return step(*arguments)
    except Exception:
        log.exception("%s failed", arguments[-1])
        return None


def monitor(run_id: str, as_of: str, use_case: str = "churn", *, draw: bool = False) -> str:
    """Without ``draw``, which takes longer than all else, there is no report for people."""
    run = open_run("monitor", run_id, {"as_of": as_of}, use_case=use_case)
    with suppress(NothingToDo, DataRejected):
        judge(run, draw=draw)
    return close("monitor", run_id, use_case)


def score(
    run_id: str, as_of: str | None = FIRST, run_type: str = "manual", use_case: str = "churn", **conf: str
) -> str:
    from include.steps import score as steps

    run = open_run("score", run_id, conf | ({"as_of": as_of} if as_of else {}), run_type, use_case)
    spec = find(use_case, Settings.from_environment().use_case_folders)
    with suppress(NothingToDo, DataRejected):
        planned = steps.plan(run)
        scored = [steps.score_partition(planned, str(number)) for number in range(spec.scoring.partitions)]
        steps.export(steps.publish_scores(scored[0], scored))
    return close("score", run_id, use_case)


def judge(run: dict, *, draw: bool = False) -> dict:
    """The steps of the monitor in their order, on the record of its first task."""
    from include.steps.monitor import decision, drift, performance, quality

    checked = quality.check_quality(quality.collect(run))
    performance.compare_versions(checked)
    measured = drift.measure_drift(checked)
    if draw:
        drift.draw_report(measured)
    decided = decision.decide(performance.measure_performance(drift.measure_attribution(measured)))
    return decision.request_retrain(decided)
