"""What is said of a run: one notice, made from its row in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self
from urllib.parse import quote

from include.settings import Settings
from include.spec import Event, UseCase
from include.state.runs import BACKFILL, LedgerRow

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class About:
    severity: Severity
    meaning: str


EVENTS: dict[Event, About] = {
    "CHAMPION_DAMAGED": About("error", "The files of the champion are damaged."),
    "CHAMPION_GONE": About("error", "The champion, or its alias, was deleted from the registry."),
    "NEEDS_A_PERSON": About("error", "The drift goes on, and the retrain for it made no new champion."),
    "PERFORMANCE": About("error", "The champion does worse than it did when it was promoted."),
    "FAILED": About("error", "The run ended without an outcome."),
    "DATA_REJECTED": About("warning", "The data broke a limit and was refused whole; nothing of it is used."),
    "DATA_QUALITY": About("warning", "The data is bad, so that no retrain is asked for."),
    "NOT_EVALUATED": About("warning", "The challenger could not be judged; nothing was promoted."),
    "NO_SCORES": About("warning", "The champion cannot score the newest days."),
    "ATTRIBUTION_DRIFT": About("warning", "The scores of the champion rest on other inputs than they did."),
    "STALE_CHAMPION": About("warning", "The champion is older than the spec allows."),
    "REFUSED": About("warning", "A check of the gate failed; the champion serves on."),
    "CHAMPION_CHANGED": About("warning", "Somebody promoted in between; the next run compares anew."),
    "SUPPRESSED": About("warning", "There is drift, and no retrain was asked for, since a brake held."),
    "BAD_REQUEST": About("warning", "The run was started with parameters that cannot be used."),
    "UNCHANGED": About("info", "Nothing is new since the same was done before."),
    "REQUESTED": About("info", "There is drift, and a retrain was asked for."),
    "PROMOTED": About("info", "The challenger passed and is champion."),
}
"""The gravest first: a run that has several is told under the first of them."""


@dataclass(frozen=True)
class Notice:
    """All that a message says. ``why`` is the reason of the run, ``reasons`` are those of its outcome.

    ``more``: how many notices of this event were held back before this one.
    """

    event: str
    severity: Severity
    meaning: str
    use_case: str
    title: str
    owner: str
    kind: str
    run_id: str
    as_of: str
    outcome: str
    why: str
    reasons: tuple[str, ...]
    ended_at: str
    simulated: bool
    link: str
    verdict_link: str | None = None
    more: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.run_id, self.event

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"reasons": list(self.reasons)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any], more: int) -> Self:
        return cls(**{**content, "reasons": tuple(content["reasons"]), "more": more})


def of_row(settings: Settings, spec: UseCase, row: LedgerRow, *, simulated: bool) -> Notice | None:
    """What is said of a run that has ended; None if that is nothing that the spec wants said.

    A backfill is somebody's look at the past, and whoever started it looks at its outcomes.
    """
    if row.outcome is None or row.ended_at is None or row.details.get("run_type") == BACKFILL:
        return None
    happened = {row.outcome, *(reason.partition(":")[0] for reason in row.reasons)}
    event = next((one for one in EVENTS if one in happened and one in spec.notifications.events), None)
    if event is None:
        return None
    return Notice(
        event=event,
        severity=EVENTS[event].severity,
        meaning=EVENTS[event].meaning,
        use_case=spec.name,
        title=spec.title,
        owner=spec.owner,
        kind=row.kind,
        run_id=row.run_id,
        as_of=row.as_of or "",
        outcome=row.outcome,
        why=row.reason,
        reasons=row.reasons,
        ended_at=row.ended_at,
        simulated=simulated,
        link=run_page(settings, f"{spec.name}_{row.kind}", row.run_id),
        verdict_link=row.details.get("verdict_link"),
    )


def run_page(settings: Settings, dag_id: str, run_id: str) -> str:
    """Where a browser finds the run in Airflow."""
    return f"{settings.airflow_pages.rstrip('/')}/dags/{dag_id}/runs/{quote(run_id, safe='', errors='replace')}"
