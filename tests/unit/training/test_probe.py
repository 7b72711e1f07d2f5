"""A fresh process answers as the training did, or the package is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from include.training import probe
from include.training.package import MANIFEST, MODEL, PackageRefused, Provenance, save
from include.training.probe import FreshProcess, require_same


@pytest.fixture
def package(tmp_path: Path, models: dict[str, Pipeline], about: Provenance) -> Path:
    save(tmp_path / "package", models["gradient_boosting"], about)
    return tmp_path / "package"


def test_a_fresh_process_answers_the_same(package: Path, models, training):
    sample = training.inputs.head(100)
    with FreshProcess() as fresh:
        for _ in range(2):  # what asks twice gets another fresh process
            require_same(models["gradient_boosting"].predict_proba(sample)[:, 1], fresh.scores(package, sample))


def test_a_package_that_needs_another_type_is_refused_there(package: Path, models, training):
    """S16: the file asks for a function of ours that no list names."""
    planted = Pipeline([("plant", FunctionTransformer(json.dumps)), *models["decision_tree"].steps])
    content = skops.io.dumps(planted)
    (package / MODEL).write_bytes(content)
    manifest = json.loads((package / MANIFEST).read_text())
    manifest["files"][MODEL] = hashlib.sha256(content).hexdigest()
    (package / MANIFEST).write_text(json.dumps(manifest))
    with FreshProcess() as fresh, pytest.raises(PackageRefused, match=r"not trusted: json\.dumps"):
        fresh.scores(package, training.inputs.head(3))


def test_a_process_that_does_not_answer_is_ended(package: Path, training, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probe, "SECONDS", 0.01)
    with FreshProcess() as fresh, pytest.raises(PackageRefused, match="no answer"):
        fresh.scores(package, training.inputs.head(3))


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([0.1, 0.2], "2 answers to 3 rows"),
        ([0.1, 0.2, 0.3001], "1 of 3 sample rows .* row 2: 0.3001 instead of 0.3"),
        ([0.1, np.nan, 0.3], "row 1: nan instead of 0.2"),
    ],
    ids=["fewer", "another number", "no number"],
)
def test_another_answer_is_refused(found: list[float], message: str):
    with pytest.raises(PackageRefused, match=message):
        require_same(np.array([0.1, 0.2, 0.3]), np.array(found))


def test_the_order_of_a_sum_makes_no_difference():
    require_same(np.array([0.1 + 0.2]), np.array([0.3]))
