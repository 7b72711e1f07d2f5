"""
### What is in production, watched

Collects what the scoring API has served and the labels that came back; compares the newest days with what the champion
was trained on, column by column, and the champion's own scores; decides by policy whether that asks for a retrain; writes the request, which wakes `<use case>_retrain`. Each window is a few
days; the policy counts how many of the last ones drifted. A window counts neither way when its data is bad, when it has
too few rows, or when the champion was trained or judged on its days.

| What you see | What it means | What to do |
| --- | --- | --- |
| `open_run` failed | the parameters cannot be used | the log says which |
| `collect` failed | what was served stays in its segments and is collected by the next run | the log says what the disk or the table refused |
| `check_quality` skipped, `NO_CHAMPION` | nothing is in production yet | run `<use case>_retrain` |
| an earlier version is champion again, `CHAMPION_DAMAGED` in its promotion | the files of the one after it are damaged, so the last sound one serves | restore the files or retrain |
| `check_quality` failed, `PackageRefused` | the champion's files in MLflow are damaged, and no earlier version is sound | restore them, or retrain |
| `request_retrain` skipped, `NO_DRIFT` or `SUPPRESSED` | no drift, or a brake held: cool-down, budget, the same days, a request that waits, too few new labels | the ledger row names every reason |
| outcome `DATA_QUALITY` | the data is bad, so no retrain is asked for | `quality.json` in the run's folder; mend the data; see `<use case>_ingest` |
| outcome `INSUFFICIENT` | too few rows in the newest window | a longer `monitoring.window_days` in the spec |
| `NEEDS_A_PERSON` among the reasons | a retrain for this drift made no new champion | look at the report, then at the features |
| `STALE_CHAMPION` among the reasons | the champion is older than the spec allows | look at why the last retrains ended as they did |
| `NO_SCORES` among the reasons | the champion cannot score the newest days | the log of `measure_drift` says why |

Reasons stand in the ledger, in `make status` and, all but a plain `NO_DRIFT`, as a warning in the log of `decide`.
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
        served = step("monitor.collect")(run)
        quality = step("monitor.check_quality")(served)
        drift = step("monitor.measure_drift")(quality)
        report = step("monitor.draw_report")(drift)
        decision = step("monitor.decide")(drift)
        requested = step("monitor.request_retrain", outlets=[retrain_request(spec.name)])(decision)
        [report, requested] >> close_run(spec, "monitor")

    monitor()


for use_case in use_cases():
    make(use_case)
