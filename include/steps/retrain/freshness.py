"""When newer data is worth something by itself, so that a challenger need not be better; ``gate.freshness`` says so."""

from __future__ import annotations

from datetime import date

from include.state import requests
from include.steps.ledger import Work


def no_gain_needed(work: Work, trained_until: str | None) -> str:
    """Why a challenger of this run needs no gain over the champion, whose rows end before ``trained_until``; or ""."""
    freshness = work.spec.gate.freshness
    if freshness.on_drift and requests.claimed(work.engine, work.run.use_case, work.run.run_id):
        return "the monitor asked for this retrain: no gain needed, newer data is worth something (gate.freshness)"
    if trained_until is None or freshness.champion_older_than_days is None:
        return ""
    age = (date.fromisoformat(work.run.as_of) - date.fromisoformat(trained_until)).days
    if age <= freshness.champion_older_than_days:
        return ""
    return f"the champion's training rows end {age} days ago: no gain needed (gate.freshness)"
