"""Evidently's report of real rows: the same figures as the verdict, and a page that needs no network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.monitoring import drift, report
from include.monitoring.baseline import SCORE
from include.spec import UseCase
from tests.browser import in_browser, needs_browser

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

HEADING = "Customer churn, 2026-01-01 to before 2026-01-04: <7043 rows>"


@pytest.fixture(scope="module")
def drawn(rows: pd.DataFrame, churn: UseCase, tmp_path_factory: pytest.TempPathFactory):
    """Telco against itself with a column that drifted, one that is all null, some blanks, and one that is missing."""
    folder = tmp_path_factory.mktemp("report")
    reference, current = rows.iloc[:5000], rows.iloc[5000:].assign(tenure=lambda f: f["tenure"] + 20)
    reference = reference.assign(**{SCORE: reference[SCORE].where(np.arange(5000) < 2000)})
    current = current.assign(Partner=None, Contract=current["Contract"].where(np.arange(2043) > 500))
    current = current.drop(columns="gender")
    checks = drift.checks_of(churn)
    found = drift.measure(reference, current, checks, churn, 0)
    report.draw(reference, current, checks, found.columns, folder, heading=HEADING)
    return folder, found


def test_the_figures_are_the_verdicts(drawn):
    folder, found = drawn
    count, *metrics = json.loads((folder / "drift.json").read_text())["metrics"]
    theirs = {metric["config"]["column"]: metric["value"] for metric in metrics}
    ours = {column.name: column.distance for column in found.columns if column.distance is not None}
    assert theirs == pytest.approx(ours, abs=1e-6)
    limits = {metric["config"]["column"]: metric["config"]["threshold"] for metric in metrics}
    assert limits == {column.name: column.limit for column in found.columns if column.judged}
    assert found.drifted == ("tenure",)
    assert count["value"]["count"] == 1


def test_a_column_that_could_not_be_judged_is_left_out_and_known(drawn):
    folder, found = drawn
    statuses = {column.name: column.status for column in found.columns}
    assert (statuses["Partner"], statuses["gender"]) == ("ALL_NULL", "MISSING")
    shown = {metric["config"].get("column") for metric in json.loads((folder / "drift.json").read_text())["metrics"]}
    assert set(statuses) - shown == {"Partner", "gender"}


@needs_browser
def test_the_page_draws_itself_in_a_browser_and_asks_for_nothing(drawn, tmp_path: Path):
    shown, asked = in_browser(drawn[0] / "drift.html", tmp_path)
    assert "&lt;7043 rows&gt;</title>" in shown
    assert "Drift is detected for 5.556% of columns (1 out of 18)" in shown
    assert "main-svg" in shown
    assert asked == set()


@needs_browser
def test_a_page_that_asks_for_something_would_be_noticed(tmp_path: Path):
    page = tmp_path / "page.html"
    page.write_text("<script>setTimeout(() => fetch('https://cdn.example/plot.js'), 100)</script>")
    assert in_browser(page, tmp_path)[1] == {"https://cdn.example/plot.js"}


@needs_browser
def test_what_callers_send_stays_text(rows: pd.DataFrame, churn: UseCase, tmp_path: Path):
    """A category that is no list in the spec may be any text; the page of the report is opened by people."""
    hostile = "</script><script>document.body.innerHTML='overtaken'</script><img src=x onerror=alert(1)>"
    current = rows.iloc[5000:].assign(PaymentMethod=hostile)
    checks = drift.checks_of(churn)
    found = drift.measure(rows.iloc[:5000], current, checks, churn, 0)
    assert "PaymentMethod" in found.drifted
    report.draw(rows.iloc[:5000], current, checks, found.columns, tmp_path, heading=HEADING)
    page = (tmp_path / "drift.html").read_text()
    assert "</script><script>document" not in page
    assert "onerror=alert(1)" in page
    shown, _ = in_browser(tmp_path / "drift.html", tmp_path)
    assert "Drift is detected for" in shown
    assert '<img src="x"' not in shown
