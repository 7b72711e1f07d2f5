"""The registered model: its versions, its aliases and the packages behind them."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts, list_artifacts
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from sqlalchemy import Engine

from include.failpoints import reach
from include.registry.patience import patient
from include.registry.tracking import experiment_id
from include.state.lock import hold
from include.training.package import LoadedModel, PackageRefused, load

log = logging.getLogger(__name__)

CHAMPION = "champion"
CHALLENGER = "challenger"
UPLOAD_SECONDS = 600.0
NO_SUCH_ALIAS = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow answers when the model or the version is missing, and when only the alias is."""

Check = Callable[[Path], object]
"""Raises ``PackageRefused`` for a package that must not be registered."""


@patient
def registered(client: MlflowClient, name: str) -> list[ModelVersion]:
    """All versions of the model, newest first."""
    versions = client.search_model_versions(f"name = '{name}'")
    return sorted(versions, key=lambda version: int(version.version), reverse=True)


@patient
def alias(client: MlflowClient, name: str, which: str = CHAMPION) -> str | None:
    """The version that the alias points to, None when there is no such model, alias or version.

    An alias may outlive its version (mlflow#24825), so it is resolved and not only read.
    """
    try:
        return str(client.get_model_version_by_alias(name, which).version)
    except MlflowException as error:
        if error.error_code not in NO_SUCH_ALIAS:
            raise
        return None


def aliases(client: MlflowClient, name: str) -> dict[str, str]:
    """What stands for each alias, of which the version may be gone; none when the model does not exist.

    Asks once, without patience.
    """
    try:
        found = client.get_registered_model(name).aliases
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}
    return {which: str(version) for which, version in found.items()}


@patient
def set_alias(client: MlflowClient, name: str, which: str, version: str) -> None:
    """Let the alias point to ``version``."""
    client.set_registered_model_alias(name, which, version)
    reach("versions.aliased")


@patient
def drop_alias(client: MlflowClient, name: str, which: str) -> None:
    """Let the alias point nowhere."""
    client.delete_registered_model_alias(name, which)


class Irreproducible(RuntimeError):
    """The same rows, spec, code and versions made another model than they did before."""


@dataclass(frozen=True)
class Submission:
    """A package to be registered under ``name``, the MLflow run it comes from, and what its page says.

    ``about`` describes the model, ``description`` this version; ``tags`` hold its ``fingerprint``.
    """

    name: str
    package: Path
    run: str
    tags: dict[str, str]
    description: str = ""
    about: str = ""


def register(engine: Engine, client: MlflowClient, submission: Submission, check: Check) -> str:
    """Upload the package, ``check`` what arrived, and only then register it; returns the version.

    One fingerprint has one version: it is returned when there is one, and its package is uploaded again when it is
    damaged. Raises ``Irreproducible`` when that version holds another model.
    """
    with hold(engine, f"register {submission.name}", UPLOAD_SECONDS):
        _ensure_model(client, submission)
        known = _with_fingerprint(client, submission)
        if known is not None:
            _require_same_model(known, submission)
            _mend(client, _model_id(known), submission.package, check)
            return str(known.version)
        model_id = _new_model(client, submission)
        _upload(client, model_id, submission.package, check)
        return _make_version(client, submission, model_id)


def _require_same_model(version: ModelVersion, new: Submission) -> None:
    then, now = (tags.get("model_sha256") for tags in (version.tags, new.tags))
    if then != now:
        raise Irreproducible(
            f"{new.name}: the training that made version {version.version} ({then}) now made {now}; a candidate may "
            f"have failed in one of them. python -m include reproduce {version.version} --use-case {new.name} compares"
        )


def fetch(client: MlflowClient, name: str, version: str, cache: Path) -> LoadedModel:
    """The model that the registry means by ``version``, from ``cache`` or downloaded into it.

    Raises ``PackageRefused`` when it is damaged, gone, or not the model that was registered.
    """
    local, meant = folder(cache, name, version), _version(client, name, version)
    if local.is_dir():
        try:
            return _load(local, meant)
        except PackageRefused:  # damaged, or of a version that was deleted and whose number was given again
            shutil.rmtree(local)
    local.parent.mkdir(parents=True, exist_ok=True)
    with _downloaded(client, _model_id(meant), local.parent) as downloaded:
        model = _load(downloaded, meant)
        try:
            downloaded.rename(local)
        except OSError:
            if not local.is_dir():  # another process put it there first, which is as good
                raise
    return model


def is_of(version: ModelVersion, model_sha256: str) -> bool:
    """Whether it holds this model, as far as the registry tells: a version may have been registered without a hash."""
    return version.tags.get("model_sha256") in (None, model_sha256)


def _load(package: Path, meant: ModelVersion) -> LoadedModel:
    model = load(package)
    if not is_of(meant, model.manifest.model_sha256):
        raise PackageRefused(f"{package}: holds another model than version {meant.version} of {meant.name}")
    return model


def folder(cache: Path, name: str, version: str) -> Path:
    """Where ``fetch`` keeps the package of a version."""
    return cache / name / version


@patient
def _ensure_model(client: MlflowClient, new: Submission) -> None:
    try:
        client.create_registered_model(new.name, description=new.about)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


@patient
def _with_fingerprint(client: MlflowClient, new: Submission) -> ModelVersion | None:
    same = client.search_model_versions(f"name = '{new.name}' and tags.fingerprint = '{new.tags['fingerprint']}'")
    return same[0] if same else None


@patient
def _make_version(client: MlflowClient, new: Submission, model_id: str) -> str:
    """Show the logged model on the page of its run and make it a version, if it is none yet."""
    client.finalize_logged_model(model_id, LoggedModelStatus.READY)
    outputs = client.get_run(new.run).outputs
    if outputs is None or model_id not in [output.model_id for output in outputs.model_outputs]:
        client.log_outputs(new.run, [LoggedModelOutput(model_id, step=0)])
    reach("versions.ready")
    made = _with_fingerprint(client, new) or client.create_model_version(
        new.name,
        f"models:/{model_id}",
        new.run,
        new.tags,
        model_id=model_id,
        description=new.description,
        await_creation_for=0,
    )
    reach("versions.registered")
    return str(made.version)


@patient
def _version(client: MlflowClient, name: str, version: str) -> ModelVersion:
    try:
        return client.get_model_version(name, version)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise PackageRefused(f"version {version} of {name} is no longer in the registry") from error


def _model_id(version: ModelVersion) -> str:
    return str(version.source).removeprefix("models:/")


@patient
def _new_model(client: MlflowClient, new: Submission) -> str:
    """A logged model to upload into; those that an earlier try left without a version are deleted."""
    experiment = experiment_id(client, new.name)
    for left in client.search_logged_models([experiment], f"tags.fingerprint = '{new.tags['fingerprint']}'"):
        client.delete_logged_model(left.model_id)
    made = client.create_logged_model(experiment, name=new.name, source_run_id=new.run, tags=new.tags)
    reach("versions.created")
    return str(made.model_id)


def _upload(client: MlflowClient, model_id: str, package: Path, check: Check) -> None:
    patient(client.log_model_artifacts)(model_id, str(package))
    reach("versions.uploaded")
    with _downloaded(client, model_id, package.parent) as arrived:
        check(arrived)


def _mend(client: MlflowClient, model_id: str, package: Path, check: Check) -> None:
    try:
        with _downloaded(client, model_id, package.parent) as present:
            check(present)
    except PackageRefused as refusal:
        log.warning("%s is damaged and is uploaded again: %s", model_id, refusal)
        _upload(client, model_id, package, check)


@contextmanager
def _downloaded(client: MlflowClient, model_id: str, beside: Path) -> Iterator[Path]:
    """The package of a logged model in a temporary folder in ``beside``."""
    with tempfile.TemporaryDirectory(dir=beside, prefix=".") as temporary:
        yield _download(client, model_id, temporary)


@patient
def _download(client: MlflowClient, model_id: str, target: str) -> Path:
    # By its location: through its `models:` URI MLflow adds a file of its own, which no manifest lists.
    location = client.get_logged_model(model_id).artifact_location
    try:
        return Path(download_artifacts(artifact_uri=location, dst_path=target))
    except MlflowException as error:
        if not list_artifacts(artifact_uri=location):
            raise PackageRefused(f"{location}: the package is gone from the artifact store") from error
        # It does not say where to, and it may be the disk here that is full.
        raise MlflowException(f"{target}: {error}") from error
