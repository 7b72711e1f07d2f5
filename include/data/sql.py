"""A table or a query of a database, read in the order of a column of times; nothing in the database is changed.

The database is PostgreSQL or a file of SQLite. No password stands in the URI: PostgreSQL's client finds it in the
environment (``PGPASSWORD``) or in ``~/.pgpass``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any
from urllib.parse import quote
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.pool import NullPool

from include.data.contract import refuse_missing
from include.errors import DataRejected, SourceAway
from include.spec import UseCase

Row = list[Any]

FETCH_ROWS = 10_000
PLAIN = (str, int, float, Decimal, date, UUID, type(None))
"""What has one clear text."""


@dataclass(frozen=True)
class Relation:
    """A table or a query. ``names`` are the columns to read: the id, the time, then the others.

    Rows come as lists of plain values, their time as ISO text in UTC. ``DataRejected`` (``BAD_TIME``, ``BAD_TYPE``)
    names a column that holds anything else.
    """

    name: str
    connection: sa.Connection
    source: sa.FromClause
    names: tuple[str, ...]

    @property
    def time(self) -> sa.ColumnElement[Any]:
        return self.source.columns[self.names[1]]

    def by_day(self, first: date | None, end: date) -> Iterator[tuple[date, Iterator[Row]]]:
        """The rows from ``first`` on and before ``end``, day after day; each day is to be read before the next."""
        for day, rows in groupby(self.read(first, end), key=lambda row: row[1][: len("2026-01-31")]):
            yield date.fromisoformat(day), rows

    def read(self, first: date | None, end: date) -> Iterator[Row]:
        """The rows from ``first`` on and before ``end``, ordered by time and id; never all of them in memory."""
        columns = [self.source.columns[name] for name in self.names]
        query = sa.select(*columns).where(self.time < self._midnight(end)).order_by(self.time, columns[0])
        query = query.where(self.time >= self._midnight(first)) if first else query
        with self.connection.execute(query, execution_options={"yield_per": FETCH_ROWS}) as found:
            for row in found:
                yield self._plain(row)

    def newest_day(self) -> date | None:
        newest = self.connection.execute(sa.select(sa.func.max(self.time))).scalar()
        return None if newest is None else self._moment(newest).date()

    def refuse_blank_times(self) -> None:
        """A row without a time belongs to no day and would never be read."""
        blank = sa.select(sa.func.count()).select_from(self.source).where(self.time.is_(None))
        if count := self.connection.execute(blank).scalar_one():
            raise DataRejected(
                "BAD_TIME",
                f"{self.name}: column '{self.names[1]}': {count} rows have no time, expected one in each; give them "
                "their time, or leave them out by source.query",
            )

    def _plain(self, row: Sequence[Any]) -> Row:
        for name, value in zip(self.names, row, strict=True):
            if not isinstance(value, PLAIN):
                raise DataRejected(
                    "BAD_TYPE",
                    f"{self.name}: column '{name}': found a {type(value).__name__}, expected text, a number, a bool or "
                    "a time; cast it to one of these in source.query",
                )
        key, moment, *others = row
        return [key, self._moment(moment).isoformat(), *others]

    def _moment(self, value: Any) -> datetime:
        """A moment in UTC; a plain day is its midnight."""
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else value  # SQLite keeps times as text
            if isinstance(value, str) and len(value) == len("2026-01-31"):
                moment = moment.date()
            if not isinstance(moment, datetime):
                moment = datetime.combine(moment, time.min, UTC)
            if moment.utcoffset() != timedelta(0):
                raise ValueError
        except (TypeError, ValueError):
            message = (
                f"{self.name}: column '{self.names[1]}': found {str(value)[:40]!r}, expected a time in UTC such as "
                "2026-01-31T12:00:00Z; where the database keeps no offset, say AT TIME ZONE 'UTC' in source.query"
            )
            raise DataRejected("BAD_TIME", message) from None
        return moment.astimezone(UTC)

    def _midnight(self, day: date) -> sa.ColumnElement[Any]:
        if self.connection.dialect.name == "sqlite":  # as text, a moment sorts after the day that it begins with
            return sa.literal(day.isoformat())
        return sa.literal(datetime.combine(day, time.min, UTC), sa.DateTime(timezone=True))


def rows(connection: sa.Connection, uri: str, spec: UseCase) -> Relation:
    """What ``source.table`` or ``source.query`` of the spec holds, by the time of observation."""
    if spec.observed_at is None or not (spec.source.table or spec.source.query):
        message = f"{uri}: a database needs observed_at and source.table or source.query in {spec.folder}/spec.yaml"
        raise DataRejected("BAD_SOURCE", message)
    name = f"{uri}#{spec.source.table or 'query'}"
    source = _open(connection, spec.source.table, spec.source.query)
    needed = dict.fromkeys([spec.id, spec.observed_at, *spec.columns])
    refuse_missing(name, list(needed), source.columns.keys())
    target = [spec.target.column] if spec.target.column in source.columns else []
    found = Relation(name, connection, source, (*needed, *target))
    found.refuse_blank_times()
    return found


def labels(connection: sa.Connection, uri: str, spec: UseCase) -> Relation:
    """What ``source.labels_query`` of the spec holds, by the time at which a label became known."""
    source = _open(connection, None, spec.source.labels_query)
    name, names = f"{uri}#labels_query", (spec.id, "known_at", "observed_at", spec.target.column)
    refuse_missing(name, list(names), source.columns.keys())
    return Relation(name, connection, source, names)


def _open(connection: sa.Connection, table: str | None, query: str | None) -> sa.FromClause:
    """The table or the query, with the columns that the database says it has."""
    schema, _, name = (table or "").rpartition(".")
    # A colon would be taken for a parameter.
    text = (query or "").strip().rstrip(";").replace(":", r"\:")
    bare = sa.table(name, schema=schema or None) if table else sa.text(f"({text}) AS source")
    found = connection.execute(sa.select(sa.text("*")).select_from(bare).where(sa.false())).keys()
    columns: list[sa.ColumnClause[Any]] = [sa.column(column) for column in found]
    if table:
        return sa.table(name, *columns, schema=schema or None)
    return sa.text(text).columns(*columns).subquery("source")


@contextmanager
def connect(uri: str) -> Iterator[sa.Connection]:
    """A connection that can only read.

    Raises ``DataRejected`` (``BAD_SOURCE``, ``BAD_QUERY``) for what the spec has to mend, ``SourceAway`` where the
    database does not answer.
    """
    engine = _engine(uri)
    try:
        connection = engine.connect()
    except OperationalError as error:
        raise SourceAway(_away(uri, error)) from error
    with connection:
        try:
            yield connection
        except DatabaseError as error:
            # SQLite calls a wrong query an operational error, too.
            if isinstance(error, OperationalError) and engine.dialect.name != "sqlite":
                raise SourceAway(_away(uri, error)) from error
            message = f"{uri}: the database refuses the query: {_said(error)}; mend source.table or source.query"
            raise DataRejected("BAD_QUERY", message) from error


def _engine(uri: str) -> sa.Engine:
    options: dict[str, Any] = {}
    try:
        url = sa.make_url(uri)
        if url.get_backend_name() == "sqlite":
            url = url.set(database=f"file:{quote(url.database or '')}", query={"mode": "ro", "uri": "true"})
        else:
            options = {"options": "-c timezone=UTC -c default_transaction_read_only=on"}
        return sa.create_engine(url, poolclass=NullPool, connect_args=options, hide_parameters=True)
    except (ArgumentError, ImportError, ValueError) as error:
        expected = "postgresql+psycopg://USER@HOST:PORT/DATABASE or sqlite:////FILE"
        raise DataRejected("BAD_SOURCE", f"{uri}: {error}; expected {expected}") from error


def _away(uri: str, error: OperationalError) -> str:
    advice = "is it up, and is the password in PGPASSWORD or ~/.pgpass?"
    return f"{uri}: the database does not answer: {_said(error)}; {advice}"


def _said(error: DatabaseError) -> str:
    return " ".join(str(error.orig).split())
