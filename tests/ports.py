"""Ports of 127.0.0.1 for servers that a test or a measurement starts."""

from __future__ import annotations

import random
import socket

from include.settings import HOST

# Linux gives the ports from 32768 on to connections that go out: one that is free now may be such a connection's when
# the server comes to listen.
_SHUFFLED = iter(random.sample(range(15_000, 32_000), 17_000))


def free_port() -> int:
    """A port that was free a moment ago; this process is never given it again."""
    for port in _SHUFFLED:
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise RuntimeError("every port has been given away")


def own_ports() -> dict[str, str]:
    """The variables that give a stack free ports of its own."""
    return {f"MODELOPS_{service}_PORT": str(free_port()) for service in ("AIRFLOW", "MLFLOW", "API")}
