"""What is in production, and the newest data: what the steps of several DAGs begin with."""

from __future__ import annotations

from include.errors import DataRejected, NothingToDo
from include.registry import promotion, tracking, versions
from include.state import publications
from include.state.publications import Publication
from include.steps.ledger import Work
from include.training.package import LoadedModel, PackageRefused


def champion_version(work: Work) -> str:
    """The version that serves, after one that is damaged has given way. Raises ``NothingToDo`` (``NO_CHAMPION``)."""
    client = tracking.connect(work.settings.mlflow_uri)
    version = promotion.sound_champion(work.engine, client, work.run, work.models)
    if version is None:
        raise NothingToDo("NO_CHAMPION", f"nothing is in production yet; run {work.run.use_case}_retrain")
    return version


def champion(work: Work, version: str) -> LoadedModel:
    """Its model. Raises ``PackageRefused``, which says how to mend it."""
    name = work.run.use_case
    try:
        return versions.fetch(tracking.connect(work.settings.mlflow_uri), name, version, work.models)
    except PackageRefused as refusal:
        mend = "restore its files, or let the alias point to an earlier version"
        raise PackageRefused(f"champion {version} of {name} is damaged in MLflow: {refusal}; {mend}") from refusal


def newest_data(work: Work) -> Publication:
    """What was published last up to the run's ``as_of``. Raises ``DataRejected`` (``NO_DATA``)."""
    publication = publications.latest(work.engine, work.run.use_case, "data", work.run.as_of)
    if publication is None:
        raise DataRejected("NO_DATA", f"nothing was published up to {work.run.as_of}; run {work.run.use_case}_ingest")
    return publication
