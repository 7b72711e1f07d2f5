"""F1, F3, F29 to F32 on the real scheduler: kills, hands on the buttons, sleepers and crowds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from include.registry import tracking, versions
from include.stack.airflow_api import AirflowApi, AirflowApiError
from tests.faults.home import DagRun
from tests.faults.invariants import check
from tests.faults.stack import TODAY, Stack, started, wait_until
from tests.faults.zygote import Zygote
from tests.schedules import NEVER

pytestmark = [pytest.mark.e2e, pytest.mark.thorough, pytest.mark.filterwarnings("default")]

EVERY_MINUTE = {"schedules": {**NEVER, "retrain": "* * * * *"}}
OTHERS = ("killed", "touched", "sleepy", "endless", "crowded", "doubled")
USE_CASES: dict[str, dict[str, Any]] = {"scheduled": EVERY_MINUTE, **{name: {} for name in OTHERS}}
NOW = {"as_of": TODAY}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, zygote: Zygote) -> Iterator[Stack]:
    with started(tmp_path_factory.mktemp("stack"), zygote, USE_CASES) as running:
        yield running


@pytest.fixture
def api(stack: Stack) -> Iterator[AirflowApi]:
    with AirflowApi.of(stack.settings) as session:
        yield session
    stack.arm()


def test_f31_a_manual_and_a_scheduled_run_of_one_day_make_one_version(stack: Stack, api: AirflowApi):
    dag_id = "scheduled_retrain"
    assert stack.run(api, dag_id, "by_hand", NOW) == "success"

    def scheduled() -> list[str]:
        found = api.call("GET", f"/api/v2/dags/{dag_id}/dagRuns?run_type=scheduled&state=success")
        return [row["dag_run_id"] for row in found["dag_runs"]]

    wait_until(lambda: bool(scheduled()), 150, "no scheduled run has ended")
    api.pause(dag_id)
    outcomes = Counter(stack.row("scheduled", "retrain", run).outcome for run in ("by_hand", *scheduled()))
    assert outcomes["PROMOTED"] == 1
    assert outcomes["UNCHANGED"] >= 1
    assert outcomes.keys() == {"PROMOTED", "UNCHANGED"}
    assert len(versions.registered(tracking.connect(stack.settings.mlflow_uri), "scheduled")) == 1
    check(stack.settings, "scheduled", over=False)


KILLS = {
    "ingest": ("run.opened", "ingest.land.start", "ingest.validate.return", "publications.published", "run.closed"),
    "retrain": (
        "run.opened",
        "retrain.validate_window.return",
        "write.matrix.parquet",
        "tracking.created",
        "package.staged",
        "retrain.select.start",
        "write.holdout_scores.parquet",
        "write.verdict.json",
        "versions.registered",
        "promotion.moved",
        "run.closed",
    ),
    "monitor": (
        "run.opened",
        "monitor.collect.return",
        "monitor.check_quality.return",
        "write.drift_verdict.json",
        "monitor.draw_report.start",
        "monitor.decide.return",
        "monitor.request_retrain.start",
        "run.closed",
    ),
    "score": (
        "run.opened",
        "score.plan.start",
        "write.scores_0.parquet",
        "write.scores_1.parquet",
        "publications.published",
        "write.top.csv",
        "run.closed",
    ),
}
LATER = (date.fromisoformat(TODAY) + timedelta(days=7)).isoformat()


@pytest.mark.parametrize(
    ("kind", "as_of"), [("retrain", TODAY), ("ingest", LATER), ("monitor", LATER), ("score", LATER)]
)
def test_f1_every_task_killed_once_on_the_real_scheduler(kind: str, as_of: str, stack: Stack, api: AirflowApi):
    stack.arm("; ".join(f"{point}=kill:1" for point in KILLS[kind]))
    assert stack.run(api, f"killed_{kind}", f"{kind}-killed", {"as_of": as_of}) == "success"
    assert [point for point in KILLS[kind] if not stack.reached(point)] == []
    tries = [task.try_number for task in api.task_states(f"killed_{kind}", f"{kind}-killed") if task.state == "success"]
    assert tries.count(2) >= len(KILLS[kind]) - 1
    check(stack.settings, "killed")


@pytest.mark.parametrize(
    ("number", "button", "task", "point"),
    [
        (1, "failed", "build_features", "write.matrix.parquet"),
        (2, "clear", "build_features", "write.matrix.parquet"),
        (3, "failed", "compare_with_last_training", "tracking.created"),
        (4, "clear", "train", "package.staged"),
    ],
)
def test_f3_a_task_that_is_touched_while_it_runs(
    number: int, button: str, task: str, point: str, stack: Stack, api: AirflowApi
):
    dag_id, run_id = "touched_retrain", f"{button}-{task}"
    later = (date.fromisoformat(TODAY) + timedelta(days=number)).isoformat()
    assert DagRun(stack.home("touched"), "ingest", run_id, {"as_of": later}).finish() == "PUBLISHED"
    stack.arm(f"{point}=sleep120:1")
    stack.trigger(api, dag_id, run_id, {"as_of": later})
    wait_until(lambda: stack.reached(point), 90, f"{point} was not reached")
    check(stack.settings, "touched", over=False)
    if button == "failed":
        api.call("PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task}", {"new_state": "failed"})
        assert stack.ended(api, dag_id, run_id, 60) == "failed"
        assert stack.row("touched", "retrain", run_id).outcome == "FAILED"
    else:
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": [task], "only_failed": False}
        api.call("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body)
        assert stack.ended(api, dag_id, run_id, 60) == "success"
    check(stack.settings, "touched")


def test_f29_a_training_that_never_ends_is_ended(stack: Stack, api: AirflowApi):
    stack.arm("retrain.train.start=sleep600")
    assert stack.run(api, "sleepy_retrain", "asleep", NOW, seconds=120) == "failed"
    row = stack.row("sleepy", "retrain", "asleep")
    assert (row.outcome, row.ended_at is not None) == ("FAILED", True)
    check(stack.settings, "sleepy")
    stack.arm()
    assert stack.run(api, "sleepy_retrain", "awake", NOW) == "success"
    assert stack.row("sleepy", "retrain", "awake").outcome == "PROMOTED"
    check(stack.settings, "sleepy")


def test_f29_a_run_that_takes_too_long_is_closed_and_told(stack: Stack, api: AirflowApi):
    """Airflow skips its teardown; see ``IMPATIENCE`` for how long it may take."""
    stack.arm("retrain.validate_window.start=sleep600")
    assert stack.run(api, "endless_retrain", "too_long", NOW, seconds=120) == "failed"

    def told() -> list[str]:
        return [line for line in stack.hook.headlines() if line.startswith("endless: FAILED, retrain as of ")]

    wait_until(lambda: bool(told()), 60, "nobody was told")
    row = stack.row("endless", "retrain", "too_long")
    assert (row.outcome, row.reasons[-1]) == ("FAILED", "the run took longer than it may, and was ended")
    assert len(told()) == 1
    check(stack.settings, "endless")


def test_f30_twenty_triggers_of_one_run_id_are_one_run(stack: Stack, api: AirflowApi):
    url = "/api/v2/dags/crowded_ingest/dagRuns"
    body = {"dag_run_id": "same", "logical_date": None, "conf": {"as_of": LATER}}

    def trigger(_: int) -> int:
        with AirflowApi.of(stack.settings) as own:
            try:
                own.call("POST", url, body)
            except AirflowApiError as refusal:
                return refusal.status or 0
            return 200

    api.wait_for_dag("crowded_ingest")
    with ThreadPoolExecutor(20) as threads:
        answers = Counter(threads.map(trigger, range(20)))
    assert answers == {200: 1, 409: 19}
    assert stack.ended(api, "crowded_ingest", "same") == "success"
    assert api.call("GET", url)["total_entries"] == 1
    check(stack.settings, "crowded")


def test_f32_two_retrains_at_once_come_one_after_the_other(stack: Stack, api: AirflowApi):
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda run: stack.trigger(api, "doubled_retrain", run, NOW), ["one", "two"]))
    assert {stack.ended(api, "doubled_retrain", run) for run in ("one", "two")} == {"success"}
    times = [api.call("GET", f"/api/v2/dags/doubled_retrain/dagRuns/{run}") for run in ("one", "two")]
    first, second = sorted(times, key=lambda run: run["start_date"])
    assert datetime.fromisoformat(first["end_date"]) <= datetime.fromisoformat(second["start_date"])
    outcomes = [stack.row("doubled", "retrain", run["dag_run_id"]).outcome for run in (first, second)]
    assert outcomes == ["PROMOTED", "UNCHANGED"]
    check(stack.settings, "doubled")
