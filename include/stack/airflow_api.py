"""A small client of Airflow's REST API: trigger a run and follow it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import httpx

from include.settings import Settings
from include.stack import StackError
from include.stack.environment import airflow_url
from include.stack.secrets import USER, load_secrets

POLL_SECONDS = 0.5
PAGE = 100
TASK_END_STATES = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
RUN_END_STATES = frozenset({"success", "failed"})


class AirflowApiError(StackError):
    """Airflow refused a call or did not answer; the message names the URL, the status and the detail."""

    def __init__(self, url: str, status: int | None, detail: str) -> None:
        super().__init__(f"{url}: {f'status {status}: ' if status else ''}{detail}")
        self.status = status


@dataclass(frozen=True)
class TaskState:
    """A task of a run as Airflow sees it now; ``state`` is ``None`` before it is scheduled."""

    task_id: str
    map_index: int
    label: str
    state: str | None
    try_number: int
    seconds: float | None

    @property
    def name(self) -> str:
        """The task's id, with the label of its row when it is one of a mapped task."""
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.label}]"

    @property
    def ended(self) -> bool:
        """Tell whether nothing more happens to this task."""
        return self.state in TASK_END_STATES


class AirflowApi:
    """A session with Airflow, for a ``with`` statement. It logs in at the first call, and again when that expires."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url
        self._credentials = {"username": user, "password": password}
        self._client = httpx.Client(base_url=url, trust_env=False, timeout=30)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Open a session with the local stack."""
        return cls(airflow_url(settings), USER, load_secrets(settings).password)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def wait_for_dag(self, dag_id: str, timeout: float = 120) -> None:
        """Return when Airflow has parsed the DAG; raise at once with the reason if a DAG file cannot be imported."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                # A machine that slept finds its DAGs stale for some seconds: Airflow starts no run of such a DAG.
                if not self.call("GET", f"/api/v2/dags/{dag_id}")["is_stale"]:
                    return
            except AirflowApiError as error:
                if error.status != httpx.codes.NOT_FOUND:
                    raise
            problems = self.call("GET", "/api/v2/importErrors")["import_errors"]
            if problems:
                texts = (f"{p['filename']}:\n{p['stack_trace'].rstrip()}" for p in problems)
                raise StackError("A DAG file cannot be imported.\n" + "\n".join(texts))
            if time.monotonic() > deadline:
                raise StackError(f"Airflow has not found the DAG {dag_id} within {timeout:.0f} s.")
            time.sleep(POLL_SECONDS)

    def unpause(self, dag_id: str) -> None:
        """Let the DAG run; nothing happens if it does already."""
        self.call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def pause(self, dag_id: str) -> None:
        """Let no run of the DAG begin, whatever asks for one."""
        self.call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": True})

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start a run. The same ``run_id`` again is no error: the first answer may have been lost."""
        # SQLite's clock has whole seconds: a run that is due now would wait for the next one.
        due = datetime.now(UTC) - timedelta(seconds=1)
        body = {"dag_run_id": run_id, "logical_date": None, "run_after": due.isoformat(), "conf": dict(conf)}
        try:
            self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)
        except AirflowApiError as error:
            if error.status != httpx.codes.CONFLICT:
                raise

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return ``queued``, ``running``, ``success`` or ``failed``."""
        return str(self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def run_end(self, dag_id: str, run_id: str) -> datetime | None:
        """Return when the run ended, ``None`` while it goes on."""
        end = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["end_date"]
        return datetime.fromisoformat(end) if end else None

    def task_states(self, dag_id: str, run_id: str) -> list[TaskState]:
        """List the tasks of a run, those that started first at the front."""
        rows: list[dict[str, Any]] = []
        while True:
            url = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
            page = self.call("GET", f"{url}?limit={PAGE}&offset={len(rows)}")
            rows += page["task_instances"]
            if not page["task_instances"] or len(rows) >= page["total_entries"]:
                rows.sort(key=lambda row: (row["end_date"] or "9", row["start_date"] or "9"))
                return [_task_state(row) for row in rows]

    def follow(self, dag_id: str, run_id: str, timeout: float = 3600) -> Iterator[TaskState]:
        """Yield each task whenever its state has changed, until the run has ended; see ``run_state`` for how."""
        deadline = time.monotonic() + timeout
        seen: dict[tuple[str, int], tuple[str | None, int]] = {}
        while True:
            # Asked before the tasks: what ended the run is then among them.
            ended = self.run_state(dag_id, run_id) in RUN_END_STATES
            for task in self.task_states(dag_id, run_id):
                key, now = (task.task_id, task.map_index), (task.state, task.try_number)
                if task.state is not None and seen.get(key) != now:
                    seen[key] = now
                    yield task
            if ended:
                return
            if time.monotonic() > deadline:
                raise StackError(f"The run {run_id} of {dag_id} has not ended within {timeout:.0f} s.")
            time.sleep(POLL_SECONDS)

    def last_error(self, dag_id: str, run_id: str, task: TaskState) -> str | None:
        """Return the exception that ended a task's last try, as its log has it, or ``None`` if it has none."""
        url = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task.task_id}/logs/{task.try_number}"
        lines = self.call("GET", f"{url}?map_index={task.map_index}&full_content=true")["content"]
        details = [line["error_detail"] for line in lines if isinstance(line, dict) and line.get("error_detail")]
        if not details:
            return None
        # A chain of exceptions, the one that was raised last at the front.
        return f"{details[-1][0]['exc_type']}: {details[-1][0]['exc_value']}"

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Any call of the API, such as ``GET /api/v2/version``; returns its JSON."""
        if "Authorization" not in self._client.headers:
            self._log_in()
        response = self._send(method, path, body)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._log_in()
            response = self._send(method, path, body)
        return _json(response)

    def _log_in(self) -> None:
        token = _json(self._send("POST", "/auth/token", self._credentials))["access_token"]
        self._client.headers["Authorization"] = f"Bearer {token}"

    def _send(self, method: str, path: str, body: object) -> httpx.Response:
        try:
            return self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise AirflowApiError(f"{self.url}{path}", None, f"no answer ({error})") from error


def _json(response: httpx.Response) -> Any:
    if not response.is_success:
        try:
            detail = str(response.json().get("detail"))
        except (ValueError, AttributeError):
            detail = response.text[:300]
        raise AirflowApiError(str(response.url), response.status_code, detail)
    return response.json()


def _task_state(row: Mapping[str, Any]) -> TaskState:
    label = str(row["rendered_map_index"] or row["map_index"])
    seconds = row["duration"]
    if seconds is None and row["start_date"]:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(row["start_date"])).total_seconds()
    return TaskState(row["task_id"], row["map_index"], label, row["state"], row["try_number"], seconds)
