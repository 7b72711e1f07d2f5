"""Overrides: a person lets one retrain judge its challenger without a champion that cannot be judged.

Each is for one champion version and one obstacle, has a name, a reason and a last day, and serves one run, which may be
retried. Those that are used or too old stay in the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, insert, or_, select, update

from include.state import database as db
from include.state import runs
from include.state.runs import Run

table = db.overrides

OBSTACLES = ("CHAMPION_DAMAGED", "CHAMPION_SAW_HOLDOUT", "CHAMPION_CANNOT_SCORE", "CHAMPION_FEATURES_DIFFER")
"""Why a champion cannot be judged; nothing else can be overridden."""


@dataclass(frozen=True)
class Override:
    """``until`` is the last day (ISO 8601, UTC) of a run that may use it, and on which one that does may start."""

    id: int
    champion: str
    obstacle: str
    because: str
    by: str
    until: str
    given_at: str
    used_by: str | None
    used_at: str | None

    def __str__(self) -> str:
        what = f"{self.obstacle} of champion version {self.champion}"
        return f"override {self.id} by {self.by}, until {self.until}, for {what}: {self.because}"


def give(engine: Engine, use_case: str, *, champion: str, obstacle: str, because: str, by: str, until: str) -> Override:
    """Keep an override for the next retrain that meets ``obstacle`` (one of ``OBSTACLES``) with this champion."""
    if obstacle not in OBSTACLES:
        raise ValueError(f"{obstacle}: only {', '.join(OBSTACLES)} can be overridden")
    given = {"champion": champion, "obstacle": obstacle, "because": because, "by": by, "until": until}
    with engine.begin() as connection:
        inserted = connection.execute(insert(table).values(use_case=use_case, **given, given_at=db.now()))
        key = inserted.inserted_primary_key[0]  # type: ignore[index]
    return _all(engine, select(table).where(table.c.id == key))[0]


def every(engine: Engine, use_case: str) -> list[Override]:
    """All of them, oldest first."""
    return _all(engine, select(table).where(table.c.use_case == use_case).order_by(table.c.id))


def matching(engine: Engine, use_case: str, champion: str, obstacles: Sequence[str]) -> list[Override]:
    """Those for this champion and one of ``obstacles``, used and expired ones as well, oldest first."""
    return [one for one in every(engine, use_case) if one.champion == champion and one.obstacle in obstacles]


def hindrance(engine: Engine, run: Run, override: Override) -> tuple[str, str] | None:
    """Why ``run`` may not use the override, as a code and a sentence; None if it may.

    Neither the day that the run acts on nor the day on which it was opened may be after ``until``, so that a run of the
    past does not bring back what has expired.
    """
    if override.used_by not in (None, run.run_id):
        return "OVERRIDE_USED", f"run {override.used_by} has used {override}"
    row = runs.get(engine, run.use_case, run.kind, run.run_id)
    if max(run.as_of, row.started_at[:10] if row else "") > override.until:
        return "OVERRIDE_EXPIRED", f"this run is too late for {override}"
    return None


def take(engine: Engine, run: Run, override: Override) -> bool:
    """Use the override up for ``run``; False if another run was faster. The same run may take it again."""
    free = or_(table.c.used_by.is_(None), table.c.used_by == run.run_id)
    with engine.begin() as connection:
        taken = connection.execute(
            update(table).where(table.c.id == override.id, free).values(used_by=run.run_id, used_at=db.now())
        )
    return taken.rowcount == 1


def give_back(engine: Engine, use_case: str, run_id: str) -> None:
    """Free what a run took that died before it ended in a verdict."""
    taken = (table.c.use_case == use_case, table.c.used_by == run_id)
    with engine.begin() as connection:
        connection.execute(update(table).where(*taken).values(used_by=None, used_at=None))


def _all(engine: Engine, query: Any) -> list[Override]:
    with engine.connect() as connection:
        return [
            Override(**{name: getattr(r, name) for name in Override.__dataclass_fields__})
            for r in connection.execute(query)
        ]
