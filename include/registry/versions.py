"""The registered model: its versions, its champion alias and the packages behind them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from include.registry.tracking import experiment_id
from include.training.package import LoadedModel, PackageRefused, load

CHAMPION = "champion"
CHALLENGER = "challenger"


def registered(client: MlflowClient, name: str) -> list[ModelVersion]:
    """All versions of the model, newest first."""
    versions = client.search_model_versions(f"name = '{name}'")
    return sorted(versions, key=lambda version: int(version.version), reverse=True)


def alias(client: MlflowClient, name: str, which: str = CHAMPION) -> str | None:
    """The version that the alias points to, None when the model or the alias does not exist."""
    try:
        version = client.get_registered_model(name).aliases.get(which)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return str(version) if version is not None else None


def register(client: MlflowClient, name: str, package: Path, mlflow_run_id: str, tags: dict[str, str]) -> str:
    """Upload ``package`` and register it; a version with the same fingerprint is returned instead of a second one."""
    _ensure_model(client, name)
    same = client.search_model_versions(f"name = '{name}' and tags.fingerprint = '{tags['fingerprint']}'")
    if same:
        return str(same[0].version)
    model = client.create_logged_model(experiment_id(client, name), name=name, source_run_id=mlflow_run_id, tags=tags)
    client.log_model_artifacts(model.model_id, str(package))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    version = client.create_model_version(
        name, source=f"models:/{model.model_id}", run_id=mlflow_run_id, tags=tags, model_id=model.model_id
    )
    return str(version.version)


def fetch(client: MlflowClient, name: str, version: str, cache: Path) -> LoadedModel:
    """The model of ``version``, from ``cache`` or downloaded into it. Raises ``PackageRefused`` when it is damaged."""
    local = folder(cache, name, version)
    if local.is_dir():
        try:
            return load(local)
        except PackageRefused:
            shutil.rmtree(local)  # the copy here is damaged; the registry's own may be whole
    local.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=local.parent, prefix=".") as temporary:
        # By its location: through its `models:` URI MLflow adds a file of its own, which no manifest lists.
        model_id = str(client.get_model_version(name, version).source).removeprefix("models:/")
        location = client.get_logged_model(model_id).artifact_location
        downloaded = download_artifacts(artifact_uri=location, dst_path=temporary)
        model = load(Path(downloaded))
        try:
            Path(downloaded).rename(local)
        except OSError:
            if not local.is_dir():  # another process put it there first, which is as good
                raise
    return model


def folder(cache: Path, name: str, version: str) -> Path:
    """Where ``fetch`` keeps the package of a version."""
    return cache / name / version


def _ensure_model(client: MlflowClient, name: str) -> None:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
