"""
### The newest rows, scored by the champion

Runs on new data, on a new champion, or by hand. Takes the newest observation of each id in the days before `as_of`
(`scoring.window_days`), scores it in partitions, one mapped task each, publishes all of them to the table `scores` in
one act, and writes `scores.parquet` and `top.csv`, a spreadsheet of the highest scores with their reasons, to the run's
folder. Each row says by which version, on what data and in which run it was scored.

| What you see | What it means | What to do |
| --- | --- | --- |
| `open_run` failed | the parameters of the run cannot be used | the log says which; start again |
| `plan` skipped, `NO_CHAMPION` | nothing is in production yet | run `<use case>_retrain`; its champion wakes this DAG |
| `plan` skipped, `UNCHANGED` | the last scoring was of the same rows by the same champion | nothing; the log names its run, which has the files |
| `plan` skipped, `NOTHING_TO_SCORE` | nothing was observed in the window | a longer `scoring.window_days`; see `<use case>_ingest` |
| `plan` failed, `FEATURES_DIFFER` | the champion was trained with other features than there are now | run `<use case>_retrain`, or put the features back |
| `plan` failed, `PackageRefused` | the champion's files in MLflow are damaged, and no earlier version is sound | restore them, or retrain |
| one `score` failed, `NO_SCORE` | a value is so large that the model has no answer | the log names a row; give its column a `max` in the spec |
| one `score` failed | nothing is published; the other partitions are staged | the log; clear the task, the others need not run again |
| `publish` failed, `FileDamaged` | what was staged is not what was written | clear the `score` task whose partition the log names |
| `publish` retried | the table or the state database was busy | nothing; a repeat writes nothing twice |
| `UNSEEN` among the reasons | rows have a value that the champion has not learned; they are scored with it unknown | nothing; the next champion knows it |
| `NO_REASONS` among the reasons | `top.csv` is without reasons, the scores are as good as ever | the reason says why |
"""

from __future__ import annotations

from airflow.sdk import dag, task
from assets import champion, published_data
from boundary import Record, close_run, common, guarded, imported, open_run, step, use_cases

from include.spec import UseCase


@task(map_index_template="partition {{ number }}", multiple_outputs=False)
@guarded
def score(record: Record, number: str) -> Record:
    return imported("score", "score_partition")(record, number)


@task(multiple_outputs=False)
@guarded
def publish(scored: list[Record]) -> Record:
    return imported("score", "publish_scores")(scored[0], list(scored))


def make(spec: UseCase) -> None:
    @dag(
        **common(spec, "score", __doc__),
        schedule=published_data(spec.name) | champion(spec.name),
    )
    def scoring() -> None:
        run = open_run(spec, "score")
        planned = step("score.plan")(run)
        scored = score.partial(record=planned).expand(number=[str(n) for n in range(spec.scoring.partitions)])
        published = publish(scored)
        exported = step("score.export")(published)
        exported >> close_run(spec, "score")

    scoring()


for use_case in use_cases():
    make(use_case)
