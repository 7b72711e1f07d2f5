"""Which processes belong to a stack, and how to end them all.

Airflow gives each task a process group of its own and tasks rename themselves, so neither groups nor names find them.
What every process inherits is the environment: it carries ``MODELOPS_STACK_ID``. A process that was started with an
environment of its own is found as a descendant of one that has it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Collection, Iterable

import psutil

from include.settings import Settings
from include.stack.environment import STACK_ID
from include.stack.home import stack_id

TERM_SECONDS = 5.0
KILL_SECONDS = 5.0
TASK_SECONDS = 2.0


def members(settings: Settings) -> set[psutil.Process]:
    """Find the living processes of this stack, never the caller or one of its ancestors."""
    mine = stack_id(settings)
    found: set[psutil.Process] = set()
    for process in psutil.process_iter():
        # A process may end while it is looked at, and those of other users show no environment.
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(STACK_ID) == mine:
                found.add(process)
                found.update(process.children(recursive=True))
    me = psutil.Process()
    return _alive(found) - {me, *me.parents()}


def end(settings: Settings, known: Iterable[psutil.Process] = ()) -> set[psutil.Process]:
    """End the members and the ``known`` former ones: a request first, then by force. Returns who is left."""
    left = _alive(known) | members(settings)
    for sign, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
        deadline = time.monotonic() + seconds
        signalled: set[psutil.Process] = set()
        while left and time.monotonic() < deadline:
            # Looked up again each time: a process that is being ended may have started another one.
            for process in left - signalled:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(sign)
            signalled |= left
            wait_for_end(left, 0.2)
            left = _alive(left) | members(settings)
    return left


def running_tasks(scheduler: int) -> set[psutil.Process]:
    """Find the tasks below the scheduler's workers: those that lead a process group of their own."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return {p for p in psutil.Process(scheduler).children(recursive=True) if _leads_a_group(p)}
    return set()


def kill_tasks(tasks: Collection[psutil.Process]) -> None:
    """Give tasks a moment for the request to end that they have, then end them by force."""
    wait_for_end(tasks, TASK_SECONDS)
    for task in _alive(tasks):
        with contextlib.suppress(psutil.Error):
            task.kill()


def wait_for_end(processes: Collection[psutil.Process], seconds: float) -> None:
    """Wait until none is alive; psutil's own wait also waits for somebody to collect the dead."""
    deadline = time.monotonic() + seconds
    while _alive(processes) and time.monotonic() < deadline:
        time.sleep(0.05)


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def describe(processes: Iterable[psutil.Process]) -> str:
    """One line for each process: its id and its command."""
    lines = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            lines.append(f"  {process.pid}  {' '.join(process.cmdline())[:100] or process.name()}")
    return "\n".join(lines)


def _leads_a_group(process: psutil.Process) -> bool:
    try:
        return os.getpgid(process.pid) == process.pid
    except ProcessLookupError:
        return False


def _alive(processes: Iterable[psutil.Process]) -> set[psutil.Process]:
    return {p for p in processes if is_alive(p)}
