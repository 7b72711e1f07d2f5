"""A company whose customers are Telco's, dealt out over days, and its ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from include.cli.status import use_case_state
from include.data.calendar import days_between
from include.settings import Settings
from include.state import decisions, requests
from include.state.database import connect
from include.state.runs import Run
from tests.steps.loop import FIRST, ingest

START = date.fromisoformat(FIRST)
HISTORY, ROWS = 45, 90

EditSpec = Callable[[Callable[[dict[str, Any]], None]], None]


def day(n: int) -> str:
    """A day, counted from ``FIRST``."""
    return (START + timedelta(n)).isoformat()


class Company:
    """Telco dealt out over days, one file each, ``HISTORY`` days before ``FIRST`` and more where a test asks."""

    def __init__(self, telco: Path, home: Path) -> None:
        self.rows = pd.read_csv(telco, dtype="str", keep_default_na=False).sample(frac=1, random_state=0)
        self.folder, self.home, self.used = home / "daily", home, 0
        self.folder.mkdir()
        self.write(-HISTORY, 0)

    @property
    def settings(self) -> Settings:
        return Settings.from_environment()

    def write(self, first: int, end: int, rows: int = ROWS, **changes: object) -> None:
        """The files of the days from ``first`` on and before ``end``, counted from ``FIRST``."""
        for day in days_between(START + timedelta(first), START + timedelta(end)):
            dealt = self.rows.iloc[self.used : self.used + rows]
            self.used += rows
            dealt.assign(**changes).to_csv(self.folder / f"{day}.csv", index=False)

    def publish(self, run_id: str, first: int, end: int, rows: int = ROWS, **changes: object) -> None:
        self.write(first, end, rows, **changes)
        assert ingest(run_id, day(end)) == "PUBLISHED"

    def decision(self, run_id: str) -> decisions.DecisionRow:
        kept = decisions.of_kind(connect(self.settings.state_url), "churn", "drift")
        return next(decision for decision in kept if decision.run_id == run_id)

    def last_reasons(self) -> list[str]:
        return use_case_state(self.settings, "churn")["last_monitor"]["reasons"]

    def codes(self) -> list[str]:
        return [reason.partition(":")[0] for reason in self.last_reasons()]

    def requests(self) -> list[requests.Request]:
        return requests.every(connect(self.settings.state_url), "churn")

    def answer(self, run_id: str, as_of: str, outcome: str) -> None:
        """What a retrain does with the requests: it takes them and leaves its outcome."""
        engine = connect(self.settings.state_url)
        requests.claim(engine, Run("churn", "retrain", run_id, as_of))
        requests.settle(engine, "churn", run_id, outcome)
