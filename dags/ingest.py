"""
### A day of data: land → validate → publish

Brings every day that is not published yet, up to `as_of` (exclusive), in one run: an outage loses no day. What is new
wakes `<use case>_score`.

| What you see | What it means | What to do |
| --- | --- | --- |
| `land` skipped, `NO_NEW_DATA` | everything up to `as_of` is published | nothing |
| `open_run` or `land` failed, the log names a parameter | the run cannot use it, such as an `as_of` to come of a database, which grows until then | start again as the log says |
| `land` failed, `MISSING_FILE` | the source has no file for a day | put the file there, clear the task |
| `validate` failed, `QUARANTINE_RATE`, `TOO_FEW_ROWS`, `COLUMN_ALL_NULL` | the batch broke a limit and was refused whole; nothing was published | open `validation.html` in the run's folder, mend the file, start the DAG again |
| `validate` failed, another code | the file cannot be what the spec says: unreadable, other columns, times in the future, labels that contradict each other | the message names the file, the place and the remedy |
| `publish` skipped, `DRY_RUN` | the batch was judged only: `run_mode` is `dry_run`, or the run is a backfill | nothing |
| `publish` retried | the table or the state database was busy | nothing; a repeat writes nothing twice |

Rows that break a row rule are in the `quarantine` table with the rule's name.
"""

from __future__ import annotations

from airflow.sdk import CronTriggerTimetable, dag
from assets import published_data
from boundary import close_run, common, open_run, step, use_cases

from include.spec import UseCase


def make(spec: UseCase) -> None:
    @dag(**common(spec, "ingest", __doc__), schedule=CronTriggerTimetable(spec.schedules.ingest, timezone="UTC"))
    def ingest() -> None:
        run = open_run(spec, "ingest")
        landed = step("ingest.land")(run)
        validated = step("ingest.validate")(landed)
        published = step("ingest.publish", outlets=[published_data(spec.name)])(validated)
        published >> close_run(spec, "ingest")

    ingest()


for use_case in use_cases():
    make(use_case)
