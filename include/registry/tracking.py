"""MLflow runs: one per retrain, with a child per candidate. Every write finds what an earlier try left first."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunStatus
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NAME

from include.state.runs import Run

RUN_TAG = "modelops.run_id"
CANDIDATE_TAG = "modelops.candidate"


def connect(uri: str) -> MlflowClient:
    """A client of the server at ``uri``; that becomes the default too, against which artifacts are resolved."""
    mlflow.set_tracking_uri(uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def parent_run(client: MlflowClient, run: Run, tags: Mapping[str, str]) -> str:
    """The MLflow run of this retrain, made on first use; returns its id."""
    return _find_or_create(client, run, None, f"retrain as of {run.as_of}", tags)


def candidate_run(client: MlflowClient, run: Run, parent_id: str, candidate: str, tags: Mapping[str, str]) -> str:
    """The child run of ``candidate``; returns its id."""
    return _find_or_create(client, run, candidate, candidate, {**tags, MLFLOW_PARENT_RUN_ID: parent_id})


def log(
    client: MlflowClient,
    mlflow_run_id: str,
    *,
    metrics: Mapping[str, float] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    files: Mapping[str, list[Path]] | None = None,
) -> None:
    """Log all of it; ``files`` maps an artifact folder to local files. Logging the same again changes nothing."""
    at = int(time.time() * 1000)
    client.log_batch(
        mlflow_run_id,
        metrics=[Metric(name, float(value), at, 0) for name, value in (metrics or {}).items() if value is not None],
        params=[Param(name, str(value)) for name, value in (params or {}).items()],
    )
    for name, value in (tags or {}).items():
        client.set_tag(mlflow_run_id, name, value)
    for folder, paths in (files or {}).items():
        for path in paths:
            client.log_artifact(mlflow_run_id, str(path), folder)


@contextmanager
def finishing(client: MlflowClient, mlflow_run_id: str) -> Iterator[None]:
    """End the MLflow run with the block: ``FINISHED``, or ``FAILED`` when it raises."""
    try:
        yield
    except BaseException:
        client.set_terminated(mlflow_run_id, RunStatus.to_string(RunStatus.FAILED))
        raise
    client.set_terminated(mlflow_run_id, RunStatus.to_string(RunStatus.FINISHED))


def end_all(client: MlflowClient, run: Run, status: str) -> None:
    """End what a killed task of this run left ``RUNNING``, and the parent."""
    experiment = client.get_experiment_by_name(run.use_case)
    if experiment is None:
        return
    for found in client.search_runs([experiment.experiment_id], f"tags.`{RUN_TAG}` = '{_tag(run)}'"):
        if found.info.status == RunStatus.to_string(RunStatus.RUNNING):
            is_parent = CANDIDATE_TAG not in found.data.tags
            client.set_terminated(found.info.run_id, status if is_parent else "FAILED")


def experiment_id(client: MlflowClient, name: str) -> str:
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return str(experiment.experiment_id)
    try:
        return str(client.create_experiment(name))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        made = client.get_experiment_by_name(name)
        if made is None:
            raise
        return str(made.experiment_id)


def _tag(run: Run) -> str:
    return f"{run.kind}/{run.run_id}".replace("'", "_")


def _find_or_create(client: MlflowClient, run: Run, candidate: str | None, name: str, tags: Mapping[str, str]) -> str:
    experiment = experiment_id(client, run.use_case)
    found = client.search_runs([experiment], f"tags.`{RUN_TAG}` = '{_tag(run)}'")
    for earlier in found:
        if earlier.data.tags.get(CANDIDATE_TAG) == candidate:
            client.update_run(earlier.info.run_id, status=RunStatus.to_string(RunStatus.RUNNING))
            return str(earlier.info.run_id)
    own = {RUN_TAG: _tag(run), MLFLOW_RUN_NAME: name} | ({CANDIDATE_TAG: candidate} if candidate else {})
    return str(client.create_run(experiment, tags={**tags, **own}).info.run_id)
