"""The files that the bench reads: Telco's columns from the simulator, of Telco's size and of a million rows."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from include.data.simulator import simulate_day
from include.settings import PROJECT
from tests.schedules import by_hand

TELCO_ROWS, MANY_ROWS = 7_043, 1_000_000
CHURN = PROJECT / "include" / "use_cases" / "churn"


def telco(folder: Path) -> Path:
    """The real Telco file if MODELOPS_TELCO_CSV names it, else a simulated one of its size."""
    real = Path(os.environ.get("MODELOPS_TELCO_CSV") or folder / "none")
    return real if real.is_file() else simulated(folder / "telco.csv", TELCO_ROWS)


def simulated(path: Path, rows: int) -> Path:
    """A CSV file of ``rows`` simulated customers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    simulate_day(date(2026, 1, 1), rows=rows, seed=7).to_csv(path, index=False)
    return path


def one_trial_churn(folder: Path) -> Path:
    """A folder of use cases with churn in it, each of whose candidates tries one setting."""

    def one_trial(spec: dict[str, Any]) -> None:
        for candidate in spec["training"]["candidates"].values():
            candidate["trials"] = 1

    return changed_churn(folder, one_trial)


def boosting_churn(folder: Path) -> Path:
    """A folder of use cases with churn in it, whose only candidate is gradient boosting."""

    def alone(spec: dict[str, Any]) -> None:
        candidates = spec["training"]["candidates"]
        spec["training"]["candidates"] = {"gradient_boosting": candidates["gradient_boosting"]}

    return changed_churn(folder, alone)


def changed_churn(folder: Path, *changes: Callable[[dict[str, Any]], None]) -> Path:
    """A folder of use cases with churn in it, whose spec ``changes`` have been made to; nothing starts by itself."""
    spec = yaml.safe_load((CHURN / "spec.yaml").read_text(encoding="utf-8"))
    for change in (by_hand, *changes):
        change(spec)
    copy = folder / "churn"
    copy.mkdir(parents=True)
    (copy / "spec.yaml").write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    (copy / "features.py").write_bytes((CHURN / "features.py").read_bytes())
    return folder
