"""Concept drift, seen through labels that came late: do they still follow the scores as the scores promise?

Beside that is put what matters: the labels of some rows have nothing to do with their scores any more, so many that
the ROC AUC is lower by what the spec allows. With a share r of labels drawn at random, AUC - 1/2 becomes (1 - r)
(AUC - 1/2), so that the drop says which share that is. A label speaks for it by how much likelier it is with it than
without (J. Neyman and E. Pearson, "On the Problem of the Most Efficient Tests of Statistical Hypotheses", 1933): most
do those of the rows that the model is sure of. What all of them say is held against what labels say that follow the
scores. Since the rows and their scores are given, only the labels' own noise is left, and that of the calibrator; so a
drop shows with fewer rows than by two AUCs that are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from include.monitoring.expectation import Calibrator, log_odds

SURE = 0.02
"""A row's label speaks as if the model was no surer than that: nobody knows probabilities that are smaller so well."""
STEPS = 50


@dataclass(frozen=True)
class Drop:
    """What labels say of a drop of the ROC AUC by ``size``.

    ``p_value``: how often chance alone speaks as much for it. ``likelihood``: the logarithm of how many times likelier
    the labels are with it than without; below 0 the labels speak against a drop of that size, however sure it is that
    there is a smaller one.
    """

    size: float
    p_value: float
    likelihood: float

    def alarms(self, false_alarm_rate: float) -> bool:
        return self.p_value < false_alarm_rate and self.likelihood > 0


def drop(labels: np.ndarray, scores: np.ndarray, calibrator: Calibrator, auc: float, size: float) -> Drop:
    """Evidence in ``labels`` (0 or 1, of both classes) and ``scores``, shape (rows,), of a ROC AUC lower by ``size``.

    ``auc`` is what the scores promise. That all labels are positive more often, or less, is no drop: the calibrator is
    moved to their rate.
    """
    share, rate = min(1.0, size / max(auc - 0.5, size)), float(labels.mean())
    odds = calibrator.slope * log_odds(scores)
    chances = expit(odds + _level(odds, rate))
    sure = np.clip(chances, SURE, 1 - SURE)
    mixed = (1 - share) * sure + share * rate
    speaks = np.log(mixed / sure), np.log((1 - mixed) / (1 - sure))
    noise = chances * (1 - chances)
    weights = speaks[0] - speaks[1]
    weights -= weights @ noise / noise.sum()  # what the moved level explains
    found = weights @ (labels - chances)
    gradient = (noise * weights) @ np.column_stack([np.ones(len(odds)), log_odds(scores)])
    variance = noise @ weights**2 + gradient @ calibrator.covariance @ gradient
    likelihood = labels @ speaks[0] + (1 - labels) @ speaks[1]
    return Drop(size, float(norm.sf(found / np.sqrt(variance))), float(likelihood))


def _level(odds: np.ndarray, rate: float) -> float:
    """What to add to ``odds`` so that their probabilities have the mean ``rate``, by Newton's method."""
    level = 0.0
    for _ in range(STEPS):
        chances = expit(level + odds)
        step = (rate - chances.mean()) / np.mean(chances * (1 - chances))
        level += float(np.clip(step, -1, 1))
        if abs(step) < 1e-10:
            break
    return level
