"""How often the monitor's drift check alarms, and how long it takes beside Evidently's preset.

``python -m tests.bench.drift windows FILE``, with Telco's real file, judges windows of real rows against 3,500 others
as the monitor does: all columns of the churn use case, the scores of a model that was trained on the older three
quarters of those rows, and the inputs that it goes by. Answers with one line: for each figure the value of every round,
as JSON.

- without drift: windows from 35 to 3,000 rows, to be quiet in
- price: windows of 500 rows whose monthly charge is 20 % higher
- mix: windows of 500 and of 1,000 rows, of which 10 in 100 have changed to a contract from month to month, and nothing
  else of them has

``python -m tests.bench.drift speed ROWS`` compares two samples of so many rows, all of them, with the monitor's check
and with ``DataDriftPreset``, whose methods are pinned to the same ones; it fails if a distance differs by 0.001.
Answers with the seconds of both for every round.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from include.data.contract import conform, read
from include.explanation.model import Explained
from include.explanation.report import BACKGROUND_ROWS, EXPLAINED_ROWS
from include.explanation.samples import pinned
from include.explanation.shapley import attribute
from include.features.build import build
from include.monitoring import attribution, drift
from include.monitoring.baseline import SCORE
from include.spec import UseCase, load
from include.training.candidates import make
from include.training.preparation import ESTIMATOR, PREPARE, as_categories, fit_prepare, probability
from tests.bench.data import CHURN

REFERENCE, SMALLEST, LARGEST = 3_500, 35, 3_000
WINDOWS = 200
"""Of each kind; without drift they are drawn twice, with another seed."""
RISE, MOVED = 1.2, 0.1
KIND = "logistic_regression"
SPEED_ROUNDS = {1_000_000: 2}
CLOSE = 1e-3

Window = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def windows(telco: Path) -> dict[str, list[float]]:
    """The share of windows that alarm, of each kind."""
    with ProcessPoolExecutor(os.cpu_count()) as processes:

        def share(rows: int | None, change: str, first: int = 0) -> float:
            seeds = range(first, first + WINDOWS)
            return float(np.mean(list(processes.map(partial(alarms, telco, rows, change), seeds, chunksize=5))))

        return {
            "drift.false_alarm_rate": [share(None, "none"), share(None, "none", first=WINDOWS)],
            "drift.power_price": [share(500, "price")],
            "drift.power_mix": [share(1_000, "mix")],
            "drift.power_mix_500": [share(500, "mix")],
        }


def alarms(telco: Path, rows: int | None, change: str, seed: int) -> bool:
    """Whether a window alarms that has so many rows (None: any number) and this change in them."""
    spec, customers = _spec(), _telco(telco)
    random = np.random.default_rng(seed)
    rows = rows or int(random.integers(SMALLEST, LARGEST + 1))
    order = random.permutation(len(customers))
    known = customers.iloc[order[:REFERENCE]].reset_index(drop=True)
    current = CHANGES[change](customers.iloc[order[REFERENCE : REFERENCE + rows]].reset_index(drop=True), random)
    older = REFERENCE * 3 // 4
    champion = Champion.trained_on(known.head(older), known.iloc[older:])
    held_out = np.concatenate([np.full(older, np.nan), champion.score(known.iloc[older:])])
    reference = known.assign(**{SCORE: held_out})
    report = drift.measure(
        reference, current.assign(**{SCORE: champion.score(current)}), drift.checks_of(spec), spec, spec.training.seed
    )
    return report.outcome == "DRIFT" or champion.goes_by_others(current)


@dataclass(frozen=True)
class Champion:
    """A model, what it was compared with to explain it, and SHAP values of rows that it was not trained on."""

    pipeline: Pipeline
    background: pd.DataFrame
    values: np.ndarray

    @classmethod
    def trained_on(cls, rows: pd.DataFrame, held_out: pd.DataFrame) -> Champion:
        spec, inputs = _spec(), _inputs(rows)
        pipeline = make(spec.training.candidates[KIND], spec.feature_types, {}, spec.training.seed)
        pipeline[ESTIMATOR].fit(fit_prepare(pipeline[PREPARE], inputs), rows["label"].to_numpy())
        background = inputs.iloc[pinned(inputs, BACKGROUND_ROWS, spec.training.seed)]
        return cls(pipeline, background, attribute(Explained(pipeline), _few(held_out), background).values)

    def score(self, rows: pd.DataFrame) -> np.ndarray:
        return probability(self.pipeline, _inputs(rows))

    def goes_by_others(self, rows: pd.DataFrame) -> bool:
        """Whether attribution drift is seen in ``rows``."""
        rules, seed = _spec().monitoring, _spec().training.seed
        if len(rows) < rules.minimum_rows:
            return False
        model = Explained(self.pipeline)
        now = attribute(model, _few(rows), self.background).values
        return attribution.compare(model.names, self.values, now, rules, seed).status == "DRIFT"


def _inputs(rows: pd.DataFrame) -> pd.DataFrame:
    return as_categories(build(rows, _spec()))


def _few(rows: pd.DataFrame) -> pd.DataFrame:
    """Inputs of as many of ``rows`` as the monitor explains."""
    inputs = _inputs(rows)
    return inputs.iloc[pinned(inputs, EXPLAINED_ROWS, _spec().training.seed)]


def _dearer(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    return rows.assign(MonthlyCharges=rows["MonthlyCharges"] * RISE)


def _moved(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    contract = rows["Contract"].copy()
    others = np.flatnonzero(contract != "Month-to-month")
    contract.iloc[random.choice(others, round(MOVED * len(rows)), replace=False)] = "Month-to-month"
    return rows.assign(Contract=contract)


CHANGES: dict[str, Window] = {"none": lambda rows, _: rows, "price": _dearer, "mix": _moved}


def speed(rows: int) -> list[tuple[float, float]]:
    """Seconds of the monitor's check and of Evidently's preset, for every round."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    spec = _spec()
    checks = drift.checks_of(spec)
    reference, current = (_many(rows, seed) for seed in (1, 2))
    kinds = {kind: [check.name for check in checks if check.kind == kind] for kind in ("number", "category")}
    definition = DataDefinition(numerical_columns=kinds["number"], categorical_columns=kinds["category"])
    rounds = []
    for _ in range(SPEED_ROUNDS.get(rows, 1)):
        began = time.perf_counter()
        ours = drift.measure(reference, current, checks, spec, seed=0)
        between = time.perf_counter()
        sides = [Dataset.from_pandas(side, data_definition=definition) for side in (reference, current)]
        preset = DataDriftPreset(per_column_method={check.name: check.method for check in checks})
        theirs = Report([preset]).run(current_data=sides[1], reference_data=sides[0]).dict()
        rounds.append((between - began, time.perf_counter() - between))
        _require_same(ours, theirs["metrics"][1:])
    return rounds


def _many(rows: int, seed: int) -> pd.DataFrame:
    """So many simulated customers; no two of them pay the same to the cent, as at Telco nobody does."""
    from datetime import date

    from include.data.simulator import simulate_day

    random = np.random.default_rng(seed)
    few = simulate_day(date(2026, 1, 1), rows=100_000, seed=seed).astype({"SeniorCitizen": "str"})
    few["TotalCharges"] = pd.to_numeric(few["TotalCharges"], errors="coerce")
    frame = few.iloc[random.integers(0, len(few), rows)].reset_index(drop=True)
    charges = {name: frame[name] + random.normal(0, 0.01, rows) for name in ("MonthlyCharges", "TotalCharges")}
    kinds = {check.name: "float64" if check.kind == "number" else "str" for check in drift.checks_of(_spec())}
    return frame.assign(**charges, **{SCORE: random.random(rows)})[list(kinds)].astype(kinds)


def _require_same(ours: drift.DriftReport, theirs: Sequence[dict]) -> None:
    by_column = {metric["config"]["column"]: metric["value"] for metric in theirs}
    apart = {one.name: (one.distance, by_column[one.name]) for one in ours.columns}
    if wrong := {name: pair for name, pair in apart.items() if not abs(pair[0] - pair[1]) <= CLOSE}:
        raise AssertionError(f"distances differ from Evidently's: {wrong}")


@cache
def _spec() -> UseCase:
    return load(CHURN / "spec.yaml")


@cache
def _telco(path: Path) -> pd.DataFrame:
    return conform(read(path, _spec()), _spec()).frame


if __name__ == "__main__":
    kind, argument = sys.argv[1:]
    print(json.dumps(speed(int(argument)) if kind == "speed" else windows(Path(argument))))
