"""What is kept of a verdict: its record and page, whatever the outcome, and that nothing unjudged is promoted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.__main__ import main
from include.cli.source import register_source
from include.cli.status import use_case_state
from include.failpoints import VARIABLE
from include.governance import words
from include.governance.record import Record
from include.registry import tracking, versions
from include.settings import Settings
from include.state import decisions, requests, runs
from include.state.database import connect
from include.state.runs import Run
from tests.conftest import MlflowServer, copy_of_churn, without_models
from tests.steps.loop import FIRST, close, ingest, retrain

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

Change = Callable[[dict[str, Any]], None]


def quick(spec: dict[str, Any]) -> None:
    """Two candidates with one setting each: what is tested here is not how well they are chosen."""
    spec["training"]["candidates"] = {
        "line": {"kind": "logistic_regression", "params": {"C": 0.3}},
        "tree": {"kind": "decision_tree", "params": {"max_depth": 3, "min_samples_leaf": 50}},
    }


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, mlflow_server: MlflowServer) -> Iterator[Settings]:
    """A home with published rows and no champion, and a copy of the spec that a case may change."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELOPS_HOME", str(home))
        patch.setenv("MODELOPS_MLFLOW_PORT", str(mlflow_server.port))
        patch.setenv("MODELOPS_USE_CASES", str(home / "use_cases"))
        copy_of_churn(home / "use_cases", quick)
        without_models(mlflow_server)
        settings = Settings.from_environment()
        register_source(settings, "simulator:?rows_per_day=60")
        assert ingest("i1", FIRST) == "PUBLISHED"
        yield settings


def kept(settings: Settings, run_id: str) -> Record:
    """The record of the run's verdict, as the schema takes it."""
    folder = settings.run_folder("churn", f"retrain-{run_id}")
    return Record.model_validate_json((folder / "verdict.json").read_bytes())


def page(settings: Settings, run_id: str) -> str:
    return (settings.run_folder("churn", f"retrain-{run_id}") / "verdict.html").read_text(encoding="utf-8")


def ledger(settings: Settings, run_id: str) -> runs.LedgerRow:
    found = runs.get(connect(settings.state_url), "churn", "retrain", run_id)
    assert found is not None
    return found


def no_rules(spec: dict[str, Any]) -> None:
    spec["gate"]["rules"] = []


def more_rows(spec: dict[str, Any]) -> None:
    spec["gate"]["minimum_rows"] = 100_000


def more_of_a_class(spec: dict[str, Any]) -> None:
    spec["gate"]["minimum_class_rows"] = 50_000


def out_of_reach(spec: dict[str, Any]) -> None:
    spec["gate"]["rules"] = [{"metric": "roc_auc", "floor": 0.99, "min_absolute_change": 0.0}]


@pytest.mark.parametrize(
    ("change", "outcome", "code"),
    [
        pytest.param(no_rules, "NOT_EVALUATED", "NO_RULES", id="no rules"),
        pytest.param(more_rows, "NOT_EVALUATED", "TOO_FEW_ROWS", id="too few rows"),
        pytest.param(more_of_a_class, "NOT_EVALUATED", "TOO_FEW_CLASS_ROWS", id="too few of a class"),
        pytest.param(None, "NOT_EVALUATED", "EXPLANATION_NOT_ADDITIVE", id="a wrong explanation"),
        pytest.param(out_of_reach, "REFUSED", "BELOW_FLOOR", id="a failed check"),
    ],
)
def test_what_does_not_pass_is_kept_with_its_reason_and_never_registered(
    published: Settings,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    change: Change | None,
    outcome: str,
    code: str,
) -> None:
    if change is None:
        monkeypatch.setattr("include.explanation.shapley.TOLERANCE", -1.0)
    copy_of_churn(published.use_case_folders[0], quick, *([change] if change else []))
    run_id = request.node.callspec.id
    assert retrain(run_id, reason="the auditor asked") == outcome
    record = kept(published, run_id)
    assert record.outcome == {"REFUSED": "FAIL"}.get(outcome, outcome)
    assert code in [reason.code for reason in record.reasons]
    assert record.cold_start
    assert (record.run.who, record.run.reason) == ("a start by hand", "the auditor asked")
    assert code in page(published, run_id)
    assert ledger(published, run_id).details["verdict_page"].endswith("/verdict.html")
    state = use_case_state(published, "churn")
    assert (state["champion"], state["registered_versions"]) == (None, 0)


def test_a_backfill_is_judged_and_promotes_nothing(published: Settings) -> None:
    copy_of_churn(published.use_case_folders[0], quick, lambda spec: spec["training"].update(seed=3))
    assert retrain("b1", run_type="backfill", run_mode="enabled") == "DRY_RUN"
    assert (kept(published, "b1").outcome, kept(published, "b1").run.who) == ("PASS", "a backfill")
    assert "This was a dry run" in page(published, "b1")
    state = use_case_state(published, "churn")
    assert (state["champion"], state["registered_versions"]) == (None, 0)


def test_an_error_leaves_a_verdict_that_says_so_and_a_retry_judges(
    published: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"tree": {"kind": "decision_tree", "params": {"max_depth": 4, "min_samples_leaf": 50}}}
    copy_of_churn(published.use_case_folders[0], lambda spec: spec["training"].update(candidates=other))
    for step, failpoint in (("evaluate_challenger", "holdout_scores.parquet"), ("judge", "verdict.html")):
        monkeypatch.setenv(VARIABLE, f"write.{failpoint}=EIO:1")
        with pytest.raises(OSError, match=failpoint):
            retrain("broken", run_mode="dry_run")
        assert close("retrain", "broken", failed=["evaluate"]) == "FAILED"
        (decision, *_) = decisions.of_kind(connect(published.state_url), "churn", "gate")
        assert (decision.run_id, decision.outcome) == ("broken", "NOT_EVALUATED")
        assert decision.reasons[0].startswith(f"EVALUATION_FAILED: {step}: OSError")
        record = kept(published, "broken")
        assert (record.outcome, record.reasons[0].code, record.checks) == ("NOT_EVALUATED", "EVALUATION_FAILED", ())
        assert "could not be judged" in page(published, "broken")
    monkeypatch.delenv(VARIABLE)
    assert retrain("next", run_mode="dry_run") == "DRY_RUN"  # and not UNCHANGED
    assert retrain("broken", run_mode="dry_run") == "DRY_RUN"
    (decision, *_) = decisions.of_kind(connect(published.state_url), "churn", "gate")
    assert (decision.run_id, decision.outcome) == ("broken", "PASS")


def test_only_a_retrain_that_the_monitor_asked_for_needs_no_gain(published: Settings) -> None:
    """In the order of days, for a request is taken by the next run."""
    copy_of_churn(published.use_case_folders[0], quick, lambda spec: spec["training"].update(seed=4))
    assert retrain("first") == "PROMOTED"
    for day, asked in (("2026-11-25", False), ("2026-11-26", True)):
        assert ingest(f"i-{day}", day) == "PUBLISHED"
        if asked:
            monitor = Run("churn", "monitor", "m1", day)
            requests.add(connect(published.state_url), monitor, "labels", [], "PERFORMANCE: the ROC AUC is lower")
        retrain(day, as_of=day)
        record = kept(published, day)
        assert record.gate is not None
        assert record.gate.no_gain_needed.startswith("the monitor asked for this retrain") is asked


def test_the_record_says_who_why_and_on_what_and_is_where_the_ledger_says(
    settings: Settings, edit_churn: Callable[[Change], None], telco_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit_churn(quick)
    register_source(settings, str(telco_csv))
    assert ingest("i1", FIRST) == "PUBLISHED"
    assert retrain("r1", reason="a <b>first</b> model") == "PROMOTED"
    record, shown, details = kept(settings, "r1"), page(settings, "r1"), ledger(settings, "r1").details
    assert (record.outcome, record.cold_start, record.champion) == ("PASS", True, None)
    assert record.data
    assert record.data.training_rows + record.data.holdout_rows == 7043
    assert record.data.holdout_rows == record.metrics["challenger"]["n"]
    assert record.data.trained_until == record.data.holdout_from < record.data.holdout_until == FIRST
    assert record.selection
    assert [one.name for one in record.selection.candidates if one.chosen] == [record.challenger]
    assert all(one.holdout_roc_auc and one.fold_score for one in record.selection.candidates)
    assert all(check.interval for check in record.checks if check.name.endswith(("_floor", "_dummy")))
    assert shown.count('src="data:image/png;base64,') == 7
    assert [check.name for check in record.checks if not words.check_name(check)[0].isupper()] == [], "without words"
    assert "a &lt;b&gt;first&lt;/b&gt; model" in shown
    client = tracking.connect(settings.mlflow_uri)
    files = {file.path for file in client.list_artifacts(details["mlflow_run"], "evaluation")}
    assert {"evaluation/verdict.json", "evaluation/verdict.html"} <= files
    assert details["verdict_mlflow"] == f"runs:/{record.mlflow_run}/evaluation/verdict.html"
    assert Path(details["verdict_page"]).read_text(encoding="utf-8") == shown
    experiment = client.get_run(details["mlflow_run"]).info.experiment_id
    place = (
        f"{settings.mlflow_uri}/#/experiments/{experiment}/runs/{record.mlflow_run}/artifacts/evaluation/verdict.html"
    )
    assert record.mlflow_page == place
    assert {"evaluation/model_card.md", "evaluation/model_card.html"} <= files

    assert main(["card", "churn"]) == 0
    printed = capsys.readouterr().out
    package = versions.folder(settings.home / "models", "churn", "1")
    card = (package / "model_card.md").read_text(encoding="utf-8")
    assert card in printed
    assert f"churn version 1, as a page: {package / 'model_card.html'}" in printed
    assert "not stated by the owner" not in card
    assert use_case_state(settings, "churn")["champion"]["model_sha256"] in card
    assert "### Fairness by gender" in card
    assert (package / "model_card.html").read_text(encoding="utf-8").count('src="data:image/png;base64,') == 2
    assert main(["card", "churn", "7"]) == 1
    assert "version 7 of churn is no longer in the registry" in capsys.readouterr().err
