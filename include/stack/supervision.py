"""The process supervisor: its configuration, and how to talk to it over its Unix socket."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import subprocess
import sys
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template

import psutil
from supervisor.xmlrpc import SupervisorTransport

from include.settings import HOST, Settings
from include.stack import StackError
from include.stack.environment import process_environment
from include.stack.home import socket_path
from include.stack.members import wait_for_end
from include.stack.ports import runs_mlflow

GROUP = "modelops"
# What of the caller's environment changes what the processes do, beside what Settings holds.
CONSULTED = ("MODELOPS_DAGS_FOLDER", "MODELOPS_PRELOAD")

DAEMON = Template("""\
[unix_http_server]
file=$socket
chmod=0700

[supervisord]
logfile=$logs/supervisord.log
logfile_maxbytes=5MB
logfile_backups=2
pidfile=$folder/supervisord.pid
childlogdir=$logs

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[group:$group]
programs=$programs
""")

# A process that ends within startsecs counts as one that does not start. stopwaitsecs is for a task that is asked to
# end: its group is killed after that.
PROGRAM = Template("""
[program:$name]
command=$command
directory=$directory
autorestart=true
startsecs=15
startretries=2
stopwaitsecs=10
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile=$log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
""")


@dataclass(frozen=True)
class ProcessState:
    """What the supervisor knows of one process; ``state`` is its word (RUNNING, STARTING, BACKOFF, FATAL, …)."""

    name: str
    state: str
    pid: int | None
    started_at: float

    @property
    def is_up(self) -> bool:
        """Running, or on its way."""
        return self.state in ("RUNNING", "STARTING")


class Supervisor:
    """The supervisor of one stack, running or not."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.home / "supervisor"
        self.socket = socket_path(settings)

    def states(self) -> tuple[ProcessState, ...] | None:
        """Ask for the state of every process; ``None`` when no supervisor answers."""
        try:
            answer = self._rpc().getAllProcessInfo()
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
        if self.socket.parent.stat().st_uid != os.getuid():
            raise StackError(f"{self.socket.parent} belongs to another user.")
        config = self.folder / "supervisord.conf"
        config.write_text(self._config())
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
        """Start one process that has ended or was given up."""
        self._rpc().startProcess(f"{GROUP}:{name}", False)

    def stop_process(self, name: str) -> None:
        """Ask one process and its group to end, without waiting; nothing happens if it is not running."""
        # If it is not running, or the supervisor has gone, then there is nothing to stop.
        with contextlib.suppress(OSError, xmlrpc.client.Error):
            self._rpc().stopProcess(f"{GROUP}:{name}", False)

    def shutdown(self, timeout: float) -> None:
        """Stop everything and the supervisor itself, and wait for that, for ``timeout`` seconds at most."""
        with contextlib.suppress(OSError, xmlrpc.client.Error, psutil.NoSuchProcess):
            rpc = self._rpc()
            supervisor = psutil.Process(rpc.getPID())
            rpc.shutdown()
            wait_for_end([supervisor], timeout)

    def log(self, name: str) -> Path:
        """Say where a process (or ``supervisord`` itself) writes what it prints."""
        return self.settings.home / "logs" / f"{name}.log"

    def _rpc(self) -> xmlrpc.client.ServerProxy:
        transport = SupervisorTransport(serverurl=f"unix://{self.socket}")
        return xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor

    def _config(self) -> str:
        programs = _programs(self.settings)
        values = {"socket": self.socket, "folder": self.folder, "logs": self.settings.home / "logs"}
        text = DAEMON.substitute(_escaped(values), group=GROUP, programs=",".join(programs))
        for name, command in programs.items():
            values = {"command": shlex.join(command), "directory": self.settings.home / "airflow"}
            text += PROGRAM.substitute(_escaped(values | {"log": self.log(name)}), name=name)
        return text

    def _fingerprint(self) -> str:
        consulted = {key: os.environ[key] for key in CONSULTED if key in os.environ}
        environment = sorted(process_environment(self.settings, consulted).items())
        return hashlib.sha256(f"{self._config()}{environment}".encode()).hexdigest()


def _programs(settings: Settings) -> dict[str, list[str]]:
    """The processes of the stack and their commands; -P keeps the working folder off sys.path."""
    python = [sys.executable, "-P", "-m"]
    airflow = {
        "api-server": [*python, "airflow", "api-server"],
        "scheduler": [*python, "airflow", "scheduler", "--skip-serve-logs"],
        "dag-processor": [*python, "airflow", "dag-processor"],
        "triggerer": [*python, "airflow", "triggerer", "--skip-serve-logs"],
    }
    return {"mlflow": [*python, "mlflow", *_mlflow_server(settings)], **airflow} if runs_mlflow(settings) else airflow


def _mlflow_server(settings: Settings) -> list[str]:
    folder = settings.home / "mlflow"
    hosts = ",".join(f"{name}:{settings.mlflow_port}" for name in (HOST, "localhost"))
    return [
        "server",
        f"--host={HOST}",
        f"--port={settings.mlflow_port}",
        f"--backend-store-uri=sqlite:///{folder / 'mlflow.db'}",
        "--serve-artifacts",
        f"--artifacts-destination={folder / 'artifacts'}",
        "--workers=1",
        f"--allowed-hosts={hosts}",
    ]


def _escaped(values: Mapping[str, object]) -> dict[str, str]:
    """Double the percent signs: supervisord reads them as the start of an expansion."""
    return {key: str(value).replace("%", "%%") for key, value in values.items()}
