from __future__ import annotations

import configparser
import shlex
from pathlib import Path

import pytest

from include.settings import PROJECT, Settings
from include.stack.environment import SHARED, process_environment, read_env_file
from include.stack.home import stack_id
from include.stack.programs import supervisor_config

INHERITED = {
    "PATH": "/usr/bin",
    "HTTP_PROXY": "http://proxy.example:3128",
    "NO_PROXY": "internal.example",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW_HOME": "/srv/another/airflow",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": "/srv/tools",
    "MODELOPS_DAGS_FOLDER": "/srv/dags",
    "MODELOPS_EXTRA": "kept",
    "MODELOPS_API_HOST": "0.0.0.0",
}


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return process_environment(settings, INHERITED)


def test_another_airflow_does_not_leak_in(environment: dict[str, str], settings: Settings) -> None:
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "prompt_executor.LocalExecutor"
    assert environment["AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME"] == "0"
    assert environment["AIRFLOW_HOME"] == str(settings.home / "airflow")
    assert "PYTHONDONTWRITEBYTECODE" not in environment


def test_the_project_comes_first_and_variables_are_passed_on(environment: dict[str, str], settings: Settings) -> None:
    assert environment["PYTHONPATH"].split(":") == [str(PROJECT), "/srv/tools"]
    assert environment["AIRFLOW__CORE__DAGS_FOLDER"] == "/srv/dags"
    assert environment["MODELOPS_EXTRA"] == "kept"
    assert environment["MODELOPS_STACK_ID"] == stack_id(settings)


def test_every_process_sees_the_settings_of_the_caller(environment: dict[str, str], settings: Settings) -> None:
    assert Settings.from_environment(environment) == settings


def test_the_scoring_api_listens_on_loopback_whatever_a_container_is_told(environment: dict[str, str]) -> None:
    assert Settings.from_environment(environment).api_host == "127.0.0.1"


def test_calls_to_this_machine_take_no_proxy(environment: dict[str, str]) -> None:
    assert environment["NO_PROXY"].split(",") == ["internal.example", "127.0.0.1", "localhost"]


def test_the_shared_settings_name_no_machine() -> None:
    shared = read_env_file(SHARED)
    values = " ".join(shared.values())
    assert "/" not in values
    assert "127.0.0.1" not in values
    assert not any("SECRET" in key or "FERNET" in key or "PASSWORD" in key for key in shared)


def test_an_env_file_may_have_comments_and_quotes(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# why\n\nA=1\n B = two words \nC='x=y'\n#D=4\n")
    assert read_env_file(file) == {"A": "1", "B": "two words", "C": "x=y"}
    assert read_env_file(tmp_path / "none") == {}


def test_the_supervisor_gets_loopback_addresses_and_no_secret(settings: Settings, environment: dict[str, str]) -> None:
    text = supervisor_config(settings)
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    mlflow = shlex.split(parser["program:mlflow"]["command"])
    assert "--host=127.0.0.1" in mlflow
    assert f"--allowed-hosts=127.0.0.1:{settings.mlflow_port},localhost:{settings.mlflow_port}" in mlflow
    for key in ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY"):
        assert environment[key] not in text


def test_an_mlflow_server_of_others_is_not_started(tmp_path: Path) -> None:
    environ = {"MODELOPS_HOME": str(tmp_path), "MODELOPS_MLFLOW_URI": "https://mlflow.example"}
    text = supervisor_config(Settings.from_environment(environ)).replace(str(tmp_path), "")
    assert "mlflow" not in text
    assert "[program:api]" in text
