"""The monitor on real Telco rows that arrive as one file a day: what asks for a retrain, and what must not."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from include.cli.status import use_case_state
from include.errors import NothingToDo
from include.registry import tracking, versions
from include.state import decisions, promotions, publications, runs
from include.state.database import connect
from include.training.package import PackageRefused
from tests.conftest import MlflowServer
from tests.steps.company import ROWS, Company, EditSpec, day
from tests.steps.loop import FIRST, close, ingest, judge, monitor, open_run, retrain

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

DRIFT: dict[str, object] = {"Contract": "Month-to-month"}


def test_days_that_the_champion_knows_are_no_evidence(company: Company, edit_churn: EditSpec):
    """Labels take 14 days, so that it knows the days before 2026-11-10."""
    edit_churn(lambda spec: spec["monitoring"].update(window_days=14))
    company.publish("i2", 0, 6, **DRIFT)
    assert monitor("m1", day(6)) == "NO_DRIFT"
    verdicts = [window["verdict"] for window in company.decision("m1").evidence["windows"]]
    assert verdicts == ["DRIFT", "TRAINED_ON", "TRAINED_ON"]
    assert company.last_reasons() == ["NO_DRIFT: 1 of 1 windows drifted, 2 needed; the newest did"]
    assert use_case_state(company.settings, "churn")["last_monitor"]["drifted_columns"] == ["Contract"]
    edit_churn(lambda spec: spec["monitoring"].update(window_days=21))
    assert monitor("m2", day(6)) == "NO_DRIFT"
    assert "no evidence: the champion was trained or judged on days before 2026-11-10" in company.last_reasons()[0]


def test_drift_asks_once_and_every_decision_is_kept(company: Company, caplog: pytest.LogCaptureFixture):
    company.publish("i2", 0, 6, **DRIFT)
    with caplog.at_level(logging.WARNING, "include.steps.monitor"):
        assert monitor("m1", day(6)) == "REQUESTED"
    assert "REQUESTED: DRIFT: 2 of 3 windows drifted, 2 needed: Contract" in caplog.text
    (request,) = company.requests()
    assert (request.requested_by, request.columns, request.as_of) == ("m1", ("Contract",), day(6))
    assert request.reason == f"drift of Contract as of {day(6)}"
    assert monitor("m2", day(6)) == "SUPPRESSED"
    assert company.codes() == ["COOLDOWN", "SAME_EVIDENCE", "PENDING"]
    assert company.requests() == [request]
    fired, held = company.decision("m1"), company.decision("m2")
    assert (fired.outcome, held.outcome) == ("REQUESTED", "SUPPRESSED")
    assert fired.evidence == held.evidence == {**fired.evidence, "evidence": request.evidence, "drifted": ["Contract"]}
    assert [window["verdict"] for window in fired.evidence["windows"]] == ["DRIFT", "DRIFT", "OK"]


def test_what_was_found_lies_in_the_run_s_folder(company: Company):
    company.publish("i2", 0, 6, **DRIFT)
    monitor("m1", day(6), draw=True)
    folder = company.settings.run_folder("churn", "monitor-m1")
    newest, *older = json.loads((folder / "drift_verdict.json").read_text(encoding="utf-8"))
    assert [window["first"] for window in [newest, *older]] == [day(3), day(0), day(-3)]
    assert (newest["current_rows"], newest["drifted_columns"]) == (3 * ROWS, ["Contract"])
    assert json.loads((folder / "quality.json").read_text(encoding="utf-8")) == [[], [], []]
    row = runs.get(connect(company.settings.state_url), "churn", "monitor", "m1")
    assert row is not None
    assert row.details["report"] == str(folder / "drift.html")
    page = Path(row.details["report"]).read_text(encoding="utf-8")
    counts = f"{newest['current_rows']} rows published against {newest['reference_rows']} of champion 1"
    assert f"Customer churn, {day(3)} to before {day(6)}: {counts}: DRIFT" in page


def test_after_the_cool_down_new_days_ask_again_unless_it_was_of_no_help(company: Company):
    company.publish("i2", 0, 6, **DRIFT)
    assert monitor("m1", day(6)) == "REQUESTED"
    company.publish("i3", 6, 9, **DRIFT)
    assert monitor("m2", day(9)) == "SUPPRESSED"
    assert company.codes() == ["PENDING"]
    company.answer("r2", day(9), "REFUSED")
    assert monitor("m3", day(9)) == "SUPPRESSED"
    assert company.codes() == ["NEEDS_A_PERSON"]
    promoted = {"version": "1", "previous_version": "1", "model_sha256": "", "fingerprint": "", "data_version": ""}
    engine = connect(company.settings.state_url)
    intent = promotions.intend(
        engine, use_case="churn", run_id="r3", as_of=day(9), metrics={}, reasons=[], fence=1, **promoted
    )
    promotions.finish(engine, intent)
    assert monitor("m4", day(9)) == "REQUESTED"
    assert [request.requested_by for request in company.requests()] == ["m1", "m4"]


def test_another_drift_is_another_matter(company: Company):
    company.publish("i2", 0, 6, **DRIFT)
    assert monitor("m1", day(6)) == "REQUESTED"
    company.answer("r2", day(6), "REFUSED")
    company.publish("i3", 6, 12, MonthlyCharges="109.5")
    assert monitor("m2", day(12)) == "REQUESTED"
    assert "Contract" not in company.requests()[-1].columns


def test_a_cool_down_may_end_before_the_days_are_new(company: Company, edit_churn: EditSpec):
    edit_churn(lambda spec: spec["retrain_policy"].update(cooldown_hours=24))
    company.publish("i2", 0, 6, **DRIFT)
    assert monitor("m1", day(6)) == "REQUESTED"
    company.answer("r2", day(6), "CHAMPION_CHANGED")
    company.publish("i3", 6, 8, **DRIFT)
    assert monitor("m2", day(8)) == "SUPPRESSED"
    assert company.codes() == ["SAME_EVIDENCE", "NEEDS_A_PERSON"]


def test_with_few_new_labels_a_retrain_would_learn_little(company: Company, edit_churn: EditSpec):
    edit_churn(lambda spec: spec["retrain_policy"].update(min_new_labels=6 * ROWS + 1))
    company.publish("i2", 0, 6, **DRIFT)
    assert monitor("m1", day(6)) == "SUPPRESSED"
    assert company.last_reasons() == ["TOO_FEW_NEW_LABELS: 540 since the champion's, at least 541 needed"]


def test_a_run_that_judges_the_past_asks_for_nothing(company: Company):
    company.publish("i2", 0, 6, **DRIFT)
    with pytest.raises(NothingToDo, match="DRY_RUN"):
        judge(open_run("monitor", "b1", {"as_of": day(6)}, "backfill"))
    assert close("monitor", "b1") == "SUPPRESSED"
    assert company.requests() == []


def test_what_is_published_meanwhile_is_for_the_next_run(company: Company):
    from include.steps.monitor import drift, quality

    company.publish("i2", 0, 6)
    checked = quality.check_quality(quality.collect(open_run("monitor", "m1", {"as_of": day(7)})))
    company.publish("i3", 6, 7)
    assert drift.measure_drift(checked)["windows"][0]["end"] == day(6)


def test_a_refused_batch_blocks_and_never_asks(company: Company, caplog: pytest.LogCaptureFixture):
    company.publish("i2", 0, 6, **DRIFT)
    company.write(6, 7, Contract="Weekly")
    assert ingest("i3", day(7)) == "DATA_REJECTED"
    assert ingest("i4", day(6)) == "NO_NEW_DATA"
    with caplog.at_level(logging.WARNING, "include.steps.monitor"):
        assert monitor("m1", day(7)) == "DATA_QUALITY"
    for shown in (caplog.text, " ".join(company.last_reasons())):
        assert "DATA_QUALITY: the last ingest (i3) was refused:" in shown
        assert "'Weekly'" in shown
    assert company.requests() == []
    assert monitor("m2", day(6)) == "REQUESTED", "as of that day the batch was not refused yet"


BAD: dict[str, tuple[dict[str, object], str]] = {
    "blank": ({"TotalCharges": ""}, "'TotalCharges' is blank in 100.0% of the rows, in 0."),
    "another unit": ({"MonthlyCharges": "480.5"}, "'MonthlyCharges': the median went from"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_window_of_bad_data_blocks_and_does_not_count_later(case: str, company: Company):
    changes, message = BAD[case]
    company.publish("i2", 0, 3, **DRIFT)
    company.publish("i3", 3, 6, **DRIFT, **changes)
    assert monitor("m1", day(6)) == "DATA_QUALITY"
    assert message in company.last_reasons()[0]
    assert set(company.codes()[1:]) <= {"ATTRIBUTION_DRIFT"}, "another unit is another input to the model, too"
    (violation,) = json.loads((company.settings.run_folder("churn", "monitor-m1") / "quality.json").read_text())[0]
    assert violation["value"] > violation["limit"]
    company.publish("i4", 6, 9, **DRIFT)
    assert monitor("m2", day(9)) == "REQUESTED"
    assert company.last_reasons() == ["DRIFT: 2 of 2 windows drifted, 2 needed: Contract"]


def test_a_unit_that_changed_this_week_is_not_learned(company: Company):
    company.publish("i2", 0, 3, MonthlyCharges="480.5")
    assert retrain("r2", day(3)) == "DATA_REJECTED"
    row = runs.get(connect(company.settings.state_url), "churn", "retrain", "r2")
    assert row is not None
    assert "SHIFT_GUARD: 'MonthlyCharges': the median went from 70" in row.reasons[0]


def test_a_source_that_stopped_is_bad_data(company: Company):
    assert monitor("m1", day(5)) == "DATA_QUALITY"
    assert "the newest day is 2026-11-23, 6 days before 2026-11-29; at most 3" in company.last_reasons()[0]


def test_few_rows_are_not_judged(company: Company, edit_churn: EditSpec):
    edit_churn(lambda spec: spec["limits"].update(minimum_batch_rows=1))
    company.publish("i2", 0, 3, rows=2, Contract="Two year")
    assert monitor("m1", day(3), draw=True) == "INSUFFICIENT"
    assert "6 rows, at least 200 needed in the window from 2026-11-24" in company.last_reasons()[0]
    assert use_case_state(company.settings, "churn")["last_monitor"]["drifted_columns"] == []
    assert not (company.settings.run_folder("churn", "monitor-m1") / "drift.html").exists()


def test_a_newest_window_without_a_row_is_not_judged(company: Company, edit_churn: EditSpec):
    edit_churn(lambda spec: spec["limits"].update(quarantine_rate=1.0))
    company.write(0, 3)
    company.publish("i2", 3, 6, Contract="Weekly")
    published = publications.latest(connect(company.settings.state_url), "churn", "data")
    assert published is not None
    assert (published.last_day, published.rows_quarantined) == (day(5), 3 * ROWS)
    assert monitor("m1", day(6)) == "INSUFFICIENT"
    assert "0 rows" in company.last_reasons()[0]


def test_an_old_champion_alarms_whatever_else_is_found(company: Company, caplog: pytest.LogCaptureFixture):
    company.publish("i2", 0, 6, **DRIFT)
    assert monitor("m1", day(6)) == "REQUESTED"
    assert company.codes() == ["DRIFT"]
    alarm = "STALE_CHAMPION: version 1 is 91 days old, at most 90"
    with caplog.at_level(logging.WARNING, "include.steps.monitor"):
        assert monitor("m2", day(91)) == "DATA_QUALITY"
    assert company.last_reasons()[-1] == alarm
    assert alarm in caplog.text


def test_a_champion_that_cannot_score_alarms_and_its_inputs_are_watched(company: Company, edit_churn: EditSpec):
    edit_churn(lambda spec: spec["features"]["columns"].remove("tenure"))
    company.publish("i2", 0, 6, **DRIFT)
    assert monitor("m1", day(6)) == "REQUESTED"
    assert company.codes() == ["DRIFT", "NO_SCORES"]


@pytest.mark.parametrize(
    ("formula", "codes"),
    [
        pytest.param("return 100 * np.divide(", ["DRIFT", "NO_SCORES"], id="another formula"),
        pytest.param("return 1.0 * np.divide(", ["DRIFT"], id="the same written otherwise"),
    ],
)
def test_a_champion_is_not_scored_on_a_formula_that_it_did_not_learn(
    company: Company,
    edit_churn: EditSpec,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    formula: str,
    codes: list[str],
):
    edit_churn(lambda spec: None)
    source = tmp_path / "use_cases" / "churn" / "features.py"
    source.write_text(source.read_text(encoding="utf-8").replace("return np.divide(", formula), encoding="utf-8")
    company.publish("i2", 0, 6, **DRIFT)
    with caplog.at_level(logging.WARNING, "include.steps.monitor"):
        assert monitor("m1", day(6)) == "REQUESTED"
    assert company.codes() == codes
    assert ("it learned other values of charge_change" in caplog.text) == ("NO_SCORES" in codes)


def test_a_damaged_champion_fails_with_what_is_damaged(company: Company, mlflow_server: MlflowServer):
    client = tracking.connect(company.settings.mlflow_uri)
    (version,) = versions.registered(client, "churn")
    model = mlflow_server.package(version) / "model.skops"
    whole = model.read_bytes()
    shutil.rmtree(company.settings.home / "models", ignore_errors=True)
    try:
        model.write_bytes(whole[:-100])
        with pytest.raises(PackageRefused):
            monitor("m1", FIRST)
    finally:
        model.write_bytes(whole)
    assert close("monitor", "m1", failed=["check_quality"]) == "FAILED"
    (reason, _) = company.last_reasons()
    assert "champion 1 of churn is damaged in MLflow: model.skops: its content does not match" in reason
    assert "let the alias point to an earlier version" in reason


def test_steps_that_run_again_write_nothing_twice(company: Company):
    company.publish("i2", 0, 6, **DRIFT)
    run = open_run("monitor", "m1", {"as_of": day(6)})
    for _ in range(2):
        assert judge(run)["outcome"] == "REQUESTED"
    assert close("monitor", "m1") == "REQUESTED"
    assert len(company.requests()) == 1
    assert len(decisions.of_kind(connect(company.settings.state_url), "churn", "drift")) == 1


def test_a_run_that_is_cleared_after_the_retrain_does_not_ask_again(company: Company):
    company.publish("i2", 0, 6, **DRIFT)
    assert monitor("m1", day(6)) == "REQUESTED"
    company.answer("r2", day(6), "PROMOTED")
    company.publish("i3", 6, 7, **DRIFT)
    assert monitor("m1", day(7)) == "SUPPRESSED"
    assert company.codes()[:2] == ["COOLDOWN", "SAME_EVIDENCE"]
    assert len(company.requests()) == 1
