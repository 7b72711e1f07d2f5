"""Seconds that the SHAP values of 10,000 rows take, for each kind of candidate that is explained exactly.

Called with a file of customers; answers with one line: for each round the seconds by kind, as JSON. A forest is
measured beside the churn use case's own candidates, since it is the largest of the kinds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline

from include.explanation.model import Explained
from include.explanation.report import BACKGROUND_ROWS
from include.explanation.samples import pinned
from include.explanation.shapley import attribute
from include.features.build import build
from include.spec import UseCase, load
from include.training.preparation import ESTIMATOR, PREPARE, as_categories, transform
from include.training.search import fit
from tests.bench.data import CHURN

ROWS, ROUNDS = 10_000, 3
FOREST = RandomForestClassifier(200, min_samples_leaf=20, random_state=0)


def main(path: Path) -> None:
    spec = load(CHURN / "spec.yaml")
    rows = pd.read_csv(path, dtype={"SeniorCitizen": str})
    rows["TotalCharges"] = pd.to_numeric(rows["TotalCharges"], errors="coerce")
    inputs = as_categories(build(rows, spec))
    labels = (rows[spec.target.column] == spec.target.positive).to_numpy().astype(int)
    models = _models(inputs, labels, spec)
    background = inputs.iloc[pinned(inputs, BACKGROUND_ROWS, seed=0)]
    asked = inputs.iloc[np.arange(ROWS) % len(inputs)]
    rounds = [{name: _seconds(model, asked, background) for name, model in models.items()} for _ in range(ROUNDS)]
    print(json.dumps(rounds))


def _models(inputs: pd.DataFrame, labels: np.ndarray, spec: UseCase) -> dict[str, Explained]:
    """Of each kind that is explained exactly, one with the largest trees that the search may choose."""
    made = {
        name: fit(inputs, labels, candidate, _largest(candidate.search), spec)
        for name, candidate in spec.training.candidates.items()
    }
    prepare = next(iter(made.values()))[PREPARE]
    made["forest"] = Pipeline([(PREPARE, prepare), (ESTIMATOR, FOREST.fit(transform(prepare, inputs), labels))])
    return {name: model for name in made if (model := Explained(made[name])).method != "sampled"}


def _largest(search: Mapping[str, tuple[Any, ...]]) -> dict[str, Any]:
    smallest = ("min_samples_leaf", "l2_regularization", "learning_rate")
    return {name: min(values) if name in smallest else max(values) for name, values in search.items()}


def _seconds(model: Explained, rows: pd.DataFrame, background: pd.DataFrame) -> float:
    began = time.perf_counter()
    attribute(model, rows, background)
    return time.perf_counter() - began


if __name__ == "__main__":
    main(Path(sys.argv[1]))
