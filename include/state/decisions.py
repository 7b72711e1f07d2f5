"""Every decision with its reasons: data validation, gate, drift. One of a kind per run; a re-run replaces it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, delete, insert, select

from include.failpoints import reach
from include.state import database as db
from include.state.runs import Run

table = db.decisions


@dataclass(frozen=True)
class DecisionRow:
    kind: str
    run_id: str
    as_of: str
    outcome: str
    reasons: tuple[str, ...]
    evidence: dict[str, Any]
    decided_at: str


def record(engine: Engine, run: Run, kind: str, outcome: str, reasons: list[str], evidence: dict[str, Any]) -> None:
    with engine.begin() as connection:
        connection.execute(
            delete(table).where(table.c.use_case == run.use_case, table.c.kind == kind, table.c.run_id == run.run_id)
        )
        connection.execute(
            insert(table).values(
                use_case=run.use_case,
                kind=kind,
                run_id=run.run_id,
                as_of=run.as_of,
                outcome=outcome,
                reasons=reasons,
                evidence=evidence,
                decided_at=db.now(),
            )
        )
    reach("decisions.recorded")


def of_kind(engine: Engine, use_case: str, kind: str) -> list[DecisionRow]:
    """All decisions of ``kind``, newest first."""
    query = select(table).where(table.c.use_case == use_case, table.c.kind == kind).order_by(table.c.id.desc())
    with engine.connect() as connection:
        return [
            DecisionRow(r.kind, r.run_id, r.as_of, r.outcome, tuple(r.reasons), r.evidence, r.decided_at)
            for r in connection.execute(query)
        ]
