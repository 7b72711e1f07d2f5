"""The client against a server on this machine that answers as Airflow does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from include.stack.airflow_api import AirflowApi, AirflowApiError

DAG = "/api/v2/dags/churn_ingest"
RUN = f"{DAG}/dagRuns/one"


class FakeAirflow(ThreadingHTTPServer):
    """Answers from a table; a list of answers is used up one by one, and its last one stays."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[tuple[int, Any]]] = {"POST /auth/token": [(201, {"access_token": "t1"})]}
        self.seen: list[tuple[str, Any, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: FakeAirflow

    def answer(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        call = f"{self.command} {self.path.partition('?')[0]}"
        self.server.seen.append((call, body, self.headers.get("Authorization")))
        answers = self.server.answers.get(call, [(404, {"detail": f"no {call}"})])
        status, content = answers.pop(0) if len(answers) > 1 else answers[0]
        payload = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_PATCH = answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    with FakeAirflow() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def api(airflow: FakeAirflow) -> Iterator[AirflowApi]:
    with AirflowApi(airflow.url, "admin", "secret") as api:
        yield api


def row(
    task_id: str, state: str | None, *, index: int = -1, label: str | None = None, tries: int = 1
) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "map_index": index,
        "rendered_map_index": label,
        "state": state,
        "try_number": tries,
        "duration": 1.5,
        "start_date": "2024-01-01T00:00:00Z",
        "end_date": None,
    }


def page(*rows: dict[str, Any]) -> tuple[int, Any]:
    return 200, {"task_instances": list(rows), "total_entries": len(rows)}


def test_a_run_is_triggered_with_its_parameters(airflow: FakeAirflow, api: AirflowApi) -> None:
    airflow.answers[f"POST {DAG}/dagRuns"] = [(200, {})]
    api.trigger("churn_ingest", "one", {"as_of": "2024-01-01"})
    assert airflow.seen[0][:2] == ("POST /auth/token", {"username": "admin", "password": "secret"})
    call, body, token = airflow.seen[1]
    assert (call, token) == (f"POST {DAG}/dagRuns", "Bearer t1")
    assert datetime.fromisoformat(body.pop("run_after")) < datetime.now(UTC) - timedelta(seconds=1)
    assert body == {"dag_run_id": "one", "logical_date": None, "conf": {"as_of": "2024-01-01"}}


def test_a_run_that_exists_already_is_a_success(airflow: FakeAirflow, api: AirflowApi) -> None:
    airflow.answers[f"POST {DAG}/dagRuns"] = [(409, {"detail": "exists"})]
    api.trigger("churn_ingest", "one", {})


def test_an_expired_login_is_renewed(airflow: FakeAirflow, api: AirflowApi) -> None:
    airflow.answers["POST /auth/token"] = [(201, {"access_token": "old"}), (201, {"access_token": "new"})]
    airflow.answers[f"GET {RUN}"] = [(401, {"detail": "expired"}), (200, {"state": "running"})]
    assert api.run_state("churn_ingest", "one") == "running"
    assert airflow.seen[-1] == (f"GET {RUN}", None, "Bearer new")


def test_errors_name_url_status_and_detail(airflow: FakeAirflow, api: AirflowApi) -> None:
    airflow.answers[f"GET {RUN}"] = [(403, {"detail": "not for you"})]
    with pytest.raises(AirflowApiError, match=rf"{airflow.url}{RUN}: status 403: not for you"):
        api.run_state("churn_ingest", "one")


def test_a_server_that_is_away_is_named() -> None:
    no_answer = pytest.raises(AirflowApiError, match=r"http://127\.0\.0\.1:1/auth/token: no answer")
    with AirflowApi("http://127.0.0.1:1", "admin", "secret") as api, no_answer:
        api.unpause("churn_ingest")


def test_a_dag_file_with_an_error_ends_the_waiting(airflow: FakeAirflow, api: AirflowApi) -> None:
    problem = {"filename": "ingest.py", "stack_trace": "NameError: spec"}
    airflow.answers["GET /api/v2/importErrors"] = [(200, {"import_errors": [problem]})]
    with pytest.raises(Exception, match=r"ingest\.py:\nNameError: spec"):
        api.wait_for_dag("churn_ingest")


def test_a_dag_that_is_stale_is_waited_for(
    airflow: FakeAirflow, api: AirflowApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.stack.airflow_api.POLL_SECONDS", 0)
    airflow.answers[f"GET {DAG}"] = [(404, {"detail": "no"}), (200, {"is_stale": True}), (200, {"is_stale": False})]
    airflow.answers["GET /api/v2/importErrors"] = [(200, {"import_errors": []})]
    api.wait_for_dag("churn_ingest")
    assert [call for call, _, _ in airflow.seen].count(f"GET {DAG}") == 3


def test_following_tells_each_change_once(
    airflow: FakeAirflow, api: AirflowApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("include.stack.airflow_api.POLL_SECONDS", 0)
    airflow.answers[f"GET {RUN}"] = [(200, {"state": state}) for state in ("running", "running", "success")]
    airflow.answers[f"GET {RUN}/taskInstances"] = [
        page(row("land", "running"), row("publish", None)),
        page(row("land", "success"), row("train", "running", index=0, label="tree")),
        page(row("land", "success"), row("train", "success", index=0, label="tree", tries=2)),
    ]
    changes = [(task.name, task.state, task.try_number) for task in api.follow("churn_ingest", "one")]
    assert changes == [
        ("land", "running", 1),
        ("land", "success", 1),
        ("train[tree]", "running", 1),
        ("train[tree]", "success", 2),
    ]


def test_many_tasks_come_in_pages(airflow: FakeAirflow, api: AirflowApi) -> None:
    rows = [row("train", "success", index=i) for i in range(150)]
    pages = [{"task_instances": part, "total_entries": 150} for part in (rows[:100], rows[100:])]
    airflow.answers[f"GET {RUN}/taskInstances"] = [(200, content) for content in pages]
    assert len(api.task_states("churn_ingest", "one")) == 150


def test_the_reason_of_a_failure_is_its_exception(airflow: FakeAirflow, api: AirflowApi) -> None:
    airflow.answers[f"GET {RUN}/taskInstances"] = [page(row("land", "failed"))]
    detail = [{"exc_type": "DataRejected", "exc_value": "no column tenure"}]
    lines = [{"event": "start"}, {"event": "Task failed with exception", "error_detail": detail}]
    airflow.answers[f"GET {RUN}/taskInstances/land/logs/1"] = [(200, {"content": lines})]
    (task,) = api.task_states("churn_ingest", "one")
    assert api.last_error("churn_ingest", "one", task) == "DataRejected: no column tenure"
