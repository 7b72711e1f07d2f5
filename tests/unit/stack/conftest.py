"""A stack that is described but never started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from include.settings import Settings
from include.stack.home import prepare_home


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give settings with a prepared home and free ports."""
    environ = {
        "MODELOPS_HOME": str(tmp_path / "home"),
        "MODELOPS_AIRFLOW_PORT": str(free_port()),
        "MODELOPS_MLFLOW_PORT": str(free_port()),
        "MODELOPS_API_PORT": str(free_port()),
    }
    settings = Settings.from_environment(environ)
    prepare_home(settings)
    return settings
