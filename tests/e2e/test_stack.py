"""The real stack, from a fresh home to the last process: started, used, hurt, mended, stopped in the middle of work."""

from __future__ import annotations

import os
import signal
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from include.serving.capture import folder_of, read
from include.serving.segments import read_segment, segments
from include.settings import PROJECT, Settings
from include.spec import load
from include.stack.airflow_api import AirflowApi
from include.stack.members import is_alive, members
from include.stack.ports import is_taken, stack_ports
from include.stack.processes import restart, start, state, stop
from include.stack.scoring_api import ScoringApi
from tests.bench import data
from tests.bench.serving import Model, promote, train
from tests.conftest import copy_of_churn
from tests.e2e.traffic import Traffic
from tests.home import own_home

pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("default")]

# One DAG ends, its description is a file of the use case. The task of the other one sleeps beside a child that left its
# session and its environment.
DAGS = """
import os, pathlib, pendulum
from airflow.sdk import dag, task

NOTE = pathlib.Path(os.environ["MODELOPS_USE_CASES"]) / "churn" / "note"

@dag(schedule=None, start_date=pendulum.datetime(2024, 1, 1), description=NOTE.read_text())
def quick():
    @task
    def look():
        import os, sys
        preloaded = {"pandas", "include.steps.ledger", "include.steps.retrain.release"} <= set(sys.modules)
        return {"preloaded": preloaded, "home": os.environ["MODELOPS_HOME"]}

    @task
    def check(seen):
        import os
        assert seen == {"preloaded": True, "home": os.environ["MODELOPS_HOME"]}, seen

    check(look())

@dag(schedule=None, start_date=pendulum.datetime(2024, 1, 1))
def slow():
    @task(retries=0)
    def sleep():
        import os, pathlib, subprocess, time
        child = subprocess.Popen(["sleep", "900"], env={}, start_new_session=True)
        note = pathlib.Path(os.environ["MODELOPS_HOME"]) / "pids"
        note.with_suffix(".draft").write_text(f"{os.getpid()} {child.pid}")
        note.with_suffix(".draft").rename(note)
        time.sleep(900)

    sleep()

quick()
slow()
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Give a home, ports and a DAG folder of their own, and leave nothing behind."""
    folder = tmp_path_factory.mktemp("stack")
    dags = folder / "dags"
    dags.mkdir()
    (dags / "dags.py").write_text(textwrap.dedent(DAGS))
    use_cases = folder / "use_cases"
    copy_of_churn(use_cases)
    (use_cases / "churn" / "note").write_text("as it was")
    environ = {"MODELOPS_DAGS_FOLDER": str(dags), "MODELOPS_USE_CASES": str(use_cases)}
    with own_home(folder / "home", **environ) as settings:
        start(settings)
        yield settings


def test_a_run_is_followed_to_its_end_on_preloaded_libraries(settings: Settings) -> None:
    with AirflowApi.of(settings) as api:
        api.wait_for_dag("quick")
        api.unpause("quick")
        api.trigger("quick", "once", {})
        api.trigger("quick", "once", {})
        changes = [(task.name, task.state) for task in api.follow("quick", "once", timeout=120)]
        assert api.run_state("quick", "once") == "success"
    assert ("look", "success") in changes
    assert changes[-1] == ("check", "success")
    for name in ("scheduler", "dag-processor"):
        said = (settings.home / "logs" / f"{name}.log").read_text(encoding="utf-8")
        assert "airflow_local_settings: Preloaded" in said
        assert "Cannot preload" not in said


def test_an_edit_of_a_use_case_is_seen_in_its_dags_within_seconds(settings: Settings) -> None:
    with AirflowApi.of(settings) as api:

        def description() -> str:
            return str(api.call("GET", "/api/v2/dags/quick")["description"])

        assert description() == "as it was"
        (settings.use_case_folders[0] / "churn" / "note").write_text("edited")
        deadline = time.monotonic() + 30
        while description() != "edited":
            assert time.monotonic() < deadline
            time.sleep(0.5)


def test_many_who_ask_at_once_are_all_answered(settings: Settings) -> None:
    """Each writes into SQLite, and so do the tasks of the runs that they start."""

    def ask(number: int) -> str:
        with AirflowApi.of(settings) as api:
            api.trigger("quick", f"crowd-{number}", {})
            return api.run_state("quick", f"crowd-{number}")

    with ThreadPoolExecutor(20) as callers:
        assert set(callers.map(ask, range(20))) <= {"queued", "running", "success"}


def test_everything_listens_on_loopback_only(settings: Settings) -> None:
    listening = set[tuple[str, int]]()
    for process in members(settings):
        with suppress(psutil.NoSuchProcess):  # a task or a parser that has just ended
            found = process.net_connections("inet")
            listening |= {c.laddr[:2] for c in found if c.status == psutil.CONN_LISTEN}
    assert listening == {("127.0.0.1", port.number) for port in stack_ports(settings)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Train a churn model that may be promoted."""
    spec = load(PROJECT / "include" / "use_cases" / "churn" / "spec.yaml")
    return train(data.simulated(tmp_path_factory.mktemp("model") / "customers.csv", 2000), spec)


@pytest.fixture(scope="module")
def champion(settings: Settings, model: Model) -> str:
    """Promote a first version."""
    return promote(settings, model, settings.home / "package", "first")


def test_a_new_champion_is_followed_without_a_failed_request(settings: Settings, model: Model, champion: str) -> None:
    wait_for_answer(settings)
    with Traffic(settings, "churn", model.rows) as traffic:
        second = promote(settings, model, settings.home / "package", "second")
        assert traffic.wait_for_answers(1, by=second) < 10
        traffic.wait_for_answers(50, by=second)
    assert traffic.failures == []
    assert set(traffic.versions) == {champion, second}
    assert set(traffic.versions[-40:]) == {second}


def test_a_request_to_end_leaves_whole_segments(settings: Settings, model: Model, champion: str) -> None:
    with Traffic(settings, "churn", model.rows) as traffic:
        restart(settings, "api")
        traffic.wait_for_answers(50)
    folder = folder_of(settings, "churn")
    assert set(traffic.ids) <= {record.prediction_id for record in read(folder)}
    found = [read_segment(path) for path in segments(folder)]
    assert [(content.left, content.damaged) for content in found] == [(0, 0)] * len(found)
    assert len(found) == 2, "one for each process"


def test_a_killed_api_comes_back_and_has_kept_what_it_answered(settings: Settings, model: Model, champion: str) -> None:
    with Traffic(settings, "churn", model.rows) as traffic:
        answered = traffic.versions[-1]
        os.kill(pid_of(settings, "api"), signal.SIGKILL)
        traffic.wait_for_answers(50, by=answered)
    assert set(traffic.versions) == {answered}
    assert set(traffic.ids) <= {record.prediction_id for record in read(folder_of(settings, "churn"))}


def test_a_second_start_changes_nothing(settings: Settings) -> None:
    before = state(settings).processes
    began = time.monotonic()
    assert start(settings) is False
    assert time.monotonic() - began < 5
    # Airflow's own children come and go, such as the parsers of DAG files; the processes of the stack stay.
    assert state(settings).processes == before


def test_a_half_dead_stack_is_mended(settings: Settings) -> None:
    old = {process.name: process.pid for process in state(settings).processes}
    victim = old["triggerer"]
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    assert start(settings) is True
    now = state(settings)
    assert now.running
    assert {process.name: process.pid for process in now.processes}["triggerer"] != victim


def test_a_dead_supervisor_leaves_nothing_in_the_way(settings: Settings) -> None:
    orphans = members(settings)
    os.kill(int((settings.home / "supervisor" / "supervisord.pid").read_text()), signal.SIGKILL)
    assert start(settings) is True
    assert state(settings).running
    assert not orphans & members(settings)


def test_stop_ends_tasks_and_their_children(settings: Settings) -> None:
    with AirflowApi.of(settings) as api:
        api.wait_for_dag("slow")
        api.trigger("slow", "once", {})
    note = settings.home / "pids"
    deadline = time.monotonic() + 60
    while not note.exists():
        assert time.monotonic() < deadline, "the task has not started"
        time.sleep(0.1)
    task, child = (psutil.Process(int(pid)) for pid in note.read_text().split())
    assert os.getpgid(task.pid) == task.pid, "the task does not lead a process group: this test proves nothing"

    assert stop(settings) is True
    assert members(settings) == set()
    assert not [process for process in (task, child) if is_alive(process)]
    assert not [port for port in stack_ports(settings) if is_taken(port.number)]
    assert stop(settings) is False


def pid_of(settings: Settings, name: str) -> int:
    """The process id of a process of the stack."""
    (found,) = [process.pid for process in state(settings).processes if process.name == name]
    assert found is not None
    return found


def wait_for_answer(settings: Settings) -> None:
    """Until the API has a version that answers."""
    deadline = time.monotonic() + 30
    with ScoringApi.of(settings, "churn") as api:
        while (answering := api.answering()).version is None:
            assert time.monotonic() < deadline, answering.why
            time.sleep(0.1)


def test_the_home_holds_all_state(settings: Settings) -> None:
    kept = {path.name for path in Path(settings.home).iterdir()}
    assert {"airflow", "mlflow", "logs", "secrets", "supervisor", "first_start"} <= kept
