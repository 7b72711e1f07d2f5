"""A scoring API for tests: homes whose champion learned from Telco, and the API on one, in this process or its own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import httpx
import pytest
import yaml

from include.settings import PROJECT, Settings
from tests.ports import free_port

if TYPE_CHECKING:
    from tests.conftest import MlflowServer

WAIT_SECONDS = 60.0
FOLLOW_SECONDS = 10.0
"""How soon what is served has to be what the registry says."""
Change = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Served:
    """A home with a champion; ``package`` is the champion's, complete, and ``environ`` what a process needs of it."""

    settings: Settings
    use_case: str
    package: Path
    mlflow: MlflowServer
    environ: dict[str, str]

    @property
    def spec_path(self) -> Path:
        return self.settings.use_case_folders[0] / self.use_case / "spec.yaml"

    def key(self, *scopes: str) -> str:
        """A new key."""
        from include.state import api_keys
        from include.state.database import connect

        secret = api_keys.new_secret()
        api_keys.add(connect(self.settings.state_url), secret, "test", scopes or api_keys.SCOPES)
        return secret

    def promote(self, package: Path, fingerprint: str) -> str:
        """Register ``package`` and make it champion, as a retrain does; returns its version."""
        from include.registry import promotion, tracking
        from include.registry.promotion import Candidacy
        from include.state.database import connect
        from include.training.package import load

        version = self.register(package, fingerprint)
        client, engine = tracking.connect(self.settings.mlflow_uri), connect(self.settings.state_url)
        past = self.champion
        sha256 = load(package).manifest.model_sha256
        new = Candidacy(version, past, f"run {version}", "2026-11-24", sha256, fingerprint, "customers@1", {}, [])
        promotion.promote(engine, client, self.use_case, new)
        return version

    def register(self, package: Path, fingerprint: str) -> str:
        """Register ``package``; returns its version."""
        from include.registry import tracking, versions
        from include.state.database import connect
        from include.state.runs import Run
        from include.training.package import load

        client, engine = tracking.connect(self.settings.mlflow_uri), connect(self.settings.state_url)
        parent = tracking.parent_run(client, Run(self.use_case, "retrain", fingerprint, "2026-11-24"), {})
        tags = {"fingerprint": fingerprint, "model_sha256": load(package).manifest.model_sha256}
        return versions.register(engine, client, versions.Submission(self.use_case, package, parent, tags), load)

    @property
    def champion(self) -> str | None:
        from include.registry import tracking, versions

        return versions.alias(tracking.connect(self.settings.mlflow_uri), self.use_case)

    def set_alias(self, which: str, version: str) -> None:
        from include.registry import tracking, versions

        versions.set_alias(tracking.connect(self.settings.mlflow_uri), self.use_case, which, version)

    def change(self, *changes: Change) -> None:
        """Change the spec."""
        content = yaml.safe_load(self.spec_path.read_text(encoding="utf-8"))
        for change in changes:
            change(content)
        self.spec_path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


@dataclass
class Api:
    """An API that runs; ``http`` calls it with a key of all scopes."""

    url: str
    key: str
    use_case: str
    home: Path
    process: subprocess.Popen[bytes] | None = None
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        self.http = httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def predict(self, *rows: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
        answer = self.http.post("/v1/predict", json={"rows": rows, **options})
        assert answer.status_code == 200, answer.text
        return answer.json()["predictions"]

    def captured(self) -> list[Any]:
        """What the API has kept."""
        from include.serving.capture import read

        return list(read(self.home / "capture" / self.use_case))

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric, 0 where there is none."""
        wanted = {f'{key}="{value}"' for key, value in {"use_case": self.use_case, **labels}.items()}
        for line in self.http.get("/metrics").text.splitlines():
            found, _, value = line.rpartition(" ")
            if found.partition("{")[0] == name and wanted <= set(found.partition("{")[2].rstrip("}").split(",")):
                return float(value)
        return 0.0

    def wait(self, version: str, seconds: float = WAIT_SECONDS) -> None:
        """Until this version answers."""
        until(lambda: self.http.get("/ready").json().get("model_version") == version, seconds)


def until(holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Wait for ``holds``, and fail when it does not in time; the machine may be busy."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def telco_champion(tmp_path_factory: pytest.TempPathFactory, telco_csv: Path) -> Iterator[Served]:
    """Telco published and a gradient boosting promoted by the real steps, beside an MLflow server of their own."""
    from tests.conftest import copy_of_churn, run_mlflow

    folder = tmp_path_factory.mktemp("served")
    copy_of_churn(folder / "use_cases", _one_quick_candidate)
    with run_mlflow(folder) as mlflow:
        environ = {
            "MODELOPS_HOME": str(folder / "home"),
            "MODELOPS_USE_CASES": str(folder / "use_cases"),
            "MODELOPS_MLFLOW_PORT": str(mlflow.port),
        }
        with patch.dict(os.environ, environ):
            settings = Settings.from_environment()
            promote_on(settings, telco_csv)
        yield Served(settings, "churn", settings.run_folder("churn", "retrain-r1") / "package", mlflow, environ)


def promote_on(settings: Settings, telco_csv: Path) -> None:
    """Ingest Telco and retrain, in the home that the environment names."""
    from include.cli.source import register_source
    from tests.steps.loop import FIRST, ingest, retrain

    register_source(settings, str(telco_csv), "churn")
    assert ingest("i1", FIRST) == "PUBLISHED"
    assert retrain("r1") == "PROMOTED"


def _one_quick_candidate(content: dict[str, Any]) -> None:
    candidate = content["training"]["candidates"]["gradient_boosting"]
    content["training"]["candidates"] = {"gradient_boosting": {**candidate, "trials": 1}}


def home_with(champion: Served, folder: Path, *changes: Change, mlflow_port: int | None = None) -> Served:
    """A home of its own in ``folder`` with the same champion, for a test that changes registry, spec or files.

    Its use case has a name of its own, since the registry is shared. With ``mlflow_port`` the API asks there.
    """
    name = f"u{abs(hash(str(folder))) % 10**10}"
    target = folder / "use_cases" / name
    shutil.copytree(champion.spec_path.parent, target)
    environ = {
        "MODELOPS_HOME": str(folder / "home"),
        "MODELOPS_USE_CASES": str(target.parent),
        "MODELOPS_MLFLOW_PORT": str(champion.mlflow.port),
    }
    made = Served(Settings.from_environment(environ), name, champion.package, champion.mlflow, environ)
    made.change(lambda content: content.update(name=name), *changes)
    made.promote(champion.package, "first")
    asks = {"MODELOPS_MLFLOW_PORT": str(mlflow_port or champion.mlflow.port)}
    return replace(made, environ=environ | asks)


def publish(home: Served, champion: Served) -> None:
    """Let what is published of the champion's use case be published of the home's, too."""
    from include.state import publications
    from include.state.database import connect

    lake = Path(champion.settings.lake_uri) / champion.use_case
    shutil.copytree(lake, Path(home.settings.lake_uri) / home.use_case)
    newest = publications.latest(connect(champion.settings.state_url), champion.use_case, "data")
    assert newest is not None
    publications.publish(connect(home.settings.state_url), replace(newest, use_case=home.use_case))


@contextmanager
def api(served: Served, *, path: str = "/ready", poll_seconds: float = 0.3) -> Iterator[Api]:
    """The API in a thread of this process, once ``path`` is good: quick to start, and all but the process is real."""
    from include.serving.server import server

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        started = Api(
            f"http://127.0.0.1:{listener.getsockname()[1]}", served.key(), served.use_case, served.settings.home
        )
        with patch("include.serving.service.POLL_SECONDS", poll_seconds):
            running = server(replace(served.settings, api_use_case=served.use_case))
        thread = threading.Thread(target=lambda: asyncio.run(running.serve([listener])), daemon=True)
        thread.start()
        try:
            _wait_until_ready(started, path)
            yield started
        finally:
            started.http.close()
            running.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@contextmanager
def api_process(served: Served, *, ready: bool = True, **environ: str) -> Iterator[Api]:
    """``python -m include.serving``, killed at the end if it still runs; with ``ready`` once it has a model."""
    port = free_port()
    own = {"MODELOPS_API_PORT": str(port), "MODELOPS_API_USE_CASE": served.use_case, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "include.serving"]
    log = served.settings.home / f"api-{port}.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(
            command, cwd=PROJECT, env={**os.environ, **served.environ, **own, **environ}, stdout=out, stderr=out
        )
    started = Api(f"http://127.0.0.1:{port}", served.key(), served.use_case, served.settings.home, process)
    try:
        _wait_until_ready(started, "/ready" if ready else "/health")
        yield started
    finally:
        started.http.close()
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(20)


def _wait_until_ready(started: Api, path: str = "/ready") -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            answer = started.http.get(path)
            if answer.status_code == 200 and started.http.get("/v1/model").status_code != 401:
                return
            found = answer.text
        except httpx.HTTPError as error:
            found = repr(error)
        assert started.process is None or started.process.poll() is None, f"it ended: {started.home}/api-*.log"
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def telco_rows(path: Path, count: int | None = None) -> list[dict[str, Any]]:
    """Rows of the Telco file as a caller would send them: numbers as numbers, the label left out."""
    import pandas as pd

    frame = pd.read_csv(path, dtype={"SeniorCitizen": str}, nrows=count).drop(columns="Churn")
    frame["TotalCharges"] = pd.to_numeric(frame["TotalCharges"], errors="coerce")
    return json.loads(frame.to_json(orient="records"))
