"""A retrain whose groups differ more than the spec allows, without and with a threshold for each group."""

from __future__ import annotations

import json
from typing import Any

import pytest

from include.cli.source import register_source
from include.evaluation.thresholds import Thresholds
from include.registry import tracking, versions
from include.settings import Settings
from include.state import runs
from include.state.database import connect
from include.training import package
from tests.steps.loop import FIRST, ingest, retrain

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

LIMIT = {"metric": "demographic_parity", "maximum": 0.12, "by": ["SeniorCitizen"]}
MITIGATION = {"constraint": "demographic_parity", "by": ["SeniorCitizen"]}


def strict(spec: dict[str, Any]) -> None:
    """One candidate, and a limit that no model of churn keeps with one threshold for all."""
    kind = {"kind": "logistic_regression", "search": {"C": [0.3]}, "trials": 1}
    spec["training"]["candidates"] = {"line": kind}
    spec["gate"]["fairness"] = {"limits": [LIMIT]}


def mitigated(spec: dict[str, Any]) -> None:
    spec["gate"]["fairness"]["mitigation"] = MITIGATION


def test_thresholds_by_group_are_kept_with_the_model_and_told(settings: Settings, edit_churn) -> None:
    edit_churn(strict)
    register_source(settings, "simulator:?rows_per_day=100")
    assert ingest("i1", FIRST) == "PUBLISHED"
    assert retrain("r1") == "REFUSED"
    engine = connect(settings.state_url)
    refused = runs.get(engine, "churn", "retrain", "r1")
    assert refused
    assert refused.reasons[0].startswith("DEMOGRAPHIC_PARITY_EXCEEDED: ")

    edit_churn(mitigated)
    assert retrain("r2") == "PROMOTED"
    found = runs.get(engine, "churn", "retrain", "r2")
    assert found
    assert any(reason.startswith("MITIGATED: a threshold for each group") for reason in found.reasons)
    client = tracking.connect(settings.mlflow_uri)
    versions.fetch(client, "churn", "1", settings.home / "models")
    folder = versions.folder(settings.home / "models", "churn", "1")
    kept = json.loads((folder / "verdict.json").read_text())
    told = kept["mitigation"]
    assert package.load(folder).manifest.thresholds == Thresholds.model_validate(told["thresholds"])
    assert set(told["thresholds"]["groups"]) == {"SeniorCitizen: 0", "SeniorCitizen: 1"}
    assert told["after"] < 0.12 < told["before"]
    judged = next(check for check in kept["checks"] if check["name"] == "demographic_parity[SeniorCitizen]")
    assert (judged["value"], judged["result"]) == (told["after"], "passed")
    logged = client.get_run(found.details["mlflow_run"]).data.metrics
    assert logged["fairness/demographic_parity by SeniorCitizen"] == told["after"]
    assert logged["mitigation/before"] == told["before"]
    assert logged["mitigation/threshold SeniorCitizen: 1"] == told["thresholds"]["groups"]["SeniorCitizen: 1"]
    women = next(part for part in kept["slices"] if part["name"] == "gender: Female")
    assert logged["slices/roc_auc gender: Female"] == women["figures"][-1]["value"]
