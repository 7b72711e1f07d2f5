"""Runs in a real MLflow server: a repeat converges, nothing is printed, nothing stays open."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

from include.registry import tracking
from include.settings import Settings
from include.state.runs import Run

RUN = Run("churn", "retrain", "scheduled__it's", "2026-11-24")


@pytest.fixture
def client(settings: Settings) -> MlflowClient:
    return tracking.connect(settings.mlflow_uri)


def shown(client: MlflowClient) -> list[MlflowRun]:
    """What the experiment's page lists, oldest first."""
    return list(client.search_runs([tracking.experiment_id(client, "churn")], order_by=["attributes.start_time"]))


def train(client: MlflowClient, parent: str, candidate: str, **params: float) -> str:
    child = tracking.candidate_run(client, RUN, parent, candidate, {"kind": "tree"})
    with tracking.finishing(client, child):
        tracking.log(client, child, params=params, metrics={"cv_roc_auc": 0.8, "by_trial": [0.7, 0.8]})
    return child


def test_a_candidate_trained_again_with_other_params_replaces_its_child(client: MlflowClient):
    parent = tracking.parent_run(client, RUN, {"as_of": RUN.as_of})
    train(client, parent, "tree", depth=3)
    other = train(client, parent, "forest", depth=9)
    again = train(client, parent, "tree", depth=5)
    children = [run for run in shown(client) if run.info.run_id != parent]
    assert [(run.info.run_id, run.data.params) for run in children] == [
        (other, {"depth": "9"}),
        (again, {"depth": "5"}),
    ]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent}
    assert [metric.value for metric in client.get_metric_history(again, "by_trial")] == [0.7, 0.8]


def test_a_child_that_a_killed_task_left_open_is_replaced_too(client: MlflowClient):
    parent = tracking.parent_run(client, RUN, {})
    killed = tracking.candidate_run(client, RUN, parent, "tree", {})
    again = train(client, parent, "tree", depth=5)
    assert [run.info.run_id for run in shown(client)] == [parent, again]
    assert client.get_run(killed).info.status == "KILLED"


def test_the_parent_is_kept_while_it_is_open_and_says_what_is_true_now(client: MlflowClient):
    first = tracking.parent_run(client, RUN, {"fingerprint": "old", "as_of": RUN.as_of})
    assert tracking.parent_run(client, RUN, {"fingerprint": "new"}) == first
    assert client.get_run(first).data.tags.items() >= {"fingerprint": "new", "as_of": RUN.as_of}.items()
    tracking.end_all(client, RUN, "FINISHED")
    started_again = tracking.parent_run(client, RUN, {"fingerprint": "newer"})
    assert started_again != first
    assert client.get_run(first).data.tags["fingerprint"] == "new"


def test_what_is_left_open_is_found_and_ended(client: MlflowClient):
    parent = tracking.parent_run(client, RUN, {})
    tracking.candidate_run(client, RUN, parent, "tree", {})
    assert tracking.left_open(client, "churn") == {"scheduled__it_s"}
    tracking.end_all(client, RUN, "FINISHED")
    assert tracking.left_open(client, "churn") == set()
    assert [run.info.status for run in shown(client)] == ["FINISHED", "FAILED"]


def test_a_run_ends_with_its_block(client: MlflowClient):
    parent = tracking.parent_run(client, RUN, {})
    with pytest.raises(ZeroDivisionError), tracking.finishing(client, parent):
        raise ZeroDivisionError
    assert client.get_run(parent).info.status == "FAILED"


def test_nothing_is_printed_into_the_logs_of_tasks(client: MlflowClient, tmp_path: Path, capfd: pytest.CaptureFixture):
    (tmp_path / "figure.svg").write_text("<svg/>")
    parent = tracking.parent_run(client, RUN, {})
    tracking.log(client, parent, metrics={"roc_auc": 0.8}, files={"figures": [tmp_path / "figure.svg"]})
    tracking.log_data(client, parent, "churn", "customers@3", "/lake")
    train(client, parent, "tree", depth=5)
    tracking.end_all(client, RUN, "FINISHED")
    assert capfd.readouterr() == ("", "")
