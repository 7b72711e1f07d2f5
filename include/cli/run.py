"""``make run``: the stack, a day of data, a retrain, what came of it, and a prediction."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

from include.cli.console import follow, heading, line
from include.settings import Settings
from include.stack import StackError
from include.stack.airflow_api import AirflowApi
from include.stack.environment import airflow_url
from include.stack.home import prepare_home
from include.stack.ports import runs_mlflow
from include.stack.processes import start


def run(settings: Settings, source: str | None, use_case: str = "churn") -> int:
    """Start the stack, ingest what is new, retrain, predict, and print the summary.

    Returns the exit status: 0 only if the retrain ended in a verdict and the champion, if there is one, answers.
    """
    from include.cli.prediction import show_prediction
    from include.cli.source import newest_as_of, register_source
    from include.cli.status import print_outcome, print_places

    prepare_home(settings)
    if source is not None:
        # Before the stack: a source that does not fit is said at once.
        register_source(settings, source, use_case)
    start_stack(settings)
    as_of = newest_as_of(settings, use_case)
    run_ids = {}
    with AirflowApi.of(settings) as api:
        for dag_id, conf in _runs(use_case, as_of):
            run_ids[dag_id] = _run(api, dag_id, conf)
    answered = show_prediction(settings, use_case)
    judged = print_outcome(settings, use_case, run_ids[f"{use_case}_retrain"])
    print_places(settings, use_case)
    return 0 if judged and answered else 1


def start_stack(settings: Settings) -> None:
    """Start the stack, saying how it goes, and where its pages are."""
    heading("Stack")
    began = time.monotonic()
    started = start(settings, line)
    line(f"up in {time.monotonic() - began:.0f} s" if started else "was running already")
    line(f"Airflow  {airflow_url(settings)}")
    line(f"MLflow   {settings.mlflow_uri}" if runs_mlflow(settings) else f"MLflow   {settings.mlflow_uri} (not ours)")
    line(f"API      {settings.api_url}")


def _runs(use_case: str, as_of: date) -> tuple[tuple[str, dict[str, str]], ...]:
    """The DAGs to run, in this order, each with its parameters."""
    return (
        (f"{use_case}_ingest", {"as_of": as_of.isoformat()}),
        (f"{use_case}_retrain", {"as_of": as_of.isoformat(), "reason": "make run"}),
    )


def _run(api: AirflowApi, dag_id: str, conf: dict[str, str]) -> str:
    """Run a DAG to its end and return the run's id; raise ``StackError`` if it failed."""
    heading(f"{dag_id}, as of {conf['as_of']}")
    run_id = f"make_run__{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
    api.wait_for_dag(dag_id)
    api.unpause(dag_id)
    api.trigger(dag_id, run_id, conf)
    if follow(api, dag_id, run_id) != "success":
        raise StackError(f"{dag_id} failed. Mend what is named above, then `make run` again.")
    return run_id
