"""Three verdicts; whatever cannot be judged is not promoted."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from include.evaluation.gate import Outcome, Reason, judge
from include.evaluation.metrics import Metrics
from include.spec import Gate, Rule

GOOD = Metrics(0.85, 0.83, 0.87, 0.66, 0.14, 0.42, 0.6, 0.65, 0.55, 2.8, 1000, 260, 0.26, 0.5)
DUMMY = Metrics(0.5, 0.5, 0.5, 0.26, 0.19, 0.57, 0.0, 0.0, 0.0, 1.0, 1000, 260, 0.26, 0.5)
AUC = Rule(metric="roc_auc", threshold=0.8, max_regression=0.01)
BRIER = Rule(metric="brier", threshold=0.18, max_regression=0.01, greater_is_better=False)
GATE = Gate(minimum_rows=300, minimum_class_rows=50, beats_dummy_by=0.1, rules=(AUC, BRIER))


@pytest.mark.parametrize(
    ("change", "outcome", "codes"),
    [
        pytest.param({}, Outcome.PASS, {"ALL_CHECKS_PASSED"}, id="equal to the champion"),
        pytest.param({"roc_auc": 0.84}, Outcome.PASS, {"ALL_CHECKS_PASSED"}, id="worse by exactly what is allowed"),
        pytest.param({"roc_auc": 0.8399}, Outcome.FAIL, {"WORSE_THAN_CHAMPION"}, id="worse by more"),
        pytest.param({"brier": 0.15}, Outcome.PASS, {"ALL_CHECKS_PASSED"}, id="brier at the limit"),
        pytest.param({"brier": 0.1501}, Outcome.FAIL, {"WORSE_THAN_CHAMPION"}, id="brier above the limit"),
        pytest.param({"brier": 0.19}, Outcome.FAIL, {"WORSE_THAN_CHAMPION", "BELOW_FLOOR"}, id="all that fails"),
        pytest.param(
            {"roc_auc": 0.59},
            Outcome.FAIL,
            {"NOT_BETTER_THAN_DUMMY", "BELOW_FLOOR", "WORSE_THAN_CHAMPION"},
            id="no better than the dummy",
        ),
        pytest.param({"roc_auc": math.nan}, Outcome.NOT_EVALUATED, {"METRIC_MISSING"}, id="nan"),
    ],
)
def test_against_a_champion(change: dict[str, float], outcome: Outcome, codes: set[str]) -> None:
    verdict = judge(replace(GOOD, **change), GOOD, DUMMY, GATE)
    assert verdict.outcome == outcome
    assert verdict.promotes == (outcome == Outcome.PASS)
    assert {reason.code for reason in verdict.reasons} == codes
    assert len(verdict.checks) == 6  # all of them, whatever the first ones say
    assert not verdict.cold_start


@pytest.mark.parametrize(
    ("change", "outcome", "codes"),
    [
        pytest.param({}, Outcome.PASS, {"ALL_CHECKS_PASSED", "COLD_START"}, id="good"),
        pytest.param({"roc_auc": 0.79}, Outcome.FAIL, {"BELOW_FLOOR", "COLD_START"}, id="below the floor"),
    ],
)
def test_cold_start(change: dict[str, float], outcome: Outcome, codes: set[str]) -> None:
    verdict = judge(replace(GOOD, **change), None, DUMMY, GATE)
    assert (verdict.outcome, verdict.cold_start) == (outcome, True)
    assert {reason.code for reason in verdict.reasons} == codes
    assert [check.name for check in verdict.checks] == [
        "beats_dummy",
        "roc_auc_threshold",
        "brier_threshold",
        "roc_auc_ceiling",
    ]


SAW = Reason("CHAMPION_SAW_HOLDOUT", "the champion was trained on hold-out rows")
FEW = {"n": 299, "positives": 80}


@pytest.mark.parametrize(
    ("challenger", "champion", "dummy", "gate", "given", "code"),
    [
        pytest.param(GOOD, GOOD, DUMMY, GATE.model_copy(update={"rules": ()}), None, "NO_RULES", id="no rules"),
        pytest.param(None, GOOD, DUMMY, GATE, None, "NO_CHALLENGER_METRICS", id="no metrics"),
        pytest.param(*(replace(m, **FEW) for m in (GOOD, GOOD, DUMMY)), GATE, None, "TOO_FEW_ROWS", id="rows"),
        pytest.param(
            *(replace(m, positives=49) for m in (GOOD, GOOD, DUMMY)), GATE, None, "TOO_FEW_CLASS_ROWS", id="positives"
        ),
        pytest.param(
            *(replace(m, positives=951) for m in (GOOD, GOOD, DUMMY)), GATE, None, "TOO_FEW_CLASS_ROWS", id="negatives"
        ),
        pytest.param(GOOD, replace(GOOD, roc_auc=math.nan), DUMMY, GATE, None, "METRIC_MISSING", id="champion nan"),
        pytest.param(GOOD, GOOD, replace(DUMMY, roc_auc=math.nan), GATE, None, "METRIC_MISSING", id="dummy nan"),
        pytest.param(GOOD, replace(GOOD, n=999), DUMMY, GATE, None, "NOT_THE_SAME_ROWS", id="other rows"),
        pytest.param(GOOD, None, DUMMY, GATE, SAW, "CHAMPION_SAW_HOLDOUT", id="given reason"),
    ],
)
def test_what_cannot_be_judged(challenger, champion, dummy, gate: Gate, given: Reason | None, code: str) -> None:
    verdict = judge(challenger, champion, dummy, gate, not_evaluated=given)
    assert verdict.outcome == Outcome.NOT_EVALUATED
    assert not verdict.promotes
    assert {reason.code for reason in verdict.reasons} == {code}


@pytest.mark.parametrize(("auc", "outcome"), [(0.5, Outcome.FAIL), (0.5001, Outcome.PASS)])
def test_a_tie_with_the_dummy_does_not_beat_it(auc: float, outcome: Outcome) -> None:
    gate = GATE.model_copy(update={"beats_dummy_by": 0.0, "rules": (BRIER,)})
    assert judge(replace(GOOD, roc_auc=auc), None, DUMMY, gate).outcome == outcome


def test_json_and_summary() -> None:
    verdict = judge(replace(GOOD, roc_auc=math.nan), GOOD, DUMMY, GATE)
    plain = json.loads(verdict.to_json())
    assert plain["outcome"] == "NOT_EVALUATED"
    assert plain["checks"][0]["value"] is None
    assert plain["summary"] == verdict.summary
    assert "\n" not in verdict.summary
    assert "METRIC_MISSING" in verdict.summary
