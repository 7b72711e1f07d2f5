"""The state database: its tables, its schema version and the way to it.

SQLite by default, PostgreSQL in production. Times are ISO 8601 text in UTC and dates ISO text, so that both databases
store and order them alike.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Engine,
    ExceptionContext,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
    inspect,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

SQLITE_SECONDS = 30
SCHEMA_VERSION = 3
ONLY_TABLES_MORE = frozenset({1, 2})
"""Older schemas that lack whole tables and nothing else, so that making those brings a database up to date."""

metadata = MetaData()

schema = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

sources = Table(
    "sources",
    metadata,
    Column("use_case", String, primary_key=True),
    Column("uri", String, nullable=False),
    Column("sha256", String, nullable=True),
    Column("first_as_of", String, nullable=True),
)

runs = Table(
    "runs",
    metadata,
    Column("use_case", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("run_id", String, primary_key=True),
    Column("as_of", String, nullable=True),
    Column("run_mode", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("started_at", String, nullable=False),
    Column("ended_at", String, nullable=True),
    Column("outcome", String, nullable=True),
    Column("reasons", JSON, nullable=False),
    Column("details", JSON, nullable=False),
)

publications = Table(
    "publications",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("use_case", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("as_of", String, nullable=False),
    Column("first_day", String, nullable=False),
    Column("last_day", String, nullable=False),
    Column("versions", JSON, nullable=False),
    Column("rows_in", Integer, nullable=False),
    Column("rows_published", Integer, nullable=False),
    Column("rows_quarantined", Integer, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("files", JSON, nullable=False),
    Column("published_at", String, nullable=False),
    UniqueConstraint("use_case", "dataset", "run_id"),
)

retrain_requests = Table(
    "retrain_requests",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("use_case", String, nullable=False),
    Column("as_of", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("evidence", String, nullable=False),
    Column("columns", JSON, nullable=False),
    Column("requested_by", String, nullable=False),
    Column("requested_at", String, nullable=False),
    Column("claimed_by", String, nullable=True),
    Column("outcome", String, nullable=True),
    UniqueConstraint("use_case", "evidence"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("use_case", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("as_of", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("decided_at", String, nullable=False),
    UniqueConstraint("use_case", "kind", "run_id"),
)

promotions = Table(
    "promotions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("use_case", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("version", String, nullable=False),
    Column("previous_version", String, nullable=True),
    Column("model_sha256", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("data_version", String, nullable=False),
    Column("as_of", String, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("state", String, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("intended_at", String, nullable=False),
    Column("done_at", String, nullable=True),
)

overrides = Table(
    "overrides",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("use_case", String, nullable=False),
    Column("champion", String, nullable=False),
    Column("obstacle", String, nullable=False),
    Column("because", String, nullable=False),
    Column("by", String, nullable=False),
    Column("until", String, nullable=False),
    Column("given_at", String, nullable=False),
    Column("used_by", String, nullable=True),
    Column("used_at", String, nullable=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("sha256", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", String, nullable=False),
    Column("revoked_at", String, nullable=True),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("use_case", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("run_id", String, nullable=False),
    Column("event", String, nullable=False),
    Column("notice", JSON, nullable=False),
    Column("held_back", Boolean, nullable=False),
    Column("more", Integer, nullable=False),
    Column("noticed_at", String, nullable=False),
    UniqueConstraint("use_case", "kind", "run_id", "event"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("notification", Integer, primary_key=True, autoincrement=False),
    Column("channel", String, primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("begun_at", String, nullable=True),
    Column("delivered_at", String, nullable=True),
    Column("error", String, nullable=True),
)

fences = Table("fences", metadata, Column("name", String, primary_key=True), Column("value", Integer, nullable=False))


class SchemaMismatch(RuntimeError):
    """The database was written by another version of the project; nothing in it is touched."""


class StateUnavailable(RuntimeError):
    """The state database can not be read or written now; the message names it. A retry is due."""


def now() -> str:
    """This moment as ISO text in UTC, for records of when something was written; never for what day it is."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def ago(period: timedelta) -> str:
    """The moment that is so long past, to compare such records with."""
    return (datetime.now(UTC) - period).isoformat(timespec="milliseconds")


def insert_once(connection: Connection, table: Table, **values: Any) -> bool:
    """Insert a row unless one with its key is there, also when two try at once; return whether it was inserted."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(statement).first() is not None


@lru_cache(maxsize=8)
def connect(url: str) -> Engine:
    """The engine for ``url``, with the schema in place. Connections are not pooled: tasks fork."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, poolclass=NullPool)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "handle_error", _name_sqlite)
    from include.state.lock import hold_name  # the lock needs this module's tables

    with hold_name(engine, "schema", timeout=60), engine.begin() as connection:
        _prepare(connection)
    return engine


def _prepare(connection: Connection) -> None:
    """Make the tables that are missing; of a database that is not empty, touch nothing before its version is known."""
    known = inspect(connection).has_table(schema.name)
    found = connection.execute(select(schema.c.version)).scalar() if known else None
    if found is not None and found not in (SCHEMA_VERSION, *ONLY_TABLES_MORE):
        newer = "a newer" if found > SCHEMA_VERSION else "an older"
        raise SchemaMismatch(
            f"the state database {connection.engine.url!r} has schema {found}, this version of the project needs "
            f"{SCHEMA_VERSION}: it was written by {newer} one. Use that one, or set MODELOPS_HOME (or "
            "MODELOPS_STATE_URL) to a new place"
        )
    metadata.create_all(connection)
    if found in ONLY_TABLES_MORE:
        connection.execute(update(schema).values(version=SCHEMA_VERSION))
    insert_once(connection, schema, version=SCHEMA_VERSION)


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    try:
        # The patience first: already the next line may have to wait.
        connection.execute(f"PRAGMA busy_timeout={SQLITE_SECONDS * 1000}")
        connection.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        raise StateUnavailable(_complaint(path, error)) from error


def _name_sqlite(context: ExceptionContext) -> None:
    error = context.original_exception
    if isinstance(error, sqlite3.OperationalError) and context.engine is not None:
        raise StateUnavailable(_complaint(context.engine.url.database, error)) from error


def _complaint(path: str | None, error: sqlite3.OperationalError) -> str:
    waited = f" by another process for {SQLITE_SECONDS} s" if "locked" in str(error) else ""
    return f"the state database {path}: {error}{waited}"
