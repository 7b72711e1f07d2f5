"""The retrain policy: when drift, or a drop of the actual performance, becomes a request, and every brake on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain
from typing import Literal

from include.monitoring.windows import Window
from include.spec import RetrainPolicy

Outcome = Literal["REQUESTED", "SUPPRESSED", "NO_DRIFT", "DATA_QUALITY", "INSUFFICIENT"]
BUDGET_DAYS = 30


@dataclass(frozen=True)
class Cause:
    """Why a retrain may help: ``code`` and ``reason``, in words.

    A retrain as of ``known_from`` (ISO text) or before did not know all of its evidence. ``labels`` are those that a
    retrain would learn from and the champion has not, ``learned`` says of what. ``unhelped``: the last request asked
    for the same reason, and no champion was made since.
    """

    code: Literal["DRIFT", "PERFORMANCE"]
    reason: str
    known_from: str
    labels: int
    learned: str
    unhelped: bool = False


@dataclass(frozen=True)
class Facts:
    """What a decision rests on.

    ``windows``: of the data, newest first. ``faults``: of the data, in words. ``attempts``: ``as_of`` of every earlier
    request, whatever came of it. ``pending``: one of them has no outcome yet. ``unhelped`` and ``new_labels`` are those
    of ``Cause`` for drift; ``drop`` is the cause that labels give, if they do.
    """

    as_of: date
    windows: tuple[Window, ...]
    faults: tuple[str, ...] = ()
    attempts: tuple[date, ...] = ()
    pending: bool = False
    unhelped: bool = False
    new_labels: int = 0
    drop: Cause | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class Decision:
    """``causes`` are the codes of those that ask for a retrain; none unless it is requested."""

    outcome: Outcome
    reasons: tuple[str, ...]
    causes: tuple[str, ...] = ()


def evidence_fingerprint(use_case: str, newest: Window, drop: tuple[str, str] | None = None) -> str:
    """One hash for one piece of evidence: the days of the newest window, whatever is found when they are judged again.

    A retrain knows all that was known of its days. Neither another champion nor a column that drifts by a hair more
    makes the same days a reason to ask again. ``drop`` are the days whose labels give a reason, too.
    """
    content = json.dumps([use_case, newest.first, newest.end, *(drop or ())])
    return hashlib.sha256(content.encode()).hexdigest()


def decide(facts: Facts, policy: RetrainPolicy) -> Decision:
    """Bad data blocks; drift in M of the last N windows with the newest among them asks, and so does a drop of the
    actual performance, with drift or without, unless a brake holds.
    """
    if facts.faults:
        return Decision("DATA_QUALITY", tuple(f"DATA_QUALITY: {fault}" for fault in facts.faults))
    drift = _drift(facts, policy)
    causes = [cause for cause in (drift, facts.drop) if isinstance(cause, Cause)]
    if isinstance(drift, Decision) and not causes:
        return drift
    held = {cause: list(_brakes(cause, facts, policy)) for cause in causes}
    free = [cause for cause in causes if not held[cause]]
    if not free:
        return Decision("SUPPRESSED", tuple(dict.fromkeys(chain.from_iterable(held.values()))))
    reasons = tuple(f"{cause.code}: {cause.reason}" for cause in free)
    return Decision("REQUESTED", reasons, tuple(cause.code for cause in free))


def _drift(facts: Facts, policy: RetrainPolicy) -> Cause | Decision:
    """The cause that drift gives, or why it gives none."""
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
    reason, learned = f"{counted}: {newest.note}", "since the champion's"
    return Cause("DRIFT", reason, newest.first, facts.new_labels, learned, facts.unhelped)


def _brakes(cause: Cause, facts: Facts, policy: RetrainPolicy) -> Iterator[str]:
    attempts = facts.attempts
    last = max(attempts, default=date.min)
    if attempts and facts.as_of - last < timedelta(hours=policy.cooldown_hours):
        yield f"COOLDOWN: a retrain was asked for as of {last}; {policy.cooldown_hours} h have to pass"
    recent = [day for day in attempts if day > facts.as_of - timedelta(days=BUDGET_DAYS)]
    if len(recent) >= policy.max_retrains_per_30d:
        yield f"BUDGET: {len(recent)} retrains in {BUDGET_DAYS} days, at most {policy.max_retrains_per_30d}"
    if cause.known_from < last.isoformat():
        what, known = ("days", "days") if cause.code == "DRIFT" else ("labels known", "labels")
        asked = f"a retrain was asked for with all {known} before {last}"
        yield f"SAME_EVIDENCE: {what} from {cause.known_from} on, and {asked}"
    if facts.pending:
        yield f"PENDING: the retrain that was asked for as of {last} has not ended"
    if cause.labels < policy.min_new_labels:
        yield f"TOO_FEW_NEW_LABELS: {cause.labels} {cause.learned}, at least {policy.min_new_labels} needed"
    if cause.unhelped:
        what = "drift" if cause.code == "DRIFT" else "drop"
        yield f"NEEDS_A_PERSON: the last retrain for this {what} made no new champion"
    if facts.dry_run:
        yield "DRY_RUN: this run judges and asks for nothing"
