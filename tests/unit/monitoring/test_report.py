"""Evidently's report of real rows: the same figures as the verdict, and no address that a browser would ask."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from include.data import contract
from include.monitoring import drift, report
from include.spec import UseCase

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other


@pytest.fixture(scope="module")
def drawn(telco_csv: Path, churn: UseCase, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("report")
    rows = contract.conform(contract.read(telco_csv, churn), churn).frame
    rows = rows.assign(score=np.random.default_rng(0).random(len(rows)))
    reference, current = rows.iloc[:5000], rows.iloc[5000:].assign(Partner=None, tenure=lambda f: f["tenure"] + 20)
    checks = drift.checks_of(churn)
    found = drift.measure(reference, current, checks, churn, 0)
    left_out = report.draw(reference, current, checks, list(found.columns), folder, 0)
    return folder, found, left_out


def test_the_figures_are_the_verdicts(drawn):
    folder, found, _ = drawn
    metrics = json.loads((folder / "drift.json").read_text())["metrics"]
    theirs = {metric["config"]["column"]: metric["value"] for metric in metrics}
    ours = {column.name: column.distance for column in found.columns if column.distance is not None}
    assert theirs.keys() == ours.keys()
    for name, value in ours.items():
        assert theirs[name] == pytest.approx(value, abs=1e-3), name
    assert "tenure" in found.drifted


def test_a_column_without_a_value_is_left_out_and_named(drawn):
    _, found, left_out = drawn
    assert left_out == ["Partner"]
    assert {column.name: column.status for column in found.columns}["Partner"] == "ALL_NULL"


def test_the_page_loads_nothing_from_a_network(drawn):
    page = (drawn[0] / "drift.html").read_text(encoding="utf-8")
    loaded = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"'](?!data:)([^\"']+)", page)
    assert loaded == []


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
def test_the_page_draws_itself_in_a_browser_without_a_network(drawn, tmp_path: Path):
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
    alone = ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}"]
    page = f"file://{drawn[0] / 'drift.html'}"
    done = subprocess.run(
        ["chromium", *switches, *alone, page], capture_output=True, text=True, timeout=120, check=True
    )
    assert "Drift in column 'tenure'" in done.stdout
    assert done.stdout.count("main-svg") >= len(drawn[1].columns) - 1
