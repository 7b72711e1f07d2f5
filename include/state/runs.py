"""The ledger of runs: each run opens one row with its first step and closes it whatever its end."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Engine, and_, select, update

from include.state import database as db

Kind = Literal["ingest", "retrain", "monitor", "score"]
ENABLED, DRY_RUN = "enabled", "dry_run"
BACKFILL = "backfill"
"""The type of a run that runs beside others of its DAG."""


@dataclass(frozen=True)
class Run:
    """What every step of a run is told; small enough to cross XCom as ``vars(run)``."""

    use_case: str
    kind: Kind
    run_id: str
    as_of: str
    run_mode: str = ENABLED
    reason: str = ""


@dataclass(frozen=True)
class LedgerRow:
    kind: str
    run_id: str
    as_of: str | None
    outcome: str | None
    reason: str
    reasons: tuple[str, ...]
    details: dict[str, Any]
    started_at: str
    ended_at: str | None


def _is(use_case: str, kind: str, run_id: str) -> Any:
    return and_(db.runs.c.use_case == use_case, db.runs.c.kind == kind, db.runs.c.run_id == run_id)


def open_row(engine: Engine, run: Run, **details: Any) -> None:
    """Open the row of ``run``; a cleared run that starts again opens its old one anew, with nothing left in it."""
    begin = {**vars(run), "reasons": [], "details": details}
    with engine.begin() as connection:
        if not db.insert_once(connection, db.runs, **begin, started_at=db.now()):
            row = _is(run.use_case, run.kind, run.run_id)
            connection.execute(update(db.runs).where(row).values(**begin, ended_at=None, outcome=None))


def record(engine: Engine, run: Run, outcome: str | None, reasons: list[str] | None = None, **details: Any) -> None:
    """Write what is known so far: the outcome with its reasons, and details that are merged by name."""
    values: dict[str, Any] = {} if outcome is None else {"outcome": outcome, "reasons": reasons or []}
    with engine.begin() as connection:
        present = _details(connection, run)
        _update(connection, run, **values, details={**present, **details})


def record_error(engine: Engine, run: Run, task: str, error: str | None) -> None:
    """Keep the last error of a task of this run; None when the task has passed after all."""
    row = get(engine, run.use_case, run.kind, run.run_id)
    if error is None and (row is None or task not in row.details.get("errors", {})):
        return
    with engine.begin() as connection:
        present = _details(connection, run)
        errors = {name: text for name, text in present.get("errors", {}).items() if name != task}
        errors |= {task: error} if error else {}
        _update(connection, run, details={**present, "errors": errors})


def _details(connection: Connection, run: Run) -> dict[str, Any]:
    """The details of the run, which no other task of it can write until the transaction ends."""
    # Written before it is read: from here on no other task of the run can merge its details into the same ones.
    _update(connection, run, reason=db.runs.c.reason)
    row = _is(run.use_case, run.kind, run.run_id)
    found: dict[str, Any] = connection.execute(select(db.runs.c.details).where(row)).scalar_one()
    return found


def _update(connection: Connection, run: Run, **values: Any) -> None:
    connection.execute(update(db.runs).where(_is(run.use_case, run.kind, run.run_id)).values(**values))


def close_row(engine: Engine, use_case: str, kind: Kind, run_id: str, failed: list[str], why: str = "") -> str:
    """Close the row and return its outcome; a run without one ``FAILED``: ``failed`` names its tasks, or ``why``.

    A run whose first step died before it opened a row gets one here.
    """
    if get(engine, use_case, kind, run_id) is None:
        open_row(engine, Run(use_case, kind, run_id, ""))
    with engine.begin() as connection:
        row = connection.execute(select(db.runs).where(_is(use_case, kind, run_id))).one()
        if row.ended_at is not None:
            return str(row.outcome)
        reasons = list(row.reasons)
        outcome = row.outcome
        if outcome is None:
            outcome = "FAILED"
            reasons = [f"{task}: {error}" for task, error in sorted(row.details.get("errors", {}).items())]
            reasons += [f"task {name} failed" for name in failed] or [why or "the run ended before its last task"]
        connection.execute(
            update(db.runs)
            .where(_is(use_case, kind, run_id))
            .values(outcome=outcome, reasons=reasons, ended_at=db.now())
        )
    return str(outcome)


def close_dead(engine: Engine, run: Run) -> dict[str, str]:
    """Close the rows that earlier runs of this kind left open; return the outcomes by run id.

    But for backfills a DAG has one active run at a time, so a row that is still open when the next run starts has no
    run behind it.
    """
    left_open = and_(
        db.runs.c.use_case == run.use_case,
        db.runs.c.kind == run.kind,
        db.runs.c.run_id != run.run_id,
        db.runs.c.ended_at.is_(None),
    )
    with engine.connect() as connection:
        rows = connection.execute(select(db.runs.c.run_id, db.runs.c.details).where(left_open)).all()
    dead = [str(row.run_id) for row in rows if row.details.get("run_type") != BACKFILL]
    return {run_id: close_row(engine, run.use_case, run.kind, run_id, failed=[]) for run_id in dead}


def get(engine: Engine, use_case: str, kind: str, run_id: str) -> LedgerRow | None:
    with engine.connect() as connection:
        row = connection.execute(select(db.runs).where(_is(use_case, kind, run_id))).one_or_none()
    return _ledger_row(row) if row else None


def last(
    engine: Engine, use_case: str, kind: str, *, outcomes: Collection[str] = (), until: str | None = None
) -> LedgerRow | None:
    """The newest run of ``kind`` by the time it was opened; only of ``outcomes`` and up to the ``as_of`` if given."""
    query = select(db.runs).where(db.runs.c.use_case == use_case, db.runs.c.kind == kind)
    if outcomes:
        query = query.where(db.runs.c.outcome.in_(outcomes))
    if until is not None:
        query = query.where(db.runs.c.as_of <= until)
    with engine.connect() as connection:
        row = connection.execute(query.order_by(db.runs.c.started_at.desc()).limit(1)).one_or_none()
    return _ledger_row(row) if row else None


def ended(engine: Engine, use_case: str, since: str) -> list[LedgerRow]:
    """The runs of all kinds that have ended after ``since`` (as ``db.now`` has it), in the order of their ends."""
    query = select(db.runs).where(db.runs.c.use_case == use_case, db.runs.c.ended_at > since)
    with engine.connect() as connection:
        return [_ledger_row(row) for row in connection.execute(query.order_by(db.runs.c.ended_at))]


def _ledger_row(row: Any) -> LedgerRow:
    columns = {name: getattr(row, name) for name in LedgerRow.__dataclass_fields__}
    return LedgerRow(**columns | {"reasons": tuple(row.reasons)})
