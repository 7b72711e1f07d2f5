"""A small fitted model in its package, as a retrain hands it to the registry."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from include.registry import tracking
from include.registry.versions import Submission
from include.settings import Settings
from include.spec import Candidate
from include.state.runs import Run
from include.training import package
from include.training.candidates import make
from include.training.fingerprint import Ingredients

RUN = Run("churn", "retrain", "r1", "2026-11-24")


@dataclass(frozen=True)
class Trained:
    """A package in ``folder`` with rows and what its model answers to them."""

    folder: Path
    rows: pd.DataFrame
    scores: np.ndarray

    def submission(self, client: MlflowClient, fingerprint: str = "f" * 64) -> Submission:
        return Submission("churn", self.folder, tracking.parent_run(client, RUN, {}), {"fingerprint": fingerprint})


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({"charge": rng.normal(size=200), "contract": rng.choice(["month", "year"], 200)})
    types = {"charge": "number", "contract": "category"}
    pipeline = make(Candidate(kind="decision_tree"), types, {"max_depth": 3}, 1).fit(rows, rng.integers(0, 2, 200))
    about = package.Provenance(
        use_case="churn",
        candidate="tree",
        kind="decision_tree",
        params={"max_depth": 3},
        feature_types=types,
        trained_from="2026-01-01",
        trained_until="2026-02-15",
        feature_version="0" * 16,
        ingredients=Ingredients(rows="a" * 64, spec="b" * 64, sources={}, libraries={"numpy": "2"}, threads=1),
    )
    package.save(tmp_path / "package", pipeline, about, {"card.md": b"# Card"})
    return Trained(tmp_path / "package", rows, pipeline.predict_proba(rows)[:, 1])


@pytest.fixture
def client(settings: Settings) -> MlflowClient:
    return tracking.connect(settings.mlflow_uri)
