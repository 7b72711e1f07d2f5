"""The steps of all three DAGs on real Telco rows, with a real MLflow server, without Airflow."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from include.cli.source import register_source
from include.cli.status import use_case_state
from include.errors import BadRequest, NothingToDo
from include.settings import Settings
from include.state import decisions, promotions, publications, requests, runs, sources
from include.state.database import connect
from tests.steps.loop import FIRST, ingest, monitor, open_run, retrain

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other


def test_the_real_file_becomes_a_champion_and_again_changes_nothing(settings: Settings, telco_csv: Path):
    register_source(settings, str(telco_csv))
    assert ingest("i1", FIRST) == "PUBLISHED"
    assert retrain("r1") == "PROMOTED"
    state = use_case_state(settings, "churn")
    assert state["champion"]["roc_auc_holdout"] >= 0.82
    low, high = state["champion"]["roc_auc_interval"]
    assert low <= 0.845 <= high
    assert state["registered_versions"] == 1
    assert ingest("i2", FIRST) == "NO_NEW_DATA"
    unread = runs.get(connect(settings.state_url), "churn", "ingest", "i2")
    assert unread
    assert f"{telco_csv} was chosen for this home, so simulator:" in unread.reasons[0]
    assert retrain("r2") == "UNCHANGED"
    again = use_case_state(settings, "churn")
    assert again["champion"] == state["champion"]
    assert again["registered_versions"] == 1
    engine = connect(settings.state_url)
    published = publications.latest(engine, "churn", "data")
    assert published is not None
    assert (published.rows_in, published.rows_published, published.rows_quarantined) == (7043, 7043, 0)


def test_dry_run_registers_nothing(settings: Settings, telco_csv: Path):
    register_source(settings, str(telco_csv))
    ingest("i1", FIRST)
    assert retrain("r1", run_mode="dry_run") == "DRY_RUN"
    state = use_case_state(settings, "churn")
    assert state["champion"] is None
    assert state["registered_versions"] == 0


def test_a_dry_run_of_an_ingest_publishes_nothing_and_neither_does_a_backfill(settings: Settings, telco_csv: Path):
    register_source(settings, str(telco_csv))
    assert ingest("i1", FIRST, run_mode="dry_run") == "DRY_RUN"
    assert ingest("b1", FIRST, run_type="backfill") == "DRY_RUN"
    engine = connect(settings.state_url)
    row, chosen = runs.get(engine, "churn", "ingest", "i1"), sources.get(engine, "churn")
    assert row is not None
    assert row.reasons[0].startswith("run_mode is dry_run: would publish 7043 rows of 2026-09-25 to 2026-11-23, 0")
    assert [one.outcome for one in decisions.of_kind(engine, "churn", "batch")] == ["PASS", "PASS"]
    assert publications.latest(engine, "churn", "data") is None
    assert not Path(settings.lake_uri).exists()
    assert chosen is not None
    assert chosen.first_as_of is None
    assert ingest("i2", FIRST) == "PUBLISHED"


def test_covariate_drift_leads_to_one_retrain_with_its_reason(settings: Settings):
    source = "simulator:?rows_per_day=120&drift=covariate&drift_from=2026-11-24"
    register_source(settings, source)
    ingest("i1", FIRST)
    assert retrain("r1") == "PROMOTED"
    assert monitor("m1", FIRST) == "NO_DRIFT"
    later = (date.fromisoformat(FIRST) + timedelta(days=7)).isoformat()
    assert ingest("i2", later) == "PUBLISHED"
    assert monitor("m2", later) == "REQUESTED"
    assert monitor("m3", later) == "SUPPRESSED"
    state = use_case_state(settings, "churn")
    assert "MonthlyCharges" in state["last_monitor"]["drifted_columns"]
    assert state["pending_requests"] == 1
    outcome = retrain("r2", as_of=None, run_type="asset_triggered")
    assert outcome in ("PROMOTED", "REFUSED")
    last = runs.last(connect(settings.state_url), "churn", "retrain")
    assert last is not None
    assert last.as_of == later
    assert "drift of" in last.reason
    assert [request.outcome for request in requests.every(connect(settings.state_url), "churn")] == [outcome]


def test_a_backfill_never_promotes(settings: Settings):
    record = open_run("retrain", "b1", {"as_of": "2026-01-31", "run_mode": "enabled"}, "backfill")
    assert record["run"]["run_mode"] == "dry_run"


def test_a_woken_run_with_nothing_to_claim_ends_at_once(settings: Settings):
    with pytest.raises(NothingToDo):
        open_run("retrain", "r1", {}, "asset_triggered")
    row = runs.get(connect(settings.state_url), "churn", "retrain", "r1")
    assert row is not None
    assert (row.outcome, row.ended_at is not None) == ("NOTHING_PENDING", True)


@pytest.mark.parametrize(
    "conf",
    [{"as_of": "tomorrow"}, {"as_of": "2026-13-01"}, {"path": "../../etc"}, {"run_mode": "yolo"}],
    ids=["B39-word", "B39-no-such-day", "B39-unknown-key", "B39-mode"],
)
def test_bad_parameters_are_refused_and_recorded(settings: Settings, conf: dict):
    with pytest.raises(BadRequest):
        open_run("retrain", "r1", conf)
    row = runs.get(connect(settings.state_url), "churn", "retrain", "r1")
    assert row is not None
    assert row.outcome == "BAD_REQUEST"


def test_a_batch_past_the_limit_is_refused_whole(settings: Settings, telco_csv: Path, tmp_path: Path):
    broken = tmp_path / "broken.csv"
    lines = telco_csv.read_text(encoding="utf-8").splitlines()
    broken.write_text("\n".join([lines[0], *(line.replace("Month-to-month", "Weekly") for line in lines[1:])]))
    register_source(settings, str(broken))
    assert ingest("i1", FIRST) == "DATA_REJECTED"
    row = runs.get(connect(settings.state_url), "churn", "ingest", "i1")
    assert row is not None
    assert "Contract" in row.reasons[0]
    assert "Weekly" in row.reasons[0]
    assert publications.latest(connect(settings.state_url), "churn", "data") is None


def test_a_few_bad_rows_go_to_quarantine_with_their_rule(settings: Settings, telco_csv: Path, tmp_path: Path):
    from include.data import tables

    lines = telco_csv.read_text(encoding="utf-8").splitlines()
    for n in range(1, 11):
        lines[n] = (
            lines[n].replace("Month-to-month", "Weekly").replace("One year", "Weekly").replace("Two year", "Weekly")
        )
    source = tmp_path / "few.csv"
    source.write_text("\n".join(lines))
    register_source(settings, str(source))
    assert ingest("i1", FIRST) == "PUBLISHED"
    published = publications.latest(connect(settings.state_url), "churn", "data")
    assert published is not None
    assert (published.rows_published, published.rows_quarantined) == (7033, 10)
    uri = tables.table_uri(settings.lake_uri, "churn", "quarantine")
    kept = tables.read(uri, published.versions["quarantine"])
    assert len(kept) == 10
    assert kept["rule"].str.startswith("Contract: must be one of").all()


def test_an_open_intent_is_reconciled(settings: Settings):
    from include.registry import promotion, tracking

    engine = connect(settings.state_url)
    values = {"previous_version": None, "model_sha256": "m", "fingerprint": "f", "data_version": "d", "as_of": FIRST}
    promotions.intend(engine, use_case="churn", run_id="r", version="9", metrics={}, reasons=[], fence=1, **values)
    run = runs.Run("churn", "monitor", "m", FIRST)
    assert promotion.sound_champion(engine, tracking.connect(settings.mlflow_uri), run, settings.home) is None
    assert promotions.open_intents(engine, "churn") == []
    assert promotions.champion(engine, "churn") is None
