"""What is tried, on real rows with a real MLflow server: it is all to be seen, and the folds alone choose."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow.entities import Run as MlflowRun

from include.cli.source import register_source
from include.registry import tracking
from include.settings import Settings
from include.state import decisions, runs
from include.state.database import connect
from tests.steps.loop import FIRST, ingest, retrain

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

DAYS, HELD_OUT, ROWS = 20, 5, 150
MEMORY = {"kind": "decision_tree", "params": {"min_samples_leaf": 1}}


def deliver(folder: Path, telco_csv: Path) -> None:
    """Files of 20 days, of which the last five, the hold-out, repeat customers of the first ones under other ids."""
    rows = pd.read_csv(telco_csv, dtype=str, keep_default_na=False)
    last = date.fromisoformat(FIRST) - timedelta(days=1)
    for number in range(DAYS):
        day = last - timedelta(days=DAYS - 1 - number)
        place = number % (DAYS - HELD_OUT)
        found = rows.iloc[place * ROWS : (place + 1) * ROWS]
        ids = found["customerID"] + ("" if place == number else "-again")
        found.assign(customerID=ids, seen_at=f"{day}T12:00:00Z").to_csv(folder / f"{day}.csv", index=False)


def test_a_setting_that_is_perfect_on_the_hold_out_and_poor_in_the_folds_is_not_chosen(
    settings: Settings, edit_churn, telco_csv: Path, tmp_path: Path
):
    folder = tmp_path / "in"
    folder.mkdir()
    deliver(folder, telco_csv)

    def planted(spec: dict[str, Any]) -> None:
        spec["observed_at"] = "seen_at"
        spec["columns"]["seen_at"] = {"type": "text", "description": "when the customer was seen"}
        spec["source"] |= {"uri": f"{folder}/{{day}}.csv", "label_delay_days": 0}
        # One learns its rows by heart, the other one may: min_samples_leaf is 1 in the planted setting.
        tree = {"kind": "decision_tree", "search": {"min_samples_leaf": [1, 60]}, "trials": 2}
        spec["training"]["candidates"] = {"memory": MEMORY, "tree": tree}

    edit_churn(planted)
    assert ingest("i1", FIRST) == "PUBLISHED"
    assert retrain("r1", run_mode="dry_run") == "DRY_RUN"
    details = row(settings).details
    assert details["challenger"] == "tree"
    assert details["cv_scores"]["memory"] < details["cv_scores"]["tree"] - 0.1
    (verdict,) = decisions.of_kind(connect(settings.state_url), "churn", "gate")
    assert verdict.evidence["others"]["memory"] > 0.99
    assert verdict.evidence["metrics"]["challenger"]["roc_auc"] < 0.9
    assert child(settings, "tree").data.params["min_samples_leaf"] == "60"


def test_every_setting_is_a_row_of_a_table_in_mlflow(settings: Settings, edit_churn):
    forest = {
        "kind": "random_forest",
        "params": {"n_estimators": 10, "class_weight": "balanced"},
        "search": {"max_depth": [2, 4, 6, 8]},
        "trials": 4,
        "calibration": "auto",
        "max_rows": 1200,
    }
    hurried = {"kind": "decision_tree", "search": {"max_depth": [2, 4]}, "trials": 2, "seconds": 1e-9}
    edit_churn(lambda spec: spec["training"].update(candidates={"forest": forest, "hurried": hurried}))
    register_source(settings, "simulator:?rows_per_day=60")
    assert ingest("i1", FIRST) == "PUBLISHED"
    assert retrain("r1", run_mode="dry_run") == "DRY_RUN"
    assert row(settings).details["out_of_time"] == ["hurried"]

    found = child(settings, "forest")
    assert found.data.params["calibration"] == "sigmoid"
    assert found.data.params["fitted_rows"] == "1200"
    assert found.data.metrics["cv_brier/sigmoid"] < found.data.metrics["cv_brier/none"]
    trials = table(settings, found)
    assert list(trials.columns) == ["max_depth", "mean", "ended", "fold 1", "fold 2", "fold 3", "seconds"]
    assert sorted(trials["max_depth"]) == [2, 4, 6, 8]
    assert trials["fold 3"].notna().sum() == 2
    chosen = trials[trials["ended"] == "chosen"].iloc[0]
    assert chosen["mean"] == pytest.approx(found.data.metrics["cv_roc_auc"])
    assert str(chosen["max_depth"]) == found.data.params["max_depth"]
    assert trials["ended"].str.startswith("halved after fold 1").sum() == 2
    manifest = json.loads(
        (settings.home / "runs/churn/retrain-r1/candidates/forest/manifest.json").read_text(encoding="utf-8")
    )
    assert (manifest["calibration"], manifest["fitted_rows"]) == ("sigmoid", 1200)
    assert manifest["training_rows"] > 1200

    late = child(settings, "hurried")
    assert "ended by its budget of 1e-09 s" in late.data.tags[tracking.NOTE]
    assert table(settings, late)["ended"].tolist() == ["chosen", "out of time before fold 1"]


def row(settings: Settings) -> runs.LedgerRow:
    found = runs.get(connect(settings.state_url), "churn", "retrain", "r1")
    assert found is not None
    return found


def child(settings: Settings, candidate: str) -> MlflowRun:
    """The MLflow run of a candidate."""
    client = tracking.connect(settings.mlflow_uri)
    of_candidate = f"tags.`{tracking.CANDIDATE_TAG}` = '{candidate}'"
    (found,) = client.search_runs([tracking.experiment_id(client, "churn")], of_candidate)
    return found


def table(settings: Settings, found: MlflowRun) -> pd.DataFrame:
    """The trials, as MLflow's own reader of tables gets them."""
    return tracking.connect(settings.mlflow_uri).load_table(
        tracking.experiment_id(tracking.connect(settings.mlflow_uri), "churn"),
        "search/trials.json",
        run_ids=[found.info.run_id],
    )
