"""The champion's scores explained on the command line, on real Telco rows with a real MLflow server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from include.__main__ import main
from include.cli.source import register_source
from include.settings import Settings
from tests.steps.loop import FIRST, ingest, retrain

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

LEAVING = "7590-VHVEG"  # one month with the company, month to month


@pytest.fixture
def champion(settings: Settings, edit_churn, telco_csv: Path) -> Settings:
    def quick(spec: dict[str, Any]) -> None:
        spec["training"]["candidates"] = {
            "trees": {"kind": "hist_gradient_boosting", "params": {"max_iter": 30, "max_leaf_nodes": 8}}
        }

    edit_churn(quick)
    register_source(settings, str(telco_csv))
    assert ingest("i1", FIRST) == "PUBLISHED"
    assert retrain("r1") == "PROMOTED"
    return settings


def row(telco_csv: Path, **changes: Any) -> dict[str, Any]:
    """A row of the file as a person writes it, without its id and label."""
    found = pd.read_csv(telco_csv, dtype=str).query("customerID == @LEAVING").iloc[0].drop(["customerID", "Churn"])
    return {**found, "tenure": int(found["tenure"]), **changes}


def test_a_score_in_words_by_id_and_by_file(
    champion: Settings, telco_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", "churn", "--row", LEAVING, "--lime"]) == 0
    by_id, _, by_lime = capsys.readouterr().out.partition("The same by LIME")
    assert "churn version 1, trees" in by_id
    assert "for Churn: Yes" in by_id
    assert "(exact)" in by_id
    for text in (by_id, by_lime):
        assert "Contract is Month-to-month (length of the contract): raises the score by " in text
        assert "tenure is 1 (months with the company): raises the score by " in text
        assert "lowers the score" in text
    file = tmp_path / "row.json"
    file.write_text(json.dumps(row(telco_csv)))
    assert main(["explain", "churn", "--row", str(file)]) == 0
    same = capsys.readouterr().out
    assert same.strip().splitlines()[1:] == by_id.strip().splitlines()[1:]


def test_a_row_that_cannot_be_explained_is_refused(
    champion: Settings, telco_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "row.json"
    for content, complaint in (
        (json.dumps(row(telco_csv, tenure="long")), "tenure: not a number, found 'long'"),
        (json.dumps(row(telco_csv, Contract="Weekly")), "Contract: expected one of Month-to-month, One year, Two year"),
        (json.dumps({"tenure": 1}), "MonthlyCharges"),
        ("[1]", "expected one row as an object, found a list"),
        ("{", "not readable as JSON"),
    ):
        file.write_text(content)
        assert main(["explain", "churn", "--row", str(file)]) == 1
        assert complaint in capsys.readouterr().err
    assert main(["explain", "churn", "--row", "nobody"]) == 1
    assert "no row of churn with customerID 'nobody' among the 7043 published ones" in capsys.readouterr().err


def test_without_a_champion_it_says_what_to_run(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "churn", "--row", LEAVING]) == 1
    assert "churn has no champion yet; run churn_retrain first" in capsys.readouterr().err
