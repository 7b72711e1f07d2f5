"""
### From a window of data to a champion

Runs daily, by hand, or when a retrain request waits. Validates the training window, builds features, trains one
candidate per mapped task (as many at a time as there are cores), selects a challenger by its folds, explains it,
judges it beside the champion on the same hold-out, and registers and promotes it if the gate says `PASS`. A new
champion wakes `<use case>_score`.

| What you see | What it means | What to do |
| --- | --- | --- |
| `open_run` failed | the parameters of the run cannot be used | the log says which; start again |
| `open_run` skipped, `NOTHING_PENDING` | another run took the request that woke this one | nothing |
| `validate_window` failed | too few rows or labels, stale data, a shift that is implausible, or the same ids in training and hold-out (`SAME_IDS`) | the log names each fault; see `<use case>_ingest` |
| `compare_with_last_training` skipped, `UNCHANGED` | the same training was judged before; its verdict is in the log | nothing |
| one `train` failed | that candidate is out; the others go on | its log; the rest of the run is valid |
| `evaluate`, `explain` or `gate` failed | an error kept the challenger from being judged; its verdict is `NOT_EVALUATED: EVALUATION_FAILED` | the log; clear the task, or let the next run judge |
| `evaluate` failed, `PackageRefused` | a fresh process cannot load the model or does not answer in time | clear the task; if it fails again, compare the installed libraries with those in `manifest.json` |
| `register` failed, `PackageRefused` | what arrived in the registry is not what was sent; it is no version | clear the task; if it fails again, look at the store of MLflow's artifacts |
| `register` skipped, `LEAKAGE`, `COPY_OF_TARGET` or `AFTER_EVENT` among the reasons | the model or a single column is too good to be true | look for a column that is known only after the event; mark it `after_event` in the spec |
| `register` skipped, `DEPENDS_ON_ORDER` among the reasons | a feature looks at other rows or at the place of a column, so that a single row would score otherwise | make it of its own row in `features.py` |
| `register` skipped, `OVER_BUDGET` among the reasons | the packaged model takes more time or memory than `gate.budget` allows | a smaller model, or a larger budget |
| `register` skipped, `EXPLANATION_NOT_ADDITIVE` among the reasons | the explanation does not add up to the scores that it explains | the reason says by how much; report it with the candidate's kind |
| `register` skipped | the gate refused (`REFUSED`, `NOT_EVALUATED`) or the run is a `dry_run` | the page of the verdict gives every check: the link `Verdict` in the details of `gate`, and in its log |
| `register` skipped, `CHAMPION_DAMAGED`, `CHAMPION_SAW_HOLDOUT`, `CHAMPION_CANNOT_SCORE` or `CHAMPION_FEATURES_DIFFER` among the reasons | the champion cannot be compared on these rows, so nothing replaces it | mend that; or a person answers for one run without the comparison: `python -m include override` |
| `promote` skipped, `CHAMPION_CHANGED` | somebody promoted in between | the next run compares anew |
"""

from __future__ import annotations

import os

from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, dag, task
from assets import champion, retrain_request
from boundary import Record, close_run, common, guarded, imported, open_run, step, use_cases
from links import VerdictLink

from include.settings import Settings
from include.spec import UseCase

YIELDING = 5
"""The lower priority (a nice value) of the candidates that the run does not wait for longest."""


@task(map_index_template="{{ candidate }}", multiple_outputs=False)
@guarded
def train(record: Record, candidate: str, slowest: str) -> Record:
    if candidate != slowest:
        os.nice(YIELDING)
    return imported("retrain.training", "train")(record, candidate)


@task(trigger_rule="all_done_min_one_success", multiple_outputs=False)
@guarded
def select(trained: list[Record]) -> Record:
    return imported("retrain.training", "select")(trained[0], list(trained))


def make(spec: UseCase) -> None:
    candidates = list(spec.training.candidates)
    side_by_side = train.override(max_active_tis_per_dagrun=Settings.from_environment().training_slots)
    schedule = AssetOrTimeSchedule(
        timetable=CronTriggerTimetable(spec.schedules.retrain, timezone="UTC"), assets=[retrain_request(spec.name)]
    )

    @dag(**common(spec, "retrain", __doc__), schedule=schedule)
    def retrain() -> None:
        run = open_run(spec, "retrain")
        window = step("retrain.window.validate_window")(run)
        matrix = step("retrain.window.build_features")(window)
        training = step("retrain.training.compare_with_last_training")(matrix)
        trained = side_by_side.partial(record=training, slowest=candidates[0]).expand(candidate=candidates)
        challenger = select(trained)
        evaluation = step("retrain.evaluation.evaluate_challenger", task_id="evaluate")(challenger)
        explained = step("retrain.explanation.explain_challenger", task_id="explain")(evaluation)
        verdict = step("retrain.judgement.judge", task_id="gate")(explained)
        verdict.operator.operator_extra_links = [VerdictLink()]
        registered = step("retrain.release.register")(verdict)
        promoted = step("retrain.release.promote", outlets=[champion(spec.name)])(registered)
        promoted >> close_run(spec, "retrain")

    retrain()


for use_case in use_cases():
    make(use_case)
