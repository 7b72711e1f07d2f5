"""The retrain policy: when drift becomes a request, and every brake that can hold it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from include.spec import RetrainPolicy

Outcome = Literal["REQUESTED", "SUPPRESSED", "NO_DRIFT", "DATA_QUALITY", "INSUFFICIENT"]
BUDGET_DAYS = 30


@dataclass(frozen=True)
class Facts:
    """``windows``: verdicts, newest first. ``attempts``: ``as_of`` of every earlier request, whatever came of it."""

    as_of: date
    windows: tuple[str, ...]
    quality: tuple[str, ...]
    evidence: str
    known_evidence: frozenset[str]
    attempts: tuple[date, ...]
    new_labels: int
    last_attempt_helped: bool


@dataclass(frozen=True)
class Decision:
    outcome: Outcome
    reasons: tuple[str, ...]


def evidence_fingerprint(use_case: str, champion: str, drifted: tuple[str, ...], last_day: str) -> str:
    """One hash for one piece of evidence: the same drift of the same days against the same champion."""
    content = json.dumps([use_case, champion, sorted(drifted), last_day])
    return hashlib.sha256(content.encode()).hexdigest()


def decide(facts: Facts, policy: RetrainPolicy) -> Decision:
    """Bad data blocks; drift in M of the last N windows with the latest among them asks, unless a brake holds."""
    if facts.quality:
        return Decision("DATA_QUALITY", tuple(f"DATA_QUALITY: {message}" for message in facts.quality))
    windows = facts.windows[: policy.num_evaluation_windows]
    if not windows or windows[0] == "INSUFFICIENT":
        return Decision("INSUFFICIENT", ("INSUFFICIENT: the latest window has too few rows to judge",))
    violations = sum(verdict == "DRIFT" for verdict in windows)
    counted = f"{violations} of the last {len(windows)} windows drifted, {policy.num_violation_windows} needed"
    if windows[0] != "DRIFT" or violations < policy.num_violation_windows:
        latest = "the latest among them" if windows[0] == "DRIFT" else "the latest did not"
        return Decision("NO_DRIFT", (f"NO_DRIFT: {counted}; {latest}",))
    held = tuple(_brakes(facts, policy))
    return Decision("SUPPRESSED", held) if held else Decision("REQUESTED", (f"DRIFT: {counted}",))


def _brakes(facts: Facts, policy: RetrainPolicy) -> list[str]:
    held = []
    cooling = [day for day in facts.attempts if facts.as_of < day + timedelta(hours=policy.cooldown_hours)]
    if cooling:
        held.append(
            f"COOLDOWN: a retrain was asked for as of {max(cooling)}, less than {policy.cooldown_hours} h before"
        )
    recent = [day for day in facts.attempts if day > facts.as_of - timedelta(days=BUDGET_DAYS)]
    if len(recent) >= policy.max_retrains_per_30d:
        held.append(f"BUDGET: {len(recent)} retrains in 30 days, at most {policy.max_retrains_per_30d}")
    if facts.evidence in facts.known_evidence:
        held.append("SAME_EVIDENCE: this drift of these days was acted on before")
    if facts.new_labels < policy.min_new_labels:
        held.append(
            f"TOO_FEW_NEW_LABELS: {facts.new_labels} since the champion's, at least {policy.min_new_labels} needed"
        )
    if not facts.last_attempt_helped:
        held.append("NEEDS_A_PERSON: the last retrain for this drift made no new champion")
    return held
