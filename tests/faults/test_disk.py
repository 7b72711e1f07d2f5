"""F23 to F25: the disk is full, gives errors, or loses what it had not written. (F26, F27: test_fetch.py.)"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.home import STEPS, Loop
from tests.faults.marks import named, thorough

# Without the drawing of the report, which is seconds of Evidently and for people alone.
CASES = {
    step.replace(" ", "-"): (kind, step) for kind, steps in STEPS.items() for step in steps if step != "draw_report"
}
STEP_CASES = named(CASES, quick=("publish", "build_features", "register"))
LITTLE_PATIENCE = {"include.registry.patience:PATIENCE_SECONDS": 1.0}


@pytest.fixture(scope="module")
def full(make_loop) -> Loop:
    return make_loop("full")


@pytest.fixture(scope="module")
def writing(make_loop) -> Loop:
    return make_loop("writing")


@pytest.fixture(scope="module")
def failing(make_loop) -> Loop:
    return make_loop("failing")


@pytest.fixture(scope="module")
def losing(make_loop) -> Loop:
    return make_loop("losing")


@pytest.mark.parametrize(("kind", "step"), STEP_CASES)
def test_f23_a_full_disk_is_named_by_path_and_nothing_half_is_left(
    kind: str, step: str, full: Loop, chance: random.Random
):
    """No file may grow past a few sizes, small and large: the kernel refuses the write that would."""
    run, refused = full.at(kind, step), 0
    for limit in sorted(chance.choice(range(0, 4096)) << shift for shift in (0, 2, 5)):
        ended = run.step(step, largest_file=limit, patch=LITTLE_PATIENCE)
        if ended.raised:
            refused += 1
            assert str(full.home.settings.home) in ended.message, f"limit {limit}: {ended.raised}: {ended.message}"
        full.check()
    assert refused
    run.must(run.step(step))


@pytest.mark.thorough
def test_f23_after_a_full_disk_the_loop_ends_as_ever(full: Loop):
    full.must_end_well()


WRITE_NO_FILE = ("validate_window", "compare_with_last_training", "select", "promote")
WRITES = {
    "land": "landed.json",
    "validate": "customers.parquet",
    "build_features": "matrix.parquet",
    "evaluate_challenger": "holdout_scores.parquet",
    "explain_challenger": "explanation.json",
    "judge": "verdict.json",
    "plan": "plan.json",
    "score_partition-1": "scores_1.parquet",
    "export": "top.csv",
}


@pytest.mark.thorough
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
@pytest.mark.parametrize("step", WRITES)
def test_f23_f24_the_file_that_fails_is_the_one_that_is_named(step: str, error: str, writing: Loop):
    (kind, name), file = CASES[step], WRITES[step]
    run = writing.at(kind, name)
    ended = run.step(name, failpoints=f"write.{file}={error}")
    assert ended.raised == "OSError"
    assert ended.message.endswith(f"/{file}'"), ended.message
    run.must(run.step(name))


@pytest.mark.parametrize("call", ["fsync", *thorough("rename", "link")])
@pytest.mark.parametrize(("kind", "step"), STEP_CASES)
def test_f24_an_io_error_fails_the_step_and_the_retry_is_whole(kind: str, step: str, call: str, failing: Loop):
    """The kernel answers EIO to every such call, whichever library makes it: ours, Delta's, SQLite's."""
    run = failing.at(kind, step)
    ended = run.step(step, failing_calls=[call, "fdatasync"] if call == "fsync" else [call])
    if ended.raised not in (None, "NothingToDo"):
        assert str(failing.home.settings.home) in ended.message, f"{ended.raised}: {ended.message}"
    elif call == "fsync" and step not in WRITE_NO_FILE:
        raise AssertionError(f"nobody noticed: {ended}")
    failing.check()
    run.must(run.step(step))


@pytest.mark.thorough
def test_f24_after_io_errors_the_loop_ends_as_ever(failing: Loop):
    failing.must_end_well()


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zeros(path: Path) -> None:
    """What some file systems have in place of data that never got there."""
    path.write_bytes(bytes(path.stat().st_size))


# What one step writes and a later one reads, in the order in which the loop comes by the later ones.
LOST = {
    "rows": ("landing/**/rows-*.csv", "ingest", "land", "validate"),
    "landed": ("runs/**/landed.json", "ingest", "land", "validate"),
    "customers": ("runs/**/customers.parquet", "ingest", "validate", "publish"),
    "window": ("runs/**/window.parquet", "retrain", "validate_window", "build_features"),
    "matrix": ("runs/**/matrix.parquet", "retrain", "build_features", "train decision_tree"),
    "ingredients": ("runs/**/ingredients.json", "retrain", "compare_with_last_training", "train decision_tree"),
    "model": ("runs/**/decision_tree/model.skops", "retrain", "train decision_tree", "judge"),
    "holdout_scores": ("runs/**/holdout_scores.parquet", "retrain", "evaluate_challenger", "register"),
    "explanation": ("runs/**/explanation.json", "retrain", "explain_challenger", "register"),
    "background": ("runs/**/background.csv", "retrain", "explain_challenger", "register"),
    "verdict": ("runs/*/*/verdict.json", "retrain", "judge", "register"),
    "plan": ("runs/**/plan.json", "score", "plan", "score_partition 0"),
    "picked": ("runs/**/rows_1.parquet", "score", "plan", "score_partition 1"),
    "staged": ("runs/**/scores_1.parquet", "score", "score_partition 1", "publish_scores"),
    "top": ("runs/**/top_1.parquet", "score", "score_partition 1", "export"),
}


@pytest.mark.parametrize("damage", [half, *thorough(empty, zeros)])
@pytest.mark.parametrize(("pattern", "kind", "writes", "reads"), named(LOST, quick=("rows", "matrix", "verdict")))
def test_f25_what_was_lost_is_refused_and_made_again(
    pattern: str, kind: str, writes: str, reads: str, damage: Callable, losing: Loop
):
    run, home = losing.at(kind, reads), losing.home.settings.home
    path = min(home.glob(pattern))
    whole = path.read_bytes()
    damage(path)
    ended = run.step(reads)
    assert ended.raised in ("FileDamaged", "PackageRefused"), ended
    assert path.name in ended.message, ended.message
    with restored(path, whole):
        losing.check()
    steps = STEPS[kind]
    for step in steps[steps.index(writes) : steps.index(reads) + 1]:
        run.must(run.step(step))
    losing.check()


@pytest.mark.thorough
def test_f25_after_lost_data_the_loop_ends_as_ever(losing: Loop):
    losing.must_end_well()


@contextmanager
def restored(path: Path, content: bytes) -> Iterator[None]:
    """Undo the damage for the block: the other files are looked at."""
    damaged = path.read_bytes()
    path.write_bytes(content)
    yield
    path.write_bytes(damaged)
