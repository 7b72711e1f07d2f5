"""The newest published row of each id, to be looked up in microseconds: the online side of the published tables.

A SQLite file below the home holds them; it is made of the tables, and may be removed. A publication that is new is read
in small pieces, beside the event loop, and becomes visible in one act; after the first time only what is new is read.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from include.data import tables
from include.data.window import AS_OF, OBSERVED
from include.serving.problems import Problem
from include.settings import Settings
from include.spec import UseCase
from include.state import publications
from include.state.database import connect
from include.state.publications import Publication

log = logging.getLogger(__name__)

REFRESH_SECONDS = 5.0
PIECE_ROWS = 1000
CACHE_KIB = 64 * 1024
"""Rows arrive in the order of days, not of ids, so that each changes another page of the file."""

TABLE, FILE = "customers", "customers.db"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOR_EVER = "9999-12-31"
FORMAT = 2
"""Of the rows in the file: microseconds since 1970 (UTC), and a JSON list of values in the order of the columns."""

STATE = "CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), run_id TEXT, columns TEXT)"
ROWS = "CREATE TABLE rows (id TEXT PRIMARY KEY, observed_at INTEGER, as_of TEXT, run_id TEXT, row TEXT)"
# The newest observation counts, and of two of the same moment the one that was published later.
UPSERT = """
INSERT INTO rows VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
  observed_at = excluded.observed_at, as_of = excluded.as_of, run_id = excluded.run_id, row = excluded.row
WHERE (excluded.observed_at, excluded.as_of, excluded.run_id) >= (rows.observed_at, rows.as_of, rows.run_id)
"""

ENCODER = json.JSONEncoder(separators=(",", ":"))
FIND = "SELECT row, observed_at FROM state LEFT JOIN rows ON id = ? WHERE columns = ?"


class Customers:
    """``refresh`` is called from one thread, ``newest`` from the event loop."""

    def __init__(self, settings: Settings, spec: UseCase) -> None:
        self._settings, self._spec = settings, spec
        self._path = settings.home / "serving" / spec.name / FILE
        self._columns = json.dumps([FORMAT, *spec.columns])
        self._reader: sqlite3.Connection | None = None

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

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def refresh(self) -> None:
        """Read what was published since the last time. Raises what the databases and the table's store raise."""
        engine = connect(self._settings.state_url)
        past = publications.history(engine, self._spec.name, "data", FOR_EVER)
        if not past or TABLE not in past[-1].versions:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None)) as writer:
                self._bring_up_to(past, writer)
        except sqlite3.DatabaseError as error:
            if type(error) is sqlite3.DatabaseError:  # the file is damaged, and can be made again
                for path in self._path.parent.glob(f"{FILE}*"):
                    path.unlink()
            raise

    def _find(self, key: str) -> tuple[str | None, int] | None:
        try:
            if self._reader is None:
                self._reader = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
            found: tuple[str | None, int] | None = self._reader.execute(FIND, (key, self._columns)).fetchone()
        except sqlite3.Error as error:
            self.close()
            self._reader = None
            if not self._path.exists():
                return None
            raise Problem("NO_ROWS", f"{self._path}: {error}", headers={"Retry-After": "5"}) from error
        return found

    def _bring_up_to(self, past: Sequence[Publication], writer: sqlite3.Connection) -> None:
        """Read the last of the publications ``past``, or what is new in it."""
        runs, version = [one.run_id for one in past], past[-1].versions[TABLE]
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        writer.execute(STATE)
        state = writer.execute("SELECT run_id, columns FROM state").fetchone()
        if state == (runs[-1], self._columns):
            return
        began, count = time.monotonic(), 0
        goes_on = state is not None and state[0] in runs and state[1] == self._columns
        new = runs[runs.index(state[0]) + 1 :] if goes_on else None
        writer.execute("BEGIN IMMEDIATE")
        if new is None:
            writer.execute("DROP TABLE IF EXISTS rows")
            writer.execute(ROWS)
        for batch in self._batches(version, new):
            writer.executemany(UPSERT, self._entries(batch))
            count += batch.num_rows
        writer.execute("INSERT OR REPLACE INTO state VALUES (1, ?, ?)", (runs[-1], self._columns))
        writer.execute("COMMIT")
        log.info("%s: %d row(s) of %s@%d in %.1f s", self._path, count, TABLE, version, time.monotonic() - began)

    def _batches(self, version: int, runs: list[str] | None) -> Iterator[pa.RecordBatch]:
        """Rows that these runs published, or all; as long as one piece takes, the time is left to others."""
        uri = tables.table_uri(self._settings.lake_uri, self._spec.name, TABLE)
        names = [*self._spec.columns, OBSERVED, AS_OF, "run_id"]
        filters = None if runs is None else [("run_id", "in", runs)]
        for batch in tables.batches(uri, version, columns=names, filters=filters, rows=PIECE_ROWS):
            began = time.monotonic()
            yield batch
            time.sleep(time.monotonic() - began)

    def _entries(self, batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
        """The rows as the file holds them."""
        observed = batch[OBSERVED].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        texts = map(ENCODER.encode, zip(*(_values(batch[name]) for name in self._spec.columns), strict=True))
        others = (column.to_pylist() for column in (batch[self._spec.id], observed, batch[AS_OF], batch["run_id"]))
        return zip(*others, texts, strict=True)


def _values(column: pa.Array) -> list[Any]:
    """As JSON has them, where nothing is not a number."""
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    return column.to_pylist()
