"""The baseline: what it keeps of the rows, and that it comes back as it was saved."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.monitoring.baseline import MAXIMUM_ROWS, SCORE, Baseline, make_baseline
from include.spec import UseCase


def made(rows: pd.DataFrame, churn: UseCase, seed: int = 0) -> Baseline:
    scores = np.where(np.arange(len(rows)) < len(rows) // 2, np.nan, 0.25)
    judged = pd.DataFrame({SCORE: rows[SCORE], "label": rows["label"]})
    return make_baseline(rows, scores, judged, churn, seed)


def test_it_describes_every_input_but_the_id(rows: pd.DataFrame, churn: UseCase):
    baseline = made(rows, churn)
    assert set(baseline.rows) == {*churn.columns, SCORE} - {churn.id}
    assert baseline.statistics["rows"] == len(rows) == 7043
    assert baseline.statistics["label_rate"] == pytest.approx(0.265370, abs=1e-6)
    tenure = baseline.statistics["columns"]["tenure"]
    assert tenure["mean"] == pytest.approx(rows["tenure"].mean())
    assert tenure["quantiles"][0] == 0
    assert baseline.statistics["columns"]["Contract"]["shares"]["Two year"] == pytest.approx(1695 / 7043, abs=1e-6)
    assert baseline.statistics["columns"][SCORE]["null_rate"] == pytest.approx(0.5, abs=1e-3)


def test_it_knows_the_days_it_is_of(rows: pd.DataFrame, churn: UseCase):
    baseline = made(rows, churn)
    assert (baseline.statistics["from"], baseline.until) == ("2026-01-01", "2026-03-02")


def test_it_comes_back_as_it_was_saved(rows: pd.DataFrame, churn: UseCase, tmp_path: Path):
    baseline = made(rows, churn)
    baseline.save(tmp_path / "b")
    again = Baseline.load(tmp_path / "b", churn)
    pd.testing.assert_frame_equal(again.rows, baseline.rows)
    pd.testing.assert_frame_equal(again.judged, baseline.judged)
    assert len(again.judged) == len(rows)
    assert again.statistics == baseline.statistics
    assert again.constraints == baseline.constraints


def test_one_of_an_older_version_has_constraints_all_the_same_and_no_judged_rows(
    rows: pd.DataFrame, churn: UseCase, tmp_path: Path
):
    baseline = made(rows, churn)
    baseline.save(tmp_path)
    (tmp_path / "judged.parquet").unlink()
    older = json.loads((tmp_path / "baseline.json").read_text(encoding="utf-8"))
    del older["constraints"]
    (tmp_path / "baseline.json").write_text(json.dumps(older), encoding="utf-8")
    again = Baseline.load(tmp_path, churn)
    assert again.constraints == baseline.constraints
    assert again.judged.empty
    assert again.until == baseline.until


def test_constraints_are_those_of_all_rows(rows: pd.DataFrame, churn: UseCase):
    found = made(rows, churn).constraints
    assert set(found) == {*churn.columns} - {churn.id}
    contract, charges = found["Contract"], found["TotalCharges"]
    assert (contract.kind, contract.completeness, contract.quartiles) == ("text", 1.0, None)
    assert contract.domain == ("Month-to-month", "One year", "Two year")
    assert (charges.kind, charges.domain) == ("number", None)
    assert charges.completeness == pytest.approx(1 - 11 / 7043)
    assert charges.quartiles == tuple(rows["TotalCharges"].quantile([0.25, 0.5, 0.75]))


def test_a_column_without_a_value_is_described_in_plain_json(rows: pd.DataFrame, churn: UseCase, tmp_path: Path):
    made(rows.assign(TotalCharges=np.nan), churn).save(tmp_path)
    text = (tmp_path / "baseline.json").read_text(encoding="utf-8")
    content = json.loads(text, parse_constant=pytest.fail)
    assert content["columns"]["TotalCharges"] == {"null_rate": 1.0, "mean": None, "std": None, "quantiles": [None] * 5}
    known = content["constraints"]["TotalCharges"]
    assert known == {"kind": None, "completeness": 0.0, "domain": None, "quartiles": None}


def test_a_large_one_is_a_seeded_sample_with_the_statistics_of_all(rows: pd.DataFrame, churn: UseCase):
    many = pd.concat([rows] * 4, ignore_index=True)
    one, same, other = made(many, churn, 1), made(many, churn, 1), made(many, churn, 2)
    assert len(one.rows) == MAXIMUM_ROWS < len(many)
    pd.testing.assert_frame_equal(one.rows, same.rows)
    assert not one.rows.equals(other.rows)
    assert one.statistics == other.statistics
    assert one.statistics["rows"] == len(many)
    assert one.statistics["columns"]["tenure"]["mean"] == pytest.approx(rows["tenure"].mean(), abs=1e-9)


def test_of_many_judged_rows_all_days_are_kept(rows: pd.DataFrame, churn: UseCase):
    """They come in the order of time, and the model may have become worse from day to day."""
    many = 3 * MAXIMUM_ROWS
    judged = pd.DataFrame({SCORE: np.arange(many) / many, "label": np.arange(many) % 2})
    kept = make_baseline(rows, np.full(len(rows), 0.25), judged, churn, 0).judged
    assert len(kept) == MAXIMUM_ROWS
    assert kept[SCORE].mean() == pytest.approx(0.5, abs=0.01)
    assert (kept.index == range(MAXIMUM_ROWS)).all()
