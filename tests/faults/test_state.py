"""F15: the state database is locked by somebody else."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.faults.home import DagRun, Home
from tests.faults.invariants import check
from tests.faults.marks import thorough

PATIENCE = "include.state.database:SQLITE_SECONDS"


@contextmanager
def locked(home: Home) -> Iterator[sqlite3.Connection]:
    """Nobody else writes to the state database for the block, or until the connection rolls back."""
    path = home.settings.state_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield connection


@pytest.mark.parametrize("seconds", [2, *thorough(30)])
def test_f15_a_database_that_stays_locked_fails_the_step_in_time_and_by_name(seconds: int, home: Home):
    run = DagRun(home, "ingest", "i1")
    run.upto("publish")
    with locked(home):
        began = time.monotonic()
        ended = run.step("publish", patch={PATIENCE: seconds})
        # Twice: the step waits, and then the note of its failure in the ledger.
        assert seconds <= time.monotonic() - began < 3 * seconds + 5
    assert ended.raised == "StateUnavailable"
    assert f"{home.settings.home}/state.db: database is locked by another process for {seconds} s" in ended.message
    check(home.settings, home.use_case, over=False)
    run.must_end("PUBLISHED")
    check(home.settings, home.use_case)


def test_f15_a_lock_that_goes_in_time_is_waited_for(home: Home):
    run = DagRun(home, "ingest", "i1")
    run.upto("publish")
    with locked(home) as connection:
        timer = threading.Timer(3, connection.rollback)
        timer.start()
        run.must(run.step("publish"))
        timer.join()
    run.must_end("PUBLISHED")
    check(home.settings, home.use_case)
