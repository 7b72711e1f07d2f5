"""How often late labels show that the champion got worse: ``python -m tests.bench.concept FILE``, Telco's real file.

Each trial deals the real rows out anew: 2,000 are a window, the others the champion's history of 60 days. The
champion is a logistic regression trained on the older three quarters of those days; what its scores mean is known
from the rest, and from models that left out days of its own, as a retrain keeps it. The labels of the window are
taken as they are, and with a drop: those of a random share of its rows are drawn anew at the base rate, so that what
a customer is like says nothing of them. The ROC AUC of the population is then lower by 0.03, which is the share times
the AUC's distance from 1/2.

Answers with one line: for each figure the value of every round, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from include.data.contract import conform, read
from include.features.build import build
from include.monitoring.baseline import SCORE
from include.monitoring.concept import drop
from include.monitoring.performance import Reference
from include.spec import UseCase, load
from include.training.crossfit import cross_fitted
from include.training.preparation import as_categories, probability
from include.training.search import fit
from tests.bench.data import CHURN

WINDOW, DAYS, HELD_OUT = 2_000, 60, 0.25
TRIALS, ROUNDS = 200, 2
KIND = "logistic_regression"
SIZE, POPULATION_AUC = 0.03, 0.846


def main(telco: Path) -> dict[str, list[float]]:
    """The share of windows that alarm, with the drop and without it."""
    found: dict[str, list[float]] = {"drift.concept_power": [], "drift.concept_false_alarm_rate": []}
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        for number in range(ROUNDS):
            seeds = range(number * TRIALS, (number + 1) * TRIALS)
            quiet, dropped = zip(*processes.map(partial(trial, telco), seeds, chunksize=5), strict=True)
            found["drift.concept_power"].append(float(np.mean(dropped)))
            found["drift.concept_false_alarm_rate"].append(float(np.mean(quiet)))
    return found


def trial(telco: Path, seed: int, kind: str = KIND) -> tuple[bool, bool]:
    """Whether the window alarms with the labels as they are, and with the drop."""
    spec, (inputs, labels) = _spec(), _telco(telco)
    candidate = spec.training.candidates[kind]
    params = {name: values[len(values) // 2] for name, values in candidate.search.items()}
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))
    window, history = order[:WINDOW], order[WINDOW:]
    days = pd.Series(pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(len(history)) % DAYS, unit="D"))
    is_held_out = (days >= days.max() - pd.Timedelta(days=DAYS * HELD_OUT - 1)).to_numpy()
    older, newer = history[~is_held_out], history[is_held_out]
    model = fit(inputs.iloc[older], labels[older], candidate, params, spec)
    own = cross_fitted(inputs.iloc[older], labels[older], days[~is_held_out], candidate, params, spec)
    judged = pd.DataFrame(
        {SCORE: np.append(probability(model, inputs.iloc[newer]), own), "label": labels[np.append(newer, older)]}
    )
    reference, rules = Reference.of(judged), spec.monitoring.performance
    assert reference is not None
    scores, share = probability(model, inputs.iloc[window]), SIZE / (POPULATION_AUC - 0.5)
    as_they_are = labels[window]
    at_random = random.random(WINDOW) < labels.mean()
    dropped = np.where(random.random(WINDOW) < share, at_random, as_they_are).astype(int)
    quiet, loud = (
        drop(found, scores, reference.calibrator, reference.auc, rules.maximum_drop).alarms(rules.false_alarm_rate)
        for found in (as_they_are, dropped)
    )
    return quiet, loud


@cache
def _spec() -> UseCase:
    return load(CHURN / "spec.yaml")


@cache
def _telco(path: Path) -> tuple[pd.DataFrame, np.ndarray]:
    rows = conform(read(path, _spec()), _spec()).frame
    return as_categories(build(rows, _spec())), rows["label"].to_numpy().astype(int)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
