"""
### From a window of data to a champion

Runs daily, by hand, or when a retrain request waits. Validates the training window, builds features, trains one
candidate per mapped task, selects a challenger by its folds, judges it beside the champion on the same hold-out, and
registers and promotes it if the gate says `PASS`.

| What you see | What it means | What to do |
| --- | --- | --- |
| `open_run` failed | the parameters of the run cannot be used | the log says which; start again |
| `open_run` skipped, `NOTHING_PENDING` | another run took the request that woke this one | nothing |
| `validate_window` failed | too few rows or labels, stale data, or a shift that is implausible | the log names each fault; see `<use case>_ingest` |
| `compare_with_last_training` skipped, `UNCHANGED` | the same training was judged before; its verdict is in the log | nothing |
| one `train` failed | that candidate is out; the others go on | its log; the rest of the run is valid |
| `register` skipped | the gate refused (`REFUSED`, `NOT_EVALUATED`) or the run is a `dry_run` | `verdict.json` in MLflow gives every check |
| `promote` skipped, `CHAMPION_CHANGED` | somebody promoted in between | the next run compares anew |
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, dag, task
from assets import retrain_request
from boundary import closed, common, guarded, opened, use_cases

from include.spec import UseCase

Record = dict[str, Any]


def make(spec: UseCase) -> None:
    schedule = AssetOrTimeSchedule(
        timetable=CronTriggerTimetable(spec.schedules.retrain, timezone="UTC"), assets=[retrain_request(spec.name)]
    )

    @dag(**common(spec, "retrain", __doc__), schedule=schedule)
    def retrain() -> None:
        @task
        @guarded
        def open_run(**context: Any) -> Record:
            return opened(spec, "retrain", context)

        @task
        @guarded
        def validate_window(run: Record) -> Record:
            from include.steps import retrain

            return retrain.validate_window(run)

        @task
        @guarded
        def build_features(run: Record, window: Record) -> Record:
            from include.steps import retrain

            return retrain.build_features(run, window)

        @task
        @guarded
        def compare_with_last_training(run: Record, matrix: Record) -> Record:
            from include.steps import retrain

            return retrain.compare_with_last_training(run, matrix)

        @task(map_index_template="{{ candidate }}")
        @guarded
        def train(run: Record, training: Record, candidate: str) -> Record:
            from include.steps import retrain

            return retrain.train(run, training, candidate)

        @task(trigger_rule="all_done_min_one_success")
        @guarded
        def select(run: Record, trained: list[Record]) -> Record:
            from include.steps import retrain

            return retrain.select(run, list(trained))

        @task
        @guarded
        def evaluate(run: Record, training: Record, selected: Record) -> Record:
            from include.steps import retrain

            return retrain.evaluate_challenger(run, training, selected)

        @task
        @guarded
        def gate(run: Record, training: Record, selected: Record, evaluation: Record) -> Record:
            from include.steps import retrain

            return retrain.judge(run, training, selected, evaluation)

        @task
        @guarded
        def register(run: Record, training: Record, selected: Record, evaluation: Record, verdict: Record) -> Record:
            from include.steps import retrain

            return retrain.register(run, training, selected, evaluation, verdict)

        @task
        @guarded
        def promote(run: Record, registered: Record) -> Record:
            from include.steps import retrain

            return retrain.promote(run, registered)

        @task
        def close_run(**context: Any) -> str:
            return closed(spec, "retrain", context)

        run = open_run()
        training = compare_with_last_training(run, build_features(run, validate_window(run)))
        trained = train.partial(run=run, training=training).expand(candidate=list(spec.training.candidates))
        challenger = select(run, trained)
        evaluation = evaluate(run, training, challenger)
        verdict = gate(run, training, challenger, evaluation)
        promoted = promote(run, register(run, training, challenger, evaluation, verdict))
        promoted >> close_run().as_teardown()

    retrain()


for use_case in use_cases():
    make(use_case)
