"""A registered version, for commands that look into its package."""

from __future__ import annotations

from mlflow.exceptions import MlflowException

from include.registry import tracking, versions
from include.registry.patience import is_outage
from include.settings import Settings
from include.stack import StackError
from include.training.package import LoadedModel, PackageRefused


def fetch(settings: Settings, name: str, version: str | None = None) -> tuple[str, LoadedModel]:
    """The version, the champion without one, with its model. Raises ``StackError`` that says why there is none."""
    client = tracking.connect(settings.mlflow_uri)
    try:
        version = version or versions.alias(client, name)
        if version is None:
            raise StackError(f"{name} has no champion yet; run {name}_retrain first")
        return version, versions.fetch(client, name, version, settings.home / "models")
    except PackageRefused as refusal:
        raise StackError(f"{name} version {version} cannot be used: {refusal}") from refusal
    except MlflowException as problem:
        if not is_outage(problem):
            raise
        raise StackError(f"MLflow does not answer at {settings.mlflow_uri}; start it with make run") from problem
