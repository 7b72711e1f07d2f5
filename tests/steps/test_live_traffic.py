"""The monitor on what was served: which rows it watches, what callers sent, how good the champion was, a challenger.

The champion and its history are those of ``test_monitor``; answers are captured as the scoring API captures them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.cli.status import use_case_state
from include.features import build as features
from include.registry import tracking, versions
from include.serving import capture, feedback
from include.serving.capture import Capture, Captured
from include.serving.feedback import FeedbackLog, check
from include.spec import find
from include.state import decisions, requests, runs
from include.state.database import connect
from include.state.runs import LedgerRow
from include.training.package import LoadedModel
from tests.steps.company import START, Company, EditSpec, day
from tests.steps.loop import monitor

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

A_DAY = 110
Change = Callable[[pd.DataFrame], pd.DataFrame]


class Traffic:
    """Callers who ask for the company's customers, and what they are answered."""

    def __init__(self, company: Company) -> None:
        self.company, self.settings = company, company.settings
        self.spec = find("churn", self.settings.use_case_folders)
        client = tracking.connect(self.settings.mlflow_uri)
        self.model: LoadedModel = versions.fetch(client, "churn", "1", self.settings.home / "models")
        numbers = [name for name, column in self.spec.columns.items() if column.is_numeric]
        rows = company.rows.iloc[::-1].reset_index(drop=True)
        rows[numbers] = rows[numbers].apply(pd.to_numeric, errors="coerce")
        self.rows, self.used = rows, 0

    def serve(
        self, first: int, end: int, a_day: int = A_DAY, change: Change | None = None, **answers: Any
    ) -> pd.DataFrame:
        """Answer so many rows on each of the days, counted from ``START``; ``answers`` replace parts of the records."""
        dealt = self.rows.iloc[self.used : self.used + a_day * (end - first)].reset_index(drop=True)
        self.used += len(dealt)
        sent = change(dealt) if change else dealt
        scores = self.model.score(features.build(sent, self.spec))
        moments = [_noon(first + place // a_day, place) for place in range(len(sent))]
        columns = [name for name in self.spec.columns if name in sent]
        ids = [f"{first}-{place}" for place in range(len(sent))]
        records = [
            Captured(
                **{
                    "prediction_id": ids[place],
                    "at": moments[place],
                    "version": "1",
                    "role": "champion",
                    "entity": sent["customerID"][place],
                    "inputs": _plain(sent.loc[place, columns]),
                    "score": float(scores[place]),
                    "decision": bool(scores[place] > 0.5),
                    "latency_ms": 1.0,
                    **{name: value(place) if callable(value) else value for name, value in answers.items()},
                }
            )
            for place in range(len(sent))
        ]
        self.capture(records)
        return dealt.assign(prediction_id=ids, score=scores)

    def capture(self, records: list[Captured]) -> None:
        async def write() -> None:
            keeper = Capture(capture.folder_of(self.settings, "churn"))
            await keeper.write(records)
            keeper.close()

        asyncio.run(write())

    def send_back(self, served: pd.DataFrame, known: int, labels: Any = None) -> None:
        """The labels of what was served, which are known at noon of that day."""
        values = served["Churn"] if labels is None else labels
        at = _noon(known)
        items = [
            {"prediction_id": name, "label": str(label), "known_at": at.isoformat()}
            for name, label in zip(served["prediction_id"], values, strict=True)
        ]

        async def write() -> None:
            log = FeedbackLog(feedback.folder_of(self.settings, "churn"))
            await log.write(check(items, self.spec, at))
            log.close()

        asyncio.run(write())

    def row(self, run_id: str) -> LedgerRow:
        found = runs.get(connect(self.settings.state_url), "churn", "monitor", run_id)
        assert found is not None
        return found

    def decision(self, kind: str, run_id: str) -> decisions.DecisionRow:
        kept = decisions.of_kind(connect(self.settings.state_url), "churn", kind)
        return next(one for one in kept if one.run_id == run_id)

    def file(self, run_id: str, name: str) -> Any:
        folder = self.settings.run_folder("churn", f"monitor-{run_id}")
        return json.loads((folder / name).read_text(encoding="utf-8"))


def _noon(days: int, seconds: int = 0) -> datetime:
    return datetime(START.year, START.month, START.day, 12, tzinfo=UTC) + timedelta(days=days, seconds=seconds)


def _plain(row: pd.Series) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in row.items()}


@pytest.fixture
def traffic(company: Company) -> Traffic:
    return Traffic(company)


def month_to_month(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(Contract="Month-to-month")


def test_what_was_served_is_watched_where_there_is_enough_of_it(traffic: Traffic):
    """Callers ask for other customers than those that are published, where nothing drifts."""
    traffic.company.publish("i2", 0, 6)
    traffic.serve(0, 6, change=month_to_month)
    assert monitor("m1", day(6), draw=True) == "REQUESTED"
    details = traffic.row("m1").details
    assert details["data"]["watched"] == {
        "rows": "served",
        "end": day(6),
        "why": f"330 whole rows were served in the 3 days before {day(6)}, 200 needed",
    }
    assert details["newest"]["rows"] == 3 * A_DAY
    assert details["newest"]["columns"]["Contract"]["status"] == "DRIFT"
    assert details["newest"]["served_by"] == {"1": 3 * A_DAY}
    assert "330 rows served against" in (traffic.settings.run_folder("churn", "monitor-m1") / "drift.html").read_text()


def test_too_little_traffic_leaves_what_was_published(traffic: Traffic, edit_churn: EditSpec):
    traffic.company.publish("i2", 0, 6)
    traffic.serve(3, 6, a_day=60, change=month_to_month)
    assert monitor("m1", day(6)) == "NO_DRIFT"
    watched = traffic.row("m1").details["data"]["watched"]
    assert (watched["rows"], "180 whole rows were served" in watched["why"]) == ("published", True)
    edit_churn(lambda spec: spec["monitoring"].update(rows="served"))
    assert monitor("m2", day(6)) == "INSUFFICIENT"
    assert traffic.row("m2").details["data"]["watched"]["rows"] == "served"
    edit_churn(lambda spec: spec["monitoring"].update(rows="published", minimum_rows=100))
    assert monitor("m3", day(6)) == "NO_DRIFT"


def test_scores_are_judged_of_the_champion_alone(traffic: Traffic):
    """Two in three answers were given by the version before, whose scores are all 1."""
    traffic.company.publish("i2", 0, 6)
    old = lambda place: place % 3 > 0  # noqa: E731
    answers = {"version": lambda place: "0" if old(place) else "1", "score": lambda place: 1.0 if old(place) else 0.2}
    traffic.serve(0, 6, a_day=250, **answers)
    monitor("m1", day(6))
    newest = traffic.row("m1").details["newest"]
    assert newest["served_by"] == {"0": 500, "1": 250}
    assert newest["columns"]["score"]["status"] == "DRIFT", "all answers of the champion itself were 0.2"
    traffic.used = 0
    traffic.serve(6, 12, a_day=120, version="0", score=1.0)
    monitor("m2", day(12))
    assert traffic.row("m2").details["newest"]["columns"]["score"]["status"] == "ALL_NULL"


def test_what_callers_leave_out_blocks_and_what_they_add_does_not(traffic: Traffic):
    traffic.company.publish("i2", 0, 6)
    traffic.serve(0, 3)
    served = traffic.serve(3, 6)
    careless = _plain(served.loc[0, [name for name in traffic.spec.columns if name != "Partner"]]) | {"Colour": "blue"}
    added = _plain(served.loc[0, list(traffic.spec.columns)]) | {"Colour": "blue"}
    some = [(careless, 100), (added, 100)]
    traffic.capture(
        [
            Captured(f"sent-{kind}-{n}", _noon(5), "1", "champion", "x", inputs, 0.2, False, 1.0)
            for kind, (inputs, count) in enumerate(some)
            for n in range(count)
        ]
    )
    monitor("m1", day(6))
    decision = traffic.decision("quality", "m1")
    kinds = [reason.partition(":")[0] for reason in decision.reasons]
    assert kinds == ["extra_column_check"]
    assert decision.outcome == "OK"
    traffic.capture(
        [Captured(f"more-{n}", _noon(5), "1", "champion", "x", careless, 0.2, False, 1.0) for n in range(200)]
    )
    assert monitor("m2", day(6)) == "DATA_QUALITY"
    assert "column 'Partner' is left out in 41.1% of the 730 rows that callers sent" in traffic.row("m2").reasons[0]
    assert requests.every(connect(traffic.settings.state_url), "churn") == []


def test_b26_an_unseen_category_is_counted(traffic: Traffic):
    traffic.company.publish("i2", 0, 3)
    traffic.serve(0, 3, change=lambda rows: rows.assign(Contract=rows["Contract"].where(rows.index % 20 > 0, "Weekly")))
    monitor("m1", day(3))
    assert traffic.row("m1").details["data"]["unseen_categories"] == {"Contract": 17}


def test_labels_that_come_back_show_how_good_the_champion_was(traffic: Traffic, edit_churn: EditSpec):
    edit_churn(lambda spec: spec["source"].update(label_delay_days=3))
    edit_churn(lambda spec: spec["monitoring"].update(performance={"window_days": 3}))
    traffic.company.publish("i2", 0, 9)
    served = traffic.serve(0, 9)
    traffic.send_back(served.iloc[: 6 * A_DAY], known=8)
    monitor("m1", day(9))
    newest, actual, *_ = traffic.file("m1", "performance.json")
    assert (newest["first"], newest["basis"], newest["labelled"]) == (day(6), "estimated", 0)
    assert (actual["first"], actual["basis"], actual["rows"], actual["labelled"], actual["coverage"]) == (
        *(day(3), "actual"),
        *(3 * A_DAY, 3 * A_DAY, 1.0),
    )
    auc = actual["figures"]["roc_auc"]
    assert 0.7 < auc["low"] < auc["value"] < auc["high"] < 0.95
    decision = traffic.decision("performance", "m1")
    assert (decision.outcome, decision.evidence["rows"]) == ("OK", "served")
    assert traffic.row("m1").details["performance"][1] == actual
    shown = use_case_state(traffic.settings, "churn")["last_monitor"]
    assert (shown["performance"][1]["basis"], shown["watched"]["rows"]) == ("actual", "served")


def test_labels_that_do_not_come_leave_an_estimate(traffic: Traffic, edit_churn: EditSpec):
    edit_churn(lambda spec: spec["source"].update(label_delay_days=3))
    edit_churn(lambda spec: spec["monitoring"].update(performance={"window_days": 3}))
    traffic.company.publish("i2", 0, 6)
    served = traffic.serve(0, 6)
    traffic.send_back(served.iloc[:200], known=5)
    monitor("m1", day(6))
    _, due, *_ = traffic.file("m1", "performance.json")
    assert (due["basis"], due["coverage"]) == ("estimated", pytest.approx(200 / 330))
    assert due["note"].startswith("LOW_LABEL_COVERAGE: 200 of 330 rows have a label, at least 80% needed")
    assert traffic.decision("performance", "m1").outcome == "ESTIMATED"


def at_random(served: pd.DataFrame, share: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    drawn = np.where(rng.random(len(served)) < 0.27, "Yes", "No")
    return np.where(rng.random(len(served)) < share, drawn, served["Churn"])


def test_a_drop_alarms_and_asks_once_there_is_something_to_learn(traffic: Traffic, edit_churn: EditSpec):
    """Nothing drifts but what customers do. Until published labels of those days can be learned from, a brake holds."""
    edit_churn(lambda spec: spec["source"].update(label_delay_days=3))
    edit_churn(lambda spec: spec["monitoring"].update(performance={"window_days": 6}))
    traffic.company.publish("i2", 0, 9)
    served = traffic.serve(0, 9)
    traffic.send_back(served.iloc[: 6 * A_DAY], 8, at_random(served, 0.5)[: 6 * A_DAY])
    assert monitor("m1", day(9)) == "SUPPRESSED"
    first, second = traffic.row("m1").reasons[:2]
    assert first.startswith("TOO_FEW_NEW_LABELS: 0 labels of the days since")
    assert second.startswith("PERFORMANCE: ROC AUC 0.")
    assert "chance alone makes such labels" in second
    assert traffic.decision("performance", "m1").outcome == "DROP"
    edit_churn(lambda spec: spec["retrain_policy"].update(min_new_labels=0))
    assert monitor("m2", day(9)) == "REQUESTED"
    (request,) = requests.every(connect(traffic.settings.state_url), "churn")
    assert request.columns == ("actual performance",)
    assert request.reason.startswith(f"PERFORMANCE as of {day(9)}: ROC AUC 0.")
    assert monitor("m3", day(9)) == "SUPPRESSED"
    assert {reason.partition(":")[0] for reason in traffic.row("m3").reasons} >= {"COOLDOWN", "PENDING", "PERFORMANCE"}


def shadowed(traffic: Traffic, served: pd.DataFrame, version: str = "2") -> None:
    """The answers of a challenger that knows nothing, to the same rows."""
    scores = np.random.default_rng(0).random(len(served))
    columns = list(traffic.spec.columns)
    traffic.capture(
        [
            Captured(
                *(served["prediction_id"][n], _noon(n // A_DAY, n), version, "shadow", served["customerID"][n]),
                *(_plain(served.loc[n, columns]), float(scores[n]), False, 1.0),
            )
            for n in range(len(served))
        ]
    )


def test_a_challenger_in_the_shadow_is_compared_on_the_same_rows(traffic: Traffic, edit_churn: EditSpec):
    edit_churn(lambda spec: spec["source"].update(label_delay_days=3))
    traffic.company.publish("i2", 0, 9)
    served = traffic.serve(0, 6)
    shadowed(traffic, served)
    monitor("m1", day(9))
    assert traffic.row("m1").details["comparison"]["outcome"] == "INSUFFICIENT"
    traffic.send_back(served, known=8)
    monitor("m2", day(9))
    found = traffic.file("m2", "comparison.json")
    assert (found["outcome"], found["how"]) == ("COMPARED", "shadow")
    assert found["challenger"] == {"version": "2", "rows": 6 * A_DAY, "labelled": 6 * A_DAY, "coverage": 1.0}
    assert found["figures"]["roc_auc"]["difference"]["high"] < 0
    assert traffic.row("m2").details["comparison"] == found
    assert versions.alias(tracking.connect(traffic.settings.mlflow_uri), "churn") == "1"


def test_a_canary_is_compared_as_two_groups(traffic: Traffic, edit_churn: EditSpec):
    edit_churn(lambda spec: spec["source"].update(label_delay_days=3))
    traffic.company.publish("i2", 0, 9)
    is_canary = lambda place: place % 3 == 0  # noqa: E731
    served = traffic.serve(
        0,
        6,
        version=lambda place: "2" if is_canary(place) else "1",
        role=lambda place: "challenger" if is_canary(place) else "champion",
    )
    traffic.send_back(served, known=8)
    monitor("m1", day(9))
    found = traffic.file("m1", "comparison.json")
    assert (found["outcome"], found["how"]) == ("COMPARED", "canary")
    assert (found["champion"]["rows"], found["challenger"]["rows"]) == (440, 220)


def test_without_a_challenger_there_is_no_comparison(traffic: Traffic):
    traffic.company.publish("i2", 0, 3)
    traffic.serve(0, 3)
    monitor("m1", day(3))
    assert traffic.row("m1").details["comparison"] is None
