"""The retrain policy: each brake holds by itself, and without any the request is made."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from include.monitoring.policy import Facts, decide, evidence_fingerprint
from include.spec import RetrainPolicy

POLICY = RetrainPolicy(
    num_evaluation_windows=3, num_violation_windows=2, cooldown_hours=72, max_retrains_per_30d=2, min_new_labels=100
)
DRIFTED = Facts(date(2026, 6, 30), ("DRIFT", "OK", "DRIFT"), (), "e", frozenset(), (), 500, True)

CASES = {
    "fires": ({}, "REQUESTED", "DRIFT"),
    "latest-clean": ({"windows": ("OK", "DRIFT", "DRIFT")}, "NO_DRIFT", "NO_DRIFT"),
    "once": ({"windows": ("DRIFT", "OK", "OK")}, "NO_DRIFT", "NO_DRIFT"),
    "older-than-n": ({"windows": ("DRIFT", "OK", "OK", "DRIFT")}, "NO_DRIFT", "NO_DRIFT"),
    "too-few-rows": ({"windows": ("INSUFFICIENT", "DRIFT", "DRIFT")}, "INSUFFICIENT", "INSUFFICIENT"),
    "bad-data": ({"quality": ("blank",)}, "DATA_QUALITY", "DATA_QUALITY"),
    "cooldown": ({"attempts": (date(2026, 6, 28),)}, "SUPPRESSED", "COOLDOWN"),
    "cooled": ({"attempts": (date(2026, 6, 27),)}, "REQUESTED", "DRIFT"),
    "budget": ({"attempts": (date(2026, 6, 10), date(2026, 6, 15))}, "SUPPRESSED", "BUDGET"),
    "same-evidence": ({"known_evidence": frozenset({"e"})}, "SUPPRESSED", "SAME_EVIDENCE"),
    "few-labels": ({"new_labels": 99}, "SUPPRESSED", "TOO_FEW_NEW_LABELS"),
    "no-help": ({"last_attempt_helped": False}, "SUPPRESSED", "NEEDS_A_PERSON"),
}


@pytest.mark.parametrize("case", CASES)
def test_decision(case: str):
    change, outcome, code = CASES[case]
    decision = decide(replace(DRIFTED, **change), POLICY)
    assert decision.outcome == outcome
    assert decision.reasons[0].startswith(f"{code}:")


def test_every_brake_is_named():
    held = decide(replace(DRIFTED, new_labels=0, known_evidence=frozenset({"e"}), last_attempt_helped=False), POLICY)
    assert [reason.split(":")[0] for reason in held.reasons] == [
        "SAME_EVIDENCE",
        "TOO_FEW_NEW_LABELS",
        "NEEDS_A_PERSON",
    ]


def test_evidence_is_the_same_for_the_same_drift_only():
    one = evidence_fingerprint("churn", "1", ("a", "b"), "2026-06-30")
    assert one == evidence_fingerprint("churn", "1", ("b", "a"), "2026-06-30")
    assert one != evidence_fingerprint("churn", "2", ("a", "b"), "2026-06-30")
    assert one != evidence_fingerprint("churn", "1", ("a",), "2026-06-30")
