"""Airflow's LocalExecutor, whose scheduler hears at once that a task has ended and otherwise looks about less often.

Airflow's scheduler looks at its database again and again, ten times a second if the next task is to start soon after
the last one: a fifth of a core while tasks run, which on a small machine is taken from them. But what it mostly waits
for, the end of a task, comes through a pipe of this executor, and a pipe can be waited for.
"""

import time
from multiprocessing.connection import wait
from typing import Any

from airflow.executors import local_executor

SHORT_SECONDS, LONG_SECONDS = 0.05, 0.5
LIVELY_SECONDS = 1.5
"""After something has ended or started, more may follow that only the database shows: a run of a DAG that was woken."""


class LocalExecutor(local_executor.LocalExecutor):
    """Each round of the scheduler ends in ``sync``, so the wait is there; Airflow's own wait is to be set to 0."""

    _lively_until = 0.0

    def sync(self) -> None:
        """Wait for a result, not for long, and take what there is."""
        lively = time.monotonic() < self._lively_until
        if wait([self.result_queue._reader], SHORT_SECONDS if lively else LONG_SECONDS):  # type: ignore[attr-defined]
            self._be_lively()
        super().sync()

    def _process_workloads(self, workload_list: Any) -> None:
        self._be_lively()
        super()._process_workloads(workload_list)

    def _be_lively(self) -> None:
        self._lively_until = time.monotonic() + LIVELY_SECONDS
