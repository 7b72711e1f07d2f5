"""All of an explanation: what it holds, its files, and that it is the same again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.explanation import report
from include.explanation.model import Explained
from include.explanation.report import Explanation
from include.explanation.samples import as_csv, digest, from_csv, pinned
from include.explanation.surrogate import distil
from include.spec import UseCase
from include.training.fingerprint import Ingredients
from include.training.package import LoadedModel, Manifest
from tests.unit.explanation.conftest import TRAINED, Telco

FIGURES = ["importance.png", "shap_summary.png", "partial_dependence.png", "surrogate.png"]
DATA = ["explanation.json", "background.csv", "shap_values.parquet", "explained_rows.parquet"]


def loaded(model: Explained, churn: UseCase) -> LoadedModel:
    manifest = Manifest(
        use_case="churn",
        candidate="any",
        kind="any",
        params={},
        feature_types=churn.feature_types,
        trained_from="2026-01-01",
        trained_until="2026-02-15",
        feature_version="0" * 16,
        ingredients=Ingredients(rows="a", spec="b", sources={}, libraries={}, threads=1),
        model_sha256="0",
        files={},
    )
    return LoadedModel(model.pipeline, manifest)


def explained(model: Explained, telco: Telco, churn: UseCase) -> Explanation:
    return report.explain(loaded(model, churn), telco.training, telco.holdout, telco.labels[TRAINED:], churn)


@pytest.mark.parametrize(
    ("kind", "rows", "sampled"),
    [("gradient_boosting", 1000, False), ("linear_svm", 1000, False), ("mlp", 500, True)],
    ids=["trees", "linear", "sampled"],
)
def test_an_explanation_and_its_files(
    models: dict[str, Explained], telco: Telco, churn: UseCase, tmp_path: Path, kind: str, rows: int, sampled: bool
) -> None:
    found = explained(models[kind], telco, churn)
    paths = report.write(found, tmp_path, rows="hold-out rows", positive="Churn: Yes")
    assert [path.name for path in paths] == [*DATA, *FIGURES]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths[len(DATA) :])
    summary = json.loads((tmp_path / "explanation.json").read_text())
    assert (summary["rows"], summary["sampled"]) == (rows, sampled)
    described = {one["input"]: one["description"] for one in summary["importance"]}
    assert described["Contract"] == "length of the contract"
    assert [one["input"] for one in summary["importance"]] != list(churn.feature_types)
    assert sorted(one["input"] for one in summary["importance"]) == sorted(churn.feature_types)
    assert summary["additivity"]["error"] <= summary["additivity"]["tolerance"]
    assert summary["background"]["sha256"] == hashlib.sha256((tmp_path / "background.csv").read_bytes()).hexdigest()
    assert summary["surrogate"]["r2"] > 0.75
    assert summary["surrogate"]["rank_agreement"] > 0.9
    values = pd.read_parquet(tmp_path / "shap_values.parquet")
    sums = values[list(churn.feature_types)].sum(axis=1) + values["base_value"]
    np.testing.assert_allclose(sums, values["output"], atol=1e-9)
    inputs = pd.read_parquet(tmp_path / "explained_rows.parquet")
    np.testing.assert_allclose(loaded(models[kind], churn).score(inputs), values["score"])


def test_the_same_again_is_the_same(models: dict[str, Explained], telco: Telco, churn: UseCase, tmp_path: Path) -> None:
    hashes = []
    for name in ("once", "again"):
        paths = report.write(explained(models["decision_tree"], telco, churn), tmp_path / name)
        hashes.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in paths])
    assert hashes[0] == hashes[1]


def test_rows_are_pinned_by_the_seed() -> None:
    frame = pd.DataFrame({"a": range(1000)})
    places = pinned(frame, 50, seed=3)
    assert len(set(places.tolist())) == 50
    assert (np.diff(places) > 0).all()
    np.testing.assert_array_equal(places, pinned(frame, 50, seed=3))
    assert (places != pinned(frame, 50, seed=4)).any()
    np.testing.assert_array_equal(pinned(frame.head(7), 50, seed=3), range(7))


def test_a_background_comes_back_bit_for_bit() -> None:
    frame = pd.DataFrame(
        {"x": [0.1 + 0.2, np.nan, 1e-17], "text": ["NA", 'a "quoted", one', "1.0"], "y": [1.0, 2.0, 3.0]}
    )
    types = {"x": "number", "text": "category", "y": "number"}
    again = from_csv(as_csv(frame), types)
    np.testing.assert_array_equal(again["x"].to_numpy(), frame["x"].to_numpy())
    assert again["text"].tolist() == frame["text"].tolist()
    assert digest(again) == digest(frame)
    assert digest(frame.assign(y=[1.0, 2.0, np.nextafter(3.0, 4)])) != digest(frame)


def test_the_rules_of_a_surrogate_are_what_it_says(telco: Telco) -> None:
    monthly = (telco.training["Contract"] == "Month-to-month").to_numpy()
    short = (telco.training["tenure"] <= 12).to_numpy()
    scores = np.where(monthly, np.where(short, 0.8, 0.5), 0.1)
    found = distil(telco.training, scores, telco.training, scores)
    assert (found.r2, found.rank_agreement) == pytest.approx((1.0, 1.0))
    assert [rule.rpartition(" (")[0] for rule in found.rules] == [
        "Contract is Month-to-month and tenure ≤ 12.5: 0.800",
        "Contract is Month-to-month and tenure > 12.5: 0.500",
        "Contract is not Month-to-month: 0.100",
    ]


def test_a_surrogate_of_a_constant_score_says_that_nothing_varies(telco: Telco) -> None:
    constant = np.full(TRAINED, 0.3)
    found = distil(telco.training, constant, telco.training, constant)
    assert found.rules == ["always: 0.300 (100%)"]
    assert np.isnan([found.r2, found.rank_agreement]).all()
