"""The databases of MLflow and Airflow, brought to the schema of the installed versions before anything is started."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from include.settings import Settings
from include.stack import StackError
from include.stack.environment import process_environment
from include.stack.ports import runs_mlflow

TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class Migration:
    """One database file and the command (a module and its arguments) that makes or upgrades it."""

    package: str
    database: Path
    command: tuple[str, ...]


def migrate(settings: Settings) -> bool:
    """Make or upgrade what is not at the installed version, side by side. Returns whether there was anything to do."""
    done_file = settings.home / "migrated.json"
    done = json.loads(done_file.read_text()) if done_file.is_file() else {}
    todo = [m for m in _migrations(settings) if not m.database.is_file() or done.get(m.package) != version(m.package)]
    if not todo:
        return False
    environment = process_environment(settings)
    with ThreadPoolExecutor(len(todo)) as pool:
        list(pool.map(lambda migration: _run(migration, settings, environment), todo))
    draft = done_file.with_suffix(".draft")
    draft.write_text(json.dumps(done | {m.package: version(m.package) for m in todo}))
    draft.replace(done_file)
    return True


def _migrations(settings: Settings) -> list[Migration]:
    mlflow = settings.home / "mlflow" / "mlflow.db"
    airflow = settings.home / "airflow" / "airflow.db"
    migrations = [Migration("apache-airflow-core", airflow, ("airflow", "db", "migrate"))]
    if runs_mlflow(settings):
        migrations.append(Migration("mlflow", mlflow, ("mlflow", "db", "upgrade", f"sqlite:///{mlflow}")))
    return migrations


def _run(migration: Migration, settings: Settings, environment: dict[str, str]) -> None:
    migration.database.parent.mkdir(parents=True, exist_ok=True)
    log = settings.home / "logs" / f"{migration.command[0]}-migration.log"
    with log.open("w") as output:
        result = subprocess.run(
            [sys.executable, "-P", "-m", *migration.command],
            env=environment,
            cwd=migration.database.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    if result.returncode:
        raise StackError(f"`{' '.join(migration.command)}` failed. The end of {log}:\n{tail(log)}")


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log file, or say that there is none."""
    if not log.is_file():
        return "  (no log)"
    return "\n".join(f"  {line}" for line in log.read_text(errors="replace").splitlines()[-lines:])
