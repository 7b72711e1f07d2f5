"""Concept drift by labels: seen when they follow the scores less, quiet when they do, or when only their rate moved.

How often on real rows is a figure of the bench.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from include.evaluation.metrics import single
from include.monitoring.concept import drop
from include.monitoring.expectation import Calibrator

RATE, SIZE, ALARMS = 0.27, 0.03, 0.01


def scores(rows: int, rng: np.random.Generator) -> np.ndarray:
    """Probabilities with a ROC AUC of about 0.85, as churn's."""
    return expit(rng.normal(-1.6, 1.9, rows))


def follow(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(len(chances)) < chances).astype(int)


@pytest.fixture(scope="module")
def known() -> tuple[Calibrator, float]:
    rng = np.random.default_rng(0)
    chances = scores(5000, rng)
    labels = follow(chances, rng)
    return Calibrator.fit(chances, labels), single("roc_auc", labels, chances)


def alarms(known: tuple[Calibrator, float], rows: int, trials: int, share: float = 0.0, level: float = 0.0) -> float:
    """How many windows alarm where a ``share`` of the labels is drawn at random, and all log-odds move by ``level``."""
    found = []
    for seed in range(trials):
        rng = np.random.default_rng([rows, seed])
        given = scores(rows, rng)
        labels = follow(expit(logit(given) + level), rng)
        labels = np.where(rng.random(rows) < share, rng.random(rows) < labels.mean(), labels).astype(int)
        found.append(drop(labels, given, *known, SIZE).alarms(ALARMS))
    return float(np.mean(found))


def share_for(auc: float) -> float:
    """The share of labels at random that lowers the AUC by ``SIZE``."""
    return SIZE / (auc - 0.5)


def test_a_share_of_labels_at_random_lowers_the_auc_by_what_the_drop_says(known: tuple[Calibrator, float]):
    rng = np.random.default_rng(1)
    given = scores(400_000, rng)
    labels = follow(given, rng)
    before = single("roc_auc", labels, given)
    redrawn = np.where(rng.random(len(given)) < share_for(before), rng.random(len(given)) < labels.mean(), labels)
    assert before - single("roc_auc", redrawn.astype(int), given) == pytest.approx(SIZE, abs=0.003)


def test_the_drop_is_seen_and_without_it_all_is_quiet(known: tuple[Calibrator, float]):
    assert alarms(known, 2000, 100, share=share_for(known[1])) >= 0.8
    assert alarms(known, 2000, 200) <= 0.02


def test_few_labels_alarm_no_more_often(known: tuple[Calibrator, float]):
    assert alarms(known, 200, 200) <= 0.02


@pytest.mark.parametrize("level", [-0.5, 0.5])
def test_another_rate_of_positives_is_no_drop(known: tuple[Calibrator, float], level: float):
    assert alarms(known, 2000, 100, level=level) <= 0.02


def test_a_drop_that_does_not_matter_is_certain_and_alarms_nobody(known: tuple[Calibrator, float]):
    rng = np.random.default_rng(2)
    given = scores(400_000, rng)
    labels = follow(given, rng)
    labels = np.where(rng.random(len(given)) < share_for(known[1]) / 5, rng.random(len(given)) < RATE, labels)
    found = drop(labels.astype(int), given, *known, SIZE)
    assert found.likelihood < 0
    assert not found.alarms(0.9)


def test_scores_in_another_scale_say_the_same(known: tuple[Calibrator, float]):
    rng = np.random.default_rng(3)
    given = scores(5000, rng)
    labels = follow(given, rng)
    exaggerated = expit(1.5 * logit(given) + 0.4)
    one, other = (drop(labels, one, Calibrator.fit(one, labels), 0.85, SIZE) for one in (given, exaggerated))
    assert other.p_value == pytest.approx(one.p_value, abs=0.01)
    assert other.likelihood == pytest.approx(one.likelihood, abs=0.5)
