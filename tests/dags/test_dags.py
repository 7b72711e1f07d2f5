"""The contract of the DAG files: which DAGs there are, how they hang together, and that parsing them is lean."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from include.settings import PROJECT
from tests.conftest import copy_of_churn

HEAVY = {"pandas", "numpy", "sklearn", "mlflow", "evidently", "great_expectations", "matplotlib", "deltalake"}
INSPECT = """
import importlib, json, os, sys
for name in ("ingest", "retrain", "monitor", "score"):
    importlib.import_module(name)
heavy = sorted(set(sys.modules) & set(json.loads(sys.argv[1])))
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[2])
assert not bag.import_errors, bag.import_errors
def woken_by(condition):
    return condition and [type(condition).__name__, *sorted(asset.name for asset in condition.objects)]
found = {}
for dag in bag.dags.values():
    found[dag.dag_id] = {
        "edges": {t.task_id: sorted(t.downstream_task_ids) for t in dag.tasks},
        "teardowns": [t.task_id for t in dag.tasks if t.is_teardown],
        "doc": dag.doc_md, "tags": sorted(dag.tags), "owner": dag.default_args["owner"],
        "catchup": dag.catchup, "max_active_runs": dag.max_active_runs, "params": sorted(dag.params),
        "at_a_time": {t.task_id: t.max_active_tis_per_dagrun for t in dag.tasks if t.max_active_tis_per_dagrun},
        "timeouts": [t.execution_timeout is not None for t in dag.tasks],
        "woken_by": woken_by(dag.timetable.asset_condition),
        "outlets": {t.task_id: [asset.name for asset in t.outlets] for t in dag.tasks if t.outlets},
        "links": {t.task_id: {l.name: l.xcom_key for l in t.operator_extra_links} for t in dag.tasks},
        "tell": {
            "close_run": [c.channel for c in dag.get_task("close_run").on_success_callback],
            "close_run that failed": [c.channel for c in dag.get_task("close_run").on_failure_callback],
            "failed run": [getattr(c, "channel", None) or c.func.__name__ for c in dag.on_failure_callback],
        },
        "retries": sorted({t.retries for t in dag.tasks}), "dagrun_timeout": dag.dagrun_timeout is not None,
    }
retrain = sys.modules["retrain"]
retrain.imported = lambda *step: lambda record, candidate: [*step, candidate, os.nice(0)]
trained = [retrain.train.function({}, candidate, "first") for candidate in ("first", "second")]
print("RESULT" + json.dumps({"heavy": heavy, "dags": found, "trained": trained}))
"""


FILLED = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
print("RESULT" + json.dumps({"dags": sorted(bag.dags), "errors": bag.import_errors}))
"""


def in_airflow(script: str, *arguments: str, **environment: str) -> dict:
    """What ``script`` prints after RESULT, in a process that can import the DAG files."""
    path = os.pathsep.join([str(PROJECT), str(PROJECT / "dags")])
    surrounding = {**os.environ, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PYTHONPATH": path, **environment}
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=surrounding, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.split("RESULT")[1])


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict:
    home = str(tmp_path_factory.mktemp("airflow"))
    arguments = json.dumps(sorted(HEAVY)), str(PROJECT / "dags")
    return in_airflow(INSPECT, *arguments, AIRFLOW_HOME=home, MODELOPS_TRAINING_SLOTS="3")


def test_parsing_imports_no_heavy_library(parsed):
    assert parsed["heavy"] == []


def test_there_are_exactly_these_dags(parsed):
    assert sorted(parsed["dags"]) == ["churn_ingest", "churn_monitor", "churn_retrain", "churn_score"]


def test_f9_a_spec_that_cannot_be_used_is_shown_and_stops_no_other_use_case(tmp_path: Path):
    copy_of_churn(tmp_path / "use_cases", lambda spec: None)
    broken = tmp_path / "use_cases" / "other" / "spec.yaml"
    broken.parent.mkdir()
    broken.write_text("name: other\ntitle: [")
    found = in_airflow(
        FILLED, str(PROJECT / "dags"), AIRFLOW_HOME=str(tmp_path), MODELOPS_USE_CASES=str(tmp_path / "use_cases")
    )
    assert found["dags"] == ["churn_ingest", "churn_monitor", "churn_retrain", "churn_score"]
    ((file, error),) = found["errors"].items()
    assert Path(file).name == "specs.py"
    assert f"{broken}: not readable as YAML" in error


@pytest.mark.parametrize("kind", ["ingest", "retrain", "monitor", "score"])
def test_every_dag_is_documented_bounded_and_owned(parsed, kind):
    dag = parsed["dags"][f"churn_{kind}"]
    assert "What to do" in dag["doc"]
    assert dag["tags"] == sorted(["modelops", "churn", kind])
    assert dag["owner"] == "customer-analytics"
    assert dag["catchup"] is False
    assert dag["max_active_runs"] == 1
    assert dag["dagrun_timeout"]
    assert all(dag["timeouts"])
    assert dag["retries"] == [2]
    assert dag["teardowns"] == ["close_run"]


def test_the_slowest_candidate_goes_before_the_others(parsed):
    (*step, first, usual), (*_, second, later) = parsed["trained"]
    assert step == ["retrain.training", "train"]
    assert (first, second) == ("first", "second")
    assert later > usual


def test_so_many_candidates_train_at_a_time_as_is_set(parsed):
    assert [dag["at_a_time"] for _, dag in sorted(parsed["dags"].items())] == [{}, {}, {"train": 3}, {}]


SENTENCES = {
    "ingest": {"open_run": ["land"], "land": ["validate"], "validate": ["publish"], "publish": ["close_run"]},
    "retrain": {
        "open_run": ["validate_window"],
        "validate_window": ["build_features"],
        "build_features": ["compare_with_last_training"],
        "compare_with_last_training": ["train"],
        "train": ["select"],
        "select": ["evaluate"],
        "evaluate": ["explain"],
        "explain": ["gate"],
        "gate": ["register"],
        "register": ["promote"],
        "promote": ["close_run"],
    },
    "monitor": {
        "open_run": ["collect"],
        "collect": ["check_quality"],
        "check_quality": ["compare_versions", "measure_drift"],
        "measure_drift": ["draw_report", "measure_attribution"],
        "draw_report": ["close_run"],
        "measure_attribution": ["measure_performance"],
        "measure_performance": ["decide"],
        "compare_versions": ["close_run"],
        "decide": ["request_retrain"],
        "request_retrain": ["close_run"],
    },
    "score": {
        "open_run": ["plan"],
        "plan": ["score"],
        "score": ["publish"],
        "publish": ["export"],
        "export": ["close_run"],
    },
}


@pytest.mark.parametrize("kind", SENTENCES)
def test_the_graph_reads_as_one_sentence(parsed, kind):
    assert parsed["dags"][f"churn_{kind}"]["edges"] == SENTENCES[kind] | {"close_run": []}


def test_every_task_calls_a_step_that_exists():
    source = "".join(path.read_text() for path in (PROJECT / "dags").glob("*.py"))
    named = re.findall(r'step\("([\w.]+)\.(\w+)"|imported\("([\w.]+)", "(\w+)"\)', source)
    assert len(set(named)) == 28
    for one in named:
        module, function = filter(None, one)
        assert callable(getattr(importlib.import_module(f"include.steps.{module}"), function))


@pytest.mark.parametrize("kind", SENTENCES)
def test_every_end_of_a_run_is_told(parsed, kind):
    channels = ["log", "email", "webhook"]
    assert parsed["dags"][f"churn_{kind}"]["tell"] == {
        "close_run": channels,
        "close_run that failed": channels,
        "failed run": ["close_ended_early", *channels],
    }


def test_only_the_form_of_the_retrain_asks_for_a_dry_run(parsed):
    assert parsed["dags"]["churn_retrain"]["params"] == ["as_of", "reason", "run_mode"]
    for kind in ("ingest", "monitor", "score"):
        assert parsed["dags"][f"churn_{kind}"]["params"] == ["as_of", "reason"]


def test_what_wakes_a_dag_is_what_another_one_has_done(parsed):
    dags = parsed["dags"]
    assert {name: dag["outlets"] for name, dag in dags.items() if dag["outlets"]} == {
        "churn_ingest": {"publish": ["churn_published_data"]},
        "churn_retrain": {"promote": ["churn_champion"]},
        "churn_monitor": {"request_retrain": ["churn_retrain_request"]},
    }
    assert {name: dag["woken_by"] for name, dag in dags.items() if dag["woken_by"]} == {
        "churn_retrain": ["AssetAll", "churn_retrain_request"],
        "churn_score": ["AssetAny", "churn_champion", "churn_published_data"],
    }


def test_ingest_and_monitor_edges(parsed):
    ingest, monitor = parsed["dags"]["churn_ingest"]["edges"], parsed["dags"]["churn_monitor"]["edges"]
    assert (ingest["validate"], ingest["publish"]) == (["publish"], ["close_run"])
    assert monitor["decide"] == ["request_retrain"]
    assert monitor["measure_performance"] == ["decide"]
    assert monitor["request_retrain"] == ["close_run"]


def test_the_gate_links_to_its_verdict(parsed):
    links = {task: found for dag in parsed["dags"].values() for task, found in dag["links"].items() if found}
    assert links == {"gate": {"Verdict": "verdict_page"}}


def test_include_never_imports_airflow():
    offenders = [
        str(path.relative_to(PROJECT))
        for path in (PROJECT / "include").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith(("import airflow", "from airflow"))
    ]
    assert offenders == []
