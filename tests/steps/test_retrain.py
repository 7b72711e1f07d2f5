"""How a retrain ends when not all of it goes well, on real rows with a real MLflow server."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from include.cli.source import register_source
from include.cli.status import use_case_state
from include.registry import tracking, versions
from include.settings import Settings
from include.state import decisions, promotions, requests, runs
from include.state.database import connect
from include.state.runs import LedgerRow, Run
from tests.steps.loop import FIRST, close, ingest, open_run, retrain

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

CANDIDATES = {
    "logistic_regression": {"kind": "logistic_regression", "search": {"C": [0.3]}, "trials": 1},
    "decision_tree": {"kind": "decision_tree", "search": {"max_depth": [4]}, "trials": 1},
}
IMPOSSIBLE = {"kind": "decision_tree", "params": {"max_depth": -1}, "search": {"min_samples_leaf": [20]}, "trials": 1}


def quick(spec: dict[str, Any]) -> None:
    """Two candidates with one setting each: what is tested here is not how well they are chosen."""
    spec["training"]["candidates"] = {name: dict(candidate) for name, candidate in CANDIDATES.items()}


def with_candidates(**candidates: dict[str, Any]) -> Any:
    return lambda spec: spec["training"].update(candidates=candidates)


def hopeless(spec: dict[str, Any]) -> None:
    """A gate that nothing passes."""
    quick(spec)
    spec["gate"]["rules"] = [{"metric": "roc_auc", "floor": 0.99, "min_absolute_change": 0.0}]


@pytest.fixture
def published(settings: Settings, edit_churn) -> Settings:
    edit_churn(quick)
    register_source(settings, "simulator:?rows_per_day=60")
    assert ingest("i1", FIRST) == "PUBLISHED"
    return settings


def row(settings: Settings, run_id: str = "r1") -> LedgerRow:
    found = runs.get(connect(settings.state_url), "churn", "retrain", run_id)
    assert found is not None
    return found


def nothing_registered(settings: Settings) -> bool:
    state = use_case_state(settings, "churn")
    return state["champion"] is None and state["registered_versions"] == 0


def mlflow_runs(settings: Settings) -> dict[str, str]:
    """Name and status of every run that the experiment's page lists."""
    client = tracking.connect(settings.mlflow_uri)
    found = client.search_runs([tracking.experiment_id(client, "churn")])
    return {run.info.run_name: run.info.status for run in found}


def test_one_candidate_that_errors_is_named_and_the_others_go_on(published: Settings, edit_churn):
    edit_churn(with_candidates(impossible=IMPOSSIBLE, **CANDIDATES))
    assert retrain("r1") == "PROMOTED"
    details = row(published).details
    assert details["failed_candidates"] == ["impossible"]
    assert "max_depth" in details["errors"]["train[impossible]"]
    assert set(details["cv_scores"]) == set(CANDIDATES)
    assert mlflow_runs(published) == {
        "retrain as of 2026-11-24": "FINISHED",
        "impossible": "FAILED",
        "logistic_regression": "FINISHED",
        "decision_tree": "FINISHED",
    }


def test_a_run_whose_candidates_all_error_failed_with_the_reason_of_each(published: Settings, edit_churn):
    edit_churn(with_candidates(first=IMPOSSIBLE, second=IMPOSSIBLE))
    assert retrain("r1") == "FAILED"
    assert [reason.partition(" ")[0] for reason in row(published).reasons] == [
        "train[first]:",
        "train[second]:",
        "task",
    ]
    assert all("max_depth" in reason for reason in row(published).reasons[:2])
    assert row(published).reasons[-1] == "task train failed"
    assert nothing_registered(published)
    assert set(mlflow_runs(published).values()) == {"FAILED"}


def test_an_error_that_a_second_try_got_over_is_no_reason(published: Settings):
    engine, run = connect(published.state_url), open_run("retrain", "r1", {"as_of": FIRST})
    from include.steps.retrain import window

    with pytest.raises(KeyError):
        window.build_features(run)
    assert "KeyError" in row(published).details["errors"]["build_features"]
    window.build_features(window.validate_window(run))
    assert row(published).details["errors"] == {}
    assert close("retrain", "r1") == "FAILED"
    assert row(published).reasons == ("the run ended before its last task",)
    assert promotions.history(engine, "churn") == []


def test_a_refused_candidate_ends_the_run_with_its_reasons_and_no_version(published: Settings, edit_churn):
    edit_churn(hopeless)
    assert retrain("r1") == "REFUSED"
    assert any("BELOW_FLOOR: roc_auc" in reason for reason in row(published).reasons)
    assert nothing_registered(published)
    (decision,) = decisions.of_kind(connect(published.state_url), "churn", "gate")
    assert (decision.outcome, decision.reasons) == ("FAIL", row(published).reasons)
    assert retrain("r2") == "UNCHANGED"
    assert "ended FAIL" in row(published, "r2").reasons[0]


def test_a_refused_model_is_judged_again_when_there_are_newer_rows_to_judge_it_on(published: Settings, edit_churn):
    """The hold-out is a share of the days: one day in four is added to it, and the training rows stay the same."""
    edit_churn(hopeless)
    for number, day in enumerate(("2026-11-28", "2026-11-29")):
        assert ingest(f"on {day}", day) == "PUBLISHED"
        assert retrain(f"r{number}", day) == "REFUSED"
        assert retrain(f"again {number}", day) == "UNCHANGED"
    second, first = (one.evidence for one in decisions.of_kind(connect(published.state_url), "churn", "gate"))
    assert first["fingerprint"] == second["fingerprint"]
    assert second["metrics"]["challenger"]["n"] > first["metrics"]["challenger"]["n"]


def hard_to_beat(spec: dict[str, Any]) -> None:
    quick(spec)
    spec["training"]["seed"] += 1
    spec["gate"]["rules"] = [{"metric": "roc_auc", "floor": 0.6, "min_absolute_change": 0.01}]
    spec["gate"]["freshness"] = {"on_drift": True}


def test_a_retrain_for_drift_is_judged_though_the_daily_one_was_refused_on_the_same_rows(
    published: Settings, edit_churn
):
    assert retrain("r1") == "PROMOTED"
    edit_churn(hard_to_beat)
    assert retrain("r2") == "REFUSED"
    assert retrain("r3") == "UNCHANGED"
    requests.add(connect(published.state_url), Run("churn", "monitor", "m1", FIRST), "drift", [], "drift of tenure")
    assert retrain("r4") == "PROMOTED"
    assert retrain("r5") == "UNCHANGED"


def over_budget(spec: dict[str, Any]) -> None:
    quick(spec)
    spec["gate"]["budget"] = {"memory_megabytes": 1}


def test_a_model_over_its_budget_is_refused_with_what_it_took(published: Settings, edit_churn):
    edit_churn(over_budget)
    assert retrain("r1") == "REFUSED"
    (reason,) = [reason for reason in row(published).reasons if reason.startswith("OVER_BUDGET")]
    assert "> 1; a smaller model, or a larger gate.budget.memory_megabytes" in reason
    assert nothing_registered(published)


def test_a_feature_of_other_rows_is_refused(published: Settings, edit_churn, tmp_path: Path):
    def average(spec: dict[str, Any]) -> None:
        quick(spec)
        spec["features"]["derived"]["above_average"] = {"description": "months beyond the average customer"}

    edit_churn(average)
    source = tmp_path / "use_cases" / "churn" / "features.py"
    body = "def above_average(columns):\n    return columns['tenure'] - columns['tenure'].mean()\n"
    source.write_text(f"{source.read_text()}\n\n{body}")
    assert retrain("r1") == "REFUSED"
    assert any("DEPENDS_ON_ORDER" in reason for reason in row(published).reasons)


def test_a_dry_run_registers_nothing_and_a_real_one_after_it_does(published: Settings):
    assert retrain("r1", run_mode="dry_run") == "DRY_RUN"
    assert nothing_registered(published)
    assert retrain("r2") == "PROMOTED"
    assert retrain("r3", run_mode="dry_run") == "UNCHANGED"


def test_a_run_that_passed_and_died_is_finished_by_the_next(published: Settings):
    from include.steps.retrain import evaluation, explanation, judgement, release, training, window

    run = open_run("retrain", "r1", {"as_of": FIRST})
    compared = training.compare_with_last_training(window.build_features(window.validate_window(run)))
    trained = [training.train(compared, name) for name in CANDIDATES]
    evaluated = evaluation.evaluate_challenger(training.select(trained[0], trained))
    registered = release.register(judgement.judge(explanation.explain_challenger(evaluated)))
    assert retrain("r2") == "PROMOTED"
    state = use_case_state(published, "churn")
    assert (state["registered_versions"], state["champion"]["version"]) == (1, registered["version"])
    assert row(published).outcome == "FAILED"


def test_the_challenger_is_explained_in_mlflow_and_in_its_package(published: Settings):
    assert retrain("r1") == "PROMOTED"
    client = tracking.connect(published.mlflow_uri)
    mlflow_run = row(published).details["mlflow_run"]
    names = {Path(file.path).name for file in client.list_artifacts(mlflow_run, "explanation")}
    assert {"explanation.json", "background.csv", "shap_values.parquet", "explained_rows.parquet"} < names
    assert {"importance.png", "shap_summary.png", "partial_dependence.png", "surrogate.png"} < names
    versions.fetch(client, "churn", "1", published.home / "models")
    package = versions.folder(published.home / "models", "churn", "1") / "explanation"
    kept = json.loads((package / "explanation.json").read_text())
    assert kept["additivity"]["error"] <= kept["additivity"]["tolerance"]
    assert kept["background"]["sha256"] == hashlib.sha256((package / "background.csv").read_bytes()).hexdigest()


def test_a_cleared_run_with_other_settings_converges(published: Settings, edit_churn):
    assert retrain("r1") == "PROMOTED"
    edit_churn(lambda spec: spec["training"]["candidates"]["decision_tree"]["search"].update(max_depth=[6]))
    assert retrain("r1") in ("PROMOTED", "REFUSED")
    client = tracking.connect(published.mlflow_uri)
    found = client.search_runs([tracking.experiment_id(client, "churn")], "tags.`modelops.candidate` = 'decision_tree'")
    assert [run.data.params["max_depth"] for run in found] == ["6", "4"]
    assert len({run.data.tags["mlflow.parentRunId"] for run in found}) == 2
    assert len(versions.registered(client, "churn")) == len(promotions.history(connect(published.state_url), "churn"))


def test_a_cleared_candidate_replaces_its_run_in_the_same_parent(published: Settings, edit_churn):
    from include.steps.retrain import training, window

    run = open_run("retrain", "r1", {"as_of": FIRST})
    compared = training.compare_with_last_training(window.build_features(window.validate_window(run)))
    training.train(compared, "decision_tree")
    edit_churn(lambda spec: spec["training"]["candidates"]["decision_tree"]["search"].update(max_depth=[6]))
    training.train(compared, "decision_tree")
    client = tracking.connect(published.mlflow_uri)
    of_parent = f"tags.`mlflow.parentRunId` = '{compared['mlflow_run']}'"
    (child,) = client.search_runs([tracking.experiment_id(client, "churn")], of_parent)
    assert child.data.params["max_depth"] == "6"
    close("retrain", "r1")


def test_a_run_leaves_nothing_open_in_mlflow_when_mlflow_was_away_at_its_end(published: Settings):
    from include.steps.retrain import training, window

    run = open_run("retrain", "r1", {"as_of": FIRST})
    training.compare_with_last_training(window.build_features(window.validate_window(run)))
    runs.close_row(connect(published.state_url), "churn", "retrain", "r1", failed=[])  # the end that MLflow missed
    client = tracking.connect(published.mlflow_uri)
    assert tracking.left_open(client, "churn") == {"r1"}
    assert retrain("r2") == "PROMOTED"
    assert tracking.left_open(client, "churn") == set()
