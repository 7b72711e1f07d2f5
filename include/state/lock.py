"""Named locks of the state database, with fence numbers.

The holder's death releases the lock at once: on PostgreSQL an advisory lock lives with its connection, beside SQLite a
``flock`` lives with its process. A fence number grows with every holder, so a late writer can be told from the present.
"""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, func, insert, select, update

from include.state.database import fences

POLL_SECONDS = 0.05


class LockTimeout(TimeoutError):
    """Somebody else held the lock for the whole time; a retry is due."""


@contextmanager
def hold(engine: Engine, name: str, timeout: float = 60.0) -> Iterator[int]:
    """Hold ``name`` exclusively; yield its fence number. Raises ``LockTimeout`` after ``timeout`` seconds."""
    with hold_name(engine, name, timeout):
        with engine.begin() as connection:
            present = connection.execute(select(fences.c.value).where(fences.c.name == name)).scalar()
            fence = (present or 0) + 1
            statement = update(fences).where(fences.c.name == name) if present else insert(fences)
            connection.execute(statement.values(name=name, value=fence))
        yield fence


@contextmanager
def hold_name(engine: Engine, name: str, timeout: float) -> Iterator[None]:
    """The bare lock, without a fence."""
    held = _hold_file if engine.dialect.name == "sqlite" else _hold_advisory
    with held(engine, name, time.monotonic() + timeout):
        yield


@contextmanager
def _hold_file(engine: Engine, name: str, deadline: float) -> Iterator[None]:
    folder = Path(f"{engine.url.database}.locks")
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / hashlib.sha256(name.encode()).hexdigest()[:16], "w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                _wait(name, deadline)
        yield


@contextmanager
def _hold_advisory(engine: Engine, name: str, deadline: float) -> Iterator[None]:
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
    with engine.connect() as connection:
        while not connection.execute(select(func.pg_try_advisory_lock(key))).scalar():
            _wait(name, deadline)
        yield


def _wait(name: str, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise LockTimeout(f"the lock '{name}' is still held by another process")
    time.sleep(POLL_SECONDS)
