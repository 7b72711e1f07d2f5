"""The environment of every process of the local stack."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from include.settings import HOST, PROJECT, Settings
from include.stack.home import stack_id
from include.stack.secrets import USER, load_secrets

STACK_ID = "MODELOPS_STACK_ID"
SHARED = Path(__file__).with_name("airflow.env")
# Left behind by the shell, make or another Airflow; they would change what our processes do.
FOREIGN = ("AIRFLOW_", "_AIRFLOW", "MAKE", "MFLAGS", "PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "SUPERVISOR_")
# Airflow's own log server listens on all interfaces, whatever its settings (airflow/utils/serve_logs/core.py), so it is
# not started: the API server reads the same files. It still asks for the log of a running task at the worker's
# address; nothing listens on port 1, and the answer is on the page already.
NO_LOG_SERVER_PORT = "1"


def process_environment(settings: Settings, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the whole environment for a process of this stack; makes the secrets if there are none yet."""
    kept = {key: value for key, value in inherited.items() if not key.startswith(FOREIGN)}
    return kept | read_env_file(SHARED) | _project(settings, kept) | _airflow(settings, kept) | _network(kept)


def read_env_file(path: Path) -> dict[str, str]:
    """Read ``KEY=VALUE`` lines; empty lines and those that start with ``#`` are skipped, quotes around a value go."""
    if not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.partition("=") for line in lines if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}


def load_dotenv() -> None:
    """Take ``MODELOPS_`` variables from the project's ``.env`` where the environment does not have them."""
    for key, value in read_env_file(PROJECT / ".env").items():
        if key.startswith("MODELOPS_"):
            os.environ.setdefault(key, value)


def dags_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Say where Airflow finds its DAGs; tests give a folder of their own."""
    return Path(environ.get("MODELOPS_DAGS_FOLDER") or PROJECT / "dags").expanduser().resolve()


def hostname() -> str:
    """Name this machine for Airflow, without asking the network who it is."""
    return HOST


def _project(settings: Settings, kept: Mapping[str, str]) -> dict[str, str]:
    """Where this project's own code finds things, spelled out so that every process agrees."""
    return {
        STACK_ID: stack_id(settings),
        "MODELOPS_HOME": str(settings.home),
        "MODELOPS_USE_CASES": os.pathsep.join(map(str, settings.use_case_folders)),
        "MODELOPS_STATE_URL": settings.state_url,
        "MODELOPS_LAKE_URI": settings.lake_uri,
        "MODELOPS_MLFLOW_URI": settings.mlflow_uri,
        "MODELOPS_MLFLOW_PAGES": settings.mlflow_pages,
        "MODELOPS_AIRFLOW_PAGES": settings.airflow_pages,
        "MODELOPS_AIRFLOW_PORT": str(settings.airflow_port),
        "MODELOPS_MLFLOW_PORT": str(settings.mlflow_port),
        "MODELOPS_API_PORT": str(settings.api_port),
        "MODELOPS_API_URL": settings.api_url,
        # Loopback, as everything here, whatever a container is told.
        "MODELOPS_API_HOST": HOST,
        "MODELOPS_API_USE_CASE": settings.api_use_case,
        "MODELOPS_TRAINING_SLOTS": str(settings.training_slots),
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        # Airflow puts the DAG folder on sys.path, not its parent.
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT), kept.get("PYTHONPATH", "")])),
        "PYTHONUNBUFFERED": "1",
        "PATH": os.pathsep.join(filter(None, [str(Path(sys.executable).parent), kept.get("PATH", "")])),
    }


def _airflow(settings: Settings, kept: Mapping[str, str]) -> dict[str, str]:
    """Airflow on this machine: one executor, SQLite, loopback only."""
    home = settings.home / "airflow"
    secrets = load_secrets(settings)
    address = airflow_url(settings)
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__EXECUTOR": "prompt_executor.LocalExecutor",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0",  # that executor waits
        # Idle workers are forked in advance, one for each task that may run at a time.
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder(kept)),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": f"{__name__}.{hostname.__name__}",
        # The timeout (seconds) is for writers that wait for each other; Airflow itself switches SQLite to WAL.
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(settings.airflow_port),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(home / "logs" / "dag_processor"),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": NO_LOG_SERVER_PORT,
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": NO_LOG_SERVER_PORT,
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "airflow.utils.log.file_task_handler=CRITICAL",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(secrets.passwords_file),
        "AIRFLOW__CORE__FERNET_KEY": secrets.fernet_key,
        "AIRFLOW__API__SECRET_KEY": secrets.api_secret_key,
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.jwt_secret,
    }


def _network(kept: Mapping[str, str]) -> dict[str, str]:
    """Keep calls to this machine off any proxy that the user's shell names."""
    direct = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), HOST, "localhost"]))
    return {"NO_PROXY": direct, "no_proxy": direct}


def airflow_url(settings: Settings) -> str:
    """Return the address of Airflow's API server, which is also that of its pages."""
    return f"http://{HOST}:{settings.airflow_port}"
