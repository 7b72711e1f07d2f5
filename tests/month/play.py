"""The month itself: each day customers are scored, labels come back, the day's data is ingested, the monitor looks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Self

import httpx
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from include.cli.status import use_case_state
from include.settings import Settings
from include.stack.airflow_api import AirflowApi
from include.stack.secrets import local_key
from include.state import requests, runs
from include.state.database import connect
from tests.month.world import DAYS, LABEL_DELAY_DAYS, USE_CASE, World

ROWS_A_REQUEST = 30
RUN_SECONDS, FOLLOW_SECONDS = 300.0, 15.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Day:
    """What came of one day: ``roc_auc`` is that of all answers of the day, whose labels the script knows."""

    number: int
    date: date
    version: str
    roc_auc: float
    monitor: str
    reasons: tuple[str, ...]
    retrain: str | None


@dataclass
class Month:
    """A stack that runs, and the answers that it has given so far, by day."""

    settings: Settings
    world: World
    airflow: AirflowApi
    scoring: httpx.Client
    say: Say
    answers: dict[date, pd.DataFrame] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def of(cls, settings: Settings, world: World, say: Say) -> Iterator[Self]:
        key = local_key(settings)
        headers = {"Authorization": f"Bearer {key}"}
        with (
            AirflowApi.of(settings) as airflow,
            httpx.Client(base_url=settings.api_url, headers=headers, timeout=30, trust_env=False) as scoring,
        ):
            yield cls(settings, world, airflow, scoring, say)

    def play(self, days: int = DAYS) -> list[Day]:
        """From the first champion on; one line a day is said."""
        self._begin()
        return [self._day(number) for number in range(days)]

    def _begin(self) -> None:
        as_of = self.world.day(0)
        self._run("ingest", as_of)
        self._run("retrain", as_of, reason="the first model")
        self._wait_for_champion()

    def _day(self, number: int) -> Day:
        day = self.world.day(number)
        version, auc = self._traffic(day)
        self._feedback(day)
        as_of = day + timedelta(days=1)
        self._run("ingest", as_of)
        run_id = self._run("monitor", as_of)
        row = runs.get(connect(self.settings.state_url), USE_CASE, "monitor", run_id)
        assert row is not None
        retrain = self._await_retrain() if row.outcome == "REQUESTED" else None
        found = Day(number, day, version, auc, str(row.outcome), row.reasons, retrain)
        asked = f", retrain {retrain}" if retrain else ""
        self.say(f"day {number:2} {day}  version {version}  ROC AUC {auc:.3f}  {found.monitor}{asked}")
        return found

    def _traffic(self, day: date) -> tuple[str, float]:
        """Score the customers of the day; the version that answered, and the ROC AUC that nobody knows yet."""
        customers = self.world.customers(day)
        sent = customers.drop(columns="Churn").assign(TotalCharges=pd.to_numeric(customers["TotalCharges"].str.strip()))
        rows = json.loads(sent.to_json(orient="records"))
        given = []
        for start in range(0, len(rows), ROWS_A_REQUEST):
            given += self._post("/v1/predict", {"rows": rows[start : start + ROWS_A_REQUEST]})["predictions"]
        answers = pd.DataFrame(given).assign(label=customers["Churn"].to_numpy())
        self.answers[day] = answers
        (version,) = answers["model_version"].unique()
        return str(version), float(roc_auc_score(answers["label"] == "Yes", answers["score"]))

    def _feedback(self, day: date) -> None:
        """The labels of the customers that were scored some days ago."""
        answers = self.answers.get(day - timedelta(days=LABEL_DELAY_DAYS))
        if answers is None:
            return
        known = f"{day}T06:00:00Z"
        labels = [
            {"prediction_id": id_, "label": label, "known_at": known}
            for id_, label in zip(answers["prediction_id"], answers["label"], strict=True)
        ]
        self._post("/v1/feedback", {"labels": labels})

    def _run(self, kind: str, as_of: date, **conf: str) -> str:
        """Start a DAG as of a day, wait until it has ended well, and return the run's id."""
        dag_id, run_id = f"{USE_CASE}_{kind}", f"month-{kind}-{as_of}"
        self.airflow.wait_for_dag(dag_id)
        self.airflow.unpause(dag_id)
        self.airflow.trigger(dag_id, run_id, {"as_of": as_of.isoformat(), **conf})
        _wait(lambda: self.airflow.run_end(dag_id, run_id) is not None, RUN_SECONDS, f"{run_id} has not ended")
        state = self.airflow.run_state(dag_id, run_id)
        assert state == "success", f"{run_id}: {state}"
        return run_id

    def _await_retrain(self) -> str:
        """Until Airflow has started the retrain by itself and it has ended; how it did."""
        engine = connect(self.settings.state_url)
        settled = lambda: all(request.outcome for request in requests.every(engine, USE_CASE))  # noqa: E731
        _wait(settled, RUN_SECONDS, "no retrain has answered the request")
        outcome = str(requests.every(engine, USE_CASE)[-1].outcome)
        if outcome == "PROMOTED":
            self._wait_for_champion()
        return outcome

    def _wait_for_champion(self) -> None:
        """Until the API answers with the champion of the ledger."""
        champion = use_case_state(self.settings, USE_CASE)["champion"]["version"]
        _wait(lambda: self._serves(champion), FOLLOW_SECONDS, f"version {champion} is not served")

    def _serves(self, version: str) -> bool:
        answer = self.scoring.get("/ready")
        return answer.is_success and answer.json()["model_version"] == version

    def _post(self, path: str, content: dict[str, Any]) -> Any:
        answer = self.scoring.post(path, json=content)
        assert answer.is_success, answer.text
        return answer.json()


def mean_auc(days: list[Day], first: int, end: int) -> float:
    """Over the days from ``first`` on and before ``end``."""
    return float(np.mean([day.roc_auc for day in days if first <= day.number < end]))


def _wait(condition: Callable[[], bool], seconds: float, complaint: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{complaint} after {seconds:.0f} s"
        time.sleep(0.2)
