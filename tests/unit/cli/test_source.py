"""The source as ``make run`` takes it: said to be wrong before anything is started."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from include.__main__ import main
from include.cli.draft import Wishes
from include.cli.init import init
from include.cli.source import newest_as_of, register_source
from include.data.calendar import today
from include.errors import DataRejected, SourceAway
from include.files import sha256_of
from include.settings import Settings
from include.stack import StackError
from include.state import sources
from include.state.database import connect


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment({"MODELOPS_HOME": str(tmp_path / "home")})


def registered(settings: Settings) -> sources.SourceRow | None:
    return sources.get(connect(settings.state_url), "churn")


def test_the_command_chooses_the_source(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("MODELOPS_HOME", str(settings.home))
    assert main(["source", "simulator:?seed=3"]) == 0
    assert capsys.readouterr().out == "churn reads from simulator:?seed=3.\n"
    row = registered(settings)
    assert row is not None
    assert row.uri == "simulator:?seed=3"


def test_a_missing_file_is_named(settings: Settings, tmp_path: Path):
    with pytest.raises(StackError, match=r"there is no file .*nowhere\.csv"):
        register_source(settings, str(tmp_path / "nowhere.csv"))
    assert registered(settings) is None


def test_a_file_of_another_kind_is_told_how_to_become_a_use_case(settings: Settings, tmp_path: Path):
    other = tmp_path / "loans.csv"
    other.write_text("id,amount,default\n1,100,yes\n")
    with pytest.raises(DataRejected, match=r"'customerID'.*python -m include init NAME --from loans\.csv"):
        register_source(settings, str(other))
    assert registered(settings) is None


def test_an_unknown_parameter_of_the_simulator_is_named(settings: Settings):
    with pytest.raises(DataRejected, match="rows_a_day"):
        register_source(settings, "simulator:?rows_a_day=12")
    assert registered(settings) is None


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nowhere://telco.csv", "Protocol not known: nowhere"),
        ("nowhere://{day}.csv", "Protocol not known: nowhere"),
        ("sqlite:////nowhere/telco.db", "the database does not answer"),
        ("postgresql://reader@warehouse:x/shop", "expected postgresql"),
    ],
)
def test_a_source_that_cannot_be_read_leaves_the_one_before(settings: Settings, source: str, says: str):
    register_source(settings, "simulator:?seed=3")
    before = registered(settings)
    with pytest.raises((DataRejected, SourceAway), match=says):
        register_source(settings, source)
    assert registered(settings) == before


def test_a_file_that_has_changed_since_it_was_replayed_is_refused(settings: Settings, telco_csv: Path, tmp_path: Path):
    replayed = tmp_path / "telco.csv"
    replayed.write_bytes(telco_csv.read_bytes())
    register_source(settings, str(replayed))
    sources.pin(connect(settings.state_url), "churn", str(replayed), sha256_of(replayed), "2026-11-24")
    register_source(settings, str(replayed))
    replayed.write_bytes(telco_csv.read_bytes() + telco_csv.read_bytes().splitlines()[-1])
    with pytest.raises(DataRejected, match="has changed since it was replayed"):
        register_source(settings, str(replayed))


def test_a_second_source_is_refused_once_data_is_published(settings: Settings, telco_csv: Path):
    register_source(settings, "simulator:")
    register_source(settings, str(telco_csv))  # nothing is published yet, so a change of mind is free
    sources.pin(connect(settings.state_url), "churn", str(telco_csv), "0" * 64, "2026-11-24")
    with pytest.raises(StackError, match="must not be mixed"):
        register_source(settings, "simulator:")


def test_the_newest_day_of_daily_files_gives_the_as_of(settings: Settings, tmp_path: Path):
    for day in ("2026-01-01", "2026-01-03"):
        (tmp_path / f"{day}.csv").touch()
    (tmp_path / "README.csv").touch()
    register_source(settings, f"file://{tmp_path}/{{day}}.csv")
    assert newest_as_of(settings, "churn") == date(2026, 1, 3) + timedelta(days=1)


def test_a_file_with_times_of_its_own_gives_the_as_of(settings: Settings, tmp_path: Path):
    """Long ago it may be: a window of days before today would be empty."""
    file = tmp_path / "loans.csv"
    days = [f"2023-05-{1 + row % 20:02}T12:00:00Z" for row in range(100)]
    rows = {"loan": [f"n{row}" for row in range(100)], "granted": days, "income": range(100)}
    pd.DataFrame({**rows, "failed": ["yes", "no", "no", "no"] * 25}).to_csv(file, index=False)
    own = replace(settings, use_case_folders=(tmp_path / "use_cases",))
    assert init(own, "loans", str(file), Wishes()) == 0
    assert newest_as_of(own, "loans") == date(2023, 5, 21)


def test_a_simulated_history_ends_today(settings: Settings):
    assert newest_as_of(settings, "churn") == today()
