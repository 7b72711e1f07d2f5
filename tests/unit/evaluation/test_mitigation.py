"""Thresholds by group bring the groups together on rows that they were not chosen on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from include.evaluation import mitigation, parts
from include.evaluation.gate import judge
from include.evaluation.metrics import worth
from include.evaluation.mitigation import Mitigation
from include.evaluation.slices import grouping
from include.evaluation.thresholds import Thresholds
from include.spec import Constraint, Slices
from tests.unit.evaluation.conftest import Holdout

BY = ("SeniorCitizen",)


def halves(holdout: Holdout, constraint: Constraint, by: tuple[str, ...] = BY) -> tuple[Thresholds, Mitigation]:
    """Thresholds that are chosen on every second row, and what they do on the others."""
    spec, scores, odd = holdout.spec, holdout.scores["challenger"], np.arange(len(holdout.labels)) % 2 == 1
    division = grouping(holdout.rows[odd], by, spec)
    chosen = mitigation.choose(division, holdout.labels[odd], scores[odd], constraint, spec.decision, spec.gate.slices)
    return chosen, mitigation.effect(chosen, holdout.rows[~odd], holdout.labels[~odd], scores[~odd], spec)


@pytest.mark.parametrize("constraint", ["equal_opportunity", "demographic_parity"])
def test_the_constraint_holds_better_on_other_rows(holdout: Holdout, constraint: Constraint) -> None:
    chosen, found = halves(holdout, constraint)
    assert found.after < 0.6 * found.before
    assert found.thresholds == chosen
    # Older customers score higher, so that they have to reach more to be selected as often.
    assert chosen.groups["SeniorCitizen: 1"] > holdout.spec.decision.threshold > 0
    assert found.profit_before != found.profit_after


def test_on_the_rows_that_they_are_chosen_on_the_rates_are_equal_but_for_a_row(holdout: Holdout) -> None:
    spec, scores, labels = holdout.spec, holdout.scores["challenger"], holdout.labels
    division = grouping(holdout.rows, BY, spec)
    chosen = mitigation.choose(division, labels, scores, "demographic_parity", spec.decision, spec.gate.slices)
    acted_on, target = chosen.decide(scores, division.of_rows), (scores >= spec.decision.threshold).mean()
    for places in division.rows():
        assert acted_on[places].mean() == pytest.approx(target, abs=1 / len(places))
    assert (chosen.rows, chosen.by, chosen.otherwise) == (len(labels), BY, spec.decision.threshold)


def test_profit_is_that_of_the_rows_that_are_acted_on(holdout: Holdout) -> None:
    spec, scores, labels = holdout.spec, holdout.scores["challenger"], holdout.labels
    everybody = Thresholds(constraint="demographic_parity", by=BY, groups={}, otherwise=0.0, rows=1)
    found = mitigation.effect(everybody, holdout.rows, labels, scores, spec)
    decision = spec.decision
    assert found.profit_before == pytest.approx(worth(decision, scores, labels).mean())
    rate = labels.mean()
    assert found.profit_after == pytest.approx(rate * decision.true_positive + (1 - rate) * decision.false_positive)


def test_a_group_with_few_rows_has_the_threshold_of_all(holdout: Holdout) -> None:
    spec, scores, labels = holdout.spec, holdout.scores["challenger"], holdout.labels
    division = grouping(holdout.rows, BY, spec)
    few = Slices(minimum_support=1000)
    chosen = mitigation.choose(division, labels, scores, "equal_opportunity", spec.decision, few)
    assert set(chosen.groups) == {"SeniorCitizen: 0"}
    names = ["SeniorCitizen: 1", "SeniorCitizen: unknown"]
    on = np.full(2, spec.decision.threshold)
    assert chosen.decide(on, names).tolist() == [True, True]
    assert chosen.decide(on - 1e-9, names).tolist() == [False, False]


def test_a_champion_by_groups_that_are_there_no_more_has_one_threshold(holdout: Holdout) -> None:
    gone = Thresholds(
        constraint="demographic_parity", by=("region",), groups={"region: north": 0.0}, otherwise=0.0, rows=1
    )
    measured = [
        parts.measure(holdout.rows, holdout.labels, holdout.scores, holdout.spec, {"champion": thresholds})
        for thresholds in (gone, None)
    ]
    assert measured[0] == measured[1]


def test_the_verdict_is_on_what_is_decided_and_says_so(holdout: Holdout) -> None:
    """The limit fails with one threshold for all, and holds with one for each group."""
    thresholds, _ = halves(holdout, "demographic_parity")
    spec, challenger = holdout.spec, {"challenger": holdout.scores["challenger"]}
    limit = {"limits": [{"metric": "demographic_parity", "maximum": 0.1, "by": BY}]}
    gate = spec.gate.model_copy(update={"fairness": type(spec.gate.fairness).model_validate(limit)})
    spec = spec.model_copy(update={"gate": gate})
    evidence = holdout.evidence(spec, challenger)
    assert judge(evidence, gate).reasons[0].code == "DEMOGRAPHIC_PARITY_EXCEEDED"
    _, fair = parts.measure(holdout.rows, holdout.labels, challenger, spec, {"challenger": thresholds})
    done = mitigation.effect(thresholds, holdout.rows, holdout.labels, challenger["challenger"], spec)
    verdict = judge(replace(evidence, fairness=fair, mitigation=done), gate)
    assert verdict.promotes, verdict.summary
    (told,) = [reason.message for reason in verdict.reasons if reason.code == "MITIGATED"]
    assert "SeniorCitizen: 1 from" in told
    assert f"is {done.after:.4f} instead of {done.before:.4f}" in told
