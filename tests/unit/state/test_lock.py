"""One holder at a time, across threads and processes; the holder's death frees the lock; fences grow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from include.settings import PROJECT
from include.state.database import connect
from include.state.lock import LockTimeout, hold

HOLD = """
import sys
from include.state.database import connect
from include.state.lock import hold
with hold(connect(sys.argv[1]), "promote churn") as fence:
    print(fence, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(state_url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock ``promote churn`` until it reads a line."""
    connect(state_url)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, state_url],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "1"
    yield process
    process.kill()
    process.communicate()


def test_another_process_has_to_wait(engine: Engine, holder: subprocess.Popen[str]) -> None:
    message = "the lock 'promote churn' is still held by somebody else after 0.2 s"
    with pytest.raises(LockTimeout, match=message), hold(engine, "promote churn", timeout=0.2):
        pass
    with hold(engine, "promote other", timeout=0.2) as fence:
        assert fence == 1
    assert holder.stdin is not None
    holder.stdin.write("\n")
    holder.stdin.flush()
    with hold(engine, "promote churn", timeout=10) as fence:
        assert fence == 2


def test_the_death_of_the_holder_frees_the_lock(engine: Engine, holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGKILL)
    started = time.monotonic()
    with hold(engine, "promote churn", timeout=10) as fence:
        assert fence == 2
    assert time.monotonic() - started < 5


def test_an_error_frees_the_lock(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), hold(engine, "table"):
        raise ZeroDivisionError
    with hold(engine, "table", timeout=0.5) as fence:
        assert fence == 2


def test_threads_exclude_each_other_and_fences_grow(engine: Engine) -> None:
    inside, fences, overlaps = threading.Semaphore(1), [], []

    def work(_: int) -> None:
        with hold(engine, "table"):
            overlaps.append(not inside.acquire(blocking=False))
            time.sleep(0.002)
            inside.release()

    def note(_: int) -> None:
        with hold(engine, "counted") as fence:
            fences.append(fence)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(12)))
        list(pool.map(note, range(12)))
    assert overlaps == [False] * 12
    assert fences == list(range(1, 13))
