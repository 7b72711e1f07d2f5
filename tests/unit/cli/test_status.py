"""What ``status`` prints of the ledger is what stands in it, whatever that is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.cli.status import status
from include.settings import Settings
from include.state import runs
from include.state.database import connect
from include.state.runs import Run
from tests.conftest import copy_of_churn

MARKUP = "'[/bold]' and [red]x[/red] are no values of 'Contract[0]'"


def test_reasons_are_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Reasons quote values, and what stands in brackets is a style to whoever draws the table."""
    settings = Settings.from_environment({"MODELOPS_HOME": str(tmp_path), "MODELOPS_MLFLOW_PORT": "1"})
    engine = connect(settings.state_url)
    for kind in ("retrain", "monitor"):
        run = Run("churn", kind, "r1", "2026-11-24", reason=MARKUP)  # type: ignore[arg-type]
        runs.open_row(engine, run)
        page = "/home/[/data]/verdict.html"
        runs.record(engine, run, "REFUSED", [MARKUP], drifted_columns=["[/bold]"], verdict_page=page)
    assert status(settings, as_json=False) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count(MARKUP) == 3
    assert "drifted: [/bold]" in shown
    assert "/home/[/data]/verdict.html" in shown


def test_a_spec_that_cannot_be_used_is_named_and_hides_no_other_use_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy_of_churn(tmp_path / "use_cases")
    broken = tmp_path / "use_cases" / "other" / "spec.yaml"
    broken.parent.mkdir()
    broken.write_text("name: [")
    folders = {"MODELOPS_USE_CASES": str(tmp_path / "use_cases"), "MODELOPS_MLFLOW_PORT": "1"}
    settings = Settings.from_environment({"MODELOPS_HOME": str(tmp_path / "home"), **folders})
    (tmp_path / "home").mkdir()
    assert status(settings, as_json=False) == 1
    shown = capsys.readouterr()
    assert "churn" in shown.out
    assert f"{broken}: not readable as YAML" in shown.err
    assert status(settings, as_json=True) == 1
    content = json.loads(capsys.readouterr().out)
    assert list(content["use_cases"]) == ["churn"]
    assert content["faults"][0].startswith(f"{broken}: not readable")
