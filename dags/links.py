"""Links that Airflow shows on a task of a run."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperatorLink


class VerdictLink(BaseOperatorLink):
    """To the page of the verdict in MLflow, from the task whose record names it."""

    name = "Verdict"
    xcom_key = "verdict_page"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address; empty for a task that ended without a verdict. Airflow calls this when the task has ended."""
        record = ti_key.xcom_pull(task_ids=ti_key.task_id)
        return record["verdict_page"] if record else ""
