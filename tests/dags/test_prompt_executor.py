"""The local executor: the end of a task is heard at once, and while nothing happens it is looked for less often."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from include.settings import PROJECT

ROUNDS = """
import json, threading, time
from airflow.executors.executor_loader import ExecutorLoader
from airflow.executors.local_executor import LocalExecutor
from airflow.models.taskinstancekey import TaskInstanceKey
kind, _ = ExecutorLoader.import_default_executor_cls()
assert issubclass(kind, LocalExecutor) and kind is not LocalExecutor, kind
executor = kind(parallelism=1)
executor.start()
key = TaskInstanceKey("dag", "task", "run", 1)
def round(ends_after=None):
    if ends_after is not None:
        executor.running.add(key)
        threading.Timer(ends_after, executor.result_queue.put, [(key, "success", None)]).start()
    began = time.monotonic()
    executor.heartbeat()
    return time.monotonic() - began, [state for state, _ in executor.get_event_buffer().values()]
found = {"idle": round(), "an end": round(0.1), "after it": round()}
time.sleep(2)
found["idle again"] = round()
executor._process_workloads([])
found["after a start"] = round()
executor.end()
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
    assert 0.05 < seconds < 0.4


def test_while_nothing_happens_the_scheduler_waits_longer(rounds: dict[str, tuple[float, list[str]]]) -> None:
    for name in ("idle", "idle again"):
        assert rounds[name][0] >= 0.5
        assert rounds[name][1] == []


def test_what_follows_an_end_or_a_start_is_looked_for_soon(rounds: dict[str, tuple[float, list[str]]]) -> None:
    for name in ("after it", "after a start"):
        assert rounds[name][0] < 0.4
