"""The task boundary: a step as a task, what Airflow makes of its errors, and what every DAG has in common."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from typing import Any

from airflow.sdk import Context, Param, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from notifiers import notifiers

from include.errors import BadRequest, DataRejected, NothingToDo
from include.settings import Settings
from include.spec import UseCase, sound
from include.stack.home import schedule_start

Record = dict[str, Any]

DEFAULT_ARGS = {
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(minutes=30),
}
ENDED_EARLY = {
    "timed_out": "the run took longer than it may, and was ended",
    "all_tasks_deadlocked": "no task of the run could go on",
}
"""What Airflow says of a run that it fails with its last task still to come, and what the ledger does."""
PARAMS = {
    "as_of": Param(
        None,
        type=["null", "string"],
        format="date",
        title="As of",
        description="Act on what was known before 00:00 UTC of this day. Empty: the schedule's own day, else today.",
    ),
    "reason": Param(
        None,
        type=["null", "string"],
        maxLength=500,
        title="Reason",
        description="Why you start this run; kept in the ledger.",
    ),
    "run_mode": Param(
        "enabled",
        type="string",
        enum=["enabled", "dry_run"],
        title="Run mode",
        description="dry_run judges, and registers and promotes nothing.",
    ),
}


def use_cases() -> list[UseCase]:
    """Every use case that can be read from its folder; ``specs.py`` tells Airflow of the others."""
    found, _ = sound(Settings.from_environment().use_case_folders)
    return list(found.values())


def common(spec: UseCase, kind: str, doc: str | None) -> dict[str, Any]:
    """The arguments that every DAG of a use case is made with."""
    return {
        "dag_id": f"{spec.name}_{kind}",
        "doc_md": doc,
        "description": (doc or "").strip().splitlines()[0].lstrip("# "),
        "tags": ["modelops", spec.name, kind],
        "start_date": schedule_start(Settings.from_environment()),
        "catchup": False,
        "max_active_runs": 1,
        "dagrun_timeout": timedelta(hours=3),
        "on_failure_callback": [functools.partial(close_ended_early, spec, kind), *notifiers(spec.name)],
        "default_args": {**DEFAULT_ARGS, "owner": spec.owner},
        "params": {name: PARAMS[name] for name in (PARAMS if kind == "retrain" else ("as_of", "reason"))},
        "render_template_as_native_obj": True,
    }


def guarded(body: Callable[..., Any]) -> Callable[..., Any]:
    """Map a step's errors: bad data and bad parameters fail without a retry, a normal end skips what follows."""

    @functools.wraps(body)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return body(*args, **kwargs)
        except NothingToDo as end:
            raise AirflowSkipException(f"{end.outcome}: {end}") from end
        except DataRejected as refusal:
            raise AirflowFailException(f"{refusal.code}: {refusal}") from refusal
        except BadRequest as refusal:
            raise AirflowFailException(str(refusal)) from refusal

    return mapped


def step(name: str, task_id: str = "", **options: Any) -> Any:
    """The task that calls the step ``<module>.<function>`` of ``include.steps`` with the record of the task before it.

    The step is imported by the task, not by the DAG processor, and its record crosses as one XCom.
    """
    module, function = name.rsplit(".", 1)

    @task(task_id=task_id or function, multiple_outputs=False, **options)
    @guarded
    def run(record: Record) -> Record:
        return imported(module, function)(record)

    return run


def imported(module: str, function: str) -> Any:
    """A function of ``include.steps``, imported now."""
    return getattr(import_module(f"include.steps.{module}"), function)


def open_run(spec: UseCase, kind: str) -> Any:
    """The first task: resolve ``as_of``, claim what is pending, open the run's ledger row."""

    @task(task_id="open_run", multiple_outputs=False)
    @guarded
    def opened(**context: Any) -> Record:
        dag_run = context["dag_run"]
        return imported("ledger", "open_run")(
            spec.name,
            kind,
            dag_run.run_id,
            conf=dict(dag_run.conf or {}),
            run_type=str(getattr(dag_run.run_type, "value", dag_run.run_type)),
            interval_end=dag_run.data_interval_end,
            run_after=dag_run.run_after,
            started_by=dag_run.triggering_user_name,
        )

    return opened()


def close_run(spec: UseCase, kind: str) -> Any:
    """The teardown: close the run's ledger row, naming the tasks that failed; then people are told how it ended."""
    tell = notifiers(spec.name)

    @task(task_id="close_run", on_success_callback=tell, on_failure_callback=tell)
    def closed(**context: Any) -> str:
        dag_run, ti = context["dag_run"], context["ti"]
        states = ti.get_task_states(dag_id=dag_run.dag_id, run_ids=[dag_run.run_id]).get(dag_run.run_id, {})
        failed = sorted(name for name, state in states.items() if state == "failed")
        return imported("ledger", "close_run")(spec.name, kind, dag_run.run_id, failed)

    return closed().as_teardown()


def close_ended_early(spec: UseCase, kind: str, context: Context) -> None:
    """Close the ledger row of a run that Airflow ended without its teardown, such as one that took too long."""
    if context["reason"] in ENDED_EARLY:
        imported("ledger", "close_run")(spec.name, kind, context["run_id"], [], why=ENDED_EARLY[context["reason"]])
