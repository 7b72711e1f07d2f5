"""Figures against scikit-learn, textbook values and the definition of the interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from include.evaluation.metrics import delong_interval, evaluate, lift

LABELS = np.array([0, 0, 1, 1, 0, 1, 0, 0, 1, 0])
SCORES = np.array([0.1, 0.4, 0.35, 0.8, 0.2, 0.9, 0.5, 0.3, 0.6, 0.35])


def test_figures_of_a_small_case() -> None:
    metrics = evaluate(LABELS, SCORES)
    assert metrics.roc_auc == pytest.approx(21.5 / 24)
    assert (metrics.precision, metrics.recall) == (0.75, 0.75)
    assert metrics.f1 == pytest.approx(0.75)
    assert metrics.brier == pytest.approx(np.mean((SCORES - LABELS) ** 2))
    assert metrics.lift_at_10 == pytest.approx(2.5)
    assert (metrics.n, metrics.positives, metrics.base_rate) == (10, 4, 0.4)
    assert metrics.as_dict()["roc_auc"] == metrics.roc_auc


def test_interval_is_that_of_the_definition() -> None:
    """The variance from the matrix of all pairs, which the midranks only compute faster."""
    positive, negative = SCORES[LABELS == 1], SCORES[LABELS == 0]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = wins.mean(1).var(ddof=1) / len(positive) + wins.mean(0).var(ddof=1) / len(negative)
    half = 1.959963984540054 * math.sqrt(variance)
    low, high = delong_interval(LABELS, SCORES)
    assert low == pytest.approx(wins.mean() - half)
    assert high == pytest.approx(min(1, wins.mean() + half))


def test_interval_covers_the_truth_in_95_of_100() -> None:
    random = np.random.default_rng(5)
    truth, covered = 0.7602499389065233, 0  # the normal distribution at 1 / sqrt(2)
    for _ in range(600):
        scores = np.concatenate([random.normal(1, 1, 150), random.normal(0, 1, 350)])
        low, high = delong_interval(np.repeat([1, 0], [150, 350]), scores)
        covered += low <= truth <= high
    assert 0.925 <= covered / 600 <= 0.975


def test_a_constant_score_knows_nothing() -> None:
    metrics = evaluate(LABELS, np.full(10, 0.4))
    assert (metrics.roc_auc, metrics.roc_auc_low, metrics.roc_auc_high) == (0.5, 0.5, 0.5)
    assert metrics.lift_at_10 == pytest.approx(1)
    assert (metrics.f1, metrics.precision) == (0, 0)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)], ids=["as is", "reversed"])
def test_order_of_equal_scores_does_not_matter(order: slice) -> None:
    labels, scores = np.array([1, 0, 0, 1, 0] * 4), np.array([0.9, 0.9, 0.1, 0.1, 0.1] * 4)
    assert lift(labels[order], scores[order]) == pytest.approx(0.5 / 0.4)


@pytest.mark.parametrize(
    ("labels", "undefined"),
    [
        pytest.param([], {"roc_auc", "roc_auc_low", "average_precision", "brier", "log_loss", "f1"}, id="no rows"),
        pytest.param([0, 0, 0], {"roc_auc", "roc_auc_low", "average_precision", "lift_at_10"}, id="no positives"),
        pytest.param([1, 1, 1], {"roc_auc", "roc_auc_low"}, id="no negatives"),
        pytest.param([1, 0, 0], {"roc_auc_low", "roc_auc_high"}, id="one positive"),
    ],
)
def test_what_is_not_defined_is_nan(labels: list[int], undefined: set[str]) -> None:
    metrics = evaluate(np.array(labels, dtype=int), np.full(len(labels), 0.3)).as_dict()
    assert undefined <= {name for name, value in metrics.items() if math.isnan(value)}


@pytest.mark.parametrize(
    ("labels", "scores"),
    [
        pytest.param([0, 1], [0.1, math.nan], id="nan"),
        pytest.param([0, 1], [0.1, 1.1], id="above one"),
        pytest.param([0, 2], [0.1, 0.2], id="label"),
        pytest.param([0, 1], [0.1], id="length"),
    ],
)
def test_broken_input_is_refused(labels: list[int], scores: list[float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        evaluate(np.array(labels), np.array(scores))


def test_large_samples_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(1)
    labels, scores = random.integers(0, 2, 5000), np.round(random.random(5000), 2)
    low, high = delong_interval(labels, scores)
    assert (low + high) / 2 == pytest.approx(roc_auc_score(labels, scores))
