"""The OpenAPI document says what the API does: it is asked all that the document allows, and much that it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.serving.problems import PROBLEMS
from include.settings import PROJECT
from tests.serving_api import Api, Served, api, home_with, publish, until

RULES = """
[checks]
# What is too much is 413, also where the document names the limit.
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 413, 415, 422]

[[operations]]
include-path = "/v1/predict"
# With reasons there may be fewer rows.
checks.positive_data_acceptance.expected-statuses = ["2xx", 413]

[[operations]]
include-path = "/invocations"
# MLflow's ways to write columns say nothing of what stands in them.
checks.positive_data_acceptance.expected-statuses = ["2xx", 422]

[[operations]]
include-path = "/v1/feedback"
# That a time is not in the future, and labels do not contradict each other, no schema can say.
checks.positive_data_acceptance.expected-statuses = ["2xx", 422]
"""


def test_b40_schemathesis_finds_nothing(telco_champion: Served, tmp_path: Path) -> None:
    """Few rows are allowed, so that requests at the limit are small; the seed makes it the same each time."""
    home = home_with(telco_champion, tmp_path, lambda content: content.update(serving={"maximum_rows": 12}))
    publish(home, telco_champion)
    (tmp_path / "schemathesis.toml").write_text(RULES)
    command = [sys.executable, "-m", "schemathesis.cli", f"--config-file={tmp_path / 'schemathesis.toml'}", "run"]
    with api(home) as running:
        until(lambda: running.http.post("/v1/customers/7590-VHVEG/predict", json={}).status_code == 200, 30)
        own = [f"{running.url}/openapi.json", f"--header=Authorization: Bearer {running.key}"]
        limits = ["--max-examples=8", "--seed=20", "--max-time=120", "--no-color", "--continue-on-failure"]
        found = subprocess.run(
            [*command, *own, *limits],
            cwd=tmp_path,
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert found.returncode == 0, found.stdout[-8000:] + found.stderr[-2000:]
        assert "Tested: 11" in found.stdout
        assert running.metric("modelops_requests_total", route="/v1/predict", status="200") > 5
        assert running.metric("modelops_refusals_total", code="FAULT") == 0


def test_the_document_shows_every_field_of_a_row_with_type_range_and_description(churn_api: Api) -> None:
    document = churn_api.http.get("/openapi.json").json()
    row = document["components"]["schemas"]["Row"]
    assert row["additionalProperties"] is False
    tenure, contract = row["properties"]["tenure"], row["properties"]["Contract"]
    assert (tenure["type"], tenure["minimum"], tenure["maximum"]) == ("integer", 0, 120)
    assert tenure["description"] == "months with the company"
    assert contract["examples"] == ["Month-to-month", "One year", "Two year"]
    assert contract["description"].startswith("length of the contract; one of Month-to-month")
    assert {"type": "null"} in row["properties"]["TotalCharges"]["anyOf"]
    assert "customerID" not in row["required"]
    assert set(row["required"]) == set(row["properties"]) - {"customerID"}


def test_every_code_of_a_problem_is_in_the_document_and_in_the_readme(churn_api: Api) -> None:
    document = churn_api.http.get("/openapi.json").json()
    told = document["paths"]["/v1/predict"]["post"]["responses"]["default"]["description"]
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    for code in PROBLEMS:
        assert code in told
        assert f"`{code}`" in readme


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_asks_the_network_for_scripts(path: str, churn_api: Api) -> None:
    assert churn_api.http.get(path).status_code == 404
