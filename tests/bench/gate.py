"""How often the churn gate promotes: challengers that are no better than the champion, and some that are.

Called with Telco's real file; answers with one line: for each figure the value of every round, as JSON.

- A/A: challenger and champion are of one kind, trained on different halves of the same rows. Neither is better.
- A/B real: the champion was trained without ``tenure`` and ``TotalCharges``, which costs it about 0.016 of ROC AUC.
- A/B small: without ``Contract``, about 0.005, on 10,000 simulated hold-out rows.

Each trial draws 1,400 hold-out rows anew (10,000 in the last case) and asks the real gate with the use case's rules.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from include.data.simulator import simulate_day
from include.evaluation import parts
from include.evaluation.gate import Evidence, judge, rule_metrics
from include.evaluation.metrics import evaluate
from include.evaluation.resampling import resample
from include.evaluation.sanity import LoadAndPredict, Sanity
from include.features.build import build
from include.spec import Candidate, Decision, UseCase, load
from include.training.candidates import make
from include.training.preparation import ESTIMATOR, PREPARE, as_categories, fit_prepare, probability
from tests.bench.data import CHURN

HELD_OUT = 1400
# In the first feature that is left out and what is derived from it.
WITHOUT_HISTORY = frozenset({"tenure", "TotalCharges", "charge_change"})
WITHOUT_CONTRACT = frozenset({"Contract"})
AA_TRIALS = {11: 200, 12: 400}
"""Trials by seed."""
AB_TRIALS = 100
SMALL_TRAIN, SMALL_HELD_OUT = 20_000, 10_000
BOOTSTRAP_ROWS, BOOTSTRAP_ROUNDS = 100_000, 5
NOT_MEASURED = Sanity({}, 0.0, LoadAndPredict(0, 0.0, 0.0, 0.0, 0.0))
"""Sound, so that the comparison alone decides."""


@dataclass(frozen=True)
class Rows:
    """Model inputs, labels (0 or 1) and the columns that they come from, row by row."""

    inputs: pd.DataFrame
    labels: np.ndarray
    columns: pd.DataFrame

    def __getitem__(self, places: np.ndarray) -> Rows:
        return Rows(self.inputs.iloc[places], self.labels[places], self.columns.iloc[places])

    def __len__(self) -> int:
        return len(self.labels)


def main(telco: Path) -> None:
    with ProcessPoolExecutor(os.cpu_count()) as processes:

        def share(trial: Callable[[int], bool], seeds: Sequence[int]) -> float:
            return float(np.mean(list(processes.map(trial, seeds, chunksize=5))))

        promoted_aa = [
            share(partial(aa, telco), range(seed * 100_000, seed * 100_000 + n)) for seed, n in AA_TRIALS.items()
        ]
        power_real = share(partial(ab_real, telco), range(AB_TRIALS))
        power_small = share(ab_small, range(AB_TRIALS))
    found = {
        "gate.aa_promotion_rate": promoted_aa,
        "gate.ab_power_real": [power_real],
        "gate.ab_power_small": [power_small],
        "gate.bootstrap_100k_s": bootstrap_seconds(),
    }
    print(json.dumps(found))


def aa(telco: Path, seed: int) -> bool:
    """Whether a challenger is promoted that saw as many rows of the same data as the champion."""
    rows, held_out, random = _drawn(telco, seed)
    halves = np.array_split(random.permutation(len(rows)), 2)
    candidates = list(_spec().training.candidates.values())
    candidate = candidates[seed % len(candidates)]
    return _promoted(*(_scores(rows[half], held_out, candidate, seed) for half in halves), held_out, seed)


def ab_real(telco: Path, seed: int) -> bool:
    """Whether a challenger is promoted that knows how long a customer has stayed, which the champion does not."""
    rows, held_out, _ = _drawn(telco, seed)
    return _better_is_promoted(rows, held_out, WITHOUT_HISTORY, seed)


def ab_small(seed: int) -> bool:
    """Whether a challenger is promoted that knows the contract, which the champion does not."""
    day = simulate_day(date(2026, 1, 1), rows=SMALL_TRAIN + SMALL_HELD_OUT, seed=seed)
    rows = _prepared(day)
    places = np.arange(len(rows))
    return _better_is_promoted(rows[places[:SMALL_TRAIN]], rows[places[SMALL_TRAIN:]], WITHOUT_CONTRACT, seed)


def bootstrap_seconds() -> list[float]:
    """Seconds of the paired bootstrap of ROC AUC on 100,000 rows."""
    random = np.random.default_rng(0)
    labels = (random.random(BOOTSTRAP_ROWS) < 0.27).astype(int)
    scores = {
        name: 1 / (1 + np.exp(-(labels + random.normal(0, 1, BOOTSTRAP_ROWS)))) for name in ("challenger", "champion")
    }
    seconds = []
    for _ in range(BOOTSTRAP_ROUNDS):
        began = time.perf_counter()
        resample(labels, scores, ["roc_auc"], Decision(), seed=1)
        seconds.append(time.perf_counter() - began)
    return seconds


def _better_is_promoted(rows: Rows, held_out: Rows, without: frozenset[str], seed: int) -> bool:
    candidate = _spec().training.candidates["logistic_regression"]
    champion = _scores(rows, held_out, candidate, seed, without)
    return _promoted(_scores(rows, held_out, candidate, seed), champion, held_out, seed)


def _promoted(challenger: np.ndarray, champion: np.ndarray, held_out: Rows, seed: int) -> bool:
    gate, decision, labels = _spec().gate, _spec().decision, held_out.labels
    scores = {"challenger": challenger, "champion": champion}
    slices, fairness = parts.measure(held_out.columns, labels, scores, _spec())
    evidence = Evidence(
        challenger=evaluate(labels, challenger, decision),
        champion=evaluate(labels, champion, decision),
        dummy=evaluate(labels, np.full(len(labels), labels.mean()), decision),
        resamples=resample(labels, scores, rule_metrics(gate), decision, seed=seed),
        sanity=NOT_MEASURED,
        slices=slices,
        fairness=fairness,
    )
    return judge(evidence, gate).promotes


def _scores(
    rows: Rows, held_out: Rows, candidate: Candidate, seed: int, without: frozenset[str] = frozenset()
) -> np.ndarray:
    """Of the candidate with the middle setting of its search, trained on ``rows``, for ``held_out``."""
    kinds = {name: kind for name, kind in _spec().feature_types.items() if name not in without}
    middle = {name: values[len(values) // 2] for name, values in candidate.search.items()}
    pipeline = make(candidate, kinds, middle, seed)
    pipeline[ESTIMATOR].fit(fit_prepare(pipeline[PREPARE], rows.inputs[list(kinds)]), rows.labels)
    return probability(pipeline, held_out.inputs[list(kinds)])


def _drawn(telco: Path, seed: int) -> tuple[Rows, Rows, np.random.Generator]:
    """The rows to train on and those held out."""
    random, rows = np.random.default_rng(seed), _telco(telco)
    order = random.permutation(len(rows))
    return rows[order[HELD_OUT:]], rows[order[:HELD_OUT]], random


@cache
def _spec() -> UseCase:
    return load(CHURN / "spec.yaml")


@cache
def _telco(path: Path) -> Rows:
    return _prepared(pd.read_csv(path, dtype=str, keep_default_na=False))


def _prepared(customers: pd.DataFrame) -> Rows:
    spec = _spec()
    read = {
        name: pd.to_numeric(customers[name], errors="coerce") if column.is_numeric else customers[name].astype(str)
        for name, column in spec.columns.items()
    }
    labels = (customers[spec.target.column] == spec.target.positive).to_numpy().astype(int)
    columns = pd.DataFrame(read)
    return Rows(as_categories(build(columns, spec)), labels, columns)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
