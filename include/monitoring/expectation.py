"""What the scores of a model lead to expect of labels that are not known, or not believed.

The scores are calibrated first, by what the labels of the baseline's judged rows say of them; then each label is a draw
with that probability, and a figure of drawn labels is what the figure will be if the scores still mean what they did.
That is confidence-based performance estimation (CBPE): J. Kivimäki, J. Białek, W. Kuberski, J. Nurminen, "Performance
Estimation in Binary Classification Using Calibrated Confidence", 2025; described as well in J. Białek, J. Kivimäki,
W. Kuberski, N. Perrakis, "Estimating Model Performance Under Covariate Shift Without Labels", NeurIPS 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from include.evaluation.metrics import single, worth
from include.evaluation.resampling import Interval, percentiles
from include.spec import Decision

DRAWS = 200
NEARLY_SURE = 1e-4
"""Scores beyond it count as it: no sample says anything of one in more rows."""


@dataclass(frozen=True)
class Estimate:
    """A figure, and where it lies with 95 %."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, interval: Interval) -> Estimate:
        return cls(value, interval.low, interval.high)

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class Calibrator:
    """Log-odds of a label: ``intercept`` + ``slope`` times those of the score; ``covariance`` (2, 2) is of both.

    D. R. Cox, "Two further applications of a model for binary regression", Biometrika 45 (1958).
    """

    intercept: float
    slope: float
    covariance: np.ndarray

    @classmethod
    def fit(cls, scores: np.ndarray, labels: np.ndarray) -> Calibrator:
        """Of ``scores`` with ``labels`` (0 or 1) of both classes, that the model was not fitted on, shape (rows,)."""
        odds = log_odds(scores)
        fitted = LogisticRegression(C=np.inf, tol=1e-8).fit(odds[:, None], labels)
        inputs = np.column_stack([np.ones(len(odds)), odds])
        chances = fitted.predict_proba(odds[:, None])[:, 1]
        information = inputs.T @ (inputs * (chances * (1 - chances))[:, None])
        return cls(float(fitted.intercept_[0]), float(fitted.coef_[0, 0]), np.linalg.inv(information))

    def chances(self, scores: np.ndarray) -> np.ndarray:
        """The probability of the positive class that each score stands for, shape (rows,)."""
        return np.asarray(expit(self.intercept + self.slope * log_odds(scores)))

    def drawn(self, scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Labels as they may come, shape (rows,); the calibrator itself is known only so well, too."""
        intercept, slope = rng.multivariate_normal([self.intercept, self.slope], self.covariance)
        return (rng.random(len(scores)) < expit(intercept + slope * log_odds(scores))).astype(int)


def log_odds(scores: np.ndarray) -> np.ndarray:
    return np.asarray(logit(np.clip(scores, NEARLY_SURE, 1 - NEARLY_SURE)))


def estimate(
    scores: np.ndarray, calibrator: Calibrator, metrics: Sequence[str], decision: Decision, seed: int
) -> dict[str, Estimate]:
    """Each metric of ``scores``, of shape (rows,), as it is to be expected, with the interval of labels to come."""
    rng = np.random.default_rng(seed)
    labels = np.array([calibrator.drawn(scores, rng) for _ in range(DRAWS)])
    found = {metric: _figures(metric, labels, scores, decision) for metric in metrics}
    return {metric: Estimate.of(float(np.nanmean(draws)), percentiles(draws)) for metric, draws in found.items()}


def _figures(metric: str, labels: np.ndarray, scores: np.ndarray, decision: Decision) -> np.ndarray:
    """``single`` of each row of ``labels``, of shape (DRAWS, rows), in far less time for what is asked most."""
    if metric == "roc_auc":
        positives = labels.sum(axis=1)
        pairs = positives * (labels.shape[1] - positives)
        won = labels @ rankdata(scores) - positives * (positives + 1) / 2
        return np.divide(won, pairs, out=np.full(len(labels), np.nan), where=pairs > 0)
    if metric == "brier":
        return np.asarray(((labels - scores) ** 2).mean(axis=1))
    if metric == "expected_profit":
        return np.asarray(np.where(labels, worth(decision, scores, 1), worth(decision, scores, 0)).mean(axis=1))
    return np.array([single(metric, one, scores, decision) for one in labels])
