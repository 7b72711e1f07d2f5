"""The file that ids are looked up in: the newest published row of each, in SQLite below the home.

It is made of the published tables, and may be removed. A publication that is new becomes visible in one act; after the
first time only what is new is read. ``python -m include.serving.newest_rows`` reads, for what its standard input names:
a process of its own with a low priority, since reading a million rows keeps a core busy for ten seconds, which neither
the answers of the scoring API nor a training has to wait for.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from include.data import tables
from include.data.window import AS_OF, OBSERVED
from include.state import publications
from include.state.database import connect
from include.state.publications import Publication

YIELDING = 15
"""The lower priority (a nice value)."""
PIECE_ROWS = 20_000
CACHE_KIB = 64 * 1024
"""Rows arrive in the order of days, not of ids, so that each changes another page of the file."""

TABLE = "customers"
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

ENCODER = json.JSONEncoder(separators=("\n", ":"))
"""Of many values at once: JSON has no line break inside a value, so that its text is divided at them."""


@dataclass(frozen=True)
class NewestRows:
    """The file at ``path``, of the published rows of a use case in these columns; ``id`` is one of them."""

    path: str
    state_url: str
    lake_uri: str
    use_case: str
    id: str
    columns: tuple[str, ...]

    @property
    def content(self) -> str:
        """What stands in the file beside the rows, and tells it from one with other columns or of another format."""
        return json.dumps([FORMAT, *self.columns])

    def is_behind(self) -> bool:
        """Whether something is published that the file does not hold yet. Raises what the databases raise."""
        past = self._past()
        return bool(past) and self._state() != (past[-1].run_id, self.content)

    def refresh(self) -> int:
        """Read what was published since the last time; returns the count of rows. A damaged file is made anew.

        Raises what the databases and the table's store raise.
        """
        if not (past := self._past()):
            return 0
        path = Path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._bring_up_to(past)
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:  # busy, or no space: not damaged
                raise
            for part in path.parent.glob(f"{path.name}*"):
                part.unlink()
        return self._bring_up_to(past)

    def _past(self) -> list[Publication]:
        past = publications.history(connect(self.state_url), self.use_case, "data", FOR_EVER)
        return past if past and TABLE in past[-1].versions else []

    def _state(self) -> tuple[str, str] | None:
        """The last publication and the content of the file; None while it cannot tell."""
        try:
            with closing(sqlite3.connect(f"{Path(self.path).absolute().as_uri()}?mode=ro", uri=True)) as reader:
                found: tuple[str, str] | None = reader.execute("SELECT run_id, columns FROM state").fetchone()
        except sqlite3.Error:  # it is not there yet, or damaged: whoever writes it sees to that
            return None
        return found

    def _bring_up_to(self, past: Sequence[Publication]) -> int:
        """Read the last of the publications ``past``, or what is new in it."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as writer:
            return self._write(past, writer)

    def _write(self, past: Sequence[Publication], writer: sqlite3.Connection) -> int:
        runs, version = [one.run_id for one in past], past[-1].versions[TABLE]
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        writer.execute(STATE)
        state = writer.execute("SELECT run_id, columns FROM state").fetchone()
        if state == (runs[-1], self.content):
            return 0
        goes_on = state is not None and state[0] in runs and state[1] == self.content
        new = runs[runs.index(state[0]) + 1 :] if goes_on else None
        count = 0
        writer.execute("BEGIN IMMEDIATE")
        if new is None:
            writer.execute("DROP TABLE IF EXISTS rows")
            writer.execute(ROWS)
        for batch in self._batches(version, new):
            writer.executemany(UPSERT, self._entries(batch))
            count += batch.num_rows
        writer.execute("INSERT OR REPLACE INTO state VALUES (1, ?, ?)", (runs[-1], self.content))
        writer.execute("COMMIT")
        return count

    def _batches(self, version: int, runs: list[str] | None) -> Iterator[pa.RecordBatch]:
        """Rows that these runs published, or all."""
        uri = tables.table_uri(self.lake_uri, self.use_case, TABLE)
        names = [*self.columns, OBSERVED, AS_OF, "run_id"]
        filters = None if runs is None else [("run_id", "in", runs)]
        yield from tables.batches(uri, version, columns=names, filters=filters, rows=PIECE_ROWS)

    def _entries(self, batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
        """The rows as the file holds them."""
        observed = batch[OBSERVED].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        texts = pc.binary_join_element_wise(*(_as_json(batch[name]) for name in self.columns), ",")
        others = (column.to_pylist() for column in (batch[self.id], observed, batch[AS_OF], batch["run_id"]))
        return zip(*others, (f"[{text}]" for text in texts.to_pylist()), strict=True)


def _as_json(column: pa.Array) -> pa.Array:
    """As JSON has the values, of which each is encoded once; nothing is not a number there."""
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    texts = pa.array(ENCODER.encode(column.dictionary.to_pylist())[1:-1].split("\n"), pa.string())
    return pc.fill_null(texts.take(column.indices), "null")


def question(rows: NewestRows) -> str:
    """What ``main`` is given on its standard input, where other users of the machine do not see it."""
    return json.dumps(asdict(rows))


def main() -> int:
    """Bring the file up to date; prints what was read, or why not. Returns the exit status."""
    os.nice(YIELDING)
    asked = json.load(sys.stdin)
    rows = NewestRows(**{**asked, "columns": tuple(asked["columns"])})
    began = time.monotonic()
    try:
        count = rows.refresh()
    except Exception as error:  # noqa: BLE001 - whatever it is, the process that waits for this one tells it in a line
        print(f"{type(error).__name__}: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    print(f"{rows.path}: {count:,} row(s) in {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
