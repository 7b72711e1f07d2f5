"""F33: drift that is seen a hundred times."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import pytest

from include.errors import NothingToDo
from include.state import decisions, requests
from include.state.database import connect
from include.state.runs import Run
from include.steps import ledger
from include.steps.monitor import decision
from tests.faults.home import LATER, Loop, open_run
from tests.faults.invariants import check

ALARMS, A_DAY, COOL_DOWN, WINDOW = 100, 4, 3, 3
COLUMNS = ("tenure", "MonthlyCharges", "Contract", "Partner", "gender", "PhoneService", "TechSupport", "StreamingTV")


@pytest.mark.thorough
def test_f33_a_hundred_alarms_are_one_retrain_per_cool_down(make_loop, monkeypatch: pytest.MonkeyPatch):
    """Four alarms a day for 25 days, in turn of all columns: what a retrain did not help against is held anyway."""
    loop: Loop = make_loop("alarmed", cooldown_hours=24 * COOL_DOWN, max_retrains_per_30d=ALARMS)
    seen = loop.at("monitor", "decide").records["measure_performance"]
    home, engine = loop.home, connect(loop.home.settings.state_url)
    loop.at("monitor", "decide").close()
    for name, value in home.environ.items():
        monkeypatch.setenv(name, value)
    for number in range(ALARMS // A_DAY):
        day = date.fromisoformat(LATER) + timedelta(number)
        column = COLUMNS[number // COOL_DOWN % len(COLUMNS)]
        for n in range(A_DAY):
            alarm(home.use_case, f"{day}-{n}", day, seen | {"drifted": [column]})
        assert len(requests.every(engine, home.use_case)) == number // COOL_DOWN + 1
        requests.claim(engine, Run(home.use_case, "retrain", f"r-{day}", str(day)))
        requests.settle(engine, home.use_case, f"r-{day}", "REFUSED")
    recorded = decisions.of_kind(engine, home.use_case, "drift")
    outcomes = [decision.outcome for decision in recorded]
    asked = (ALARMS // A_DAY - 1) // COOL_DOWN + 1
    assert (outcomes.count("REQUESTED"), outcomes.count("SUPPRESSED")) == (asked, ALARMS - asked)
    assert all("COOLDOWN" in str(decision.reasons) for decision in recorded if decision.outcome == "SUPPRESSED")
    check(home.settings, home.use_case)


def alarm(use_case: str, run_id: str, day: date, seen: dict[str, Any]) -> None:
    """A monitor that finds every window up to ``day`` drifted."""
    run = open_run(use_case, "monitor", run_id, {"as_of": str(day)}, "manual")
    ends = [day - timedelta(WINDOW * n) for n in range(3)]
    windows = [
        {"first": str(end - timedelta(WINDOW)), "end": str(end), "verdict": "DRIFT", "note": "drifted"} for end in ends
    ]
    with suppress(NothingToDo):
        decision.request_retrain(decision.decide(seen | run | {"windows": windows}))
    ledger.close_run(use_case, "monitor", run_id, [])
