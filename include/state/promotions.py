"""The promotion ledger: who served when. An ``intent`` is written before the alias moves, ``done`` after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, insert, select, update

from include.state import database as db

table = db.promotions

GONE, DAMAGED = PUT_BACK = ("CHAMPION_GONE", "CHAMPION_DAMAGED")
"""How the reason begins for which an earlier version became champion again."""


@dataclass(frozen=True)
class Promotion:
    id: int
    run_id: str
    version: str
    previous_version: str | None
    model_sha256: str
    fingerprint: str
    data_version: str
    as_of: str
    metrics: dict[str, Any]
    reasons: tuple[str, ...]
    state: str
    done_at: str | None


def intend(engine: Engine, **values: Any) -> int:
    with engine.begin() as connection:
        inserted = connection.execute(insert(table).values(**values, state="intent", intended_at=db.now()))
        return int(inserted.inserted_primary_key[0])  # type: ignore[index]


def finish(engine: Engine, promotion_id: int, state: str = "done") -> None:
    """Close an intent as ``done`` or ``abandoned``, unless somebody else has closed it."""
    still_open = (table.c.id == promotion_id) & (table.c.state == "intent")
    with engine.begin() as connection:
        connection.execute(update(table).where(still_open).values(state=state, done_at=db.now()))


def open_intents(engine: Engine, use_case: str) -> list[Promotion]:
    return _all(engine, select(table).where(table.c.use_case == use_case, table.c.state == "intent"))


def history(engine: Engine, use_case: str) -> list[Promotion]:
    """Every promotion that took effect, newest first."""
    return _all(
        engine, select(table).where(table.c.use_case == use_case, table.c.state == "done").order_by(table.c.id.desc())
    )


def put_back(engine: Engine, use_case: str) -> dict[str, list[str]]:
    """Why an earlier version became champion again, by the run that found it out."""
    found: dict[str, list[str]] = {}
    for made in history(engine, use_case):
        for reason in made.reasons:
            if reason.startswith(PUT_BACK):
                found.setdefault(made.run_id, []).append(reason)
    return found


def champion(engine: Engine, use_case: str) -> Promotion | None:
    """The promotion that put the present champion in place."""
    past = history(engine, use_case)
    return past[0] if past else None


def _all(engine: Engine, query: Any) -> list[Promotion]:
    with engine.connect() as connection:
        return [
            Promotion(
                r.id,
                r.run_id,
                r.version,
                r.previous_version,
                r.model_sha256,
                r.fingerprint,
                r.data_version,
                r.as_of,
                r.metrics,
                tuple(r.reasons),
                r.state,
                r.done_at,
            )
            for r in connection.execute(query)
        ]
