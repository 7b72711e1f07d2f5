"""The same training makes the same model, whoever does it, where and when; what comes later leaves the past alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.__main__ import main
from include.cli.source import register_source
from include.cli.status import use_case_state
from include.data.simulator import simulate_day
from include.settings import PROJECT, Settings
from include.state import publications, runs
from include.state.database import connect
from tests.steps.loop import FIRST, ingest, retrain

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

Edit = Callable[[Callable[[dict[str, Any]], None]], None]


def quick(spec: dict[str, Any]) -> None:
    """Two candidates that differ in their nature, each with one setting."""
    spec["training"]["candidates"] = {
        "line": {"kind": "logistic_regression", "search": {"C": [0.1, 1.0]}},
        "trees": {"kind": "hist_gradient_boosting", "params": {"max_iter": 30}},
    }


@pytest.fixture
def champion(settings: Settings, edit_churn: Edit, telco_csv: Path) -> dict[str, Any]:
    """Version 1, trained on the real file."""
    edit_churn(quick)
    register_source(settings, str(telco_csv))
    assert ingest("i1", FIRST) == "PUBLISHED"
    assert retrain("r1") == "PROMOTED"
    return use_case_state(settings, "churn")["champion"]


def reproduce(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a user calls it, in a process of its own."""
    bare = {name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "PYTHONHASHSEED")}
    command = [sys.executable, "-m", "include", "reproduce", *arguments]
    return subprocess.run(
        command, env={**bare, "PYTHONPATH": str(PROJECT), **environment}, capture_output=True, text=True, timeout=300
    )


def test_a_registered_version_is_trained_again_from_its_record(
    champion: dict[str, Any], settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    again = reproduce("1", PYTHONHASHSEED="7")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count(champion["model_sha256"]) == 2
    assert "the same model, bit for bit" in again.stdout
    assert f"trained on {champion['data_version']}" in again.stdout

    assert main(["reproduce", "9"]) == 1
    assert "churn has no registered version 9; there are: 1" in capsys.readouterr().err

    source = settings.home / "use_cases" / "churn" / "features.py"
    source.write_text(source.read_text(encoding="utf-8").replace("> 0", "> 1"), encoding="utf-8")
    assert main(["reproduce", "1"]) == 1
    assert f"{source}: not the source that version 1 was trained with" in capsys.readouterr().err
    assert main(["reproduce", "1", "--package-code"]) == 0
    assert "the same model, bit for bit" in capsys.readouterr().out

    shutil.move(settings.home / "lake" / "churn" / "customers", settings.home / "elsewhere")
    assert main(["reproduce", "1", "--package-code"]) == 1
    assert f"{champion['data_version']} is no longer whole in {settings.lake_uri}" in capsys.readouterr().err


ELSEWHERE = """
import sys, time
real = time.time
time.time = lambda: real() + 400 * 86_400
from include.cli.source import register_source
from include.settings import Settings
from include.state import database
database.now = lambda: "2028-02-29T23:59:59.999+00:00"
from tests.steps.loop import FIRST, ingest, retrain
register_source(Settings.from_environment(), sys.argv[1])
print(ingest("i1", FIRST), retrain("r1", FIRST))
"""


def test_folder_process_clock_and_order_make_no_difference(
    champion: dict[str, Any], settings: Settings, telco_csv: Path, tmp_path: Path
) -> None:
    other = tmp_path / "another place"
    shutil.copytree(settings.home / "use_cases", other / "use cases")
    rows = pd.read_csv(telco_csv, dtype="str", keep_default_na=False).sample(frac=1, random_state=4)
    rows[list(rows.columns[::-1])].to_csv(other / "shuffled.csv", index=False)
    environment = {
        **os.environ,
        "PYTHONPATH": str(PROJECT),
        "PYTHONHASHSEED": "99",
        "MODELOPS_HOME": str(other / "home"),
        "MODELOPS_USE_CASES": str(other / "use cases"),
    }
    command = [sys.executable, "-c", ELSEWHERE, str(other / "shuffled.csv")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.startswith("PUBLISHED"), done.stderr
    here, there = candidates(settings.home), candidates(other / "home")
    assert here == there
    assert champion["model_sha256"] in {manifest["model_sha256"] for manifest in here.values()}
    assert use_case_state(settings, "churn")["registered_versions"] == 1


def candidates(home: Path) -> dict[str, dict[str, Any]]:
    """What the manifests say of each candidate of the run; files of equal models differ in their bytes."""
    found = {path.parent.name: path for path in home.glob("runs/churn/retrain-r1/candidates/*/manifest.json")}
    assert sorted(found) == ["line", "trees"]
    manifests = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in found.items()}
    return {name: {**manifest, "files": None} for name, manifest in manifests.items()}


# What comes later.


def daily(spec: dict[str, Any]) -> None:
    """Files of a day with a time in each row, and labels in files of their own."""
    quick(spec)
    spec["observed_at"] = "seen_at"
    spec["columns"]["seen_at"] = {"type": "text", "description": "when the customer was seen"}
    spec["source"] |= {"label_delay_days": 0}
    spec["limits"] |= {"minimum_training_rows": 500, "minimum_class_rows": 50}


def deliver(folder: Path, day: date, rows: pd.DataFrame) -> None:
    """Write the rows of a day and, apart from them, their labels."""
    rows.assign(Churn="").to_csv(folder / f"rows-{day}.csv", index=False)
    labels = rows[["customerID", "seen_at", "Churn"]].rename(columns={"seen_at": "observed_at"})
    labels.to_csv(folder / f"labels-{day}.csv", index=False)


def seen(day: date) -> pd.DataFrame:
    return simulate_day(day, rows=60, seed=5).assign(seen_at=f"{day}T12:00:00Z")


def test_corrections_that_come_later_do_not_move_the_past(settings: Settings, edit_churn: Edit, tmp_path: Path) -> None:
    folder, start = tmp_path / "in", date(2026, 11, 1)
    folder.mkdir()
    edit_churn(daily)
    edit_churn(lambda spec: spec["source"].update(labels_uri=f"{folder}/labels-{{day}}.csv"))
    edit_churn(lambda spec: spec["source"].update(uri=f"{folder}/rows-{{day}}.csv"))
    for number in range(23):
        deliver(folder, start + timedelta(days=number), seen(start + timedelta(days=number)))
    assert ingest("i1", "2026-11-24") == "PUBLISHED"
    assert retrain("r1", "2026-11-24") == "PROMOTED"
    before = use_case_state(settings, "churn")["champion"]

    today = date(2026, 11, 24)
    wrong = seen(date(2026, 11, 3)).iloc[:30]  # of days that version 1 learned from
    right = wrong.assign(
        MonthlyCharges=wrong["MonthlyCharges"] + 20, Churn=wrong["Churn"].map({"Yes": "No", "No": "Yes"})
    )
    deliver(folder, today, pd.concat([seen(today), right]))
    assert ingest("i2", "2026-11-25") == "PUBLISHED"
    newest = publications.latest(connect(settings.state_url), "churn", "data")
    assert newest is not None
    assert newest.data_version != before["data_version"]

    assert retrain("r2", "2026-11-24") == "UNCHANGED"
    assert main(["reproduce", "1"]) == 0
    assert retrain("r3", "2026-11-25", run_mode="dry_run") in ("DRY_RUN", "REFUSED", "NOT_EVALUATED")
    fingerprints = [fingerprint(settings, run) for run in ("r1", "r2", "r3")]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]
    assert corrected(settings, "r1") == (0, 0)
    assert corrected(settings, "r3") == (30, 30)


def test_labels_that_come_early_wait_for_the_others_of_their_day(
    settings: Settings, edit_churn: Edit, tmp_path: Path
) -> None:
    """Who leaves is known the day after, who stays five days after: the newest days would be of leavers alone."""
    start, early, due = date(2026, 10, 26), timedelta(days=1), timedelta(days=5)
    edit_churn(daily)
    uris = {"uri": f"{tmp_path}/rows-{{day}}.csv", "labels_uri": f"{tmp_path}/labels-{{day}}.csv"}
    edit_churn(lambda spec: spec["source"].update(uris, label_delay_days=due.days))
    for day in (start + timedelta(days=number) for number in range(29)):
        deliver(tmp_path, day, seen(day))
        leavers, others = seen(day - early).query("Churn == 'Yes'"), seen(day - due).query("Churn == 'No'")
        labels = pd.concat([leavers, others])[["customerID", "seen_at", "Churn"]]
        labels.rename(columns={"seen_at": "observed_at"}).to_csv(tmp_path / f"labels-{day}.csv", index=False)
    assert ingest("i1", FIRST) == "PUBLISHED"
    assert retrain("r1", FIRST) == "PROMOTED"
    window = pd.read_parquet(settings.home / "runs/churn/retrain-r1/window.parquet")
    by_day = window.groupby(window["observed_at"].dt.date)["label"]
    assert by_day.size().index[-1] == date.fromisoformat(FIRST) - due - timedelta(days=1)
    assert (by_day.size() == 60).all()
    assert by_day.mean().max() < 0.5
    assert main(["reproduce", "1"]) == 0


def fingerprint(settings: Settings, run_id: str) -> str:
    row = runs.get(connect(settings.state_url), "churn", "retrain", run_id)
    assert row is not None
    return row.details["fingerprint"]


def corrected(settings: Settings, run_id: str) -> tuple[int, int]:
    """How many rows of 3 November are other than first delivered in the run's window: charges, labels."""
    window = pd.read_parquet(settings.home / f"runs/churn/retrain-{run_id}/window.parquet").set_index("customerID")
    first = seen(date(2026, 11, 3)).set_index("customerID")
    both = window.join(first, how="inner", rsuffix="_first")
    assert len(both) == 60
    labels = both["Churn"].map({"Yes": 1.0, "No": 0.0})
    charges = (both["MonthlyCharges"] - both["MonthlyCharges_first"]).abs() > 1
    return int(charges.sum()), int((both["label"] != labels).sum())
