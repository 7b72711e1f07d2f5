"""The stack of containers, from the build to the last volume: retrains on the real Telco file, and predictions."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.settings import PROJECT
from include.stack.airflow_api import AirflowApi
from include.stack.environment import read_env_file
from tests.ports import own_ports

pytestmark = pytest.mark.compose

NAME = "modelops-test"
SERVICES = ("AIRFLOW", "MLFLOW", "API")
"""What is published."""
COLLECTED = """
from include.settings import Settings
from include.state import runs
from include.state.database import connect
print(runs.last(connect(Settings.from_environment().state_url), "churn", "monitor").details["collected"]["predictions"])
"""


@dataclass(frozen=True)
class Stack:
    """A running stack; ``env_file`` holds its secrets and ports."""

    env_file: Path

    @property
    def env(self) -> dict[str, str]:
        return read_env_file(self.env_file)

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.env[f'MODELOPS_{service}_PORT']}"

    def airflow(self) -> AirflowApi:
        return AirflowApi(self.url("AIRFLOW"), "admin", self.env["AIRFLOW_PASSWORD"])

    def compose(self, *arguments: str) -> str:
        command = ["docker", "compose", "--project-name", NAME, "--env-file", str(self.env_file), *arguments]
        result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=1800)
        assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}{result.stderr}"
        return result.stdout

    def modelops(self, *arguments: str) -> str:
        return self.compose("exec", "-T", "worker", "python", "-m", "include", *arguments)

    def log(self, container: str) -> str:
        command = ["docker", "logs", f"{NAME}-{container}"]
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True, timeout=60
        ).stdout

    def run(self, dag_id: str, run_id: str) -> str:
        """Run a DAG to its end; return the state that it ended in."""
        with self.airflow() as api:
            api.wait_for_dag(dag_id)
            api.trigger(dag_id, run_id, {})
            for _ in api.follow(dag_id, run_id, timeout=900):
                pass
            return api.run_state(dag_id, run_id)

    def status(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.modelops("status", "--json"))["use_cases"]["churn"]
        return state


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, telco_csv: Path) -> Iterator[Stack]:
    """Bring the stack up with secrets, ports and volumes of its own, and leave nothing of it."""
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("no container engine answers")
    folder = tmp_path_factory.mktemp("compose")
    env_file = folder / ".env"
    ports = "".join(f"{name}={port}\n" for name, port in own_ports().items())
    env_file.write_text(f"{ports}MODELOPS_SOURCES={telco_csv.parent}\n")
    subprocess.run(["make", "-s", "-f", PROJECT / "Makefile", "secrets"], cwd=folder, check=True)
    stack = Stack(env_file)
    try:
        stack.compose("up", "--build", "--detach", "--wait", "--wait-timeout", "900", "--scale", "worker=2")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "10")
    left = [
        subprocess.run(
            ["docker", kind, "ls", "--quiet", "--filter", f"label=com.docker.compose.project={NAME}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for kind in ("container", "volume", "network")
    ]
    assert left == ["", "", ""]


def test_nothing_runs_before_it_is_asked_for(stack: Stack) -> None:
    with stack.airflow() as api:
        api.wait_for_dag("churn_retrain")
    assert stack.status()["last_run"] is None


def test_both_pages_and_the_api_answer_and_nothing_else_is_published(stack: Stack) -> None:
    published = {
        (port["URL"], port["PublishedPort"])
        for line in stack.compose("ps", "--format", "json").splitlines()
        for port in json.loads(line)["Publishers"] or []
        if port["PublishedPort"]
    }
    assert published == {("127.0.0.1", int(stack.env[f"MODELOPS_{s}_PORT"])) for s in SERVICES}
    for service in ("AIRFLOW", "MLFLOW"):
        page = httpx.get(stack.url(service), follow_redirects=True, trust_env=False)
        assert page.is_success
        assert "<html" in page.text.lower()
    assert httpx.get(f"{stack.url('AIRFLOW')}/api/v2/dags", trust_env=False).status_code == 401


def test_a_retrain_on_the_real_file_ends_with_a_champion(stack: Stack, telco_csv: Path) -> None:
    stack.modelops("source", f"/sources/{telco_csv.name}")
    assert stack.run("churn_ingest", "first") == "success"
    assert stack.run("churn_retrain", "first") == "success"
    status = stack.status()
    assert status["last_run"]["outcome"] == "PROMOTED"
    assert status["champion"]["roc_auc_holdout"] == pytest.approx(0.845, abs=0.001)
    assert status["registered_versions"] == 1
    assert status["data"]["simulated"] is False


def test_the_champion_answers_who_has_a_key_and_the_worker_collects_what_it_answered(stack: Stack) -> None:
    key = stack.modelops("keys", "add", "test", "--scope", "predict").split()[0]
    url = f"{stack.url('API')}/churn/v1/customers/7590-VHVEG/predict"
    assert httpx.post(url, json={}, trust_env=False).status_code == 401
    headers, deadline = {"Authorization": f"Bearer {key}"}, time.monotonic() + 30
    while not (answer := httpx.post(url, json={}, headers=headers, trust_env=False)).is_success:
        assert time.monotonic() < deadline, answer.text
        time.sleep(1)
    assert answer.json()["prediction"]["model_version"] == "1"
    found = stack.status()["api"]
    assert (found["version"], found["is_current"], found["why"]) == ("1", True, [])
    assert stack.run("churn_monitor", "first") == "success"
    assert stack.compose("exec", "-T", "worker", "python", "-c", COLLECTED).split()[-1] == "1"


def test_the_same_again_changes_nothing(stack: Stack) -> None:
    assert stack.run("churn_ingest", "second") == "success"
    assert stack.run("churn_retrain", "second") == "success"
    status = stack.status()
    assert status["last_run"]["outcome"] == "UNCHANGED"
    assert status["registered_versions"] == 1


def test_each_worker_loads_the_libraries_once_and_both_work(stack: Stack) -> None:
    for worker in ("worker-1", "worker-2"):
        log = stack.log(worker)
        assert log.count("airflow_local_settings: Preloaded") == 1, worker
        assert "Cannot preload" not in log, worker
        assert "final_state=success" in log, worker


def test_the_state_outlives_the_containers(stack: Stack) -> None:
    champion = stack.status()["champion"]
    stack.compose("down")
    stack.compose("up", "--detach", "--wait", "--wait-timeout", "900")
    assert stack.status()["champion"] == champion
