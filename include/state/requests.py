"""Retrain requests: the table is the truth, an asset event only wakes the scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, select, update

from include.failpoints import reach
from include.state import database as db
from include.state.runs import Run

table = db.retrain_requests


@dataclass(frozen=True)
class Request:
    id: int
    as_of: str
    reason: str
    evidence: str
    columns: tuple[str, ...]
    requested_by: str
    requested_at: str
    claimed_by: str | None
    outcome: str | None


def add(engine: Engine, run: Run, evidence: str, columns: list[str], reason: str) -> None:
    """Ask for a retrain; the same evidence again changes nothing."""
    with engine.begin() as connection:
        db.insert_once(
            connection,
            table,
            use_case=run.use_case,
            as_of=run.as_of,
            reason=reason,
            evidence=evidence,
            columns=columns,
            requested_by=run.run_id,
            requested_at=db.now(),
        )
    reach("requests.added")


def pending(engine: Engine, use_case: str, until: str | None = None) -> list[Request]:
    """Requests that nobody has claimed, oldest first; with ``until``, only those of that ``as_of`` or before."""
    query = select(table).where(table.c.use_case == use_case, table.c.claimed_by.is_(None)).order_by(table.c.id)
    if until is not None:
        query = query.where(table.c.as_of <= until)
    return _all(engine, query)


def claimed(engine: Engine, use_case: str, run_id: str) -> list[Request]:
    query = select(table).where(table.c.use_case == use_case, table.c.claimed_by == run_id).order_by(table.c.id)
    return _all(engine, query)


def every(engine: Engine, use_case: str) -> list[Request]:
    return _all(engine, select(table).where(table.c.use_case == use_case).order_by(table.c.id))


def claim(engine: Engine, run: Run) -> list[Request]:
    """Take every pending request up to the run's ``as_of``; what the run already holds stays with it."""
    with engine.begin() as connection:
        connection.execute(
            update(table)
            .where(table.c.use_case == run.use_case, table.c.claimed_by.is_(None), table.c.as_of <= run.as_of)
            .values(claimed_by=run.run_id)
        )
    return claimed(engine, run.use_case, run.run_id)


def settle(engine: Engine, use_case: str, run_id: str, outcome: str) -> None:
    """Write the run's outcome to what it claimed; a run that died gives its claims back instead."""
    values = {"claimed_by": None} if outcome == "FAILED" else {"outcome": outcome}
    with engine.begin() as connection:
        connection.execute(
            update(table)
            .where(table.c.use_case == use_case, table.c.claimed_by == run_id, table.c.outcome.is_(None))
            .values(**values)
        )


def _all(engine: Engine, query: Any) -> list[Request]:
    with engine.connect() as connection:
        return [
            Request(**{name: getattr(r, name) for name in Request.__dataclass_fields__} | {"columns": tuple(r.columns)})
            for r in connection.execute(query)
        ]
