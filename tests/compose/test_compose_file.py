"""What docker-compose.yaml, the Dockerfile and `make secrets` promise, read from the files; no engine is needed."""

from __future__ import annotations

import base64
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.settings import PROJECT

TEXT = (PROJECT / "docker-compose.yaml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "modelops"}
AIRFLOW = {name: service for name, service in OURS.items() if name not in ("mlflow", "api")}
REQUIRED = set(re.findall(r"\$\{(\w+):\?", TEXT))
# A variable that compose puts in: ${NAME}, or with what is after the name; $$ is a dollar of the container's own.
VARIABLE = re.compile(r"(?<!\$)\$\{?(\w+)([^}]*)")
OPTIONAL = ("PGPASSWORD", "MODELOPS_SMTP_PASSWORD")
"""Of a source in PostgreSQL and of a mail server, which not everybody has."""
SECRET_NAME = re.compile(r"PASSWORD|SECRET|KEY|AUTH$")


def test_only_the_two_pages_and_the_api_are_published_and_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {
        "api": ["127.0.0.1:${MODELOPS_API_PORT:-8000}:8000"],
        "api-server": ["127.0.0.1:${MODELOPS_AIRFLOW_PORT:-8080}:8080"],
        "mlflow": ["127.0.0.1:${MODELOPS_MLFLOW_PORT:-5000}:5000"],
    }
    assert not [name for name, service in SERVICES.items() if "network_mode" in service]


def test_one_image_is_built_once() -> None:
    assert [name for name, service in SERVICES.items() if "build" in service] == ["migrate"]
    assert set(SERVICES) - set(OURS) == {"postgres", "valkey"}


def test_every_service_of_ours_reads_the_shared_settings() -> None:
    assert {name: service.get("env_file") for name, service in OURS.items()} == dict.fromkeys(
        OURS, "include/stack/airflow.env"
    )
    shared = {line.partition("=")[0] for line in (PROJECT / "include/stack/airflow.env").read_text().splitlines()}
    for name, service in OURS.items():
        assert not shared & set(service["environment"]), f"{name} has its own value of a shared setting"


def test_every_component_of_airflow_has_the_same_settings() -> None:
    own = re.compile(
        "COMPONENT|AIRFLOW__API__WORKERS|.*SIMPLE_AUTH_MANAGER.*|.*WORKER_CONCURRENCY|MLFLOW_BACKEND.*|"
        "MODELOPS_(PRELOAD|DATA_DOCS|SMTP_.*|WEBHOOK_URL|AIRFLOW_PAGES)"
    )
    settings = [
        {key: value for key, value in service["environment"].items() if not own.fullmatch(key)}
        for service in AIRFLOW.values()
    ]
    assert len(settings) == 6
    assert all(other == settings[0] for other in settings)
    assert {
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__API__SECRET_KEY",
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    } <= set(settings[0])


def test_the_scoring_api_shares_state_and_home_with_the_workers_and_no_secret_of_airflow() -> None:
    api, worker = SERVICES["api"], SERVICES["worker"]
    assert not [key for key in api["environment"] if "AIRFLOW" in key]
    assert {key: worker["environment"][key] for key in ("MODELOPS_STATE_URL", "MODELOPS_MLFLOW_URI")}.items() <= (
        api["environment"].items()
    )
    assert set(api["volumes"]) <= set(worker["volumes"])
    assert worker["environment"]["MODELOPS_API_URL"] == "http://api:8000"


def test_no_password_has_a_default_or_is_written_down() -> None:
    named = {name: rest for name, rest in VARIABLE.findall(TEXT) if SECRET_NAME.search(name)}
    for optional in OPTIONAL:
        assert named.pop(optional) == ":-", "empty unless somebody gives it"
    assert named.keys() == REQUIRED
    assert all(rest == ":?run `make secrets`" for rest in named.values()), named
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if SECRET_NAME.search(key) and not key.endswith("_FILE") and key not in OPTIONAL:
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), key
            for password in re.findall(r"://\w*:([^@]*)@", str(value)):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", password), key


def test_only_those_who_tell_how_runs_ended_know_where_to() -> None:
    settings = (PROJECT / "include" / "settings.py").read_text()
    asked = set(re.findall(r"MODELOPS_(?:SMTP_\w+|WEBHOOK_URL|AIRFLOW_PAGES)", settings))
    assert len(asked) == 8
    for name, service in OURS.items():
        told = {key for key in service["environment"] if key in asked}
        assert told == (asked if name in ("worker", "dag-processor") else set()), name


def test_every_service_that_stays_has_a_patient_health_check() -> None:
    staying = {name: service for name, service in SERVICES.items() if name != "migrate"}
    for name, service in staying.items():
        check = service["healthcheck"]
        assert check["test"], name
        assert check["start_period"] == "5m", name
        assert service["restart"] == "unless-stopped", name
    assert SERVICES["migrate"]["restart"] == "no"


def test_nothing_of_ours_starts_before_the_databases_are_migrated() -> None:
    for name in OURS.keys() - {"migrate"}:
        assert SERVICES[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}, name
    assert SERVICES["migrate"]["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "valkey": {"condition": "service_healthy"},
    }


def test_the_image_is_the_lock_with_hashes_and_does_not_run_as_root() -> None:
    text = (PROJECT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert "syntax=" not in text, "a frontend would have to be fetched from a registry"
    installs = [line for line in lines if "pip install" in line]
    assert len(installs) == 2
    assert all("--require-hashes" in line for line in installs)
    assert "--compile-bytecode" in installs[-1]
    assert not re.search(r"https?://", text)
    assert [line for line in lines if line.startswith("USER")] == ["USER modelops"]


def test_the_image_takes_nothing_but_code_and_lock() -> None:
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "*",
        "!requirements.txt",
        "!dags",
        "!plugins",
        "!include",
        "**/__pycache__",
    ]


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Run ``make secrets`` in an empty folder."""
    subprocess.run(["make", "-s", "-f", PROJECT / "Makefile", "secrets"], cwd=tmp_path, check=True)
    return tmp_path / ".env"


def test_make_secrets_gives_all_that_compose_asks_for(made: Path) -> None:
    secrets = dict(line.split("=", 1) for line in made.read_text().splitlines())
    assert secrets.keys() == REQUIRED
    assert len(set(secrets.values())) == len(secrets)
    lengths = {name: len(base64.urlsafe_b64decode(secret)) for name, secret in secrets.items()}
    assert lengths.pop("AIRFLOW_JWT_SECRET") == 64, "what SHA-512 asks for"
    assert set(lengths.values()) == {32}
    assert made.stat().st_mode & 0o777 == 0o600


def test_make_secrets_keeps_what_is_there(made: Path) -> None:
    before = made.read_text()
    kept = before.splitlines()[0]
    made.write_text(f"MODELOPS_AIRFLOW_PORT=9999\n{kept}")
    subprocess.run(["make", "-s", "-f", PROJECT / "Makefile", "secrets"], cwd=made.parent, check=True)
    assert made.read_text().splitlines()[:2] == ["MODELOPS_AIRFLOW_PORT=9999", kept]
    assert len(made.read_text().splitlines()) == 1 + len(before.splitlines())
