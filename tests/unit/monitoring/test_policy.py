"""The retrain policy: each brake holds by itself, and without any the request is made."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from include.monitoring.policy import Cause, Facts, decide, evidence_fingerprint
from include.monitoring.windows import Verdict, Window
from include.spec import RetrainPolicy

POLICY = RetrainPolicy(
    num_evaluation_windows=3, num_violation_windows=2, cooldown_hours=72, max_retrains_per_30d=2, min_new_labels=100
)


def windows(*verdicts: Verdict) -> tuple[Window, ...]:
    """Windows of three days, newest first, the newest up to 2026-06-30."""
    ends = ("2026-06-30", "2026-06-27", "2026-06-24", "2026-06-21", "2026-06-18")
    return tuple(Window(first, end, v, f"note of {v}") for v, end, first in zip(verdicts, ends, ends[1:], strict=False))


def attempts(*days: int) -> tuple[date, ...]:
    return tuple(date(2026, 6, day) for day in days)


DRIFTED = Facts(date(2026, 6, 30), windows("DRIFT", "OK", "DRIFT"), new_labels=500)
COUNTED = "2 of 3 windows drifted, 2 needed"
CASES = {
    "fires": ({}, "REQUESTED", f"DRIFT: {COUNTED}: note of DRIFT"),
    "newest-clean": ({"windows": windows("OK", "DRIFT", "DRIFT")}, "NO_DRIFT", f"{COUNTED}; the newest did not"),
    "once": ({"windows": windows("DRIFT", "OK", "OK")}, "NO_DRIFT", "1 of 3 windows drifted, 2 needed; the newest did"),
    "older-than-n": ({"windows": windows("DRIFT", "OK", "OK", "DRIFT")}, "NO_DRIFT", "1 of 3 windows"),
    "too-few-rows": ({"windows": windows("INSUFFICIENT", "DRIFT", "DRIFT")}, "INSUFFICIENT", "note of INSUFFICIENT"),
    "few-rows-between": ({"windows": windows("DRIFT", "INSUFFICIENT", "DRIFT")}, "REQUESTED", "2 of 2 windows"),
    "few-rows-before": ({"windows": windows("DRIFT", "INSUFFICIENT", "OK")}, "NO_DRIFT", "1 of 2 windows"),
    "trained-on": ({"windows": windows("TRAINED_ON", "DRIFT", "DRIFT")}, "NO_DRIFT", "note of TRAINED_ON"),
    "trained-on-before": ({"windows": windows("DRIFT", "TRAINED_ON", "TRAINED_ON")}, "NO_DRIFT", "1 of 1 windows"),
    "bad-before": ({"windows": windows("DRIFT", "DATA_QUALITY", "DRIFT")}, "REQUESTED", "2 of 2 windows"),
    "bad-before-no-evidence": ({"windows": windows("DRIFT", "DATA_QUALITY", "OK")}, "NO_DRIFT", "1 of 2 windows"),
    "bad-data": ({"faults": ("blank", "late")}, "DATA_QUALITY", "DATA_QUALITY: blank, DATA_QUALITY: late"),
    "bad-data-without-drift": ({"faults": ("blank",), "windows": windows("OK", "OK", "OK")}, "DATA_QUALITY", "blank"),
    "cooldown": (
        {"attempts": attempts(27), "as_of": date(2026, 6, 29)},
        "SUPPRESSED",
        "COOLDOWN: a retrain was asked for as of 2026-06-27; 72 h",
    ),
    "cooled": ({"attempts": attempts(27)}, "REQUESTED", "DRIFT"),
    "budget": ({"attempts": attempts(1, 15)}, "SUPPRESSED", "BUDGET: 2 retrains in 30 days, at most 2"),
    "budget-is-back": ({"attempts": (date(2026, 5, 31), *attempts(15))}, "REQUESTED", "DRIFT"),
    "overlapping-days": (
        {"attempts": attempts(28), "as_of": date(2026, 7, 1)},
        "SUPPRESSED",
        "SAME_EVIDENCE: days from 2026-06-27",
    ),
    "judged-in-retrospect": (
        {"attempts": (date(2026, 9, 1),)},
        "SUPPRESSED",
        "COOLDOWN: a retrain was asked for as of 2026-09-01",
    ),
    "pending": (
        {"attempts": attempts(20), "pending": True},
        "SUPPRESSED",
        "PENDING: the retrain that was asked for as of 2026-06-20",
    ),
    "few-labels": ({"new_labels": 99}, "SUPPRESSED", "TOO_FEW_NEW_LABELS: 99 since the champion's, at least 100"),
    "enough-labels": ({"new_labels": 100}, "REQUESTED", "DRIFT"),
    "no-help": ({"attempts": attempts(20), "unhelped": True}, "SUPPRESSED", "NEEDS_A_PERSON"),
    "dry-run": ({"dry_run": True}, "SUPPRESSED", "DRY_RUN"),
}


@pytest.mark.parametrize("case", CASES)
def test_decision(case: str):
    change, outcome, said = CASES[case]
    decision = decide(replace(DRIFTED, **change), POLICY)
    assert decision.outcome == outcome
    assert said in ", ".join(decision.reasons)


HOLDING = {
    "COOLDOWN": {"attempts": attempts(29)},
    "BUDGET": {"attempts": attempts(28, 29)},
    "SAME_EVIDENCE": {"attempts": attempts(29)},
    "PENDING": {"pending": True},
    "TOO_FEW_NEW_LABELS": {"new_labels": 0},
    "NEEDS_A_PERSON": {"unhelped": True},
    "DRY_RUN": {"dry_run": True},
}


def test_every_brake_that_holds_is_named():
    facts = DRIFTED
    for change in HOLDING.values():
        facts = replace(facts, **change)
    facts = replace(facts, **HOLDING["BUDGET"])
    assert [reason.partition(":")[0] for reason in decide(facts, POLICY).reasons] == list(HOLDING)


@pytest.mark.parametrize("windows", [windows("OK", "OK", "OK"), windows("DRIFT", "OK", "OK")], ids=["quiet", "once"])
def test_without_drift_no_brake_is_named(windows: tuple[Window, ...]):
    facts = replace(DRIFTED, windows=windows, pending=True, unhelped=True, new_labels=0, attempts=attempts(28, 29))
    assert decide(facts, POLICY).outcome == "NO_DRIFT"


def test_a_cool_down_of_hours_that_are_no_whole_days_is_kept():
    policy = POLICY.model_copy(update={"cooldown_hours": 36})
    facts = replace(DRIFTED, attempts=attempts(26), windows=windows("DRIFT", "DRIFT"))
    held = {day: decide(replace(facts, as_of=date(2026, 6, day)), policy).outcome for day in (27, 28)}
    assert held == {27: "SUPPRESSED", 28: "REQUESTED"}


def test_evidence_is_the_days_whatever_is_found_when_they_are_judged_again():
    one = windows("DRIFT")[0]
    assert evidence_fingerprint("churn", one) == evidence_fingerprint("churn", replace(one, verdict="OK", note="late"))
    others = [replace(one, first="2026-06-28"), replace(one, end="2026-07-01")]
    found = {evidence_fingerprint("churn", other) for other in [one, *others]} | {evidence_fingerprint("loans", one)}
    assert len(found) == 4


DROP = Cause("PERFORMANCE", "ROC AUC 0.80", known_from="2026-06-28", labels=500, learned="labels of the drop")
QUIET = replace(DRIFTED, windows=windows("OK", "OK", "OK"), drop=DROP)
OF_A_DROP = {
    "alone": ({}, "REQUESTED", ["PERFORMANCE"], "PERFORMANCE: ROC AUC 0.80"),
    "few-rows-of-data": ({"windows": windows("INSUFFICIENT")}, "REQUESTED", ["PERFORMANCE"], "PERFORMANCE"),
    "with-drift": ({"windows": windows("DRIFT", "DRIFT", "OK")}, "REQUESTED", ["DRIFT", "PERFORMANCE"], "PERFORMANCE"),
    "bad-data": ({"faults": ("blank",)}, "DATA_QUALITY", [], "DATA_QUALITY: blank"),
    "cooldown": ({"attempts": attempts(28)}, "SUPPRESSED", [], "COOLDOWN"),
    "budget": ({"attempts": attempts(2, 15)}, "SUPPRESSED", [], "BUDGET"),
    "labels-that-were-known": (
        {"attempts": attempts(29), "as_of": date(2026, 7, 9)},
        *(
            "SUPPRESSED",
            [],
            "SAME_EVIDENCE: labels known from 2026-06-28 on, and a retrain was asked for with all labels",
        ),
    ),
    "days-that-were-known-without-labels": ({"attempts": attempts(27)}, "REQUESTED", ["PERFORMANCE"], "PERFORMANCE"),
    "pending": ({"attempts": attempts(20), "pending": True}, "SUPPRESSED", [], "PENDING"),
    "nothing-to-learn-yet": (
        {"drop": replace(DROP, labels=99)},
        *("SUPPRESSED", [], "TOO_FEW_NEW_LABELS: 99 labels of the drop, at least 100 needed"),
    ),
    "no-help": (
        {"drop": replace(DROP, unhelped=True)},
        "SUPPRESSED",
        [],
        "NEEDS_A_PERSON: the last retrain for this drop",
    ),
    "no-help-against-drift-only": (
        {"windows": windows("DRIFT", "DRIFT"), "unhelped": True, "attempts": attempts(20)},
        *("REQUESTED", ["PERFORMANCE"], "PERFORMANCE"),
    ),
    "dry-run": ({"dry_run": True}, "SUPPRESSED", [], "DRY_RUN"),
}


@pytest.mark.parametrize("case", OF_A_DROP)
def test_a_drop_of_the_performance_asks_by_the_same_policy(case: str):
    change, outcome, causes, said = OF_A_DROP[case]
    decision = decide(replace(QUIET, **change), POLICY)
    assert (decision.outcome, list(decision.causes)) == (outcome, causes)
    assert said in ", ".join(decision.reasons)


def test_labels_of_other_days_are_other_evidence():
    one = windows("DRIFT")[0]
    found = {evidence_fingerprint("churn", one, drop) for drop in (None, ("2026-06-01", "2026-06-15"), ("a", "b"))}
    assert len(found) == 3
