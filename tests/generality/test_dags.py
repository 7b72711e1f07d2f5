"""A folder with a spec is all that the DAG files need to make its DAGs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from include.settings import PROJECT

INSPECT = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
print("RESULT" + json.dumps({
    dag.dag_id: {
        "edges": {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks},
        "owner": dag.default_args["owner"],
        "tags": sorted(dag.tags),
        "cron": getattr(getattr(dag.timetable, "timetable", dag.timetable), "expression", None),
        "assets": sorted(asset.name for asset in getattr(dag.timetable.asset_condition, "objects", ())),
    }
    for dag in bag.dags.values()
}))
"""


def test_every_folder_of_modelops_use_cases_gets_its_dags(tmp_path: Path) -> None:
    folders = [PROJECT / "include" / "use_cases", PROJECT / "tests" / "use_cases"]
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "MODELOPS_USE_CASES": os.pathsep.join(map(str, folders)),
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "dags")]),
    }
    command = [sys.executable, "-c", INSPECT, str(PROJECT / "dags")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    dags = json.loads(done.stdout.split("RESULT")[1])
    kinds = ("ingest", "retrain", "monitor", "score")
    assert sorted(dags) == sorted(f"{name}_{kind}" for name in ("churn", "diagnosis") for kind in kinds)
    crons = {"ingest": "0 6 * * 1", "retrain": "0 7 * * 1", "monitor": "0 0 * * *", "score": None}
    for kind in kinds:
        ours, theirs = dags[f"diagnosis_{kind}"], dags[f"churn_{kind}"]
        assert ours["edges"] == theirs["edges"]
        assert ours["tags"] == sorted(["modelops", "diagnosis", kind])
        assert (ours["owner"], ours["cron"]) == ("pathology", crons[kind])
    assert dags["diagnosis_score"]["assets"] == ["diagnosis_champion", "diagnosis_published_data"]
