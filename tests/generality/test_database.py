"""A use case whose rows stand in PostgreSQL: read day by day, late rows reported, its password nowhere to be found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
import yaml

from include.__main__ import main
from include.cli.source import newest_as_of, register_source
from include.cli.status import use_case_state
from include.data import sources, tables
from include.settings import Settings
from include.stack import StackError
from include.state import publications, runs
from include.state.database import connect
from tests.conftest import MlflowServer
from tests.generality.test_drafted import sensors
from tests.postgres import PASSWORD, database
from tests.steps.loop import ingest, retrain

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other


@dataclass(frozen=True)
class House:
    """The table that the use case ``sensors`` reads; a run sees from then on what is done to it."""

    engine: sa.Engine

    def insert(self, rows: pd.DataFrame) -> None:
        timed = rows.assign(at=pd.to_datetime(rows["at"]))
        timed.to_sql("readings", self.engine, schema="plant", if_exists="append", index=False)

    def execute(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement))


@pytest.fixture
def house(postgres: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("MODELOPS_USE_CASES", str(tmp_path / "use_cases"))
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    monkeypatch.setattr(sources, "today", lambda: date(2026, 11, 24))
    sensors().to_csv(tmp_path / "sensors.csv", index=False)
    assert main(["init", "sensors", "--from", str(tmp_path / "sensors.csv"), "--target", "breaks"]) == 0
    with database(postgres, "plant") as url:
        path = tmp_path / "use_cases" / "sensors" / "spec.yaml"
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))
        spec["source"] = {"uri": url.replace(f":{PASSWORD}@", "@"), "table": "plant.readings"}
        spec["limits"]["quarantine_rate"] = 0.05
        path.write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
        house = House(sa.create_engine(url, poolclass=sa.NullPool))
        house.execute("CREATE SCHEMA plant")
        yield house
        house.engine.dispose()


def test_a_table_becomes_a_model_day_after_day(
    house: House, mlflow_server: MlflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings.from_environment()
    readings = sensors()
    days = pd.to_datetime(readings["at"]).dt.date
    late = readings[days == date(2026, 11, 15)].iloc[:10]
    house.insert(readings[days < date(2026, 11, 18)].drop(late.index))
    assert main(["check", "sensors"]) == 0
    assert "sensors: spec, data and features fit" in capsys.readouterr().out
    assert ingest("i1", "2026-11-18", "sensors") == "PUBLISHED"
    assert retrain("r1", "2026-11-18", use_case="sensors") == "PROMOTED"
    assert ingest("i1-again", "2026-11-18", "sensors") == "NO_NEW_DATA"

    house.execute("UPDATE plant.readings SET heat = 0 WHERE at < '2026-11-18'")  # what is published stays as it was
    broken = late.iloc[:1].assign(reading="broken", heat=None)
    house.insert(pd.concat([readings[days >= date(2026, 11, 18)], late, broken]))
    assert ingest("past", "2026-11-17", "sensors") == "NO_NEW_DATA"
    assert ingest("i2", "2026-11-20", "sensors") == "PUBLISHED"
    published, rows = newest(settings)
    assert (published.first_day, published.last_day, published.rows_quarantined) == ("2026-11-17", "2026-11-19", 1)
    assert len(rows) == rows["reading"].nunique() == int((days < date(2026, 11, 20)).sum())
    assert set(rows.loc[rows["reading"].isin(late["reading"]), "as_of"]) == {"2026-11-20"}
    assert (rows.loc[rows["as_of"] == "2026-11-18", "heat"] > 0).all()
    row = runs.get(connect(settings.state_url), "sensors", "ingest", "i2")
    assert row is not None
    assert "11 late" in row.reasons[0]
    assert retrain("r2", "2026-11-18", use_case="sensors") == "UNCHANGED"
    assert ingest("i3", "2026-11-21", "sensors") == "PUBLISHED"
    assert newest(settings)[0].rows_in == int((days == date(2026, 11, 20)).sum())
    assert ingest("i4", "2026-11-22", "sensors") == "NO_NEW_DATA"
    assert retrain("r3", "2026-11-21", use_case="sensors") in ("PROMOTED", "REFUSED")
    assert use_case_state(settings, "sensors")["registered_versions"] >= 1

    shown = capsys.readouterr()
    assert PASSWORD not in shown.out + shown.err
    assert [path for path in [settings.home, mlflow_server.artifacts.parent] for path in holding(path, PASSWORD)] == []


def newest(settings: Settings) -> tuple[publications.Publication, pd.DataFrame]:
    """The newest publication and all rows that are published."""
    published = publications.latest(connect(settings.state_url), "sensors", "data")
    assert published is not None
    uri = tables.table_uri(settings.lake_uri, "sensors", "customers")
    return published, tables.read(uri, published.versions["customers"])


def holding(folder: Path, secret: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_a_password_is_refused_before_it_can_be_kept(house: House, postgres: str) -> None:
    with pytest.raises(StackError, match=r"SOURCE holds a password, which logs would show; take it out"):
        register_source(Settings.from_environment(), postgres, "sensors")


def test_make_run_acts_on_the_day_after_the_newest_row(house: House) -> None:
    readings = sensors()
    house.insert(readings.assign(at="2024-02-29T23:59:59Z"))
    assert newest_as_of(Settings.from_environment(), "sensors") == date(2024, 3, 1)
    house.insert(readings.iloc[:1].assign(at="2999-01-01T00:00:00Z"))
    assert newest_as_of(Settings.from_environment(), "sensors") < date(2999, 1, 1)
