"""F37, F38: clocks that are wrong, daylight saving, an outage of days."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.registry import tracking, versions
from include.settings import PROJECT
from include.state import decisions, publications, requests
from include.state.database import connect
from tests.faults.home import LATER, STEPS, DagRun, Home, Loop
from tests.faults.invariants import check

DAY = 86400.0
# Who may ask what time it is, and what for; none of them decides by it which day it is.
CLOCKS = {
    "state/database.py": "when a record was written",
    "registry/tracking.py": "when an MLflow run ended",
    "stack/home.py": "the start of the schedule of a new stack",
    "stack/airflow_api.py": "for how long a task has been running, from when on a run is due",
    "serving/routes.py": "when rows were asked for",
    "serving/service.py": "when an answer was given",
    "cli/override.py": "whether the day that a person names is over",
    "cli/run.py": "the name of a run",
    "data/calendar.py": "the day that `make run` proposes",
    "data/fetch.py": "whether a file is still being written",
}


def test_f37_no_step_asks_the_clock_what_day_it_is():
    asked = re.compile(r"datetime\.now|\.today\(|utcnow|time\.time\(")
    files = (PROJECT / "include").rglob("*.py")
    found = {str(path.relative_to(PROJECT / "include")) for path in files if asked.search(path.read_text())}
    assert found == set(CLOCKS)
    assert not [path for path in (PROJECT / "dags").glob("*.py") if asked.search(path.read_text())]
    steps = [path.read_text() for path in (PROJECT / "include" / "steps").glob("*.py")]
    assert not [text for text in steps if "calendar.today" in text or "import today" in text]


@pytest.mark.thorough
def test_f37_a_clock_that_jumps_by_days_changes_no_outcome(make_loop, chance: random.Random):
    right, wrong = make_loop("right"), make_loop("wrong")
    assert whole(right, lambda: 0.0) == whole(wrong, lambda: chance.choice([-DAY, 0.0, DAY]))


def whole(loop: Loop, clock: Any) -> list[Any]:
    """Run ingest, retrain, ingest, monitor, each step with a clock of its own; what came of it."""
    home = loop.home
    for kind, run_id, conf in [
        ("ingest", "i1", {}),
        ("retrain", "r1", {}),
        ("ingest", "i2", {"as_of": LATER}),
        ("monitor", "m1", {"as_of": LATER}),
    ]:
        run = DagRun(home, kind, run_id, **({"conf": conf} if conf else {}))
        run.must(run.open(clock=clock()))
        for step in STEPS[kind]:
            if step != "draw_report":
                run.must(run.step(step, clock=clock()))
        run.close(clock=clock())
    check(home.settings, home.use_case)
    engine, client = connect(home.settings.state_url), tracking.connect(home.settings.mlflow_uri)
    (version,) = versions.registered(client, home.use_case)
    published = publications.history(engine, home.use_case, "data", "9999-12-31")
    return [
        [(p.as_of, p.first_day, p.last_day, p.rows_published) for p in published],
        version.tags["model_sha256"],
        [(d.run_id, d.outcome, d.reasons) for d in decisions.of_kind(engine, home.use_case, "drift")],
        [(r.as_of, r.columns) for r in requests.every(engine, home.use_case)],
    ]


# The scheduler's own question at every hour: is a run due? Between the days of the outage nobody asks.
SCHEDULER = """
import importlib, json, sys
from datetime import timedelta
import pendulum
import airflow.timetables.trigger as trigger
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction

kind, first, last, down_from, down_until = sys.argv[2:]
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
dag = DagSerialization.from_dict(DagSerialization.to_dict(bag.dags[f"churn_{kind}"]))
now, last = pendulum.parse(first), pendulum.parse(last)
trigger.utcnow = lambda: now
restriction = TimeRestriction(earliest=now, latest=None, catchup=dag.catchup)
interval, runs = None, []
while now < last:
    if not pendulum.parse(down_from) <= now < pendulum.parse(down_until):
        due = dag.timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction)
        if due and due.run_after <= now:
            interval = due.data_interval
            runs.append([now.isoformat(), interval.end.in_timezone("UTC").isoformat()])
    now += timedelta(hours=1)
print("RESULT" + json.dumps(runs))
"""
NEVER = "2030-01-01"
CHANGES = {  # the clocks go forward, and back
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "Australia/Lord_Howe": ("2026-10-04", "2026-04-05"),  # by half an hour
}
HOURS = {"ingest": 1, "retrain": 2, "monitor": 3}


def scheduled(folder: Path, zone: str, kind: str, first: str, last: str, down: tuple[str, str]) -> list[list[str]]:
    """When runs start, hour by hour, and the end of their interval, in a scheduler whose machine is in ``zone``."""
    environment = {
        **os.environ,
        "TZ": zone,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": "system",
        "MODELOPS_HOME": str(folder / "home"),
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "dags")]),
    }
    command = [sys.executable, "-c", SCHEDULER, str(PROJECT / "dags"), kind, first, last, *down]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout.split("RESULT")[1])
    return found


@pytest.mark.parametrize(("zone", "kind"), list(zip(CHANGES, HOURS, strict=True)))
def test_f38_one_run_a_day_of_utc_through_daylight_saving(zone: str, kind: str, tmp_path: Path):
    for change in CHANGES[zone]:
        month = change[:8]
        first, last = f"{month}01T00:00:00", f"{month}28T00:00:00"
        runs = scheduled(tmp_path, zone, kind, first, last, (NEVER, NEVER))
        days = [f"{month}{day:02}T{HOURS[kind]:02}:00:00+00:00" for day in range(1, 28)]
        assert [at for at, _ in runs] == days
        assert [end for _, end in runs] == days


@pytest.mark.parametrize("kind", HOURS)
def test_f38_after_an_outage_of_three_days_one_run_follows(kind: str, tmp_path: Path):
    """It is of the newest day; the ingest publishes the days between as well."""
    down = ("2026-10-23T12:30:00", "2026-10-26T12:30:00")
    runs = scheduled(tmp_path, "Europe/Berlin", kind, "2026-10-20T00:00:00", "2026-10-30T00:00:00", down)
    assert [int(end[8:10]) for _, end in runs] == [20, 21, 22, 23, 26, 27, 28, 29]


def test_f38_the_first_ingest_after_an_outage_publishes_every_day_between(home: Home):
    for run_id, as_of in [("i1", "2026-11-24"), ("i2", "2026-11-28")]:
        assert DagRun(home, "ingest", run_id, {"as_of": as_of}).finish() == "PUBLISHED"
    _, newest = publications.history(connect(home.settings.state_url), home.use_case, "data", "9999-12-31")
    assert (newest.first_day, newest.last_day, newest.rows_published) == ("2026-11-24", "2026-11-27", 4 * 40)
    check(home.settings, home.use_case)
