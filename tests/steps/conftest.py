"""A real MLflow server for all tests of the steps, and a home of its own for each."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from include.settings import Settings


@pytest.fixture(scope="session")
def mlflow_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with open(folder / "log", "w") as log:
        server = subprocess.Popen([*command, *stores], stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        _wait(f"http://127.0.0.1:{port}/health", folder / "log")
        yield port
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def _wait(url: str, log: Path) -> None:
    for _ in range(240):
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.25)
    raise AssertionError(log.read_text())


@pytest.fixture
def settings(tmp_path: Path, mlflow_port: int, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home of its own; the MLflow server is shared, so each test clears it first."""
    monkeypatch.setenv("MODELOPS_HOME", str(tmp_path))
    monkeypatch.setenv("MODELOPS_MLFLOW_PORT", str(mlflow_port))
    from include.registry import tracking

    client = tracking.connect(f"http://127.0.0.1:{mlflow_port}")
    for model in client.search_registered_models():
        client.delete_registered_model(model.name)
    for run in client.search_runs([e.experiment_id for e in client.search_experiments()]):
        client.delete_run(run.info.run_id)
    return Settings.from_environment()
