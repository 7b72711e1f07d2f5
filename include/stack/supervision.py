"""The process supervisor of a stack: how to launch it and how to talk to it over its Unix socket."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import xmlrpc.client
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import psutil
from supervisor.xmlrpc import SupervisorTransport

from include.settings import Settings
from include.stack import StackError
from include.stack.environment import process_environment
from include.stack.home import socket_path
from include.stack.members import is_alive, wait_for_end
from include.stack.programs import GROUP, log_file, supervisor_config

# What of the caller's environment changes what the processes do, beside what Settings holds.
CONSULTED = ("MODELOPS_DAGS_FOLDER", "MODELOPS_DATA_DOCS", "MODELOPS_PRELOAD")


@dataclass(frozen=True)
class ProcessState:
    """What the supervisor knows of one process; ``state`` is its word (RUNNING, STARTING, BACKOFF, FATAL, …)."""

    name: str
    state: str
    pid: int | None
    started_at: float

    @property
    def is_up(self) -> bool:
        """Running, or on its way; the supervisor notices the end of a process up to a second late."""
        try:
            return self.state in ("RUNNING", "STARTING") and is_alive(psutil.Process(self.pid))
        except psutil.NoSuchProcess:
            return False


class Supervisor:
    """The supervisor of one stack, running or not."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.home / "supervisor"
        self.socket = socket_path(settings)

    def states(self) -> tuple[ProcessState, ...] | None:
        """Ask for the state of every process; ``None`` when no supervisor answers."""
        try:
            answer = self._call("getAllProcessInfo")
        except (OSError, xmlrpc.client.Error):
            return None
        return tuple(ProcessState(p["name"], p["statename"], p["pid"] or None, p["start"]) for p in answer)

    def process(self, name: str) -> ProcessState | None:
        """Ask for the state of one process; ``None`` if there is no such process, or no supervisor."""
        return next((process for process in self.states() or () if process.name == name), None)

    def launch(self) -> None:
        """Write the configuration and start the supervisor in the background, with all processes."""
        self.folder.mkdir(exist_ok=True)
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        if self.socket.parent.lstat().st_uid != os.getuid():
            raise StackError(f"{self.socket.parent} belongs to another user.")
        config = self.folder / "supervisord.conf"
        config.write_text(supervisor_config(self.settings))
        result = subprocess.run(
            [sys.executable, "-P", "-m", "supervisor.supervisord", "-c", str(config)],
            env=process_environment(self.settings),
            cwd=self.settings.home,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise StackError(f"The process supervisor does not start:\n{result.stdout}{result.stderr}".rstrip())
        (self.folder / "fingerprint").write_text(self._fingerprint())

    def is_current(self) -> bool:
        """Tell whether what runs was started with the settings of now."""
        path = self.folder / "fingerprint"
        return path.is_file() and path.read_text() == self._fingerprint()

    def start_process(self, name: str) -> None:
        """Start one process that has ended or was given up; the supervisor may have done so in the meantime."""
        with contextlib.suppress(xmlrpc.client.Fault):
            self._call("startProcess", f"{GROUP}:{name}", False)

    def stop_process(self, name: str) -> None:
        """Ask one process and its group to end, without waiting; nothing happens if it is not running."""
        # If it is not running, or the supervisor has gone, then there is nothing to stop.
        with contextlib.suppress(OSError, xmlrpc.client.Error):
            self._call("stopProcess", f"{GROUP}:{name}", False)

    def restart_process(self, name: str) -> None:
        """Ask one process and its group to end, wait for that, and start it again."""
        # One that has ended by itself need not be stopped, and one that the supervisor starts need not be started.
        for method in ("stopProcess", "startProcess"):
            with contextlib.suppress(xmlrpc.client.Fault):
                self._call(method, f"{GROUP}:{name}", method == "stopProcess")

    def shutdown(self, timeout: float) -> None:
        """Stop everything and the supervisor itself, and wait for that, for ``timeout`` seconds at most."""
        with contextlib.suppress(OSError, xmlrpc.client.Error, psutil.NoSuchProcess):
            supervisor = psutil.Process(self._call("getPID"))
            self._call("shutdown")
            wait_for_end([supervisor], timeout)

    def log(self, name: str) -> Path:
        """Say where a process (or ``supervisord`` itself) writes what it prints."""
        return log_file(self.settings, name)

    def _call(self, method: str, *arguments: object) -> Any:
        transport = SupervisorTransport(serverurl=f"unix://{self.socket}")
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def _fingerprint(self) -> str:
        consulted = {key: os.environ[key] for key in CONSULTED if key in os.environ}
        environment = sorted(process_environment(self.settings, consulted).items())
        mail = self.settings.mail and astuple(self.settings.mail)  # with the password, which its repr leaves out
        told = supervisor_config(self.settings), environment, mail, self.settings.webhook_url
        return hashlib.sha256(repr(told).encode()).hexdigest()
