"""The DAG folder asks for its files to be parsed when what they are made of is edited, and only then."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from include.settings import PROJECT
from include.stack.environment import SHARED, read_env_file
from tests.conftest import copy_of_churn

ROUNDS = """
import json, os, pathlib
from airflow import settings
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.models.dagbag import DagPriorityParsingRequest
from sqlalchemy import delete, select
from airflow.utils.session import create_session
DagPriorityParsingRequest.__table__.create(settings.get_engine())
(folder,) = DagBundlesManager().get_all_dag_bundles()
found = {}
def look(name, take=True):
    folder.refresh()
    with create_session() as session:
        found[name] = sorted(session.scalars(select(DagPriorityParsingRequest.relative_fileloc)))
        if take:
            session.execute(delete(DagPriorityParsingRequest))
use_case = pathlib.Path(os.environ["MODELOPS_USE_CASES"]) / "churn"
look("at first")
look("without an edit")
with (use_case / "spec.yaml").open("a") as spec:
    spec.write("# edited\\n")
look("after an edit of a spec", take=False)
(use_case / "features.py").unlink()
look("after another that nobody has taken yet")
(use_case / "__pycache__").mkdir(exist_ok=True)
(use_case / "__pycache__" / "x.pyc").write_text("")
look("after a module was compiled")
folder._looked_at -= 100
look("after a sleep")
print("RESULT" + json.dumps(found))
"""
DAG_FILES = ["ingest.py", "monitor.py", "retrain.py", "score.py", "specs.py"]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The files that are asked for, round by round."""
    home = tmp_path_factory.mktemp("airflow")
    copy_of_churn(home / "use_cases")
    environment = {
        **os.environ,
        **read_env_file(SHARED),
        "PYTHONPATH": str(PROJECT),
        "MODELOPS_USE_CASES": str(home / "use_cases"),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
    }
    command = [sys.executable, "-c", ROUNDS]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.split("RESULT")[1])


@pytest.mark.parametrize("after", ["at first", "without an edit", "after a module was compiled"])
def test_nothing_is_asked_for_without_an_edit(asked: dict[str, list[str]], after: str) -> None:
    assert asked[after] == []


@pytest.mark.parametrize(
    "after", ["after an edit of a spec", "after another that nobody has taken yet", "after a sleep"]
)
def test_all_files_with_dags_are_asked_for_once_after_an_edit(asked: dict[str, list[str]], after: str) -> None:
    assert asked[after] == DAG_FILES
