"""A local stack that exists for a measurement alone: its own home, free ports, and awake only while it is measured."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil

from include.cli.source import register_source
from include.registry import tracking
from include.stack.airflow_api import AirflowApi
from include.stack.processes import start
from include.stack.supervision import Supervisor
from include.state import runs
from include.state.database import connect
from tests.home import own_home
from tests.steps.loop import FIRST

SUSPENDED = ("scheduler", "api-server", "dag-processor", "triggerer", "api")
EXPECTED = {"ingest": "PUBLISHED", "retrain": "PROMOTED"}
"""The DAGs of the loop and the outcome that each has to have: another one is not what is measured."""

SETTLE_SECONDS = 3.0
RUN_SECONDS = 900.0


class Stack:
    """A stack for a ``with`` statement; outside of ``awake`` its Airflow and its scoring API are suspended.

    A suspended stack takes no time from the one beside it, so that rounds of several stacks can be interleaved.
    """

    def __init__(self, home: Path, *, use_cases: Path, preload: bool = True) -> None:
        self._home = home
        self._environment = {"MODELOPS_USE_CASES": str(use_cases), "MODELOPS_PRELOAD": str(int(preload))}

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, self._home)
            self.settings = undo.enter_context(own_home(self._home, **self._environment))
            undo.callback(self._signal, psutil.Process.resume)
            start(self.settings, say=lambda _: None)
            with AirflowApi.of(self.settings) as api:
                for kind in EXPECTED:
                    api.wait_for_dag(f"churn_{kind}")
                api.wait_for_dag("churn_score")
                api.pause("churn_score")  # what the loop wakes is no part of it
            self._signal(psutil.Process.suspend)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @contextmanager
    def awake(self) -> Iterator[AirflowApi]:
        """Let Airflow and the scoring API run for the length of the block."""
        self._signal(psutil.Process.resume)
        try:
            time.sleep(SETTLE_SECONDS)
            with AirflowApi.of(self.settings) as api:
                for kind in EXPECTED:
                    api.wait_for_dag(f"churn_{kind}")
                yield api
        finally:
            self._signal(psutil.Process.suspend)

    def loop(self, api: AirflowApi) -> float:
        """Ingest and retrain through the scheduler; seconds from trigger to success, of both together."""
        return sum(self._run(api, kind) for kind in EXPECTED)

    def reset(self, source: Path) -> None:
        """Forget data, runs and models, and read ``source`` from now on: nothing of an earlier round is left."""
        connect.cache_clear()
        home = self.settings.home
        for path in [*home.glob("state.db*"), *(home / name for name in ("lake", "landing", "runs", "models"))]:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        client = tracking.connect(self.settings.mlflow_uri)
        for model in client.search_registered_models():
            client.delete_registered_model(model.name)
        for run in client.search_runs([experiment.experiment_id for experiment in client.search_experiments()]):
            client.delete_run(run.info.run_id)
        register_source(self.settings, str(source))

    def scheduler(self) -> psutil.Process:
        """The scheduler; its children are the workers, theirs the tasks."""
        (found,) = self._processes("scheduler")
        return found

    def _run(self, api: AirflowApi, kind: str) -> float:
        dag_id, run_id = f"churn_{kind}", f"bench_{time.time_ns()}"
        triggered = time.time()
        api.trigger(dag_id, run_id, {"as_of": FIRST})
        while (ended := api.run_end(dag_id, run_id)) is None:
            if time.time() - triggered > RUN_SECONDS:
                raise TimeoutError(f"{dag_id} has not ended within {RUN_SECONDS:.0f} s")
            time.sleep(max(0.5, (time.time() - triggered) / 20))  # each look takes processor from what is measured
        row = runs.get(connect(self.settings.state_url), "churn", kind, run_id)
        if row is None or row.outcome != EXPECTED[kind]:
            raise RuntimeError(f"{dag_id} did not end {EXPECTED[kind]}: {row}")
        return ended.timestamp() - triggered

    def _processes(self, *names: str) -> list[psutil.Process]:
        states = Supervisor(self.settings).states() or ()
        return [psutil.Process(state.pid) for state in states if state.name in names and state.pid]

    def _signal(self, act: Callable[[psutil.Process], None]) -> None:
        """Suspend or resume all but MLflow, which goes on for the steps without Airflow, with all they have started."""
        for process in self._processes(*SUSPENDED):
            for member in (process, *process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):  # a task or a parser that has just ended
                    act(member)
