"""What every test may ask for: the real Telco file, the churn use case, a state database, MLflow, a home."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

from include.settings import PROJECT, Settings
from include.spec import UseCase, load
from tests.ports import free_port
from tests.postgres import database, server
from tests.serving_api import telco_champion  # noqa: F401 - a fixture of all tests that serve

if TYPE_CHECKING:  # its import takes seconds, which most tests need not wait for
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
# Of the random choices of the faults; the processes that share the tests inherit it.
os.environ["SEED"] = os.environ.get("SEED") or str(secrets.randbelow(10**6))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"faults: the same choices again with SEED={os.environ['SEED']}")


@pytest.fixture(scope="session")
def telco_csv() -> Path:
    """The real Telco file, named by MODELOPS_TELCO_CSV; without it a skip, or a failure under REQUIRE_TELCO=1."""
    path = Path(os.environ.get("MODELOPS_TELCO_CSV") or "/nonexistent")
    if not path.is_file():
        complain = pytest.fail if os.environ.get("REQUIRE_TELCO") == "1" else pytest.skip
        complain("set MODELOPS_TELCO_CSV to the Telco churn file; the README says where it is")
    return path


@pytest.fixture(scope="session")
def churn() -> UseCase:
    return load(PROJECT / "include" / "use_cases" / "churn" / "spec.yaml")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL server, started on first use."""
    with server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty state database of each kind that the project supports."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state.db'}"
        return
    name = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]
    with database(request.getfixturevalue("postgres"), name) as url:
        yield url


def copy_of_churn(folder: Path, *changes: Callable[[dict[str, Any]], None]) -> None:
    """Make a copy of the churn use case in ``folder``, anew, with a spec that ``changes`` have been made to."""
    shutil.copytree(PROJECT / "include" / "use_cases" / "churn", folder / "churn", dirs_exist_ok=True)
    _change(folder, *changes)


def _change(folder: Path, *changes: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "churn" / "spec.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    for change in changes:
        change(content)
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


@pytest.fixture
def edit_churn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[dict[str, Any]], None]], None]:
    """Let the churn use case be a copy whose spec the given function changes; again edits the copy."""
    folder = tmp_path / "use_cases"
    copy_of_churn(folder)

    def edit(change: Callable[[dict[str, Any]], None]) -> None:
        _change(folder, change)
        monkeypatch.setenv("MODELOPS_USE_CASES", str(folder))

    return edit


@dataclass(frozen=True)
class MlflowServer:
    port: int
    artifacts: Path

    def package(self, version: ModelVersion) -> Path:
        """Where the server keeps the package of a registered version."""
        (found,) = self.artifacts.glob(f"*/models/{version.source.removeprefix('models:/')}/artifacts")
        return found


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with run_mlflow(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@contextmanager
def run_mlflow(folder: Path) -> Iterator[MlflowServer]:
    """An MLflow server of its own, with all that it keeps in ``folder``."""
    server = MlflowServer(free_port(), folder / "artifacts")
    command = [sys.executable, "-m", "mlflow", "server", "--host=127.0.0.1", f"--port={server.port}", "--workers=1"]
    stores = [f"--backend-store-uri=sqlite:///{folder}/mlflow.db", f"--artifacts-destination={server.artifacts}"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with open(folder / "log", "w") as log:
        process = subprocess.Popen([*command, *stores], stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        _wait(f"http://127.0.0.1:{server.port}/health", folder / "log")
        yield server
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def _wait(url: str, log: Path) -> None:
    for _ in range(240):
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.25)
    raise AssertionError(log.read_text())


def without_models(server: MlflowServer) -> MlflowClient:
    """A client of the server, in which no model is registered any more: another module's tests may have left some."""
    from include.registry import tracking

    client = tracking.connect(f"http://127.0.0.1:{server.port}")
    for model in client.search_registered_models():
        client.delete_registered_model(model.name)
    return client


@pytest.fixture
def settings(tmp_path: Path, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home of its own; the MLflow server is shared, so each test clears it first."""
    monkeypatch.setenv("MODELOPS_HOME", str(tmp_path))
    monkeypatch.setenv("MODELOPS_MLFLOW_PORT", str(mlflow_server.port))
    client = without_models(mlflow_server)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    for run in client.search_runs(experiments):
        client.delete_run(run.info.run_id)
    for model in client.search_logged_models(experiments):
        client.delete_logged_model(model.model_id)
    return Settings.from_environment()
