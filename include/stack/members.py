"""Which processes belong to a stack, and how to end them all.

Airflow gives each task a process group of its own and tasks rename themselves, so neither groups nor names find them.
What every process inherits is the environment: it carries ``MODELOPS_STACK_ID``. A process that was started with an
environment of its own is found as a descendant of one that has it.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterable

import psutil

from include.settings import Settings
from include.stack.environment import STACK_ID
from include.stack.home import stack_id

TERM_SECONDS = 5.0
KILL_SECONDS = 5.0


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
            psutil.wait_procs(left, timeout=0.2)
            left = _alive(left) | members(settings)
    return left


def describe(processes: Iterable[psutil.Process]) -> str:
    """One line for each process: its id and its command."""
    lines = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            lines.append(f"  {process.pid}  {' '.join(process.cmdline())[:100] or process.name()}")
    return "\n".join(lines)


def _alive(processes: Iterable[psutil.Process]) -> set[psutil.Process]:
    return {p for p in processes if _is_alive(p)}


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
