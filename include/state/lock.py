"""Named locks of the state database, with fence numbers.

The holder's death releases the lock at once: on PostgreSQL an advisory lock lives with its connection, beside SQLite a
``flock`` lives with its process. A fence number grows with every holder, by which ``require`` tells a late writer from
the present one.
"""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Engine, func, select, update

from include.state.database import fences, insert_once

POLL_SECONDS = 0.05


class LockTimeout(TimeoutError):
    """Somebody else held the lock for the whole time; a retry is due."""


class LockLost(RuntimeError):
    """Somebody else has taken the lock since; what its former holder goes on to write would come too late."""


@contextmanager
def hold(engine: Engine, name: str, timeout: float = 60.0) -> Iterator[int]:
    """Hold ``name`` exclusively; yield its fence number. Raises ``LockTimeout`` after ``timeout`` seconds."""
    with hold_name(engine, name, timeout):
        with engine.begin() as connection:
            insert_once(connection, fences, name=name, value=0)
            connection.execute(update(fences).where(fences.c.name == name).values(value=fences.c.value + 1))
            fence = connection.execute(select(fences.c.value).where(fences.c.name == name)).scalar_one()
        yield fence


def require(engine: Engine, name: str, fence: int) -> None:
    """Raise ``LockLost`` if somebody has taken ``name`` after the holder with this fence number.

    On PostgreSQL the lock is free once its session has ended, of which a holder that waits for another server knows
    nothing.
    """
    with engine.connect() as connection:
        newest = connection.execute(select(fences.c.value).where(fences.c.name == name)).scalar_one()
    if newest != fence:
        raise LockLost(f"the lock '{name}' was taken by somebody else meanwhile; nothing was written, a retry is due")


@contextmanager
def hold_name(engine: Engine, name: str, timeout: float) -> Iterator[None]:
    """The bare lock, without a fence."""
    held = _hold_file if engine.dialect.name == "sqlite" else _hold_advisory
    with held(engine, name, timeout):
        yield


@contextmanager
def _hold_file(engine: Engine, name: str, timeout: float) -> Iterator[None]:
    folder = Path(f"{engine.url.database}.locks")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / hashlib.sha256(name.encode()).hexdigest()[:16], "w") as handle:

        def taken() -> bool:
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            return False

        _wait_until(taken, name, timeout)
        yield


@contextmanager
def _hold_advisory(engine: Engine, name: str, timeout: float) -> Iterator[None]:
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    # No transaction stays open while the lock is held: a server may end sessions that are idle in one.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _wait_until(lambda: connection.execute(select(func.pg_try_advisory_lock(key))).scalar_one(), name, timeout)
        yield


def _wait_until(taken: Callable[[], bool], name: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not taken():
        if time.monotonic() > deadline:
            raise LockTimeout(f"the lock '{name}' is still held by somebody else after {timeout:g} s")
        time.sleep(POLL_SECONDS)
