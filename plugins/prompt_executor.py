"""Airflow's LocalExecutor, whose scheduler hears at once that a task has ended and otherwise looks about less often.

Airflow's scheduler looks at its database again and again, ten times a second if the next task is to start soon after
the last one: a fifth of a core while tasks run, which on a small machine is taken from them. But what it mostly waits
for, the end of a task, comes through a pipe of this executor, and a pipe can be waited for.
"""

import functools
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Any

from airflow.executors import local_executor

SHORT_SECONDS, IDLE_SECONDS, BUSY_SECONDS = 0.05, 0.5, 2.0
"""Seconds between the looks. A DAG that a person or an asset starts is seen by a look alone. While tasks run, looks
cost most and take it from them, and a run that is started then waits for the processor anyway."""
LIVELY_SECONDS = 0.5
"""After something has ended, more may follow that only the database shows: a run of a DAG that was woken."""


class LocalExecutor(local_executor.LocalExecutor):
    """Each round of the scheduler ends in ``sync``, so the wait is there; Airflow's own wait is to be set to 0."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._under_way: set[Any] = set()
        self._lively_until = 0.0

    def start(self) -> None:
        """Start the workers; they see the end of a task when its process is gone."""
        # Here, since Airflow imports plugins in all its processes, and only the scheduler comes here.
        from airflow.sdk.execution_time.supervisor import WatchedSubprocess

        WatchedSubprocess._service_subprocess = _looking_again(WatchedSubprocess._service_subprocess)  # type: ignore[method-assign]
        super().start()

    def sync(self) -> None:
        """Wait for a result, not for long, and take what there is."""
        wait([self.result_queue._reader], self._patience())  # type: ignore[attr-defined]
        super().sync()
        if ended := self._under_way & self.event_buffer.keys():
            self._under_way -= ended
            self._lively_until = time.monotonic() + LIVELY_SECONDS

    def _patience(self) -> float:
        if time.monotonic() < self._lively_until:
            return SHORT_SECONDS
        return BUSY_SECONDS if self._under_way else IDLE_SECONDS

    def _process_workloads(self, workload_list: Any) -> None:
        self._under_way.update(workload.key for workload in workload_list)
        super()._process_workloads(workload_list)

    def _check_workers(self) -> None:
        workers = set(self.workers)
        super()._check_workers()
        if workers - set(self.workers):  # what a killed worker ran ends without a word
            self._under_way.clear()


def _looking_again(service: Callable[..., Any]) -> Callable[..., Any]:
    """A worker's wait for its task, short once the task has closed all its sockets: it closes them as it ends, a moment
    before it is gone, and Airflow looks for it then and not again before the next sign of life."""

    @functools.wraps(service)
    def service_subprocess(self: Any, max_wait_time: float, **options: Any) -> Any:
        return service(self, max_wait_time if self._open_sockets else min(max_wait_time, SHORT_SECONDS), **options)

    return service_subprocess
