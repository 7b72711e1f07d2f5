"""A use case that has nothing in common with churn runs from its folder alone: numbers only, limits of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sklearn.datasets import load_breast_cancer

from include.__main__ import main
from include.cli.source import register_source
from include.cli.status import use_case_state
from include.settings import PROJECT, Settings
from include.state import publications
from include.state.database import connect
from tests.steps.loop import FIRST, ingest, monitor, retrain

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other


@pytest.fixture
def patients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The breast-cancer data that comes with scikit-learn, as a hospital would export it."""
    monkeypatch.setenv("MODELOPS_USE_CASES", str(PROJECT / "tests" / "use_cases"))
    data = load_breast_cancer(as_frame=True)
    rows = data.data.assign(diagnosis=[data.target_names[label] for label in data.target])
    rows.insert(0, "patient", [f"P{number:05}" for number in range(len(rows))])
    rows.to_csv(tmp_path / "patients.csv", index=False)
    return tmp_path / "patients.csv"


def test_diagnosis_runs_through_the_whole_loop(
    settings: Settings, patients: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", "diagnosis", "--data", str(patients)]) == 0
    settings = Settings.from_environment()
    register_source(settings, str(patients), "diagnosis")
    assert ingest("i1", FIRST, "diagnosis") == "PUBLISHED"
    published = publications.latest(connect(settings.state_url), "diagnosis", "data")
    assert published is not None
    assert (published.rows_published, published.rows_quarantined, published.simulated) == (569, 0, False)
    assert retrain("r1", use_case="diagnosis") == "PROMOTED"
    assert retrain("r2", use_case="diagnosis") == "UNCHANGED"
    state = use_case_state(settings, "diagnosis")
    assert state["champion"]["roc_auc_holdout"] > 0.95
    assert state["registered_versions"] == 1
    assert monitor("m1", FIRST, "diagnosis") == "NO_DRIFT"
    assert use_case_state(settings, "churn")["champion"] is None
    assert main(["reproduce", "1", "--use-case", "diagnosis"]) == 0
    assert "the same model, bit for bit" in capsys.readouterr().out


def test_both_use_cases_live_side_by_side(settings: Settings, patients: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [PROJECT / "include" / "use_cases", PROJECT / "tests" / "use_cases"]
    monkeypatch.setenv("MODELOPS_USE_CASES", os.pathsep.join(map(str, folders)))
    settings = Settings.from_environment()
    register_source(settings, "simulator:?rows_per_day=20&days=3", "churn")
    register_source(settings, str(patients), "diagnosis")
    assert ingest("i1", FIRST, "churn") == ingest("i1", FIRST, "diagnosis") == "PUBLISHED"
    engine = connect(settings.state_url)
    rows = {name: publications.latest(engine, name, "data") for name in ("churn", "diagnosis")}
    assert {name: found and (found.rows_published, found.simulated) for name, found in rows.items()} == {
        "churn": (60, True),
        "diagnosis": (569, False),
    }
