"""What ``make run`` says of the scoring API before anything was promoted; tests/e2e has the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.cli.prediction import show_prediction
from include.settings import Settings


def test_without_a_champion_there_is_nothing_to_ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings.from_environment({"MODELOPS_HOME": str(tmp_path), "MODELOPS_API_PORT": "1"})
    assert show_prediction(settings, "churn")
    assert "no version was promoted yet" in capsys.readouterr().out
