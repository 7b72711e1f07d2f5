"""What ``status`` prints of the ledger is what stands in it, whatever that is."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.cli.status import status
from include.settings import Settings
from include.state import runs
from include.state.database import connect
from include.state.runs import Run

MARKUP = "'[/bold]' and [red]x[/red] are no values of 'Contract[0]'"


def test_reasons_are_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Reasons quote values, and what stands in brackets is a style to whoever draws the table."""
    settings = Settings.from_environment({"MODELOPS_HOME": str(tmp_path), "MODELOPS_MLFLOW_PORT": "1"})
    engine = connect(settings.state_url)
    for kind in ("retrain", "monitor"):
        run = Run("churn", kind, "r1", "2026-11-24", reason=MARKUP)  # type: ignore[arg-type]
        runs.open_row(engine, run)
        runs.record(engine, run, "REFUSED", [MARKUP], drifted_columns=["[/bold]"])
    assert status(settings, as_json=False) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count(MARKUP) == 3
    assert "drifted: [/bold]" in shown
