"""
### What is in production, watched

Collects what the scoring API has served and the labels that came back. Holds the newest days against what the champion
was trained on: the data, column by column, the champion's own scores, and the inputs that it goes by. Follows how good
it is: *actual* where labels are mature, *estimated* from the scores where they are not. Reports how a challenger does
beside it on the same traffic. Decides by policy whether drift, or a drop of the actual performance, asks for a retrain,
and writes the request, which wakes `<use case>_retrain`.

The rows that are watched are those that were served, where the newest window has enough of them, else those that were
published; the ledger says which (`monitoring.rows` in the spec). A window of data is a few days; the policy counts how
many of the last ones drifted. It counts neither way when its data is bad, when it has too few rows, or when the
champion was trained or judged on its days.

| What you see | What it means | What to do |
| --- | --- | --- |
| `open_run` failed | the parameters cannot be used | the log says which |
| `collect` failed | what was served stays in its segments and is collected by the next run | the log says what the disk or the table refused |
| `check_quality` skipped, `NO_CHAMPION` | nothing is in production yet | run `<use case>_retrain` |
| an earlier version is champion again, `CHAMPION_DAMAGED` in its promotion | the files of the one after it are damaged, so the last sound one serves | restore the files or retrain |
| `check_quality` failed, `PackageRefused` | the champion's files in MLflow are damaged, and no earlier version is sound | restore them, or retrain |
| `request_retrain` skipped, `NO_DRIFT` or `SUPPRESSED` | nothing asks for a retrain, or a brake held: cool-down, budget, the same days, a request that waits, too few new labels | the ledger row names every reason |
| outcome `DATA_QUALITY` | the data is bad, so no retrain is asked for | `quality.json` in the run's folder; mend the data or the callers; see `<use case>_ingest` |
| outcome `INSUFFICIENT` | too few rows in the newest window | a longer `monitoring.window_days` in the spec |
| `PERFORMANCE` among the reasons | labels disagree with the scores by more than chance | `performance.json`; until there are labels to learn from, `TOO_FEW_NEW_LABELS` holds the request |
| `ATTRIBUTION_DRIFT` among the reasons | the champion goes by other inputs than when it was judged | the reason names them; look at what changed there |
| `NEEDS_A_PERSON` among the reasons | a retrain for this drift or drop made no new champion | look at the report, then at the features |
| `STALE_CHAMPION` among the reasons | the champion is older than the spec allows | look at why the last retrains ended as they did |
| `NO_SCORES` among the reasons | the champion cannot score the newest days, or a feature that it learned has another formula now | the log of `measure_drift` says why |
| `LOW_LABEL_COVERAGE` in `performance.json` | labels are due and did not come, so what is shown is *estimated* | look at the labels feed, or at who sends feedback |

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
        served = step("monitor.quality.collect")(run)
        quality = step("monitor.quality.check_quality")(served)
        drift = step("monitor.drift.measure_drift")(quality)
        report = step("monitor.drift.draw_report")(drift)
        attribution = step("monitor.drift.measure_attribution")(drift)
        performance = step("monitor.performance.measure_performance")(attribution)
        comparison = step("monitor.performance.compare_versions")(quality)
        decision = step("monitor.decision.decide")(performance)
        requested = step("monitor.decision.request_retrain", outlets=[retrain_request(spec.name)])(decision)
        [report, comparison, requested] >> close_run(spec, "monitor")

    monitor()


for use_case in use_cases():
    make(use_case)
