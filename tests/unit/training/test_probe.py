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
from include.training.probe import FreshProcess


@pytest.fixture
def package(tmp_path: Path, models: dict[str, Pipeline], about: Provenance) -> Path:
    save(tmp_path / "package", models["gradient_boosting"], about)
    return tmp_path / "package"


def test_a_fresh_process_answers_the_same(package: Path, models, training):
    sample = training.inputs.head(100)
    with FreshProcess() as fresh:
        for _ in range(2):  # what asks twice gets another fresh process
            found = fresh.answers(package, sample)
            expected = models["gradient_boosting"].predict_proba(sample)[:, 1]
            np.testing.assert_allclose(found.scores, expected, rtol=0, atol=1e-9)
            assert 0 < found.load_seconds < 60
            assert 0 < found.predict_milliseconds < 60_000
            # More than Python with its libraries, less than this process, which has loaded all of them and the rows.
            assert 50 < found.memory_megabytes < 1000


def test_a_package_that_needs_another_type_is_refused_there(package: Path, models, training):
    """S16: the file asks for a function of ours that no list names."""
    planted = Pipeline([("plant", FunctionTransformer(json.dumps)), *models["decision_tree"].steps])
    content = skops.io.dumps(planted)
    (package / MODEL).write_bytes(content)
    manifest = json.loads((package / MANIFEST).read_text())
    manifest["files"][MODEL] = hashlib.sha256(content).hexdigest()
    (package / MANIFEST).write_text(json.dumps(manifest))
    with FreshProcess() as fresh, pytest.raises(PackageRefused, match=r"not trusted: json\.dumps"):
        fresh.answers(package, training.inputs.head(3))


def test_a_process_that_does_not_answer_is_ended(package: Path, training, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probe, "SECONDS", 0.01)
    with FreshProcess() as fresh, pytest.raises(PackageRefused, match="no answer"):
        fresh.answers(package, training.inputs.head(3))
