"""
### What is in production, watched

Compares the newest days with what the champion was trained on, column by column, and the champion's own scores; decides
by policy whether that asks for a retrain; writes the request, which wakes `<use case>_retrain`.

| What you see | What it means | What to do |
| --- | --- | --- |
| `open_run` failed | the parameters cannot be used | the log says which |
| `check_quality` skipped, `NO_CHAMPION` | nothing is in production yet | run `<use case>_retrain` |
| `request_retrain` skipped | no drift, or a brake held: cool-down, budget, the same evidence, too few new labels | the ledger row names every reason |
| outcome `DATA_QUALITY` | the data is bad, so no retrain is asked for | mend the data; see `<use case>_ingest` |
| outcome `NEEDS_A_PERSON` among the reasons | a retrain did not help against this drift | look at the report, then at the features |
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import CronTriggerTimetable, dag, task
from assets import retrain_request
from boundary import closed, common, guarded, opened, use_cases

from include.spec import UseCase

Record = dict[str, Any]


def make(spec: UseCase) -> None:
    @dag(**common(spec, "monitor", __doc__), schedule=CronTriggerTimetable(spec.schedules.monitor, timezone="UTC"))
    def monitor() -> None:
        @task
        @guarded
        def open_run(**context: Any) -> Record:
            return opened(spec, "monitor", context)

        @task
        @guarded
        def check_quality(run: Record) -> Record:
            from include.steps import monitor

            return monitor.check_quality(run)

        @task
        @guarded
        def measure_drift(run: Record, quality: Record) -> Record:
            from include.steps import monitor

            return monitor.measure_drift(run, quality)

        @task
        @guarded
        def draw_report(run: Record, drift: Record) -> Record:
            from include.steps import monitor

            return monitor.draw_report(run, drift)

        @task
        @guarded
        def decide(run: Record, quality: Record, drift: Record) -> Record:
            from include.steps import monitor

            return monitor.decide(run, quality, drift)

        @task(outlets=[retrain_request(spec.name)])
        @guarded
        def request_retrain(run: Record, decision: Record) -> Record:
            from include.steps import monitor

            return monitor.request_retrain(run, decision)

        @task
        def close_run(**context: Any) -> str:
            return closed(spec, "monitor", context)

        run = open_run()
        quality = check_quality(run)
        drift = measure_drift(run, quality)
        requested = request_retrain(run, decide(run, quality, drift))
        [draw_report(run, drift), requested] >> close_run().as_teardown()

    monitor()


for use_case in use_cases():
    make(use_case)
