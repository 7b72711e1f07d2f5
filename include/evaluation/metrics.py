"""How good scores are on labelled rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from include.spec import Decision

DEFAULT = Decision()
CALIBRATION_BINS = 10
OF_ALL_ROWS = frozenset({"brier", "log_loss", "calibration_error", "expected_profit"})
"""The metrics that are averages over rows; the others rest on how the two classes compare."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures of one model on ``n`` rows; NaN where the rows do not define one (a single class, no rows)."""

    roc_auc: float
    roc_auc_low: float
    """Lower end of the 95 % interval; a constant score has the interval [0.5, 0.5]."""
    roc_auc_high: float
    average_precision: float
    brier: float
    log_loss: float
    calibration_error: float
    """Distance of scores from the rate of positives, averaged over rows; see ``calibration_error``."""
    f1: float
    precision: float
    recall: float
    lift_at_10: float
    """Share of positives among the 10 % highest scores, divided by the base rate."""
    expected_profit: float
    """Worth of a row, in the unit of the spec's ``decision``, when those that score the threshold are acted on."""
    n: int
    positives: int
    base_rate: float
    threshold: float
    """The score from which on f1, precision, recall and the profit count a row as positive."""

    def as_dict(self) -> dict[str, float | int]:
        """All fields by name."""
        return asdict(self)


def evaluate(labels: np.ndarray, scores: np.ndarray, decision: Decision = DEFAULT) -> Metrics:
    """Metrics of ``scores`` (probability of the positive class) against ``labels`` (0 or 1), both of shape (rows,).

    Raises ``ValueError`` for unequal lengths, other labels, or scores that are not between 0 and 1.
    """
    labels, scores = _checked(labels, scores)
    n, positives = len(labels), int(labels.sum())
    low, high = delong_interval(labels, scores)
    return Metrics(
        **{name: single(name, labels, scores, decision) for name in _FIGURES},
        roc_auc_low=low,
        roc_auc_high=high,
        n=n,
        positives=positives,
        base_rate=positives / n if n else math.nan,
        threshold=decision.threshold,
    )


def single(metric: str, labels: np.ndarray, scores: np.ndarray, decision: Decision = DEFAULT) -> float:
    """One metric of scores, or NaN where ``labels`` lacks a class that it needs."""
    labels, scores = _checked(labels, scores)
    function, needed = _FIGURES[metric]
    if not len(labels) or not needed <= set(np.unique(labels).tolist()):
        return math.nan
    return float(function(labels, scores, decision))


def delong_interval(labels: np.ndarray, scores: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Interval of the ROC AUC by DeLong, cut to [0, 1]; NaN with fewer than two rows of a class.

    The fast form by midranks: X. Sun and W. Xu, "Fast Implementation of DeLong's Algorithm for Comparing the Areas
    Under Correlated Receiver Operating Characteristic Curves", IEEE Signal Processing Letters 21 (2014), 1389-1393.
    """
    positive, negative = scores[labels == 1], scores[labels == 0]
    m, n = len(positive), len(negative)
    if min(m, n) < 2:
        return math.nan, math.nan
    ranks = rankdata(np.concatenate([positive, negative]))
    structural_positive = (ranks[:m] - rankdata(positive)) / n
    structural_negative = 1 - (ranks[m:] - rankdata(negative)) / m
    auc = structural_positive.mean()
    error = math.sqrt(structural_positive.var(ddof=1) / m + structural_negative.var(ddof=1) / n)
    half = norm.ppf((1 + level) / 2) * error
    return float(max(0.0, auc - half)), float(min(1.0, auc + half))


def lift(labels: np.ndarray, scores: np.ndarray, share: float = 0.1) -> float:
    """Rate of positives in the top ``share`` of the rows over the base rate; of equal scores each counts in part."""
    k = math.ceil(share * len(scores))
    cut = np.sort(scores)[-k]
    above, tied = scores > cut, scores == cut
    found = labels[above].sum() + labels[tied].mean() * (k - above.sum())
    return float(found / k / labels.mean())


def worth(decision: Decision, scores: np.ndarray, labels: np.ndarray | int) -> np.ndarray:
    """What each row is worth when every row is acted on whose score is at least the threshold; shape (rows,)."""
    positive = np.broadcast_to(labels, scores.shape) == 1
    acted_on = np.where(positive, decision.true_positive, decision.false_positive)
    left_alone = np.where(positive, decision.false_negative, decision.true_negative)
    return np.where(scores >= decision.threshold, acted_on, left_alone)


def calibration_error(labels: np.ndarray, scores: np.ndarray) -> float:
    """Expected calibration error in ten bins of equal width: 0 (scores are rates) to 1.

    M. P. Naeini, G. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015.
    """
    gaps = np.bincount(calibration_bin(scores), weights=labels - scores, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(scores))


def calibration_bin(scores: np.ndarray) -> np.ndarray:
    """The bin of each score, from 0 on."""
    return np.minimum((scores * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)


def _checked(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if labels.shape != scores.shape or labels.ndim != 1:
        raise ValueError(f"labels and scores must be of one length, got {labels.shape} and {scores.shape}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 or 1")
    if not ((scores >= 0) & (scores <= 1)).all():  # NaN fails this, too
        raise ValueError("scores must be probabilities between 0 and 1")
    return labels.astype(int), scores


def _of_scores(function: Callable[..., float], **options: Any) -> _Function:
    return lambda labels, scores, _: function(labels, scores, **options)


def _of_choices(function: Callable[..., float]) -> _Function:
    return lambda labels, scores, decision: function(
        labels, (scores >= decision.threshold).astype(int), zero_division=0
    )


_Function = Callable[[np.ndarray, np.ndarray, Decision], float]
_BOTH, _POSITIVE = frozenset({0, 1}), frozenset({1})
_ANY: frozenset[int] = frozenset()
_FIGURES: dict[str, tuple[_Function, frozenset[int]]] = {
    "roc_auc": (_of_scores(roc_auc_score), _BOTH),
    "average_precision": (_of_scores(average_precision_score), _POSITIVE),
    "brier": (_of_scores(brier_score_loss), _ANY),
    "log_loss": (_of_scores(log_loss, labels=[0, 1]), _ANY),
    "calibration_error": (_of_scores(calibration_error), _ANY),
    "lift_at_10": (_of_scores(lift), _POSITIVE),
    "f1": (_of_choices(f1_score), _ANY),
    "precision": (_of_choices(precision_score), _ANY),
    "recall": (_of_choices(recall_score), _ANY),
    "expected_profit": (lambda labels, scores, decision: worth(decision, scores, labels).mean(), _ANY),
}
