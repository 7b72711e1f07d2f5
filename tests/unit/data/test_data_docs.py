"""Great Expectations' pages: there when they are asked for, with what the batch holds."""

from __future__ import annotations

from pathlib import Path

from include.data import contract, data_docs
from include.data.calendar import midnight
from include.settings import Settings
from include.spec import UseCase


def test_the_site_names_the_rule_that_is_broken(telco_csv: Path, churn: UseCase, tmp_path: Path):
    frame = contract.conform(contract.read(telco_csv, churn), churn).frame.head(200)
    frame = frame.assign(observed_at=midnight("2026-11-23"), Contract="Weekly")
    index = data_docs.build(frame, churn, tmp_path / "docs")
    assert "churn" in index.read_text(encoding="utf-8")
    (page,) = (tmp_path / "docs" / "validations").rglob("*.html")
    assert "Weekly" in page.read_text(encoding="utf-8")


def test_it_is_off_unless_it_is_switched_on():
    assert Settings.from_environment({}).data_docs is False
    assert Settings.from_environment({"MODELOPS_DATA_DOCS": "1"}).data_docs is True
