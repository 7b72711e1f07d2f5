"""Waiting until the services answer and every component of Airflow is alive."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import httpx

from include.settings import HOST, Settings
from include.stack import StackError
from include.stack.environment import airflow_url
from include.stack.migrations import tail
from include.stack.ports import runs_mlflow
from include.stack.supervision import ProcessState, Supervisor

TIMEOUT_SECONDS = 240.0
POLL_SECONDS = 0.25
COMPONENTS = {"scheduler": "scheduler", "dag_processor": "dag-processor", "triggerer": "triggerer"}


def wait_until_ready(supervisor: Supervisor, say: Callable[[str], None]) -> None:
    """Return when all is ready; raise ``StackError`` with the end of the log of what fails or does not come up."""
    started = time.monotonic()
    settings = supervisor.settings
    waiting = {process.name for process in supervisor.states() or ()}
    with httpx.Client(trust_env=False, timeout=5) as client:
        while True:
            states = supervisor.states()
            if not states:
                raise StackError(f"The process supervisor has ended:\n{tail(supervisor.log('supervisord'))}")
            _raise_for_failed(supervisor, states)
            late = not_ready(client, settings, states)
            for name in sorted(waiting - late):
                say(f"{name} is ready ({time.monotonic() - started:.0f} s)")
            waiting &= late
            if not waiting:
                return
            if time.monotonic() - started > TIMEOUT_SECONDS:
                raise StackError(_late(supervisor, sorted(waiting)))
            time.sleep(POLL_SECONDS)


def not_ready(client: httpx.Client, settings: Settings, states: tuple[ProcessState, ...]) -> set[str]:
    """Name the processes that are not up or do not answer as they should."""
    late = {p.name for p in states if not p.is_up}
    # Whether there is a model that it can answer with is another question: the first one is made by this stack.
    if not _answers(client, f"http://{HOST}:{settings.api_port}/health"):
        late.add("api")
    if runs_mlflow(settings) and not _answers(client, f"{settings.mlflow_uri}/health"):
        late.add("mlflow")
    return late | _late_in_airflow(client, settings, {p.name: p.started_at for p in states})


def _late_in_airflow(client: httpx.Client, settings: Settings, started_at: dict[str, float]) -> set[str]:
    try:
        health = client.get(f"{airflow_url(settings)}/api/v2/monitor/health").raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return {"api-server", *COMPONENTS.values()}
    # What answers the tasks is made by the first request, in some seconds; the first task would wait for it.
    serves_tasks = _answers(client, f"{airflow_url(settings)}/execution/health")
    late = set() if serves_tasks and health["metadatabase"]["status"] == "healthy" else {"api-server"}
    for component, process in COMPONENTS.items():
        beat = health[component].get(f"latest_{component}_heartbeat")
        # A component that was killed counts as healthy for half a minute more: only a beat of this process counts.
        is_own = beat is not None and datetime.fromisoformat(beat).timestamp() >= started_at[process]
        if health[component]["status"] != "healthy" or not is_own:
            late.add(process)
    return late


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).is_success
    except httpx.HTTPError:
        return False


def _raise_for_failed(supervisor: Supervisor, states: tuple[ProcessState, ...]) -> None:
    failed = [process.name for process in states if process.state == "FATAL"]
    if failed:
        raise StackError(
            "\n".join([f"Does not start: {', '.join(failed)}.", *(_end_of(supervisor, n) for n in failed)])
        )


def _late(supervisor: Supervisor, names: list[str]) -> str:
    ends = (_end_of(supervisor, name) for name in names)
    return "\n".join([f"Not ready after {TIMEOUT_SECONDS:.0f} s: {', '.join(names)}.", *ends])


def _end_of(supervisor: Supervisor, name: str) -> str:
    return f"The end of {supervisor.log(name)}:\n{tail(supervisor.log(name))}"
