"""The monitor on real Telco rows that arrive as one file a day: what asks for a retrain, and what must not."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from include.cli.source import register_source
from include.cli.status import use_case_state
from include.data.calendar import days_between
from include.errors import NothingToDo
from include.settings import Settings
from include.state import decisions, requests
from include.state.database import connect
from tests.steps.loop import FIRST, close, ingest, monitor, open_run, retrain

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

START = date.fromisoformat(FIRST)


class DailyFiles:
    """Telco dealt out over days: 45 days before ``FIRST``, and more where a test asks for them."""

    def __init__(self, telco: Path, folder: Path) -> None:
        self.rows = pd.read_csv(telco, dtype="str", keep_default_na=False).sample(frac=1, random_state=0)
        self.folder, self.used = folder, 0
        self.write(START - timedelta(days=45), START)

    def write(self, first: date, end: date, **changes: object) -> None:
        for day in days_between(first, end):
            rows = self.rows.iloc[self.used : self.used + 90]
            self.used += 90
            rows.assign(**changes).to_csv(self.folder / f"{day}.csv", index=False)


@pytest.fixture
def files(settings: Settings, telco_csv: Path, tmp_path: Path) -> DailyFiles:
    """A source of daily files with a champion that was trained on them."""
    folder = tmp_path / "daily"
    folder.mkdir()
    files = DailyFiles(telco_csv, folder)
    register_source(settings, f"file://{folder}/{{day}}.csv")
    assert ingest("i1", FIRST) == "PUBLISHED"
    assert retrain("r1") == "PROMOTED"
    return files


def later(days: int) -> str:
    return (START + timedelta(days=days)).isoformat()


def reasons(settings: Settings) -> str:
    return " ".join(use_case_state(settings, "churn")["last_monitor"]["reasons"])


def test_without_a_champion_there_is_nothing_to_watch(settings: Settings):
    assert monitor("m1", FIRST) == "NO_CHAMPION"


def test_drift_asks_once_and_every_decision_is_kept(settings: Settings, files: DailyFiles):
    engine = connect(settings.state_url)
    assert monitor("m1", FIRST) == "NO_DRIFT"
    files.write(START, START + timedelta(days=6), Contract="Month-to-month")
    assert ingest("i2", later(6)) == "PUBLISHED"
    assert monitor("m2", later(6)) == "REQUESTED"
    assert monitor("m3", later(6)) == "SUPPRESSED"
    assert "COOLDOWN" in reasons(settings)
    assert "SAME_EVIDENCE" in reasons(settings)
    (request,) = requests.every(engine, "churn")
    assert (request.requested_by, request.columns) == ("m2", ("Contract",))
    kept = {d.run_id: d.outcome for d in decisions.of_kind(engine, "churn", "drift")}
    assert kept == {"m1": "NO_DRIFT", "m2": "REQUESTED", "m3": "SUPPRESSED"}


def test_a_refused_batch_blocks_and_never_asks(settings: Settings, files: DailyFiles):
    files.write(START, START + timedelta(days=20), MonthlyCharges="95.5")
    assert ingest("i2", later(20)) == "PUBLISHED"
    files.write(START + timedelta(days=20), START + timedelta(days=21), Contract="Weekly")
    assert ingest("i3", later(21)) == "DATA_REJECTED"
    assert monitor("m1", later(21)) == "DATA_QUALITY"
    assert "i3" in reasons(settings)
    assert "'Weekly'" in reasons(settings)
    assert requests.every(connect(settings.state_url), "churn") == []


def test_a_source_that_stopped_is_bad_data(settings: Settings, files: DailyFiles):
    assert monitor("m1", later(5)) == "DATA_QUALITY"
    assert "the newest day is 2026-11-23, 6 days before 2026-11-29; at most 3" in reasons(settings)


def test_an_old_champion_alarms(settings: Settings, files: DailyFiles):
    monitor("m1", FIRST)
    assert "STALE_CHAMPION" not in reasons(settings)
    monitor("m2", later(91))
    assert "STALE_CHAMPION: version 1 is 91 days old, at most 90" in reasons(settings)


def test_steps_that_run_again_write_nothing_twice(settings: Settings, files: DailyFiles):
    from include.steps import monitor as steps

    files.write(START, START + timedelta(days=10), Contract="Month-to-month")
    ingest("i2", later(10))
    run = open_run("monitor", "m1", {"as_of": later(10)})
    for _ in range(2):
        decided = steps.decide(steps.measure_drift(steps.check_quality(run)))
        assert decided["outcome"] == "REQUESTED"
        with suppress(NothingToDo):
            steps.request_retrain(decided)
    assert close("monitor", "m1") == "REQUESTED"
    assert len(requests.every(connect(settings.state_url), "churn")) == 1
    assert len(decisions.of_kind(connect(settings.state_url), "churn", "drift")) == 1
