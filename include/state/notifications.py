"""Notices: what was said of which run, what was held back, and how far each channel has got with it.

A notice is kept before it is sent, once for an event of a run, so that a channel that is down, or a process that is
killed on the way, loses none. One whose sender dies between sending and writing that down is sent twice.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, insert, or_, select, update

from include.failpoints import reach
from include.state import database as db
from include.state.lock import hold_name

table, deliveries = db.notifications, db.deliveries

HOUR = timedelta(hours=1)
LEASE = timedelta(minutes=2)
"""How long a sender that does not report is left alone; after it, it counts as dead."""
MOST_ATTEMPTS = 5
Key = tuple[str, str, str]
"""Kind, run id and event."""


@dataclass(frozen=True)
class Waiting:
    """A notice that a channel has not delivered; ``more`` like it were held back before it."""

    id: int
    kind: str
    run_id: str
    event: str
    notice: dict[str, Any]
    more: int
    channel: str
    attempts: int
    error: str | None
    noticed_at: str


def known(engine: Engine, use_case: str, since: str) -> set[Key]:
    """What has been kept after ``since`` (as ``db.now`` has it)."""
    query = select(table.c.kind, table.c.run_id, table.c.event).where(
        table.c.use_case == use_case, table.c.noticed_at > since
    )
    with engine.connect() as connection:
        return {(row.kind, row.run_id, row.event) for row in connection.execute(query)}


def keep(
    engine: Engine, use_case: str, key: Key, notice: dict[str, Any], channels: Collection[str], per_hour: int
) -> bool | None:
    """Keep a notice for ``channels``; None if it is kept already.

    False if it is held back, since ``per_hour`` of its event have been let through in the last hour. The next one that
    is let through says how many were held back before it.
    """
    kind, run_id, event = key
    alike = and_(table.c.use_case == use_case, table.c.event == event)
    this = and_(alike, table.c.kind == kind, table.c.run_id == run_id)
    row = {"use_case": use_case, "kind": kind, "run_id": run_id, "event": event, "noticed_at": db.now()}
    with hold_name(engine, f"notifications {use_case}", timeout=60), engine.begin() as connection:
        held_back = _passed_lately(connection, alike) >= per_hour
        more = _held_back_since(connection, alike)
        if not db.insert_once(connection, table, **row, notice=notice, held_back=held_back, more=more):
            return None
        if not held_back:
            number = connection.execute(select(table.c.id).where(this)).scalar_one()
            rows = [{"notification": number, "channel": channel, "attempts": 0} for channel in channels]
            connection.execute(insert(deliveries), rows)
    reach("notifications.kept")
    return not held_back


def _passed_lately(connection: Connection, alike: ColumnElement[bool]) -> int:
    # Not what a clock that was put back has written into the future.
    lately = table.c.noticed_at.between(db.ago(HOUR), db.now())
    return int(connection.execute(select(func.count()).where(alike, lately, ~table.c.held_back)).scalar_one())


def _held_back_since(connection: Connection, alike: ColumnElement[bool]) -> int:
    """How many were held back since the last one that was let through."""
    last = select(func.coalesce(func.max(table.c.id), 0)).where(alike, ~table.c.held_back).scalar_subquery()
    counted = select(func.count()).where(alike, table.c.held_back, table.c.id > last)
    return int(connection.execute(counted).scalar_one())


def waiting(engine: Engine, use_case: str, since: str) -> list[Waiting]:
    """What no channel has delivered of what was kept after ``since``; what was never tried comes first."""
    query = (
        select(table, deliveries)
        .join(deliveries, deliveries.c.notification == table.c.id)
        .where(table.c.use_case == use_case, table.c.noticed_at > since, deliveries.c.delivered_at.is_(None))
        .order_by(deliveries.c.attempts, table.c.id)
    )
    with engine.connect() as connection:
        return [
            Waiting(**{name: getattr(row, name) for name in Waiting.__dataclass_fields__})
            for row in connection.execute(query)
        ]


def claim(engine: Engine, one: Waiting) -> bool:
    """Begin an attempt; False if another process is at it, or has been faster, or enough attempts were made."""
    free = or_(deliveries.c.begun_at.is_(None), deliveries.c.begun_at < db.ago(LEASE))
    mine = (deliveries.c.attempts == one.attempts, deliveries.c.attempts < MOST_ATTEMPTS, free)
    return _write(engine, one, *mine, attempts=one.attempts + 1, begun_at=db.now())


def delivered(engine: Engine, one: Waiting) -> None:
    _write(engine, one, begun_at=None, delivered_at=db.now(), error=None)


def failed(engine: Engine, one: Waiting, error: str) -> None:
    """Write down why an attempt failed; the next one may begin at once."""
    _write(engine, one, begun_at=None, error=error)


def _write(engine: Engine, one: Waiting, *conditions: Any, **values: Any) -> bool:
    row = (deliveries.c.notification == one.id, deliveries.c.channel == one.channel)
    with engine.begin() as connection:
        return connection.execute(update(deliveries).where(*row, *conditions).values(**values)).rowcount == 1
