"""F1: every step killed by SIGKILL at its start, in the middle of a write, after a commit, and before it returns."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults import invariants
from tests.faults.home import STEPS, DagRun, Home, Loop
from tests.faults.marks import thorough

RETRY = "retry"
INSIDE = {
    "land": ("write.landed.json",),
    "validate": ("write.validation.json", "decisions.recorded", "write.customers.parquet", "write.labels.parquet"),
    "publish": ("tables.appended", "publications.published"),
    "validate_window": ("decisions.recorded", "write.window.parquet"),
    "build_features": ("tables.appended", "publications.published", "write.matrix.parquet"),
    "compare_with_last_training": ("tracking.created",),
    "train": ("tracking.created", "package.staged", "tracking.logged"),
    "evaluate_challenger": ("write.holdout_scores.parquet",),
    "explain_challenger": ("write.explanation.json", "tracking.logged"),
    "judge": ("write.verdict.json", "decisions.recorded", "tracking.logged"),
    "register": (
        "package.staged",
        "versions.created",
        "versions.uploaded",
        "versions.ready",
        "versions.registered",
        "tracking.logged",
        "versions.aliased",
    ),
    "promote": ("promotion.intended", "versions.aliased"),  # the gaps after the alias: test_registry.py
    "collect": ("tables.appended", "publications.published"),
    "check_quality": ("write.quality.json", "decisions.recorded"),
    "measure_drift": ("write.drift_verdict.json",),
    "measure_performance": ("write.performance.json", "decisions.recorded"),
    "decide": ("decisions.recorded",),
    "request_retrain": ("requests.added",),
    "plan": ("write.rows_0.parquet", "write.plan.json"),
    "score_partition 0": ("write.scores_0.parquet", "write.top_0.parquet"),
    "score_partition 1": ("write.scores_1.parquet",),
    "publish_scores": ("tables.appended", "publications.published"),
    "export": ("write.scores.parquet", "write.top.csv"),
}


def cases(kind: str, step: str) -> list[Any]:
    """The points of a step, in the order in which it comes by them, and at last the retry that is let live."""
    name = step.split()[0]
    points = INSIDE.get(step, INSIDE.get(name, ()))
    start, *inside, end = ((kind, step, point) for point in (f"{kind}.{name}.start", *points, RETRY))
    return [*thorough(start), *inside, *thorough((kind, step, f"{kind}.{name}.return")), end]


CASES = [case for kind, steps in STEPS.items() for step in steps for case in cases(kind, step)]


@pytest.fixture(scope="module")
def killed(make_loop) -> Loop:
    return make_loop("killed")


@pytest.mark.parametrize(("kind", "step", "point"), CASES, ids=str)
def test_f1_a_killed_step_is_made_good_by_its_retry(kind: str, step: str, point: str, killed: Loop):
    run = killed.at(kind, step)
    if point == RETRY:
        run.must(run.step(step))
    else:
        ended = run.step(step, failpoints=f"{point}=kill")
        assert ended.killed, ended.log
    killed.check()


def test_f1_runs_whose_every_step_was_killed_at_every_point_end_as_ever(killed: Loop):
    killed.must_end_well()


def test_f1_the_first_and_the_last_task_killed_are_made_good(home: Home):
    run = DagRun(home, "ingest", "i1")
    assert run.open(failpoints="run.opened=kill").killed
    close = ("include.steps.ledger:close_run", home.use_case, "ingest", "i1", [])
    run.upto("publish")
    run.must(run.step("publish"))
    assert home.run(*close, failpoints="run.closed=kill").killed
    assert home.run(*close).returned == "PUBLISHED"
    invariants.check(home.settings, home.use_case)
