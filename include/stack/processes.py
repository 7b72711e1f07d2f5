"""Start, stop and state of the local stack."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import psutil

from include.settings import Settings
from include.stack import StackError
from include.stack.home import exclusive, prepare_home
from include.stack.members import describe, end, kill_tasks, members, running_tasks, wait_for_end
from include.stack.migrations import migrate
from include.stack.ports import is_taken, require_free, stack_ports
from include.stack.readiness import not_ready, wait_until_ready
from include.stack.secrets import local_key
from include.stack.supervision import ProcessState, Supervisor

SHUTDOWN_SECONDS = 20.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class StackState:
    """The processes of the stack; ``late`` names those that are not up or do not answer."""

    processes: tuple[ProcessState, ...]
    late: frozenset[str]

    @property
    def running(self) -> bool:
        """Tell whether every process is up and answers."""
        return bool(self.processes) and not self.late


def state(settings: Settings) -> StackState:
    """Look at the stack without changing anything."""
    processes = Supervisor(settings).states() or ()
    if not processes:
        return StackState((), frozenset())
    with httpx.Client(trust_env=False, timeout=5) as client:
        return StackState(processes, frozenset(not_ready(client, settings, processes)))


def start(settings: Settings, say: Say = print) -> bool:
    """Bring the whole stack up and wait until it is ready. Returns ``False`` if it was running already.

    A stack that is half dead is repaired, one that was started with other settings is started again.
    """
    prepare_home(settings)
    supervisor = Supervisor(settings)
    with exclusive(settings, say):
        if supervisor.is_current() and state(settings).running:
            return False
        if supervisor.is_current() and supervisor.states():
            _repair(supervisor, say)
        else:
            _start_anew(supervisor, say)
        wait_until_ready(supervisor, say)
    return True


def restart(settings: Settings, name: str, say: Say = print) -> None:
    """Start one process anew, for what it reads only then, and wait until the stack is ready again."""
    supervisor = Supervisor(settings)
    with exclusive(settings, say):
        supervisor.restart_process(name)
        wait_until_ready(supervisor, say)


def stop(settings: Settings, say: Say = print) -> bool:
    """End every process of the stack, running tasks too. Returns ``False`` if nothing was running.

    Raises ``StackError`` with the list of what would not end.
    """
    lock = exclusive(settings, say) if settings.home.is_dir() else contextlib.nullcontext()
    with lock:
        was_running = _stop(Supervisor(settings))
    busy = [port for port in stack_ports(settings) if was_running and is_taken(port.number)]
    if busy:
        raise StackError("Still taken: " + ", ".join(f"{port.number} ({port.variable})" for port in busy))
    return was_running


def _start_anew(supervisor: Supervisor, say: Say) -> None:
    """Start from nothing: first whatever an earlier stack left behind is ended."""
    settings = supervisor.settings
    if _stop(supervisor):
        say("Ended the processes of an earlier start")
    require_free(stack_ports(settings))
    local_key(settings)
    began = time.monotonic()
    if migrate(settings):
        say(f"databases are ready ({time.monotonic() - began:.0f} s)")
    supervisor.launch()


def _repair(supervisor: Supervisor, say: Say) -> None:
    for process in supervisor.states() or ():
        if not process.is_up:
            say(f"{process.name} had ended; starting it again")
            supervisor.start_process(process.name)


def _stop(supervisor: Supervisor) -> bool:
    # Taken before the shutdown: later the descendants of a process that has ended can no longer be told.
    before = members(supervisor.settings)
    if supervisor.states():
        _stop_scheduler(supervisor)
        supervisor.shutdown(SHUTDOWN_SECONDS)
    left = end(supervisor.settings, before)
    if left:
        raise StackError(f"These processes would not end:\n{describe(left)}")
    return bool(before)


def _stop_scheduler(supervisor: Supervisor) -> None:
    """Stop the scheduler while the API server still runs: the end of a task is reported there, for its next try.

    A Python task goes on when it is asked to end, and the scheduler waits for it; so tasks are ended by force.
    """
    scheduler = supervisor.process("scheduler")
    if scheduler is None or scheduler.pid is None:
        return
    tasks = running_tasks(scheduler.pid)
    supervisor.stop_process("scheduler")
    kill_tasks(tasks)
    with contextlib.suppress(psutil.NoSuchProcess):
        wait_for_end([psutil.Process(scheduler.pid)], SHUTDOWN_SECONDS)
