"""The TCP ports of the stack: which variable gives each, whether it is free, who holds it."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from include.settings import HOST, Settings
from include.stack import StackError


@dataclass(frozen=True)
class Port:
    """One port of the stack, with the variable that gives it."""

    number: int
    variable: str
    service: str


def runs_mlflow(settings: Settings) -> bool:
    """Tell whether MLflow is part of the stack: not when ``MODELOPS_MLFLOW_URI`` names another server."""
    return settings.mlflow_uri == f"http://{HOST}:{settings.mlflow_port}"


def stack_ports(settings: Settings) -> tuple[Port, ...]:
    """List the ports that the stack listens on."""
    airflow = Port(settings.airflow_port, "MODELOPS_AIRFLOW_PORT", "Airflow")
    mlflow = Port(settings.mlflow_port, "MODELOPS_MLFLOW_PORT", "MLflow")
    api = Port(settings.api_port, "MODELOPS_API_PORT", "the scoring API")
    return (airflow, mlflow, api) if runs_mlflow(settings) else (airflow, api)


def require_free(ports: Iterable[Port]) -> None:
    """Raise ``StackError`` with every port that is taken or named twice, before anything is started."""
    seen: dict[int, Port] = {}
    problems = []
    for port in ports:
        if port.number in seen:
            problems.append(f"{seen[port.number].variable} and {port.variable} are both {port.number}.")
        elif is_taken(port.number):
            problems.append(
                f"Port {port.number}, which {port.service} needs, is taken{_by(port.number)}. "
                f"Stop that, or name another port: {port.variable}=… (in the environment or in .env)."
            )
        seen[port.number] = port
    if problems:
        raise StackError("\n".join(problems))


def is_taken(number: int) -> bool:
    """Tell whether something listens on the port; connections that are fading away do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except OSError:
            return True
    return False


def _by(number: int) -> str:
    """Name the process that listens, as far as this user may see it."""
    try:
        listening = (c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN)
        holder = next((c.pid for c in listening if c.laddr[1:2] == (number,) and c.pid), None)
        if holder is None:
            return " by a process of another user"
        return f" by process {holder} ({psutil.Process(holder).name()})"
    except psutil.Error:
        return ""
