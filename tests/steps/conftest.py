"""A home with a champion that knows the history of Telco's company, made once a module: every test gets a copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.cli.source import register_source
from include.registry import tracking, versions
from tests.conftest import MlflowServer, without_models
from tests.steps.company import HISTORY, ROWS, Company
from tests.steps.loop import FIRST, ingest, monitor, retrain


@pytest.fixture(scope="module")
def trained(telco_csv: Path, mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A home with a champion that knows the history, made once: every test gets a copy of it."""
    home = tmp_path_factory.mktemp("trained")
    company = Company(telco_csv, home)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MODELOPS_HOME", str(home))
        environment.setenv("MODELOPS_MLFLOW_PORT", str(mlflow_server.port))
        without_models(mlflow_server)
        register_source(company.settings, f"file://{company.folder}/{{day}}.csv")
        assert ingest("i1", FIRST) == "PUBLISHED"
        assert monitor("m0", FIRST) == "NO_CHAMPION"
        assert company.last_reasons() == ["nothing is in production yet; run churn_retrain"]
        assert retrain("r1") == "PROMOTED"
    return company


@pytest.fixture
def company(
    trained: Company, mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Company]:
    shutil.copytree(trained.home, tmp_path / "home", ignore=shutil.ignore_patterns("daily"))
    monkeypatch.setenv("MODELOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODELOPS_MLFLOW_PORT", str(mlflow_server.port))
    versions.set_alias(tracking.connect(trained.settings.mlflow_uri), "churn", versions.CHAMPION, "1")
    yield trained
    for path in trained.folder.glob("*.csv"):
        if path.stem >= FIRST:
            path.unlink()
    trained.used = HISTORY * ROWS
