"""When a stack is ready: all components of Airflow beat, and both of its API server's applications answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from include.settings import Settings
from include.stack.readiness import COMPONENTS, not_ready
from include.stack.supervision import ProcessState
from tests.unit.stack.test_airflow_api import FakeAirflow


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    """One server in place of all; its components have beaten just now."""
    beat = {"status": "healthy"} | {f"latest_{name}_heartbeat": datetime.now(UTC).isoformat() for name in COMPONENTS}
    with FakeAirflow() as server:
        server.answers |= {
            "GET /health": [(200, {})],
            "GET /execution/health": [(200, {})],
            "GET /api/v2/monitor/health": [(200, {"metadatabase": beat} | dict.fromkeys(COMPONENTS, beat))],
        }
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def late(settings: Settings, airflow: FakeAirflow) -> set[str]:
    port = airflow.server_address[1]
    there = replace(settings, airflow_port=port, api_port=port, mlflow_port=port, mlflow_uri=airflow.url)
    states = tuple(ProcessState(name, "RUNNING", os.getpid(), 0.0) for name in COMPONENTS.values())
    with httpx.Client(trust_env=False, timeout=5) as client:
        return not_ready(client, there, states)


def test_what_answers_and_beats_is_ready(settings: Settings, airflow: FakeAirflow) -> None:
    assert late(settings, airflow) == set()


@pytest.mark.parametrize(
    ("path", "process"),
    [("/execution/health", {"api-server"}), ("/health", {"api", "mlflow"})],
)
def test_what_does_not_answer_is_late(settings: Settings, airflow: FakeAirflow, path: str, process: set[str]) -> None:
    airflow.answers[f"GET {path}"] = [(503, {})]
    assert late(settings, airflow) == process


def test_without_a_beat_of_its_own_a_component_is_late(settings: Settings, airflow: FakeAirflow) -> None:
    (status, health) = airflow.answers["GET /api/v2/monitor/health"][0]
    health["scheduler"] = health["scheduler"] | {"latest_scheduler_heartbeat": "1969-12-31T00:00:00+00:00"}
    airflow.answers["GET /api/v2/monitor/health"] = [(status, health)]
    assert late(settings, airflow) == {"scheduler"}
