"""MLflow runs: one per retrain, with a child per candidate.

Every operation finds what an earlier try left and converges. A retrain that is started again after its end gets a new
parent; a candidate that is trained again gets a new child, and the old one is deleted, since MLflow's params are final.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag
from mlflow.entities import Run as MlflowRun
from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR, MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import (
    MLFLOW_LOGGED_ARTIFACTS,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NAME,
    MLFLOW_RUN_NOTE,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
)

from include.failpoints import reach
from include.registry.patience import patient, switch_off_blind_retries
from include.state.runs import Run

RUN_TAG = "modelops.run_id"
CANDIDATE_TAG = "modelops.candidate"
NOTE = MLFLOW_RUN_NOTE
# Without it MLflow's pages take the experiment for one about language models.
EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}


def connect(uri: str) -> MlflowClient:
    """A client of the server at ``uri``; that becomes the default too, against which artifacts are resolved."""
    switch_off_blind_retries()
    # Addresses and progress bars would fill the logs of the tasks.
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
    mlflow.set_tracking_uri(uri)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


@patient
def parent_run(client: MlflowClient, run: Run, tags: Mapping[str, str]) -> str:
    """The open MLflow run of this retrain, made on first use, with these ``tags``; returns its id."""
    experiment = experiment_id(client, run.use_case)
    for found in _found(client, experiment, f"{_is(run)} and attributes.status = 'RUNNING'"):
        if CANDIDATE_TAG not in found.data.tags:
            client.log_batch(found.info.run_id, tags=_run_tags(tags))
            return str(found.info.run_id)
    return _create(client, experiment, {**tags, **_origin(run), MLFLOW_RUN_NAME: f"retrain as of {run.as_of}"})


@patient
def candidate_run(client: MlflowClient, run: Run, parent_id: str, candidate: str, tags: Mapping[str, str]) -> str:
    """A new child of ``parent_id`` for ``candidate``, instead of any earlier one; returns its id."""
    experiment = experiment_id(client, run.use_case)
    for earlier in _found(client, experiment, f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent_id}'"):
        if earlier.data.tags.get(CANDIDATE_TAG) == candidate:
            _end(client, earlier, "KILLED")
            client.delete_run(earlier.info.run_id)
    own = {**_origin(run), MLFLOW_RUN_NAME: candidate, CANDIDATE_TAG: candidate, MLFLOW_PARENT_RUN_ID: parent_id}
    return _create(client, experiment, {**tags, **own})


@patient
def log_data(client: MlflowClient, mlflow_run_id: str, name: str, data_version: str, uri: str) -> None:
    """Log which data the run learned from; MLflow shows it as the run's dataset."""
    source = json.dumps({"uri": uri, "data_version": data_version})
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]
    client.log_inputs(mlflow_run_id, [DatasetInput(Dataset(name, digest, "delta", source))])


def log(
    client: MlflowClient,
    mlflow_run_id: str,
    *,
    metrics: Mapping[str, float | Sequence[float]] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    files: Mapping[str, list[Path]] | None = None,
) -> None:
    """Log all of it; a sequence is a metric by step, ``files`` maps an artifact folder to local files.

    What is logged last is what is shown.
    """
    at = int(time.time() * 1000)
    series = {name: value if isinstance(value, Sequence) else [value] for name, value in (metrics or {}).items()}
    numbers = [Metric(name, float(v), at, step) for name, values in series.items() for step, v in enumerate(values)]
    settings = [Param(name, str(value)) for name, value in (params or {}).items()]
    _log(client, mlflow_run_id, numbers, settings, _run_tags(tags), files or {})


def as_tables(*paths: str) -> dict[str, str]:
    """The tag by which MLflow shows artifacts as tables: JSON with ``columns`` and ``data``, a list for each row."""
    return {MLFLOW_LOGGED_ARTIFACTS: json.dumps([{"path": path, "type": "table"} for path in paths])}


@contextmanager
def finishing(client: MlflowClient, mlflow_run_id: str) -> Iterator[None]:
    """End the MLflow run with the block: ``FINISHED``, or ``FAILED`` when it raises."""
    try:
        yield
    except BaseException:
        # What the block raised says more; a run that stays open here is ended with the retrain.
        with suppress(MlflowException):
            client.set_terminated(mlflow_run_id, "FAILED")
        raise
    patient(client.set_terminated)(mlflow_run_id, "FINISHED")


def page(client: MlflowClient, base: str, mlflow_run_id: str, artifact: str) -> str:
    """The address in the pages of MLflow, which a browser finds at ``base``, that shows an artifact of the run."""
    found = patient(client.get_run)(mlflow_run_id)
    return f"{base.rstrip('/')}/#/experiments/{found.info.experiment_id}/runs/{mlflow_run_id}/artifacts/{artifact}"


@patient
def end_all(client: MlflowClient, run: Run, status: str) -> None:
    """End the parent as ``status``, and as ``FAILED`` what a killed task of this run left open."""
    experiment = client.get_experiment_by_name(run.use_case)
    if experiment is not None:
        for found in _found(client, experiment.experiment_id, _is(run)):
            _end(client, found, "FAILED" if CANDIDATE_TAG in found.data.tags else status)


@patient
def left_open(client: MlflowClient, use_case: str) -> set[str]:
    """The ids of the retrains with a run that is still open in MLflow."""
    experiment = client.get_experiment_by_name(use_case)
    if experiment is None:
        return set()
    open_runs = _found(client, experiment.experiment_id, "attributes.status = 'RUNNING'")
    return {found.data.tags[RUN_TAG].partition("/")[2] for found in open_runs if RUN_TAG in found.data.tags}


def experiment_id(client: MlflowClient, name: str) -> str:
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return str(experiment.experiment_id)
    try:
        return str(client.create_experiment(name, tags=EXPERIMENT_TAGS))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        made = client.get_experiment_by_name(name)
        if made is None:
            raise
        return str(made.experiment_id)


def _name(run: Run) -> str:
    return f"{run.kind}/{run.run_id}".replace("'", "_")


def _origin(run: Run) -> dict[str, str]:
    return {RUN_TAG: _name(run), MLFLOW_SOURCE_NAME: f"{run.use_case}_{run.kind}", MLFLOW_SOURCE_TYPE: "JOB"}


def _is(run: Run) -> str:
    return f"tags.`{RUN_TAG}` = '{_name(run)}'"


def _create(client: MlflowClient, experiment: str, tags: dict[str, str]) -> str:
    created = str(client.create_run(experiment, tags=tags).info.run_id)
    reach("tracking.created")
    return created


def _found(client: MlflowClient, experiment: str, condition: str) -> list[MlflowRun]:
    return list(client.search_runs([experiment], condition))


def _end(client: MlflowClient, found: MlflowRun, status: str) -> None:
    if found.info.status == "RUNNING":
        client.set_terminated(found.info.run_id, status)


def _run_tags(tags: Mapping[str, str] | None) -> list[RunTag]:
    return [RunTag(name, value) for name, value in (tags or {}).items()]


@patient
def _log(
    client: MlflowClient,
    mlflow_run_id: str,
    metrics: list[Metric],
    params: list[Param],
    tags: list[RunTag],
    files: Mapping[str, list[Path]],
) -> None:
    client.log_batch(mlflow_run_id, metrics=metrics, params=params, tags=tags)
    for folder, paths in files.items():
        for path in paths:
            client.log_artifact(mlflow_run_id, str(path), folder)
    reach("tracking.logged")
