"""Batch scoring on real Telco rows that arrive as one file a day, with a real MLflow server."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.__main__ import main
from include.cli.source import register_source
from include.cli.status import use_case_state
from include.data import tables
from include.data.window import Lake
from include.features.build import build
from include.registry import tracking, versions
from include.settings import Settings
from include.spec import find
from include.state import publications, runs
from include.state.database import connect
from include.state.publications import Publication
from include.state.runs import LedgerRow
from tests.conftest import MlflowServer, copy_of_churn, without_models
from tests.steps.loop import FIRST, ingest, retrain, score

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

START = date.fromisoformat(FIRST)
HISTORY, ROWS = 40, 100
QUICK = {"trees": {"kind": "hist_gradient_boosting", "params": {"max_iter": 30, "max_leaf_nodes": 8}}}


def day(n: int) -> str:
    return (START + timedelta(n)).isoformat()


class Company:
    """Telco dealt out over days, one file each."""

    def __init__(self, telco: Path, folder: Path) -> None:
        self.rows = pd.read_csv(telco, dtype="str", keep_default_na=False).sample(frac=1, random_state=0)
        self.folder = folder

    def write(self, first: int, end: int) -> None:
        """The files of the days from ``first`` on and before ``end``, counted from ``FIRST``."""
        for n in range(first, end):
            rows = self.rows.iloc[(n + HISTORY) * ROWS : (n + HISTORY + 1) * ROWS]
            rows.to_csv(self.folder / f"{day(n)}.csv", index=False)

    def publish(self, run_id: str, first: int, end: int) -> None:
        self.write(first, end)
        assert ingest(run_id, day(end)) == "PUBLISHED"


@pytest.fixture(scope="module")
def trained(telco_csv: Path, mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a champion, made once: every test gets a copy of it."""
    folder = tmp_path_factory.mktemp("scored")
    copy_of_churn(folder / "use_cases", lambda spec: spec["training"].update(candidates=QUICK))
    (folder / "daily").mkdir()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MODELOPS_HOME", str(folder / "home"))
        environment.setenv("MODELOPS_USE_CASES", str(folder / "use_cases"))
        environment.setenv("MODELOPS_MLFLOW_PORT", str(mlflow_server.port))
        settings = Settings.from_environment()
        without_models(mlflow_server)
        Company(telco_csv, folder / "daily").write(-HISTORY, 0)
        register_source(settings, f"file://{folder / 'daily'}/{{day}}.csv")
        assert score("s0") == "NO_CHAMPION"
        assert ingest("i1", FIRST) == "PUBLISHED"
        assert score("s0", None, "asset_triggered") == "NO_CHAMPION"
        assert retrain("r1") == "PROMOTED"
    return folder


@pytest.fixture
def company(
    trained: Path, telco_csv: Path, mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Company]:
    shutil.copytree(trained / "home", tmp_path / "home")
    shutil.copytree(trained / "use_cases", tmp_path / "use_cases")
    monkeypatch.setenv("MODELOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MODELOPS_USE_CASES", str(tmp_path / "use_cases"))
    monkeypatch.setenv("MODELOPS_MLFLOW_PORT", str(mlflow_server.port))
    yield Company(telco_csv, trained / "daily")
    for path in (trained / "daily").glob("*.csv"):
        if path.stem >= FIRST:
            path.unlink()


def settings() -> Settings:
    return Settings.from_environment()


def row(run_id: str) -> LedgerRow:
    found = runs.get(connect(settings().state_url), "churn", "score", run_id)
    assert found is not None
    return found


def published(dataset: str = "scores") -> Publication:
    found = publications.latest(connect(settings().state_url), "churn", dataset)
    assert found is not None
    return found


def scores(run_id: str) -> pd.DataFrame:
    """What the table holds of a run, as a reader sees it."""
    uri = tables.table_uri(settings().lake_uri, "churn", "scores")
    rows = tables.read(uri, published().versions["scores"], filters=[("run_id", "=", run_id)])
    return rows.sort_values("customerID").reset_index(drop=True)


def exported(run_id: str, name: str) -> Path:
    return Path(row(run_id).details["scored"]["exports"][name])


def expected(as_of: str) -> pd.DataFrame:
    """The newest observation of each customer with scikit-learn's score, made in memory from the whole table."""
    spec = find("churn", settings().use_case_folders)
    lake, end = Lake(settings().lake_uri, spec, published("data")), date.fromisoformat(as_of)
    every = lake.observations(end - timedelta(spec.scoring.window_days), end, as_of)
    newest = every.drop_duplicates("customerID", keep="last").reset_index(drop=True)
    client = tracking.connect(settings().mlflow_uri)
    model = versions.fetch(client, "churn", str(versions.alias(client, "churn")), settings().home / "models")
    made = model.pipeline.predict_proba(build(newest, spec)[list(model.manifest.feature_types)])[:, 1]
    return newest.assign(score=made).sort_values("customerID").reset_index(drop=True)


def test_every_customer_is_scored_once_as_newest_known_and_says_where_it_comes_from(company: Company):
    company.write(0, 2)
    come_again = company.rows.iloc[:ROWS].assign(Contract="Two year")
    come_again.to_csv(company.folder / f"{day(1)}.csv", mode="a", header=False, index=False)
    assert ingest("i2", day(2)) == "PUBLISHED"
    assert score("s1", day(2)) == "SCORED"
    found, wanted = scores("s1"), expected(day(2))
    assert len(found) == (HISTORY + 2) * ROWS
    assert (found["observed_at"] == pd.Timestamp(day(1), tz="UTC")).sum() == 2 * ROWS
    assert found["customerID"].tolist() == wanted["customerID"].tolist()
    assert found["observed_at"].tolist() == wanted["observed_at"].tolist()
    assert np.abs(found["score"] - wanted["score"]).max() <= 1e-6
    limit = find("churn", settings().use_case_folders).decision.threshold
    assert found["acted_on"].tolist() == (wanted["score"] >= limit).tolist()
    data_version = published("data").data_version
    lineage = {"model_version": "1", "data_version": data_version, "as_of": day(2), "run_id": "s1"}
    assert {name: set(found[name]) for name in lineage} == {name: {value} for name, value in lineage.items()}
    made = published()
    assert (made.rows_published, made.as_of, made.last_day) == (len(found), day(2), day(1))
    reason = f"{len(found)} rows of {data_version} by version 1; {int(found['acted_on'].sum())} of them to act on"
    assert row("s1").reasons == (reason,)


def test_what_is_older_than_the_window_or_not_known_yet_is_left_out(company: Company, tmp_path: Path):
    copy_of_churn(
        tmp_path / "use_cases",
        lambda spec: spec["training"].update(candidates=QUICK),
        lambda spec: spec.update(scoring={"window_days": 10, "partitions": 3, "top": 5}),
    )
    company.publish("i2", 0, 2)
    assert score("s1", day(0)) == "SCORED"
    found = scores("s1")
    assert len(found) == 10 * ROWS
    assert found["observed_at"].min() == pd.Timestamp(day(-10), tz="UTC")
    assert found["customerID"].tolist() == expected(day(0))["customerID"].tolist()
    assert score("s2", day(60)) == "NOTHING_TO_SCORE"
    assert row("s2").reasons == (f"no row was observed from {day(50)} to before {day(60)}",)


def test_the_exports_are_read_back_as_what_they_are(company: Company):
    assert score("s1") == "SCORED"
    whole = pd.read_parquet(exported("s1", "scores")).sort_values("customerID").reset_index(drop=True)
    pd.testing.assert_frame_equal(whole, scores("s1"), check_dtype=False)
    with exported("s1", "top").open(encoding="utf-8-sig", newline="") as file:
        top = list(csv.DictReader(file))
    highest = whole.sort_values(["score", "customerID"], ascending=[False, True]).head(100)
    assert [one["customerID"] for one in top] == highest["customerID"].tolist()
    assert [float(one["score"]) for one in top] == highest["score"].round(4).tolist()
    assert {one["decision"] for one in top} == {"act"}
    assert all("raises the score by" in one["raised_by_1"] for one in top)
    assert {(one["model_version"], one["as_of"], one["run_id"]) for one in top} == {("1", FIRST, "s1")}
    assert exported("s1", "top").parent == settings().run_folder("churn", "score-s1")


def test_the_same_rows_and_champion_again_change_nothing(company: Company):
    assert score("s1") == "SCORED"
    before = published()
    assert score("s2", day(1)) == "UNCHANGED", "a day without data is no other scoring"
    assert row("s2").reasons == ("run s1 has scored the same rows by version 1",)
    assert published() == before
    company.publish("i2", 0, 1)
    assert score("s3", day(1)) == "SCORED"
    assert score("s4", day(1)) == "UNCHANGED"


def test_another_champion_on_the_same_rows_is_another_scoring(company: Company):
    assert score("s1") == "SCORED"
    client = tracking.connect(settings().mlflow_uri)
    (first,) = versions.registered(client, "churn")
    model_id = first.source.removeprefix("models:/")
    second = client.create_model_version("churn", first.source, first.run_id, first.tags, model_id=model_id)
    versions.set_alias(client, "churn", versions.CHAMPION, second.version)
    try:
        assert score("s2") == "SCORED"
    finally:
        versions.set_alias(client, "churn", versions.CHAMPION, "1")
        client.delete_model_version("churn", second.version)
    assert set(scores("s2")["model_version"]) == {second.version}
    assert scores("s2")["score"].tolist() == scores("s1")["score"].tolist()


def test_a_run_that_is_cleared_makes_the_same_again_whatever_is_new(company: Company):
    assert score("s1") == "SCORED"
    before, table = published(), scores("s1")
    files = {name: exported("s1", name).read_bytes() for name in ("scores", "top")}
    company.publish("i2", 0, 2)
    assert score("s1", day(2)) == "SCORED"
    assert published() == before
    pd.testing.assert_frame_equal(scores("s1"), table)
    assert {name: exported("s1", name).read_bytes() for name in files} == files
    shutil.rmtree(settings().run_folder("churn", "score-s1"))
    assert score("s1", day(2)) == "UNCHANGED"
    assert "is gone; a new run makes new exports" in row("s1").reasons[0]


def test_a_woken_run_is_of_the_day_of_what_woke_it(company: Company):
    """It has no day of its own, and the clock is not asked, which in the tests is five days behind the data."""
    company.publish("i2", 0, 5)
    assert score("s1", None, "asset_triggered") == "SCORED"
    assert row("s1").as_of == day(5)
    assert scores("s1")["observed_at"].max() == pd.Timestamp(day(4), tz="UTC")


def test_a_dry_run_publishes_nothing(company: Company):
    assert score("s1", run_mode="dry_run") == "DRY_RUN"
    assert row("s1").reasons == ("run_mode is dry_run: would score 4000 rows of customers@0 labels@0 by version 1",)
    assert publications.latest(connect(settings().state_url), "churn", "scores") is None


def test_with_other_features_nothing_is_scored(company: Company, tmp_path: Path):
    features = tmp_path / "use_cases" / "churn" / "features.py"
    source = features.read_text(encoding="utf-8")
    features.write_text(f"{source}\n# another state of it\n", encoding="utf-8")
    assert score("s1") == "DATA_REJECTED"
    assert row("s1").reasons[0].startswith("FEATURES_DIFFER: version 1 was trained with other features than ")


def test_status_tells_the_last_scoring_and_where_its_files_are(company: Company, capsys: pytest.CaptureFixture[str]):
    assert use_case_state(settings(), "churn")["last_scoring"]["scores"] is None
    assert score("s1") == "SCORED"
    assert score("s2") == "UNCHANGED"
    assert main(["status", "--json"]) == 0
    state = json.loads(capsys.readouterr().out)["use_cases"]["churn"]["last_scoring"]
    assert (state["outcome"], state["run_id"]) == ("UNCHANGED", "s2")
    found = state["scores"]
    assert (found["run_id"], found["rows"], found["version"], found["as_of"]) == ("s1", HISTORY * ROWS, "1", FIRST)
    assert found["data_version"] == published("data").data_version
    assert all(Path(path).is_file() for path in found["exports"].values())
    assert main(["status"]) == 0
    shown = capsys.readouterr().out.replace("\n", "")
    for text in ("UNCHANGED", "4,000 rows as of 2026-11-24, version 1", "score-s1/top.csv", "score-s1/scores.parquet"):
        assert text in shown, shown
