"""The gate on parts of real Telco rows: what passes, what each limit refuses, what there are too few rows for."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from include.evaluation.gate import Evidence, judge
from include.evaluation.verdict import Check, Outcome, Result, Verdict
from include.spec import Fairness, FairnessLimit, Gate, Rule, SliceRule, Slices, UseCase
from tests.unit.evaluation.conftest import Holdout

FRESH = "the champion is old"
BOTH = "gender and SeniorCitizen"


def with_gate(spec: UseCase, **changes: Any) -> UseCase:
    return spec.model_copy(update={"gate": spec.gate.model_copy(update=changes)})


def limited(spec: UseCase, confidence: float = 0.95, **limit: Any) -> UseCase:
    """The spec with one rule, and this limit of fairness alone."""
    rules = (Rule(metric="roc_auc", min_absolute_change=0.0),)
    return with_gate(spec, rules=rules, fairness=Fairness(limits=(FairnessLimit(**limit),), confidence=confidence))


def asking(spec: UseCase, *asked: SliceRule, metric: Any = "roc_auc", **settings: Any) -> UseCase:
    """The spec with one rule that asks this of slices."""
    rule = Rule(metric=metric, min_absolute_change=0.0, slices=asked)
    return with_gate(spec, rules=(rule,), fairness=Fairness(), slices=Slices(**settings))


def verdict_of(holdout: Holdout, spec: UseCase, scores: dict[str, np.ndarray] | None = None) -> Verdict:
    return judge(holdout.evidence(spec, scores), spec.gate, no_gain_needed=FRESH)


def of_parts(verdict: Verdict) -> dict[str, Check]:
    return {check.name: check for check in verdict.checks if check.slice}


def test_a_sound_model_passes_the_churn_gate(holdout: Holdout) -> None:
    verdict = verdict_of(holdout, holdout.spec)
    assert verdict.outcome == Outcome.PASS, verdict.summary
    found = of_parts(verdict)
    assert {check.result for check in found.values()} == {Result.PASSED}
    assert {name.partition("[")[0] for name in found} == {
        "roc_auc_floor",
        "roc_auc_regression",
        *(limit.metric for limit in holdout.spec.gate.fairness.limits),
    }
    for check in found.values():
        assert check.interval
        assert check.baseline is not None or check.name.startswith("roc_auc_floor")
        assert check.n > 300
    (insufficient,) = [reason.message for reason in verdict.reasons if reason.code == "INSUFFICIENT"]
    assert insufficient.startswith("too few rows: Contract: Two year (")


def test_the_artifact_has_every_slice_and_every_group(holdout: Holdout) -> None:
    plain = json.loads(verdict_of(holdout, holdout.spec).to_json())
    women = next(one for one in plain["slices"] if one["values"] == {"gender": "Female"})
    assert women["n"] == int((holdout.rows["gender"] == "Female").sum())
    assert {"value", "interval", "baseline", "gain", "n"} < set(women["figures"][0])
    assert [" ".join(one["by"]) for one in plain["fairness"]] == ["gender", "SeniorCitizen", "gender SeniorCitizen"]
    for found in plain["fairness"]:
        assert sum(group["n"] for group in found["groups"]) == len(holdout.rows)
        assert {one["metric"] for one in found["disparities"]} == set(
            FairnessLimit.model_fields["metric"].annotation.__args__
        )
        assert all(one["interval"]["low"] < one["value"] for one in found["disparities"])


@pytest.mark.parametrize(
    ("metric", "tight", "loose", "code"),
    [
        pytest.param("equal_opportunity", {"maximum": 0.03}, {"maximum": 0.3}, "EQUAL_OPPORTUNITY_EXCEEDED"),
        pytest.param("equalized_odds", {"maximum": 0.1}, {"maximum": 0.5}, "EQUALIZED_ODDS_EXCEEDED"),
        pytest.param("predictive_parity", {"maximum": 0.03}, {"maximum": 0.3}, "PREDICTIVE_PARITY_EXCEEDED"),
        pytest.param("demographic_parity", {"maximum": 0.1}, {"maximum": 0.5}, "DEMOGRAPHIC_PARITY_EXCEEDED"),
        pytest.param("selection_rate_ratio", {"minimum": 0.8}, {"minimum": 0.4}, "SELECTION_RATE_RATIO_TOO_LOW"),
    ],
)  # fmt: skip
def test_each_limit_refuses_a_real_model(
    holdout: Holdout, metric: str, tight: dict[str, float], loose: dict[str, float], code: str
) -> None:
    """By age the rates of every model of Telco differ: of the older 41 % leave, of the others 24 %."""
    for limit, expected in ((tight, code), (loose, "OK")):
        verdict = verdict_of(holdout, limited(holdout.spec, metric=metric, by=("SeniorCitizen",), **limit))
        check = of_parts(verdict)[f"{metric}[SeniorCitizen]"]
        assert (check.code, check.limit) == (expected, next(iter(limit.values())))
        assert verdict.promotes == (expected == "OK")
        assert (expected in {reason.code for reason in verdict.reasons}) == check.failed


@pytest.mark.parametrize(
    "limit", ["equal_opportunity", "equalized_odds", "demographic_parity", "selection_rate_ratio", "calibration"]
)
def test_a_score_that_is_biased_against_women_is_refused(holdout: Holdout, limit: str) -> None:
    women = (holdout.rows["gender"] == "Female").to_numpy()
    biased = {name: np.where(women, 0.6 * scores, scores) for name, scores in holdout.scores.items()}
    (rule,) = [one for one in holdout.spec.gate.fairness.limits if one.metric == limit and one.by == ("gender",)]
    spec = limited(holdout.spec, metric=limit, by=rule.by, maximum=rule.maximum, minimum=rule.minimum)
    assert of_parts(verdict_of(holdout, spec))[f"{limit}[gender]"].passed
    assert of_parts(verdict_of(holdout, spec, biased))[f"{limit}[gender]"].failed


def test_the_limit_of_a_grouping_wins_over_the_general_one(holdout: Holdout) -> None:
    limits = (
        FairnessLimit(metric="demographic_parity", maximum=0.1),
        FairnessLimit(metric="demographic_parity", maximum=0.5, by=("SeniorCitizen", "gender")),
    )
    found = of_parts(verdict_of(holdout, with_gate(holdout.spec, fairness=Fairness(limits=limits))))
    limit = {name: check.limit for name, check in found.items() if check.metric == "demographic_parity"}
    assert limit == {
        "demographic_parity[gender]": 0.1,
        "demographic_parity[SeniorCitizen]": 0.1,
        f"demographic_parity[{BOTH}]": 0.5,
    }


def test_what_may_be_chance_passes_and_says_so(holdout: Holdout) -> None:
    limit = {"metric": "predictive_parity", "maximum": 0.001, "by": ("gender",)}
    verdict = verdict_of(holdout, limited(holdout.spec, **limit))
    check = of_parts(verdict)["predictive_parity[gender]"]
    assert (check.result, check.code) == (Result.PASSED, "WITHIN_CHANCE")
    assert check.value > check.limit
    assert (verdict.outcome, "WITHIN_CHANCE" in verdict.summary) == (Outcome.PASS, True)
    assert verdict_of(holdout, limited(holdout.spec, confidence=0.0, **limit)).outcome == Outcome.FAIL


def test_many_limits_do_not_refuse_more_often_by_chance(holdout: Holdout) -> None:
    """A p-value that one limit alone takes for a difference is none of the rarest among twelve."""
    one = with_gate(holdout.spec, fairness=Fairness(limits=(FairnessLimit(metric="calibration", maximum=0.001),)))
    evidence = holdout.evidence(one)
    found = [
        replace(part, disparities=tuple(replace(d, value=0.2, p_value=0.02) for d in part.disparities))
        for part in evidence.fairness
    ]
    for groups, code in ((found[:1], "CALIBRATION_EXCEEDED"), (found, "WITHIN_CHANCE")):
        verdict = judge(replace(evidence, fairness=tuple(groups)), one.gate, no_gain_needed=FRESH)
        assert {check.code for check in verdict.checks if check.metric == "calibration"} == {code}


def test_no_confidence_is_so_high_that_no_difference_fails(holdout: Holdout) -> None:
    """All limits of the churn gate, on a score that is cut for women: it is refused, or nothing is judged."""
    women = (holdout.rows["gender"] == "Female").to_numpy()
    biased = {name: np.where(women, 0.3 * scores, scores) for name, scores in holdout.scores.items()}
    for confidence, outcome in ((0.95, Outcome.FAIL), (0.999, Outcome.FAIL), (0.9999999, Outcome.NOT_EVALUATED)):
        strict = holdout.spec.gate.fairness.model_copy(update={"confidence": confidence})
        verdict = verdict_of(holdout, with_gate(holdout.spec, fairness=strict), biased)
        assert verdict.outcome == outcome
        assert ("CONFIDENCE_TOO_HIGH" in verdict.summary) == (outcome == Outcome.NOT_EVALUATED)
        assert of_parts(verdict)["demographic_parity[gender]"].failed == (outcome == Outcome.FAIL)


SENIORS = {"SeniorCitizen": "1"}


@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        pytest.param([SliceRule(by=("SeniorCitizen",), floor=0.7)], ["OK", "OK"], id="all slices of a column"),
        pytest.param([SliceRule(where=SENIORS, floor=0.99)], ["BELOW_FLOOR"], id="one slice"),
        pytest.param(
            [SliceRule(by=("SeniorCitizen",), floor=0.99), SliceRule(where=SENIORS, floor=0.5)],
            ["BELOW_FLOOR", "OK"],
            id="the value wins over its column",
        ),
        pytest.param(
            [SliceRule(where={"SeniorCitizen": "1", "gender": "Male"}, floor=0.6)], ["OK"], id="an intersection"
        ),
        pytest.param([SliceRule(where=SENIORS, max_regression=0.2)], ["OK"], id="a loss ruled out"),
        pytest.param([SliceRule(where=SENIORS, max_regression=0.0)], ["LOSS_NOT_RULED_OUT"], id="a loss not ruled out"),
    ],
)
def test_rules_of_slices(holdout: Holdout, asked: list[SliceRule], codes: list[str]) -> None:
    verdict = verdict_of(holdout, asking(holdout.spec, *asked))
    assert [check.code for check in of_parts(verdict).values()] == codes
    assert verdict.promotes == (set(codes) == {"OK"})


def test_a_loss_in_one_slice_is_seen_where_all_rows_together_show_none(holdout: Holdout) -> None:
    """Noise on the scores of one group in six."""
    old, random = (holdout.rows["SeniorCitizen"] == "1").to_numpy(), np.random.default_rng(1)
    worse = np.where(
        old, np.clip(holdout.scores["champion"] + random.normal(0, 0.25, len(old)), 0, 1), holdout.scores["challenger"]
    )
    asked = SliceRule(by=("SeniorCitizen",), max_regression=0.02)
    found = of_parts(verdict_of(holdout, asking(holdout.spec, asked), {**holdout.scores, "challenger": worse}))
    assert [(check.slice, check.code) for check in found.values()] == [
        ("SeniorCitizen: 0", "OK"),
        ("SeniorCitizen: 1", "WORSE_THAN_CHAMPION"),
    ]


@pytest.mark.parametrize(("on", "outcome"), [("report", Outcome.PASS), ("block", Outcome.NOT_EVALUATED)])
def test_too_few_rows_never_pass_silently(holdout: Holdout, on: Any, outcome: Outcome) -> None:
    asked = SliceRule(by=("SeniorCitizen",), floor=0.7)
    spec = asking(holdout.spec, asked, minimum_support=500, on_insufficient=on)
    spec = with_gate(spec, fairness=Fairness(limits=(FairnessLimit(metric="calibration", maximum=0.5),)))
    verdict = verdict_of(holdout, spec)
    found = of_parts(verdict)
    assert verdict.outcome == outcome
    older = int((holdout.rows["SeniorCitizen"] == "1").sum())
    assert found["roc_auc[SeniorCitizen: 1]"].result == Result.INSUFFICIENT
    assert found["roc_auc[SeniorCitizen: 1]"].n == older
    assert found["calibration[SeniorCitizen]"].result == Result.INSUFFICIENT
    assert found["roc_auc_floor[SeniorCitizen: 0]"].passed
    (reason,) = [one for one in verdict.reasons if one.code == "INSUFFICIENT"]
    assert f"SeniorCitizen: 1 ({older})" in reason.message
    passed = sum(check.passed for check in verdict.checks)
    assert f", {passed} of {passed} checks passed" in verdict.summary


def without(evidence: Evidence, what: str) -> Evidence:
    match what:
        case "slices" | "fairness":
            return replace(evidence, **{what: ()})
        case "champion of the slices":
            bare = [replace(p, figures=tuple(replace(f, gain=None) for f in p.figures)) for p in evidence.slices]
            return replace(evidence, slices=tuple(bare))
        case _:
            nan = [replace(p, figures=tuple(replace(f, value=np.nan) for f in p.figures)) for p in evidence.slices]
            return replace(evidence, slices=tuple(nan))


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("slices", "SLICES_MISSING"),
        ("champion of the slices", "SLICES_MISSING"),
        ("fairness", "FAIRNESS_MISSING"),
        ("the figures", "METRIC_MISSING"),
    ],
)
def test_what_is_asked_and_was_not_measured_is_not_evaluated(holdout: Holdout, what: str, code: str) -> None:
    verdict = judge(without(holdout.evidence(holdout.spec), what), holdout.spec.gate, no_gain_needed=FRESH)
    assert verdict.outcome == Outcome.NOT_EVALUATED
    assert {reason.code for reason in verdict.reasons} == {code}


def test_a_ratio_of_nothing_is_not_evaluated(holdout: Holdout) -> None:
    """A model that selects nobody has no selection-rate ratio, and is not fair by that."""
    nobody = {name: scores * 0.2 for name, scores in holdout.scores.items()}
    spec = limited(holdout.spec, metric="selection_rate_ratio", minimum=0.8)
    verdict = verdict_of(holdout, spec, nobody)
    assert verdict.outcome == Outcome.NOT_EVALUATED
    assert {reason.code for reason in verdict.reasons} == {"METRIC_MISSING"}


def test_without_a_champion_slices_have_floors_alone(holdout: Holdout) -> None:
    alone = {"challenger": holdout.scores["challenger"]}
    verdict = verdict_of(holdout, holdout.spec, alone)
    assert (verdict.outcome, verdict.cold_start) == (Outcome.PASS, True)
    assert all(figure.gain is None for part in verdict.slices for figure in part.figures)
    assert not any("regression" in name for name in of_parts(verdict))


def test_a_gate_without_any_of_it_asks_for_none() -> None:
    plain = Gate(rules=(Rule(metric="roc_auc", floor=0.7, min_absolute_change=0.0),))
    assert (plain.slices.by, plain.fairness.limits) == ((), ())
