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

from airflow.sdk import CronTriggerTimetable, dag
from assets import retrain_request
from boundary import close_run, common, open_run, step, use_cases

from include.spec import UseCase


def make(spec: UseCase) -> None:
    @dag(**common(spec, "monitor", __doc__), schedule=CronTriggerTimetable(spec.schedules.monitor, timezone="UTC"))
    def monitor() -> None:
        run = open_run(spec, "monitor")
        quality = step("monitor.check_quality")(run)
        drift = step("monitor.measure_drift")(quality)
        report = step("monitor.draw_report")(drift)
        decision = step("monitor.decide")(drift)
        requested = step("monitor.request_retrain", outlets=[retrain_request(spec.name)])(decision)
        [report, requested] >> close_run(spec, "monitor")

    monitor()


for use_case in use_cases():
    make(use_case)
