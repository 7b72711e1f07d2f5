"""Which source a use case reads, and when its first ingest was; set once, so that histories are never mixed."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, select, update

from include.spec import UseCase
from include.state import database as db

table = db.sources


class SourceMixed(ValueError):
    """Another source was asked for than the one that this home already holds data of."""


@dataclass(frozen=True)
class SourceRow:
    uri: str
    sha256: str | None
    first_as_of: str | None


def get(engine: Engine, use_case: str) -> SourceRow | None:
    with engine.connect() as connection:
        row = connection.execute(select(table).where(table.c.use_case == use_case)).one_or_none()
    return SourceRow(row.uri, row.sha256, row.first_as_of) if row else None


def uri_of(engine: Engine, spec: UseCase) -> str:
    """The URI that the use case reads: the chosen one, else the one of its spec."""
    row = get(engine, spec.name)
    return row.uri if row else spec.source_uri


def choose(engine: Engine, use_case: str, uri: str) -> None:
    """Read from ``uri`` from now on; refused once data of another source is published."""
    present = get(engine, use_case)
    if present and present.uri != uri and present.first_as_of:
        raise SourceMixed(
            f"{use_case} already holds data of {present.uri}; data of {uri} must not be mixed with it. "
            "Set MODELOPS_HOME to another folder, or run `make clean` to start anew."
        )
    with engine.begin() as connection:
        if not db.insert_once(connection, table, use_case=use_case, uri=uri):
            unpinned = (table.c.use_case == use_case) & table.c.first_as_of.is_(None)
            connection.execute(update(table).where(unpinned).values(uri=uri))


def pin(engine: Engine, use_case: str, uri: str, sha256: str | None, first_as_of: str) -> None:
    """Store what the first ingest that published saw; later ones change nothing."""
    with engine.begin() as connection:
        db.insert_once(connection, table, use_case=use_case, uri=uri)
        unpinned = (table.c.use_case == use_case) & table.c.first_as_of.is_(None)
        connection.execute(update(table).where(unpinned).values(uri=uri, sha256=sha256, first_as_of=first_as_of))
