"""A small use case of daily files, whose next file each test breaks in its own way, run by the real steps."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from include.cli.source import register_source
from include.data import tables
from include.settings import Settings
from include.state import decisions, promotions, publications, runs
from include.state.database import connect
from include.state.publications import Publication
from tests.conftest import MlflowServer
from tests.steps.loop import ingest, retrain, score

Change = Callable[[pd.DataFrame], pd.DataFrame]

FIRST_DAY = date(2026, 11, 1)
DAYS, ROWS = 12, 120
SPEC = {
    "title": "Loans",
    "description": "which loans are not paid back",
    "owner": "risk",
    "id": "loan",
    "observed_at": "granted",
    "target": {"column": "failed", "positive": "yes", "negative": "no", "description": "not paid back in a year"},
    "source": {"wait_seconds": 0.3},
    "columns": {
        "loan": {"type": "text", "description": "the loan"},
        "granted": {"type": "text", "description": "when it was granted"},
        "amount": {"type": "number", "min": 0, "description": "in euros"},
        "age": {"type": "integer", "min": 18, "max": 100, "description": "of the debtor in years"},
        "purpose": {"type": "category", "values": ["car", "house"], "description": "what it is for"},
        "region": {"type": "category", "nullable": True, "description": "where the debtor lives"},
    },
    "features": {"columns": ["amount", "age", "purpose", "region"]},
    "limits": {
        "minimum_batch_rows": 20,
        "quarantine_rate": 0.05,
        "maximum_bytes": 1_000_000,
        "minimum_training_rows": 200,
        "minimum_class_rows": 20,
        "maximum_categories": 50,
    },
    "training": {
        "split": {"folds": 2},
        "candidates": {"line": {"kind": "logistic_regression", "search": {"C": [1.0]}}},
    },
    "gate": {
        "minimum_rows": 100,
        "minimum_class_rows": 20,
        "rules": [{"metric": "roc_auc", "floor": 0.6, "min_absolute_change": 0.0}],
    },
    "monitoring": {"minimum_rows": 50},
}


def loans(day: date, rows: int = ROWS) -> pd.DataFrame:
    """Loans granted on ``day``, every column as text; amount and age say something about the label."""
    random = np.random.default_rng(day.toordinal())
    amount, age = random.lognormal(9, 0.5, rows), random.integers(20, 80, rows)
    odds = 2 * np.log(amount / np.exp(9)) - (age - 50) / 20 - 0.5
    return pd.DataFrame(
        {
            "loan": [f"{day:%Y%m%d}-{n:05d}" for n in range(rows)],
            "granted": [f"{day}T{n % 24:02d}:00:00Z" for n in range(rows)],
            "amount": [f"{value:.2f}" for value in amount],
            "age": age.astype(str),
            "purpose": random.choice(["car", "house"], rows),
            "region": random.choice(["north", "south", ""], rows),
            "failed": np.where(random.random(rows) < 1 / (1 + np.exp(-odds)), "yes", "no"),
        }
    )


def as_csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    hour_ago = time.time() - 3600  # a file of this second might still be growing, and is waited for
    os.utime(path, (hour_ago, hour_ago))


@dataclass
class Loop:
    """The use case at its home, and the folder of its daily files."""

    name: str
    settings: Settings
    folder: Path
    suffix: str = ".csv"
    runs: list[str] = field(default_factory=list)

    @property
    def latest(self) -> Publication | None:
        return publications.latest(connect(self.settings.state_url), self.name, "data")

    @property
    def next_day(self) -> date:
        return date.fromisoformat(self.latest.last_day) + timedelta(days=1) if self.latest else FIRST_DAY

    @property
    def champion(self) -> object:
        return promotions.champion(connect(self.settings.state_url), self.name)

    @property
    def reason(self) -> str:
        """What the ledger says of the last run."""
        kind, run_id = self.runs[-1].split("/")
        row = runs.get(connect(self.settings.state_url), self.name, kind, run_id)
        assert row is not None
        return "; ".join(row.reasons)

    @property
    def evidence(self) -> dict:
        """What the last decision on a batch rests on."""
        (decision, *_) = [
            one
            for one in decisions.of_kind(connect(self.settings.state_url), self.name, "batch")
            if f"ingest/{one.run_id}" == self.runs[-1]
        ]
        return decision.evidence

    def table(self, name: str) -> pd.DataFrame:
        """The published rows of the last run in a table."""
        publication = self.latest
        assert publication is not None
        rows = tables.read(tables.table_uri(self.settings.lake_uri, self.name, name), publication.versions[name])
        return rows[rows["run_id"] == publication.run_id]

    def ingest(self, content: bytes | None) -> str:
        """The outcome when the next day's file holds ``content``; None for no file."""
        day = self.next_day
        path = self.folder / f"{day}{self.suffix}"
        path.unlink(missing_ok=True)
        if content is not None:
            write(path, content)
        self.runs.append(f"ingest/i{len(self.runs)}")
        return ingest(self.runs[-1].split("/")[1], str(day + timedelta(days=1)), self.name)

    def retrain(self, **conf: str) -> str:
        self.runs.append(f"retrain/r{len(self.runs)}")
        return retrain(self.runs[-1].split("/")[1], str(self.next_day), use_case=self.name, **conf)

    def score(self) -> str:
        self.runs.append(f"score/s{len(self.runs)}")
        return score(self.runs[-1].split("/")[1], str(self.next_day), use_case=self.name)

    def exported(self, name: str) -> Path:
        """An export of the last run, a scoring."""
        row = runs.get(connect(self.settings.state_url), self.name, *self.runs[-1].split("/"))
        assert row is not None
        return Path(row.details["scored"]["exports"][name])

    def adds_up(self) -> bool:
        """Every row of the last publication is published, in quarantine or an exact repeat."""
        last, counted = self.latest, self.evidence
        assert last is not None
        kept = last.rows_published + last.rows_quarantined + counted["duplicate_rows"]
        in_tables = len(self.table("customers")) == last.rows_published
        quarantined = not last.rows_quarantined or len(self.table("quarantine")) == last.rows_quarantined
        return last.rows_in == kept and in_tables and quarantined


@dataclass(frozen=True)
class Maker:
    """Makes homes of the use case; ``use`` lets the steps see one of them."""

    mlflow: MlflowServer
    root: Path

    def make(
        self,
        name: str,
        monkeypatch: pytest.MonkeyPatch,
        *,
        days: int = 0,
        suffix: str = ".csv",
        change: Change = lambda frame: frame,
        **spec: Any,
    ) -> Loop:
        """A home with ``days`` published days, each as ``change`` leaves it; ``spec`` replaces parts of the spec."""
        home = self.root / name
        name = "loans_" + re.sub(r"\W", "_", name)  # the homes share one MLflow, where names tell them apart
        folder = home / "source"
        folder.mkdir(parents=True)
        (home / "use_cases" / name).mkdir(parents=True)
        content = yaml.safe_dump({"name": name, **SPEC, **spec}, sort_keys=False)
        (home / "use_cases" / name / "spec.yaml").write_text(content, encoding="utf-8")
        (home / "use_cases" / name / "features.py").write_text('"""No derived features."""\n', encoding="utf-8")
        self.use(home, monkeypatch)
        for n in range(days):
            day = FIRST_DAY + timedelta(days=n)
            write(folder / f"{day}{suffix}", as_csv(change(loans(day))))
        loop = Loop(name, Settings.from_environment(), folder, suffix)
        register_source(loop.settings, f"file://{folder}/{{day}}{suffix}", name)
        if days:
            loop.runs.append("ingest/first")
            assert ingest("first", str(FIRST_DAY + timedelta(days=days)), name) == "PUBLISHED"
        return loop

    def use(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MODELOPS_HOME", str(home))
        monkeypatch.setenv("MODELOPS_USE_CASES", str(home / "use_cases"))
        monkeypatch.setenv("MODELOPS_MLFLOW_PORT", str(self.mlflow.port))
