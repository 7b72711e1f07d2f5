"""Telco's newest rows, scored by two models that have not seen them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.evaluation import fairness, parts
from include.evaluation.gate import Evidence, rule_metrics
from include.evaluation.metrics import evaluate
from include.evaluation.resampling import resample
from include.evaluation.sanity import LoadAndPredict, Sanity
from include.features.build import build
from include.spec import UseCase
from include.training.preparation import probability
from include.training.search import fit

TRAINED_ON = 5000
SEED = 20


@dataclass(frozen=True)
class Holdout:
    """Rows as they stand in the table, with labels and the scores of challenger and champion."""

    spec: UseCase
    rows: pd.DataFrame
    labels: np.ndarray
    scores: dict[str, np.ndarray]

    def decided(self, scores: dict[str, np.ndarray]) -> dict[str, fairness.Decided]:
        return {name: fairness.Decided(one, one >= self.spec.decision.threshold) for name, one in scores.items()}

    def evidence(self, spec: UseCase, scores: dict[str, np.ndarray] | None = None) -> Evidence:
        """What the gate of ``spec`` is given when the models have these scores."""
        scores = scores or self.scores
        found, groups = parts.measure(self.rows, self.labels, scores, spec)
        figures = {name: evaluate(self.labels, one, spec.decision) for name, one in scores.items()}
        rate = np.full(len(self.labels), self.labels.mean())
        return Evidence(
            challenger=figures["challenger"],
            champion=figures.get("champion"),
            dummy=evaluate(self.labels, rate, spec.decision),
            resamples=resample(self.labels, scores, rule_metrics(spec.gate), spec.decision, seed=SEED),
            sanity=Sanity({}, 0.0, LoadAndPredict(0, 0.0, 0.0, 0.0, 0.0)),
            slices=found,
            fairness=groups,
        )


@pytest.fixture(scope="session")
def holdout(telco_csv: Path, churn: UseCase) -> Holdout:
    rows = pd.read_csv(telco_csv, dtype={"SeniorCitizen": str})
    rows["TotalCharges"] = pd.to_numeric(rows["TotalCharges"], errors="coerce")
    inputs, labels = build(rows, churn), (rows["Churn"] == "Yes").to_numpy().astype(int)
    candidate, new = churn.training.candidates["logistic_regression"], slice(TRAINED_ON, None)
    scores = {
        name: probability(fit(inputs[:trained_on], labels[:trained_on], candidate, {"C": 0.3}, churn), inputs[new])
        for name, trained_on in (("challenger", TRAINED_ON), ("champion", 1500))
    }
    return Holdout(churn, rows[new].reset_index(drop=True), labels[new], scores)
