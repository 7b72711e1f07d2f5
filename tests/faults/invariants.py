"""What holds after every fault, whatever it was."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient

from include.data import tables
from include.data.served import DATASET, KEY, PREDICTIONS
from include.registry import tracking, versions
from include.settings import Settings
from include.state import promotions, publications, requests
from include.state.database import connect
from include.state.database import runs as ledger
from include.training import package


def check(settings: Settings, use_case: str, *, over: bool = True) -> None:
    """Assert the invariants; ``over`` also those that hold only when no run is at work any more.

    I1: there is one champion at most, its package loads with the hash that the ledger and the registry have for it,
    and it is the one that the ledger says. I2: every published version has exactly the rows that its publication
    says, once each, and every finished file can be read. I3: one version per fingerprint, one promotion per version
    and run, one row per id and time and publication, one row per prediction, one score per id and run, one request per
    evidence. I4: no ledger row and no MLflow run is left open. I5: the promotions are one chain: each replaced the
    version that the one before it had put in place.
    """
    client = tracking.connect(settings.mlflow_uri)
    _one_sound_champion(settings, client, use_case, over)
    _published_is_whole(settings, use_case)
    _scores_are_whole(settings, use_case)
    _files_are_whole(settings, use_case)
    _nothing_twice(settings, client, use_case)
    _promotions_are_a_chain(settings, use_case)
    if over:
        _nothing_open(settings, client, use_case)


def _one_sound_champion(settings: Settings, client: MlflowClient, use_case: str, over: bool) -> None:
    engine = connect(settings.state_url)
    champion = versions.alias(client, use_case)
    serving = promotions.champion(engine, use_case)
    if champion is not None:
        with tempfile.TemporaryDirectory() as cache:
            manifest = versions.fetch(client, use_case, champion, Path(cache)).manifest
        version = client.get_model_version(use_case, champion)
        assert version.tags["model_sha256"] == manifest.model_sha256, "I1: not the registered model"
    if over and not promotions.open_intents(engine, use_case):
        assert champion == (serving.version if serving else None), "I1: the alias is not what the ledger says"
    if serving is not None:
        assert champion is not None, "I1: a champion was promoted and none is there"


def _published_is_whole(settings: Settings, use_case: str) -> None:
    published = publications.history(connect(settings.state_url), use_case, "data", "9999-12-31")
    for publication in published:
        read = {
            table: tables.read(tables.table_uri(settings.lake_uri, use_case, table), version)
            for table, version in publication.versions.items()
        }
        ours = {table: frame[frame["run_id"] == publication.run_id] for table, frame in read.items()}
        assert len(ours["customers"]) == publication.rows_published, "I2: rows are missing or doubled"
        assert len(ours.get("quarantine", ())) == publication.rows_quarantined, "I2: quarantine"
        assert set(read["customers"]["run_id"]) <= {p.run_id for p in published}, "I2: rows that no run published"
        spec_id = next(column for column in read["customers"] if column.lower().endswith("id") and column != "run_id")
        for table in set(read) & {"customers", "labels"}:
            assert not read[table].duplicated([spec_id, "observed_at", "as_of"]).any(), f"I3: {table} twice"


def _scores_are_whole(settings: Settings, use_case: str) -> None:
    published = publications.history(connect(settings.state_url), use_case, "scores", "9999-12-31")
    for publication in published:
        uri = tables.table_uri(settings.lake_uri, use_case, "scores")
        rows = tables.read(uri, publication.versions["scores"])
        assert set(rows["run_id"]) <= {one.run_id for one in published}, "I2: scores that no run published"
        ours = rows[rows["run_id"] == publication.run_id]
        assert len(ours) == publication.rows_published, "I2: scores are missing or doubled"
        assert ours.drop(columns="observed_at").notna().all(axis=None), "I2: a score without its origin"
        assert not rows.duplicated([rows.columns[0], "run_id"]).any(), "I3: a score twice"


def collected(settings: Settings, use_case: str) -> list[str]:
    """The id of every prediction that is published, in order; I3: one row each."""
    newest = publications.latest(connect(settings.state_url), use_case, DATASET)
    if newest is None:
        return []
    uri = tables.table_uri(settings.lake_uri, use_case, PREDICTIONS)
    rows = tables.read(uri, newest.versions[PREDICTIONS])
    assert not rows.duplicated(KEY).any(), "I3: a prediction twice"
    return sorted(rows["prediction_id"])


def _files_are_whole(settings: Settings, use_case: str) -> None:
    for path in sorted((settings.home / "runs" / use_case).rglob("*")):
        if path.name.startswith(".") or any(part.startswith(".") for part in path.relative_to(settings.home).parts):
            continue  # being written, or left by a writer that died; nobody reads these names
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".parquet":
            pd.read_parquet(path)
        elif path.name == package.MODEL:
            package.load(path.parent)
    for manifest in sorted((settings.home / "runs" / use_case).glob("*/landed.json")):
        for file in json.loads(manifest.read_text(encoding="utf-8")):
            found = hashlib.sha256(Path(file["path"]).read_bytes()).hexdigest()
            assert found == file["sha256"], f"I2: {file['path']}"


def _nothing_twice(settings: Settings, client: MlflowClient, use_case: str) -> None:
    engine = connect(settings.state_url)
    collected(settings, use_case)
    fingerprints = Counter(version.tags["fingerprint"] for version in versions.registered(client, use_case))
    assert all(count == 1 for count in fingerprints.values()), f"I3: {fingerprints}"
    promoted = Counter((p.version, p.run_id) for p in promotions.history(engine, use_case))
    assert all(count == 1 for count in promoted.values()), f"I3: {promoted}"
    asked = Counter(request.evidence for request in requests.every(engine, use_case))
    assert all(count == 1 for count in asked.values()), f"I3: {asked}"
    experiment = client.get_experiment_by_name(use_case)
    if experiment is not None:
        of_one = Counter(
            (run.data.tags["mlflow.parentRunId"], run.data.tags[tracking.CANDIDATE_TAG])
            for run in client.search_runs([experiment.experiment_id])
            if tracking.CANDIDATE_TAG in run.data.tags
        )
        assert all(count == 1 for count in of_one.values()), f"I3: {of_one}"


def _promotions_are_a_chain(settings: Settings, use_case: str) -> None:
    history = promotions.history(connect(settings.state_url), use_case)
    before = [*(promotion.version for promotion in history[1:]), None][: len(history)]
    assert [promotion.previous_version for promotion in history] == before, "I5: a link is missing"


def _nothing_open(settings: Settings, client: MlflowClient, use_case: str) -> None:
    with connect(settings.state_url).connect() as connection:
        rows = list(connection.execute(ledger.select().where(ledger.c.use_case == use_case)))
    assert all(row.ended_at and row.outcome for row in rows), "I4: a ledger row is open"
    assert tracking.left_open(client, use_case) == set(), "I4: an MLflow run is open"
