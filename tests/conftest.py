"""What every test may ask for: the real Telco file, the churn use case, an empty state database."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.settings import PROJECT
from include.spec import UseCase, load
from tests.postgres import database, server

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")


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
