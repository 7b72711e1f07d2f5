"""The whole loop on the real scheduler: what drift, new data and a new champion ask for, and who is told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from include.cli.prediction import show_prediction
from include.cli.source import newest_as_of, register_source
from include.cli.status import use_case_state
from include.settings import Settings
from include.stack import scoring_api
from include.stack.airflow_api import AirflowApi
from include.stack.processes import start
from include.stack.scoring_api import ScoringApi
from include.stack.secrets import local_key
from include.stack.supervision import Supervisor
from include.state import promotions, publications, requests, runs
from include.state.database import connect
from include.state.database import runs as ledger
from tests.conftest import copy_of_churn
from tests.faults.invariants import collected
from tests.home import own_home
from tests.receivers import Hook, webhook
from tests.schedules import by_hand

pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("default")]


@pytest.fixture
def hook() -> Iterator[Hook]:
    with webhook() as made:
        yield made


@pytest.fixture
def settings(tmp_path: Path, hook: Hook) -> Iterator[Settings]:
    use_cases = tmp_path / "use_cases"
    copy_of_churn(use_cases, by_hand)
    with own_home(tmp_path / "home", MODELOPS_USE_CASES=str(use_cases), MODELOPS_WEBHOOK_URL=hook.url) as settings:
        yield settings


def test_the_champion_answers_and_covariate_drift_is_answered_by_a_retrain(
    settings: Settings, hook: Hook, capsys, monkeypatch
):
    today = newest_as_of(settings, "churn")
    register_source(settings, f"simulator:?drift=covariate&drift_from={today}")
    start(settings)
    later = (today + timedelta(days=7)).isoformat()
    with AirflowApi.of(settings) as api:
        assert run(api, "churn_ingest", "i1", {"as_of": today.isoformat()}) == "success"
        assert run(api, "churn_retrain", "r1", {"as_of": today.isoformat(), "reason": "first"}) == "success"
        champion = use_case_state(settings, "churn")["champion"]
        assert champion is not None
        links = api.call("GET", "/api/v2/dags/churn_retrain/dagRuns/r1/taskInstances/gate/links")["extra_links"]
        assert links["Verdict"].startswith(f"{settings.mlflow_uri}/#/experiments/")
        assert links["Verdict"].endswith("/artifacts/evaluation/verdict.html")
        ids = predicted(settings, capsys)
        assert wait_for_scoring(settings, champion["version"], today.isoformat()) == 1
        assert run(api, "churn_ingest", "i2", {"as_of": later}) == "success"
        assert wait_for_scoring(settings, champion["version"], later) == 1
        assert run(api, "churn_ingest", "i3", {"as_of": later}) == "success"
        assert events(api, "churn_ingest") == 2, "i3 had no new data"
        assert run(api, "churn_monitor", "m1", {"as_of": later}) == "success"

    engine = connect(settings.state_url)
    monitor = runs.get(engine, "churn", "monitor", "m1")
    assert monitor is not None
    assert monitor.outcome == "REQUESTED"
    assert collected(settings, "churn") == sorted(ids)
    assert "MonthlyCharges" in monitor.details["drifted_columns"]
    (request,) = wait_for_outcome(settings)
    row = runs.last(engine, "churn", "retrain")
    assert row is not None
    assert row.run_id == request.claimed_by != "r1"
    assert row.as_of == later
    assert row.outcome in ("PROMOTED", "REFUSED")
    assert "drift of" in row.reason
    published = publications.latest(engine, "churn", "data")
    assert published is not None
    assert (published.run_id, published.simulated) == ("i2", True)
    if row.outcome == "PROMOTED":
        assert wait_for_scoring(settings, str(row.details["version"]), later) == 1
    with AirflowApi.of(settings) as api:
        assert events(api, "churn_retrain") == (2 if row.outcome == "PROMOTED" else 1)
    state = use_case_state(settings, "churn")
    assert state["registered_versions"] == len(promotions.history(engine, "churn"))
    assert state["pending_requests"] == 0
    told(
        settings,
        hook,
        [
            f"churn: PROMOTED, retrain as of {today}",
            f"churn: REQUESTED, monitor as of {later}",
            f"churn: {row.outcome}, retrain as of {later}",
        ],
    )
    refused(settings, capsys, monkeypatch)


def predicted(settings: Settings, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What ``make run`` ends with, and the command that it names; the ids of both predictions."""
    assert show_prediction(settings, "churn")
    assert use_case_state(settings, "churn")["api"] == {
        "url": f"http://127.0.0.1:{settings.api_port}/churn",
        "version": "1",
        "is_current": True,
        "why": (),
    }
    said = capsys.readouterr().out
    assert ", in " in said
    assert local_key(settings) not in said
    (told,) = re.findall(r"by version 1, .*\(prediction (\w+)\)", said)
    (command,) = re.findall(r"curl .*", said)
    if shutil.which("curl") is None:
        return [told]
    answer = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    prediction = json.loads(answer.stdout)["prediction"]
    assert prediction["model_version"] == "1"
    assert prediction["reasons"]["raising"]
    return [told, prediction["prediction_id"]]


def refused(settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What ``make run`` says when the API is down, or knows nothing of the use case."""
    with ScoringApi.of(settings, "churn") as ours, ScoringApi.of(settings, "of_tomorrow") as other:
        assert (ours.is_unknown(), other.is_unknown()) == (False, True)
    monkeypatch.setattr(scoring_api, "FOLLOW_SECONDS", 2.0)
    supervisor = Supervisor(settings)
    supervisor.stop_process("api")
    for _ in range(100):  # it finishes what is under way first
        if (api := supervisor.process("api")) is None or api.pid is None:
            break
        time.sleep(0.1)
    assert not show_prediction(settings, "churn")
    assert f"nothing answers at {settings.api_url}/churn" in capsys.readouterr().err


def told(settings: Settings, hook: Hook, headlines: list[str]) -> None:
    """What people got: each message once, with a link, and with its secret address in no log."""
    for _ in range(100):  # a run has ended before they are told
        if len(hook.bodies) >= len(headlines):
            break
        time.sleep(0.1)
    assert hook.headlines() == headlines
    assert f"http://127.0.0.1:{settings.airflow_port}/dags/churn_retrain/runs/r1" in hook.bodies[0]["text"]
    assert [path for path in settings.home.rglob("*.log") if hook.path in path.read_text(errors="replace")] == []


def run(api: AirflowApi, dag_id: str, run_id: str, conf: dict[str, str]) -> str:
    api.wait_for_dag(dag_id)
    api.unpause(dag_id)
    api.trigger(dag_id, run_id, conf)
    for _ in api.follow(dag_id, run_id, timeout=300):
        pass
    return api.run_state(dag_id, run_id)


def wait_for_outcome(settings: Settings, seconds: float = 180) -> list[requests.Request]:
    """The requests, once each has the outcome of the retrain that claimed it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = requests.every(connect(settings.state_url), "churn")
        if found and all(request.outcome for request in found):
            return found
        time.sleep(0.5)
    raise AssertionError(f"no retrain settled the request: {requests.every(connect(settings.state_url), 'churn')}")


def wait_for_scoring(settings: Settings, version: str, as_of: str, seconds: float = 180) -> int:
    """How many runs have scored by this version as of this day, once there is one and all have ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with connect(settings.state_url).connect() as connection:
            rows = connection.execute(ledger.select().where(ledger.c.kind == "score")).all()
        found = [one for one in rows if one.details.get("champion") == version and one.as_of == as_of]
        if found and all(one.ended_at for one in rows):
            assert [one.outcome for one in found] == ["SCORED"] * len(found)
            assert {one.details["run_type"] for one in rows} == {"asset_triggered"}
            return len(found)
        time.sleep(0.5)
    raise AssertionError(f"version {version} has not scored as of {as_of}: {rows}")


def events(api: AirflowApi, dag_id: str) -> int:
    """How often a DAG has woken another one."""
    return int(api.call("GET", f"/api/v2/assets/events?source_dag_id={dag_id}")["total_entries"])
