"""The processes of the stack: their commands, and the configuration of the supervisor that runs them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template

from include.settings import HOST, Settings
from include.stack.home import socket_path
from include.stack.ports import runs_mlflow

GROUP = "modelops"

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
# end, and for requests under way: the group is killed after that.
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


def supervisor_config(settings: Settings) -> str:
    """Write out the configuration of supervisord, with one section for each process."""
    programs = _programs(settings)
    daemon = {"socket": socket_path(settings), "folder": settings.home / "supervisor", "logs": settings.home / "logs"}
    text = DAEMON.substitute(_escaped(daemon), group=GROUP, programs=",".join(programs))
    for name, command in programs.items():
        program = {
            "command": shlex.join(command),
            "directory": settings.home / "airflow",
            "log": log_file(settings, name),
        }
        text += PROGRAM.substitute(_escaped(program), name=name)
    return text


def log_file(settings: Settings, name: str) -> Path:
    """Say where a process of the stack writes what it prints."""
    return settings.home / "logs" / f"{name}.log"


def _programs(settings: Settings) -> dict[str, list[str]]:
    """The processes of the stack and their commands; -P keeps the working folder off sys.path."""
    python = [sys.executable, "-P", "-m"]
    programs = {
        "api-server": [*python, "airflow", "api-server"],
        "scheduler": [*python, "airflow", "scheduler", "--skip-serve-logs"],
        "dag-processor": [*python, "airflow", "dag-processor"],
        "triggerer": [*python, "airflow", "triggerer", "--skip-serve-logs"],
        "api": [*python, "include.serving"],
    }
    return {"mlflow": [*python, "mlflow", *mlflow_server(settings)], **programs} if runs_mlflow(settings) else programs


def mlflow_server(settings: Settings) -> list[str]:
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
