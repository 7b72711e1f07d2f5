"""The local executor: the end of a task is heard at once, and while nothing happens it is looked for less often."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from include.settings import PROJECT

ROUNDS = """
import json, os, selectors, signal, time
from types import SimpleNamespace
from airflow.executors.base_executor import BaseExecutor
from airflow.executors.executor_loader import ExecutorLoader
from airflow.executors.local_executor import LocalExecutor
from airflow.models.taskinstancekey import TaskInstanceKey
from airflow.sdk.execution_time.supervisor import WatchedSubprocess
kind, _ = ExecutorLoader.import_default_executor_cls()
assert issubclass(kind, LocalExecutor) and kind is not LocalExecutor, kind
class Task(SimpleNamespace):
    running_state, success_state, failure_state, display_name = None, "success", "failed", "task"
BaseExecutor.run_workload = lambda task, **_: time.sleep(task.seconds)
executor = kind(parallelism=1)
executor.start()
def begin(run_id, seconds):
    key = TaskInstanceKey("dag", "task", run_id, 1)
    executor.queued_tasks[key] = Task(key=key, seconds=seconds)
    executor._process_workloads([executor.queued_tasks[key]])
def round():
    began = time.monotonic()
    executor.heartbeat()
    return time.monotonic() - began, [state for state, _ in executor.get_event_buffer().values()]
found = {"idle": round()}
begin("first", seconds=1.0)
found["an end"] = round()
found["after it"] = round()
time.sleep(1)
found["idle again"] = round()
begin("second", seconds=600.0)
found["while a task runs"] = round()
os.kill(next(iter(executor.workers)), signal.SIGKILL)
found["its worker is killed"] = round()
found["after that"] = round()
executor.end()
def wait(sockets):
    waiting = SimpleNamespace(
        _open_sockets=sockets, selector=selectors.DefaultSelector(), _check_subprocess_exit=lambda **_: None
    )
    began = time.monotonic()
    WatchedSubprocess._service_subprocess(waiting, max_wait_time=1.0)
    return time.monotonic() - began, []
found |= {"a task is at work": wait(["logs"]), "its sockets are closed": wait([])}
print("RESULT" + json.dumps(found))
"""


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, list[str]]]:
    """How long each round of the scheduler waited, in seconds, and the states that it was told."""
    home = tmp_path_factory.mktemp("airflow")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__CORE__EXECUTOR": "prompt_executor.LocalExecutor",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
    }
    command = [sys.executable, "-c", ROUNDS]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.split("RESULT")[1])


def test_the_end_of_a_task_is_heard_at_once(rounds: dict[str, tuple[float, list[str]]]) -> None:
    seconds, states = rounds["an end"]
    assert states == ["success"]
    assert 0.5 < seconds < 1.5


def test_while_nothing_happens_the_scheduler_waits_longer(rounds: dict[str, tuple[float, list[str]]]) -> None:
    for name in ("idle", "idle again"):
        assert 0.5 <= rounds[name][0] < 2.0
        assert rounds[name][1] == []
    assert rounds["while a task runs"][0] >= 2.0


def test_what_follows_an_end_is_looked_for_soon(rounds: dict[str, tuple[float, list[str]]]) -> None:
    assert rounds["after it"][0] < 0.4


def test_a_task_whose_worker_was_killed_is_not_waited_for(rounds: dict[str, tuple[float, list[str]]]) -> None:
    assert 0.5 <= rounds["after that"][0] < 2.0


def test_a_worker_that_saw_the_sockets_of_its_task_close_looks_again_soon(
    rounds: dict[str, tuple[float, list[str]]],
) -> None:
    assert rounds["a task is at work"][0] >= 1.0
    assert rounds["its sockets are closed"][0] < 0.9
