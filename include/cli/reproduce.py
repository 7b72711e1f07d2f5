"""``python -m include reproduce``: trains a registered version again from its record and compares the models."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pandas as pd
from deltalake.exceptions import DeltaError
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from include import spec as specs
from include.cli.console import error, heading, line
from include.data.sources import label_delay
from include.data.window import Lake, window_start
from include.errors import DataRejected
from include.features.build import source_path
from include.registry import tracking, versions
from include.registry.patience import is_outage
from include.settings import Settings
from include.spec import SpecError, UseCase
from include.stack import StackError
from include.state import publications, sources
from include.state.database import connect
from include.training.package import LoadedModel, PackageRefused
from include.training.reproduction import Reproduction
from include.training.reproduction import reproduce as train_again
from include.training.window import learnable

SPEC, SOURCE = "spec.yaml", "features.py.txt"
RECORD = ("candidate", "as_of", "data_version")


def reproduce(settings: Settings, version: str, use_case: str, package_code: bool = False) -> int:
    """Train ``version`` again. Returns 0 when the model is the same, else 1.

    With ``package_code`` the features are those of the package, which is code from the registry; else they are the use
    case's own, and another source is refused.
    """
    record, model = _fetch(settings, use_case, version)
    package = versions.folder(settings.home / "models", use_case, version)
    current = specs.find(use_case, settings.use_case_folders)
    if not package_code and _source(source_path(current)) != _source(package / SOURCE):
        raise SpecError(
            f"{source_path(current)}: not the source that version {version} was trained with, which is "
            f"{package / SOURCE}. Put it back, or run it from the package with --package-code if you trust it"
        )
    heading(f"{use_case} version {version}: {record.tags['candidate']}, as of {record.tags['as_of']}")
    line(f"trained on {record.tags['data_version']}")
    with _unpacked(package, use_case) as spec:
        found = train_again(_learnable(settings, spec, record), spec, model.manifest)
    return _report(found)


def _fetch(settings: Settings, use_case: str, version: str) -> tuple[ModelVersion, LoadedModel]:
    client = tracking.connect(settings.mlflow_uri)
    try:
        known = {str(found.version): found for found in versions.registered(client, use_case)}
        if version not in known:
            there = ", ".join(sorted(known, key=int)) or "none"
            raise StackError(f"{use_case} has no registered version {version}; there are: {there}")
        if missing := [name for name in RECORD if name not in known[version].tags]:
            raise StackError(
                f"{use_case} version {version} was not registered by this project: no {', '.join(missing)}"
            )
        return known[version], versions.fetch(client, use_case, version, settings.home / "models")
    except PackageRefused as refusal:
        raise StackError(f"{use_case} version {version}: its package is damaged: {refusal}") from refusal
    except MlflowException as problem:
        if not is_outage(problem):
            raise
        raise StackError(f"MLflow does not answer at {settings.mlflow_uri}; start it with make run") from problem


def _source(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


@contextmanager
def _unpacked(package: Path, use_case: str) -> Iterator[UseCase]:
    """The use case as the package keeps it, in a folder of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / use_case
        folder.mkdir()
        (folder / "spec.yaml").write_bytes((package / SPEC).read_bytes())
        if source := _source(package / SOURCE):
            (folder / "features.py").write_bytes(source)
        yield specs.load(folder / "spec.yaml")


def _learnable(settings: Settings, spec: UseCase, record: ModelVersion) -> pd.DataFrame:
    """The observations that the version was trained from and judged on, as they were known then."""
    data_version, as_of = record.tags["data_version"], date.fromisoformat(record.tags["as_of"])
    engine = connect(settings.state_url)
    published = publications.history(engine, spec.name, "data", as_of.isoformat())
    publication = next((found for found in published if found.data_version == data_version), None)
    if publication is None:
        raise DataRejected("ROWS_GONE", f"{data_version} of {spec.name} was never published in {settings.home}")
    lake = Lake(settings.lake_uri, spec, publication)
    try:
        window = lake.labelled(window_start(as_of, spec.training.split.window_days), as_of)
    except (DeltaError, OSError) as problem:
        message = f"{data_version} is no longer whole in {settings.lake_uri}: {problem}"
        raise DataRejected("ROWS_GONE", message) from problem
    return learnable(window, as_of, label_delay(sources.uri_of(engine, spec), spec))


def _report(found: Reproduction) -> int:
    for change in found.changes:
        line(change)
    line(f"recorded  {found.recorded}")
    line(f"now       {found.found or 'not trained: other rows make another model'}")
    if not found.equal:
        error("the model is another one" + (", for what is named above" if found.changes else ""))
        return 1
    line("the same model, bit for bit")
    return 0
