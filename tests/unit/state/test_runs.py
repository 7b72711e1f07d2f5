"""The ledger of runs: opened, added to, closed; the rows of dead runs are closed by the next one."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from include.state import database as db
from include.state import runs
from include.state.runs import Run

RUN = Run("churn", "retrain", "r1", "2026-01-31", reason="by hand")


def row(engine: Engine, run: Run = RUN) -> runs.LedgerRow:
    found = runs.get(engine, run.use_case, run.kind, run.run_id)
    assert found is not None
    return found


def close(engine: Engine, run: Run = RUN, failed: tuple[str, ...] = ()) -> str:
    return runs.close_row(engine, run.use_case, run.kind, run.run_id, list(failed))


def test_a_run_with_an_outcome(engine: Engine) -> None:
    runs.open_row(engine, RUN, started_by="ada")
    assert (row(engine).outcome, row(engine).ended_at) == (None, None)
    runs.record(engine, RUN, None, data_version="customers@1")
    runs.record(engine, RUN, "PROMOTED", ["better"], version="3")
    assert close(engine) == "PROMOTED"
    closed = row(engine)
    assert (closed.as_of, closed.reason, closed.outcome, closed.reasons) == (
        "2026-01-31",
        "by hand",
        "PROMOTED",
        ("better",),
    )
    assert closed.details == {"started_by": "ada", "data_version": "customers@1", "version": "3"}
    assert closed.ended_at is not None
    assert closed.ended_at >= closed.started_at


@pytest.mark.parametrize(
    ("details", "failed", "reasons"),
    [
        pytest.param({}, (), ("the run ended before its last task",), id="killed"),
        pytest.param({}, ("land", "validate"), ("task land failed", "task validate failed"), id="tasks failed"),
        pytest.param({"errors": {"land": "full"}}, ("land",), ("land: full", "task land failed"), id="error"),
    ],
)  # fmt: skip
def test_a_run_without_an_outcome_failed(engine: Engine, details: dict, failed: tuple, reasons: tuple) -> None:
    runs.open_row(engine, RUN, **details)
    assert close(engine, failed=failed) == "FAILED"
    assert row(engine).reasons == reasons


def test_a_run_whose_first_step_died_gets_its_row_when_it_closes(engine: Engine) -> None:
    assert close(engine, failed=("open_run",)) == "FAILED"
    assert row(engine).reasons == ("task open_run failed",)


def test_a_run_that_was_ended_says_by_what(engine: Engine) -> None:
    runs.open_row(engine, RUN, errors={"train": "slow"})
    assert runs.close_row(engine, "churn", "retrain", "r1", [], why="it took too long") == "FAILED"
    assert row(engine).reasons == ("train: slow", "it took too long")


def test_runs_that_have_ended_come_in_the_order_of_their_ends(engine: Engine) -> None:
    for name in ("r1", "r2", "open"):
        runs.open_row(engine, replace(RUN, run_id=name))
    runs.open_row(engine, replace(RUN, kind="ingest", run_id="i1"))
    runs.open_row(engine, replace(RUN, use_case="loans"))
    close(engine, replace(RUN, use_case="loans"))
    before = db.now()
    time.sleep(0.002)  # the times are in milliseconds
    for run in (replace(RUN, run_id="r2"), replace(RUN, kind="ingest", run_id="i1"), RUN):
        close(engine, run)
        time.sleep(0.002)
    found = runs.ended(engine, "churn", before)
    assert [(one.kind, one.run_id) for one in found] == [("retrain", "r2"), ("ingest", "i1"), ("retrain", "r1")]
    assert runs.ended(engine, "churn", found[0].ended_at or "") == found[1:]


def test_closing_twice_changes_nothing(engine: Engine) -> None:
    runs.open_row(engine, RUN)
    close(engine, failed=("train",))
    before = row(engine)
    assert close(engine, failed=("other",)) == "FAILED"
    assert row(engine) == before


def test_a_cleared_run_starts_with_an_empty_row(engine: Engine) -> None:
    runs.open_row(engine, RUN, error="from before")
    runs.record(engine, RUN, "REFUSED", ["too bad"])
    close(engine)
    started = row(engine).started_at
    runs.open_row(engine, replace(RUN, reason="again"))
    opened = row(engine)
    assert (opened.outcome, opened.ended_at, opened.reasons, opened.details) == (None, None, (), {})
    assert (opened.reason, opened.started_at) == ("again", started)


def test_details_of_tasks_that_write_at_once_are_all_kept(engine: Engine) -> None:
    runs.open_row(engine, RUN)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: runs.record(engine, RUN, None, **{f"candidate_{n}": n}), range(24)))
    assert row(engine).details == {f"candidate_{n}": n for n in range(24)}


def test_the_next_run_closes_what_dead_ones_left_open(engine: Engine) -> None:
    others = [replace(RUN, kind="ingest"), replace(RUN, use_case="loans"), replace(RUN, run_id="b1")]
    runs.open_row(engine, RUN)
    runs.open_row(engine, replace(RUN, run_id="r0"))
    close(engine, replace(RUN, run_id="r0"))
    for other in others:
        runs.open_row(engine, other, run_type="backfill" if other.run_id == "b1" else "scheduled")
    assert runs.close_dead(engine, replace(RUN, run_id="r2")) == {"r1": "FAILED"}
    assert (row(engine).outcome, row(engine).reasons) == ("FAILED", ("the run ended before its last task",))
    assert [row(engine, other).ended_at for other in others] == [None, None, None]
    assert runs.close_dead(engine, replace(RUN, run_id="r2")) == {}


def test_the_last_run_is_the_one_opened_last(engine: Engine) -> None:
    assert runs.last(engine, "churn", "retrain") is None
    for name in ("r9", "r1", "r5"):
        runs.open_row(engine, replace(RUN, run_id=name))
    last = runs.last(engine, "churn", "retrain")
    assert last is not None
    assert last.run_id == "r5"
