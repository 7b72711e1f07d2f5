"""One stack with the real scheduler for all tests that need one; its DAGs are the project's, with less patience."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from include.failpoints import VARIABLE
from include.settings import PROJECT, Settings
from include.stack.airflow_api import AirflowApi
from include.stack.processes import start
from include.state import runs
from include.state.database import connect
from include.state.runs import LedgerRow
from tests.faults.home import DagRun, Home
from tests.faults.zygote import Zygote
from tests.home import own_home
from tests.receivers import Hook, webhook
from tests.schedules import NEVER

IMPATIENCE = """
DEFAULT_ARGS |= {"retries": 1, "retry_delay": timedelta(seconds=1), "execution_timeout": timedelta(seconds=20)}
patient = common

def common(spec, kind, doc):
    soon = {"dagrun_timeout": timedelta(seconds=30)} if spec.name == "endless" else {}
    return patient(spec, kind, doc) | soon
"""
TODAY = datetime.now(UTC).date().isoformat()


@dataclass(frozen=True)
class Stack:
    settings: Settings
    zygote: Zygote
    armed: Path
    hook: Hook

    def arm(self, failpoints: str = "") -> None:
        """From now on these points fail, each as often as it says, in every process of the stack."""
        shutil.rmtree(self.settings.home / "failpoints", ignore_errors=True)
        self.armed.write_text(failpoints)

    def reached(self, point: str) -> bool:
        """Whether a process stands at ``point``, or died there."""
        return (self.settings.home / "failpoints" / f"{point}.0").exists()

    def home(self, use_case: str) -> Home:
        """The home of one of its use cases, for steps without the scheduler."""
        environ = {
            "MODELOPS_HOME": str(self.settings.home),
            "MODELOPS_USE_CASES": os.pathsep.join(map(str, self.settings.use_case_folders)),
            "MODELOPS_MLFLOW_PORT": str(self.settings.mlflow_port),
        }
        return Home(self.settings, use_case, environ, self.zygote)

    def row(self, use_case: str, kind: str, run_id: str) -> LedgerRow:
        """What the ledger says about a run."""
        found = runs.get(connect(self.settings.state_url), use_case, kind, run_id)  # type: ignore[arg-type]
        assert found is not None
        return found

    def run(self, api: AirflowApi, dag_id: str, run_id: str, conf: dict[str, Any], seconds: float = 200) -> str:
        """Start a run and wait for its end; how it ended."""
        self.trigger(api, dag_id, run_id, conf)
        return self.ended(api, dag_id, run_id, seconds)

    def trigger(self, api: AirflowApi, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
        api.wait_for_dag(dag_id)
        api.unpause(dag_id)
        api.trigger(dag_id, run_id, conf)

    def ended(self, api: AirflowApi, dag_id: str, run_id: str, seconds: float = 200) -> str:
        wait_until(lambda: api.run_end(dag_id, run_id) is not None, seconds, f"{dag_id} {run_id} has not ended")
        return api.run_state(dag_id, run_id)


def wait_until(condition: Callable[[], bool], seconds: float, complaint: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{complaint} within {seconds:.0f} s"
        time.sleep(0.2)


@contextmanager
def started(folder: Path, zygote: Zygote, use_cases: dict[str, dict[str, Any]]) -> Iterator[Stack]:
    """A stack with these use cases, each with its changes to the spec and with data up to today."""
    shutil.copytree(PROJECT / "dags", folder / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "dags" / "boundary.py").open("a") as boundary:
        boundary.write(IMPATIENCE)
    for name, edits in use_cases.items():
        Home.make(folder, 1, zygote, name, **{"schedules": NEVER, **edits})
    own = {"MODELOPS_USE_CASES": str(folder / "use_cases"), "MODELOPS_DAGS_FOLDER": str(folder / "dags")}
    with webhook() as hook, own_home(folder / "home", **own, MODELOPS_WEBHOOK_URL=hook.url) as settings:
        stack = Stack(settings, zygote, folder / "armed", hook)
        stack.arm()
        for name in use_cases:
            assert DagRun(stack.home(name), "ingest", "i1", {"as_of": TODAY}).finish() == "PUBLISHED"
        with patch.dict(os.environ, {VARIABLE: f"@{stack.armed}"}):
            start(settings)
        with AirflowApi.of(settings) as api:
            for name in use_cases:  # what a retrain wakes would still run when its invariants are checked
                api.wait_for_dag(f"{name}_score")
                api.pause(f"{name}_score")
        yield stack
