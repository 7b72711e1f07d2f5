"""A threshold for each group, so that the groups do not differ in the rate that the spec names.

The thresholds are chosen on the scores of the folds: of training rows, each from a model that had not seen it. The
hold-out only shows what they do. M. Hardt, E. Price, N. Srebro, "Equality of Opportunity in Supervised Learning", NIPS
2016; unlike theirs, a decision is never drawn by lot, so that equalised odds, which needs that, is no constraint here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.evaluation import fairness
from include.evaluation.fairness import Decided
from include.evaluation.metrics import worth
from include.evaluation.slices import Grouping, grouping
from include.evaluation.thresholds import Thresholds
from include.spec import Constraint, Decision, Slices, UseCase


@dataclass(frozen=True, slots=True)
class Mitigation:
    """What thresholds by group do on the hold-out: how far the groups differ, and what a row is worth.

    ``before`` is with one threshold for all; NaN where the groups have too few rows.
    """

    thresholds: Thresholds
    before: float
    after: float
    profit_before: float
    profit_after: float


def choose(
    division: Grouping,
    labels: np.ndarray,
    scores: np.ndarray,
    constraint: Constraint,
    decision: Decision,
    support: Slices,
) -> Thresholds:
    """For each group the score from which on its rate is that of all rows at the decision's threshold.

    ``labels`` (0 or 1) and ``scores`` (probabilities) are of shape (rows,). Groups with too few rows have none of their
    own.
    """
    counted = labels == 1 if constraint == "equal_opportunity" else np.ones(len(labels), bool)
    rate = float((scores[counted] >= decision.threshold).mean())
    groups = {}
    for name, places in zip(division.names, division.rows(), strict=True):
        own = np.sort(scores[places][counted[places]])[::-1]
        if len(places) >= support.minimum_support and len(own) >= support.minimum_class_support:
            groups[name] = float(own[max(round(rate * len(own)), 1) - 1])
    return Thresholds(
        constraint=constraint, by=division.by, groups=groups, otherwise=decision.threshold, rows=len(labels)
    )


def effect(
    thresholds: Thresholds, rows: pd.DataFrame, labels: np.ndarray, scores: np.ndarray, spec: UseCase
) -> Mitigation:
    """What ``thresholds`` change on ``rows``, which have their columns; labels and scores are of shape (rows,)."""
    division, decision, support = grouping(rows, thresholds.by, spec), spec.decision, spec.gate.slices
    chosen = scores >= decision.threshold, thresholds.decide(scores, division.of_rows)
    found = [
        fairness.measure([division], labels, {"challenger": Decided(scores, c)}, support, seed=0)[0] for c in chosen
    ]
    before, after = (
        next(one.value for one in measured.disparities if one.metric == thresholds.constraint) for measured in found
    )
    # Of a score, worth looks only at whether it is acted on: 1 is, and 0 is not.
    profits = (float(worth(decision, one.astype(np.float64), labels).mean()) for one in chosen)
    return Mitigation(thresholds, before, after, *profits)
