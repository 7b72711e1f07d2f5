"""The newest published row of each id, to be looked up in microseconds: the online side of the published tables."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from include.serving import newest_rows
from include.serving.newest_rows import NewestRows
from include.serving.problems import Problem
from include.settings import PROJECT, Settings
from include.spec import UseCase

log = logging.getLogger(__name__)

REFRESH_SECONDS = 5.0
AGAIN_SECONDS = 30.0
"""Until a reading that failed is tried again: a process takes a second of processor to start."""
FILE = "customers.db"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIND = "SELECT row, observed_at FROM state LEFT JOIN rows ON id = ? WHERE columns = ?"


class ReadingFailed(Exception):
    """The process that reads what is published did not come to its end."""


class Customers:
    """``refresh`` is called from one thread, ``newest`` from the event loop."""

    def __init__(self, settings: Settings, spec: UseCase) -> None:
        self._spec = spec
        self._path = settings.home / "serving" / spec.name / FILE
        self._rows = NewestRows(
            str(self._path), settings.state_url, settings.lake_uri, spec.name, spec.id, tuple(spec.columns)
        )
        self._reader: sqlite3.Connection | None = None
        self._reading: subprocess.Popen[str] | None = None
        self._failure, self._again_at = "", 0.0

    def newest(self, key: str) -> tuple[dict[str, Any], datetime]:
        """The newest row of the id in the spec's columns, and when it was observed (UTC).

        Raises ``Problem``: ``NO_ROWS`` before anything is read, ``NO_SUCH_ROW`` for an id without a row.
        """
        found = self._find(key)
        if found is None:
            raise Problem("NO_ROWS", "nothing that is published has been read yet", headers={"Retry-After": "5"})
        row, observed = found
        if row is None:
            raise Problem("NO_SUCH_ROW", f"no published row of {self._spec.name} has {self._spec.id} {key[:80]!r}")
        values = dict(zip(self._spec.columns, json.loads(row), strict=True))
        return values, EPOCH + timedelta(microseconds=observed)

    def refresh(self) -> None:
        """Let what is published and not read yet be read, and wait for that.

        Raises what the databases raise, and ``ReadingFailed`` with the reason, also until it is tried again.
        """
        if not self._rows.is_behind():
            return
        if not self._failure or time.monotonic() >= self._again_at:
            self._failure = self._read()
            self._again_at = time.monotonic() + AGAIN_SECONDS
        if self._failure:
            raise ReadingFailed(self._failure)

    def _read(self) -> str:
        """Read in a process of its own; returns why that failed, or nothing."""
        with subprocess.Popen(
            [sys.executable, "-m", newest_rows.__name__],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as self._reading:
            said, complaint = self._reading.communicate(newest_rows.question(self._rows))
        if self._reading.returncode:
            reason = (complaint.strip().splitlines() or ["no reason given"])[-1]
            return f"the process that writes {self._path} ended with {self._reading.returncode}: {reason}"
        log.info("%s", said.strip())
        return ""

    def close(self) -> None:
        """A reading that has not ended is given up: nothing of it is visible."""
        if self._reading is not None and self._reading.poll() is None:
            self._reading.terminate()
        if self._reader is not None:
            self._reader.close()

    def _find(self, key: str) -> tuple[str | None, int] | None:
        try:
            if self._reader is None:
                self._reader = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
            found: tuple[str | None, int] | None = self._reader.execute(FIND, (key, self._rows.content)).fetchone()
        except sqlite3.Error as error:
            if self._reader is not None:
                self._reader.close()
            self._reader = None
            if not self._path.exists():
                return None
            raise Problem("NO_ROWS", f"{self._path}: {error}", headers={"Retry-After": "5"}) from error
        return found
