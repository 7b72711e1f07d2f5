"""The world of the month: what each day's customers look like, when their labels are known, and the use case of it.

Customers are those of the simulator. From the ninth day on other customers leave (concept drift): the same rows, with
other labels. Every file of a day is there before the day begins to matter, as an upstream system would have put it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from include.data.simulator import Drift, simulate_day
from include.settings import PROJECT
from tests.schedules import by_hand

DAYS, HISTORY_DAYS = 30, 14
ROWS = 300
LABEL_DELAY_DAYS = 3
DRIFT_DAY = 8
"""Of the month, the first of which is day 0."""
SEED = 7
USE_CASE = "churn"
OBSERVED = "snapshot_at"


@dataclass(frozen=True)
class World:
    """The month that ends yesterday; ``folder`` holds the files of the days and the use case."""

    folder: Path
    first: date

    @classmethod
    def make(cls, folder: Path, today: date) -> World:
        """Write all files of the month and of the days before it."""
        world = cls(folder, today - timedelta(days=DAYS))
        (folder / "data").mkdir(parents=True)
        for number in range(-HISTORY_DAYS, DAYS):
            world._write(world.day(number))
        world._write_use_case()
        return world

    @property
    def use_cases(self) -> Path:
        return self.folder / "use_cases"

    def day(self, number: int) -> date:
        return self.first + timedelta(days=number)

    def customers(self, day: date) -> pd.DataFrame:
        """The rows of a day with their labels, though nobody knows these yet."""
        frame = simulate_day(day, rows=ROWS, seed=SEED, drift=Drift("concept", self.day(DRIFT_DAY)))
        return frame.assign(**{OBSERVED: f"{day}T12:00:00Z"})

    def _write(self, day: date) -> None:
        rows = self.customers(day).drop(columns="Churn")
        rows.to_csv(self.folder / "data" / f"rows-{day}.csv", index=False)
        before = self.customers(day - timedelta(days=LABEL_DELAY_DAYS))
        labels = before[["customerID", OBSERVED, "Churn"]].rename(columns={OBSERVED: "observed_at"})
        labels.to_csv(self.folder / "data" / f"labels-{day}.csv", index=False)

    def _write_use_case(self) -> None:
        shutil.copytree(PROJECT / "include" / "use_cases" / USE_CASE, self.use_cases / USE_CASE)
        path = self.use_cases / USE_CASE / "spec.yaml"
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))
        _change(spec, self.folder / "data")
        path.write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")


def _change(spec: dict[str, Any], data: Path) -> None:
    """Churn with a memory of 14 days, labels after 3, two quick candidates and a policy that may act within days."""
    spec["observed_at"] = OBSERVED
    spec["columns"][OBSERVED] = {"type": "text", "description": "when the customer was observed"}
    spec["source"] = {
        "uri": str(data / "rows-{day}.csv"),
        "labels_uri": str(data / "labels-{day}.csv"),
        "label_delay_days": LABEL_DELAY_DAYS,
    }
    spec["training"]["split"] = {"window_days": HISTORY_DAYS, "holdout_fraction": 0.25, "folds": 3}
    spec["training"]["candidates"] = {
        "logistic_regression": {"kind": "logistic_regression", "params": {"C": 0.3}},
        "gradient_boosting": {
            "kind": "hist_gradient_boosting",
            "params": {"max_iter": 60, "learning_rate": 0.06, "max_leaf_nodes": 6},
        },
    }
    spec["gate"]["rules"] = [{"metric": "roc_auc", "floor": 0.6, "min_absolute_change": 0.0, "max_regression": 0.02}]
    spec["gate"]["fairness"] = {}
    spec["monitoring"]["rows"] = "served"
    spec["monitoring"]["performance"] = {"window_days": 3}
    by_hand(spec)
