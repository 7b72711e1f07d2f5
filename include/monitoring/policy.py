"""The retrain policy: when drift becomes a request, and every brake that can hold it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from include.monitoring.windows import Window
from include.spec import RetrainPolicy

Outcome = Literal["REQUESTED", "SUPPRESSED", "NO_DRIFT", "DATA_QUALITY", "INSUFFICIENT"]
BUDGET_DAYS = 30


@dataclass(frozen=True)
class Facts:
    """What a decision rests on.

    ``windows``: newest first. ``faults``: of the data, in words. ``attempts``: ``as_of`` of every earlier request,
    whatever came of it. ``pending``: one of them has no outcome yet. ``unhelped``: the last of them asked for a retrain
    because of the same columns, and no champion was made since.
    """

    as_of: date
    windows: tuple[Window, ...]
    faults: tuple[str, ...] = ()
    attempts: tuple[date, ...] = ()
    pending: bool = False
    unhelped: bool = False
    new_labels: int = 0
    dry_run: bool = False


@dataclass(frozen=True)
class Decision:
    outcome: Outcome
    reasons: tuple[str, ...]


def evidence_fingerprint(use_case: str, newest: Window) -> str:
    """One hash for one piece of evidence: the days of the newest window, whatever is found when they are judged again.

    A retrain knows all that was known of its days. Neither another champion nor a column that drifts by a hair more
    makes the same days a reason to ask again.
    """
    content = json.dumps([use_case, newest.first, newest.end])
    return hashlib.sha256(content.encode()).hexdigest()


def decide(facts: Facts, policy: RetrainPolicy) -> Decision:
    """Bad data blocks; drift in M of the last N windows with the newest among them asks, unless a brake holds."""
    if facts.faults:
        return Decision("DATA_QUALITY", tuple(f"DATA_QUALITY: {fault}" for fault in facts.faults))
    windows = facts.windows[: policy.num_evaluation_windows]
    newest = windows[0]
    days = f"{newest.first} to before {newest.end}"
    if newest.verdict == "INSUFFICIENT":
        longer = "a longer monitoring.window_days has more"
        return Decision("INSUFFICIENT", (f"INSUFFICIENT: {newest.note} in the window from {days}; {longer}",))
    if newest.verdict == "TRAINED_ON":
        return Decision("NO_DRIFT", (f"NO_DRIFT: the window from {days} is no evidence: {newest.note}",))
    judged = [window.verdict for window in windows if window.verdict in ("OK", "DRIFT")]
    violations = judged.count("DRIFT")
    counted = f"{violations} of {len(judged)} windows drifted, {policy.num_violation_windows} needed"
    if newest.verdict != "DRIFT" or violations < policy.num_violation_windows:
        latest = "the newest did" if newest.verdict == "DRIFT" else "the newest did not"
        return Decision("NO_DRIFT", (f"NO_DRIFT: {counted}; {latest}",))
    held = tuple(_brakes(facts, policy))
    return Decision("SUPPRESSED", held) if held else Decision("REQUESTED", (f"DRIFT: {counted}: {newest.note}",))


def _brakes(facts: Facts, policy: RetrainPolicy) -> Iterator[str]:
    attempts, newest = facts.attempts, facts.windows[0]
    last = max(attempts, default=date.min)
    if attempts and facts.as_of - last < timedelta(hours=policy.cooldown_hours):
        yield f"COOLDOWN: a retrain was asked for as of {last}; {policy.cooldown_hours} h have to pass"
    recent = [day for day in attempts if day > facts.as_of - timedelta(days=BUDGET_DAYS)]
    if len(recent) >= policy.max_retrains_per_30d:
        yield f"BUDGET: {len(recent)} retrains in {BUDGET_DAYS} days, at most {policy.max_retrains_per_30d}"
    if newest.first < last.isoformat():
        yield f"SAME_EVIDENCE: days from {newest.first} on, and a retrain was asked for with all days before {last}"
    if facts.pending:
        yield f"PENDING: the retrain that was asked for as of {last} has not ended"
    if facts.new_labels < policy.min_new_labels:
        yield f"TOO_FEW_NEW_LABELS: {facts.new_labels} since the champion's, at least {policy.min_new_labels} needed"
    if facts.unhelped:
        yield "NEEDS_A_PERSON: the last retrain for this drift made no new champion"
    if facts.dry_run:
        yield "DRY_RUN: this run judges and asks for nothing"
