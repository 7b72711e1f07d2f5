"""What is said of a run follows from its row in the ledger and from what the spec wants said."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, get_args

import pytest

from include.notifications.notice import EVENTS, Notice, of_row
from include.settings import Settings
from include.spec import Event, Notifications, UseCase
from include.state.runs import LedgerRow

SETTINGS = Settings.from_environment({"MODELOPS_AIRFLOW_PAGES": "https://airflow.example/"})
ROW = LedgerRow(
    kind="monitor",
    run_id="scheduled__2026-11-24T03:00:00+00:00",
    as_of="2026-11-24",
    outcome="NO_DRIFT",
    reason="scheduled",
    reasons=(),
    details={"run_type": "scheduled"},
    started_at="2026-11-24T03:00:01.000+00:00",
    ended_at="2026-11-24T03:01:00.000+00:00",
)


def said(churn: UseCase, row: LedgerRow = ROW, wanted: tuple[str, ...] | None = None, **changes: Any) -> Notice | None:
    asked = Notifications() if wanted is None else Notifications(events=wanted)
    return of_row(SETTINGS, churn.model_copy(update={"notifications": asked}), replace(row, **changes), simulated=False)


def test_every_event_has_a_severity_and_a_meaning() -> None:
    assert set(EVENTS) == set(get_args(Event))
    assert all(about.meaning.endswith(".") for about in EVENTS.values())
    grave = [("error", "warning", "info").index(about.severity) for about in EVENTS.values()]
    assert grave == sorted(grave), "the gravest stand first"


@pytest.mark.parametrize(
    ("kind", "outcome", "reasons", "event"),
    [
        ("ingest", "PUBLISHED", ["90 rows"], None),
        ("ingest", "NO_NEW_DATA", [], None),
        ("ingest", "DATA_REJECTED", ["QUARANTINE_RATE: 12 % of the rows"], "DATA_REJECTED"),
        ("ingest", "FAILED", ["land: OSError: full", "task land failed"], "FAILED"),
        ("ingest", "BAD_REQUEST", ["as_of is 'tomorrow'"], None),
        ("retrain", "PROMOTED", ["version 3 replaces version 2"], "PROMOTED"),
        ("retrain", "REFUSED", ["NOT_BETTER: the gain may be chance"], "REFUSED"),
        ("retrain", "NOT_EVALUATED", ["TOO_FEW_ROWS: 12"], "NOT_EVALUATED"),
        ("retrain", "NOT_EVALUATED", ["CHAMPION_DAMAGED: model.skops"], "CHAMPION_DAMAGED"),
        ("retrain", "CHAMPION_CHANGED", ["the champion is now 4"], "CHAMPION_CHANGED"),
        ("retrain", "UNCHANGED", ["judged before"], None),
        ("retrain", "UNCHANGED", ["judged before", "CHAMPION_GONE: version 3 is champion no more"], "CHAMPION_GONE"),
        ("retrain", "DRY_RUN", ["judged only"], None),
        ("retrain", "NOTHING_PENDING", ["taken"], None),
        ("monitor", "NO_DRIFT", ["NO_DRIFT: 0 of 3"], None),
        ("monitor", "NO_DRIFT", ["NO_DRIFT: 0 of 3", "STALE_CHAMPION: 91 days"], "STALE_CHAMPION"),
        ("monitor", "REQUESTED", ["DRIFT: 2 of 3"], "REQUESTED"),
        ("monitor", "REQUESTED", ["DRIFT: 2 of 3", "NO_SCORES: MISSING"], "NO_SCORES"),
        ("monitor", "SUPPRESSED", ["COOLDOWN: 72 h"], None),
        ("monitor", "SUPPRESSED", ["COOLDOWN: 72 h", "NEEDS_A_PERSON: no new champion"], "NEEDS_A_PERSON"),
        ("monitor", "DATA_QUALITY", ["DATA_QUALITY: late", "STALE_CHAMPION: 91 days"], "DATA_QUALITY"),
        ("monitor", "NO_CHAMPION", ["nothing is in production yet"], None),
        ("score", "FAILED", ["task score failed"], "FAILED"),
    ],
)
def test_a_run_is_told_under_the_gravest_of_its_events(
    churn: UseCase, kind: str, outcome: str, reasons: list[str], event: str | None
) -> None:
    found = said(churn, kind=kind, outcome=outcome, reasons=tuple(reasons))
    assert (found and found.event) == event
    if found:
        assert (found.severity, found.meaning) == (EVENTS[found.event].severity, EVENTS[found.event].meaning)
        assert (found.outcome, found.reasons) == (outcome, tuple(reasons))


def test_only_what_the_spec_wants_is_said(churn: UseCase) -> None:
    damaged = {"outcome": "NOT_EVALUATED", "reasons": ("CHAMPION_DAMAGED: model.skops",)}
    assert said(churn, wanted=("NOT_EVALUATED",), **damaged).event == "NOT_EVALUATED"  # type: ignore[union-attr]
    assert said(churn, wanted=("FAILED",), **damaged) is None
    assert said(churn, wanted=("SUPPRESSED",), outcome="SUPPRESSED").event == "SUPPRESSED"  # type: ignore[union-attr]
    assert said(churn, wanted=(), outcome="FAILED") is None


def test_neither_a_run_that_goes_on_nor_a_backfill_is_told(churn: UseCase) -> None:
    assert said(churn, outcome=None, ended_at=None) is None
    assert said(churn, outcome="REFUSED", ended_at=None) is None
    assert said(churn, outcome="FAILED", details={"run_type": "backfill"}) is None


def test_a_notice_leads_to_the_run_and_to_the_verdict(churn: UseCase) -> None:
    link = "http://mlflow.example/#/experiments/1/runs/abc/artifacts/evaluation/verdict.html"
    found = said(churn, kind="retrain", outcome="REFUSED", details={"verdict_link": link})
    assert found is not None
    assert found.link == "https://airflow.example/dags/churn_retrain/runs/scheduled__2026-11-24T03%3A00%3A00%2B00%3A00"
    assert found.verdict_link == link


def test_a_notice_is_the_same_after_it_was_kept(churn: UseCase) -> None:
    found = said(churn, outcome="FAILED", reasons=("task land failed", "ä \u202e"))
    assert found is not None
    assert Notice.from_json(json.loads(json.dumps(found.to_json())), more=7) == replace(found, more=7)
