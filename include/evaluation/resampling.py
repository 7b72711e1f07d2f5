"""How far chance goes: figures of models on resamples of the same rows, so that their differences are paired.

Each resample gives every row a Poisson(1) number of copies, which for more than a few rows is the bootstrap
(N. Chamandy, O. Muralidharan, A. Najmi, S. Naidu, "Estimating Uncertainty for Massive Data Streams", Google 2012).
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import poisson

from include.evaluation.metrics import CALIBRATION_BINS, calibration_bin, worth
from include.spec import LOWER_IS_BETTER, Decision

RESAMPLES = 2000
LEVEL = 0.95
"""Of the two-sided intervals that are shown."""

# The number of copies for each of 65,536 equally probable draws; its mean is 1 within 0.00002.
_COPIES = np.searchsorted(poisson.cdf(np.arange(12), 1), (np.arange(1 << 16) + 0.5) / (1 << 16)).astype(np.float32)
_CELLS = 200_000
"""Weights that are held at once, for each thread: they fit into the cache of a core."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure of one model may lie: its 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much the challenger is better than the champion in one metric; above 0 is better for every metric."""

    value: float
    low: float
    high: float
    """Ends of the 95 % interval by percentiles."""
    bound: float
    """What the gain exceeds with the gate's confidence (one-sided)."""
    p_value: float
    """How often chance gives a gain like this to a challenger that is no better."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of the challenger on ``n`` rows, and where there is a champion, its ``baseline`` on the same rows."""

    metric: str
    value: float
    n: int
    interval: Interval | None = None
    baseline: float | None = None
    gain: Gain | None = None


@dataclass(frozen=True)
class Resamples:
    """``draws[model][metric]``: the figure on each resample, of shape (resamples,)."""

    draws: Mapping[str, Mapping[str, np.ndarray]]

    def interval(self, model: str, metric: str, value: float) -> Interval:
        """Of a metric that is ``value`` on all rows; NaN at both ends where they do not define it.

        A calibration error is a sum of distances, to which chance always adds: the figure has that once, its resamples
        have it twice. Both are taken off, for otherwise the interval of a good model lies above its own figure. That of
        a model whose rows fit its scores better than chance lets them would then lie below; it is as wide as it takes.
        """
        draws = self.draws[model][metric]
        if metric != "calibration_error":
            return percentiles(draws)
        found = percentiles(np.maximum(0, draws - 2 * (np.nanmean(draws) - value)))
        return Interval(found.low, max(found.high, value))

    def figure(self, metric: str, values: Mapping[str, float], n: int, confidence: float) -> Figure:
        """The challenger's of ``values`` (by model, measured on all ``n`` rows), with what chance may do to it."""
        value, baseline = values["challenger"], values.get("champion")
        gain = None if baseline is None else self.gain(metric, value, baseline, confidence)
        return Figure(metric, value, n, self.interval("challenger", metric, value), baseline, gain)

    def gain(self, metric: str, value: float, baseline: float, confidence: float) -> Gain:
        """The gain from ``baseline`` (champion) to ``value`` (challenger), both measured on all rows."""
        sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
        gains = sign * (self.draws["challenger"][metric] - self.draws["champion"][metric])
        low, high, bound = _quantiles(gains, (1 - LEVEL) / 2, (1 + LEVEL) / 2, 1 - confidence)
        p_value = (1 + int((~(gains > 0)).sum())) / (1 + len(gains))
        return Gain(sign * (value - baseline), low, high, bound, p_value)


def resample(
    labels: np.ndarray,
    scores: Mapping[str, np.ndarray],
    metrics: Sequence[str],
    decision: Decision,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> Resamples:
    """Figures of every model of ``scores`` (probabilities, of the shape (rows,) of ``labels``) on the same resamples.

    The result depends on the rows, their order and ``seed``, not on the number of threads.
    """
    positive = labels == 1
    models = {name: _Weighted(positive, np.asarray(one, np.float64), decision) for name, one in scores.items()}
    at_once = max(1, min(resamples, _CELLS // max(1, len(labels))))
    sizes = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]

    def figures(size: int, random: np.random.SeedSequence) -> np.ndarray:
        drawn = np.random.default_rng(random).integers(0, 1 << 16, (size, len(labels)), dtype=np.uint16)
        weights = _COPIES.take(drawn, mode="clip")
        of_positives, of_negatives = weights[:, : positive.sum()], weights[:, positive.sum() :]
        return np.array([model.figures(metrics, of_positives, of_negatives) for model in models.values()])

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        parts = list(threads.map(figures, sizes, np.random.SeedSequence(seed).spawn(len(sizes))))
    found = np.concatenate(parts, axis=2)  # (models, metrics, resamples)
    return Resamples({name: dict(zip(metrics, one, strict=True)) for name, one in zip(models, found, strict=True)})


def percentiles(draws: np.ndarray) -> Interval:
    """The 95 % interval of a figure with these ``draws``, of shape (resamples,)."""
    return Interval(*_quantiles(draws, (1 - LEVEL) / 2, (1 + LEVEL) / 2))


def _quantiles(draws: np.ndarray, *at: float) -> list[float]:
    if np.isnan(draws).all():
        return [math.nan] * len(at)
    return [float(value) for value in np.nanquantile(draws, at)]


class _Weighted:
    """Figures of one model's scores when rows count several times.

    Weights come as (resamples, positives) and (resamples, negatives), rows in the order of the labels; each figure is
    of shape (resamples,).
    """

    def __init__(self, positive: np.ndarray, scores: np.ndarray, decision: Decision) -> None:
        self._scores = scores[positive], scores[~positive]
        self._orders = tuple(np.argsort(part, kind="stable") for part in self._scores)
        ranked = [part[order] for part, order in zip(self._scores, self._orders, strict=True)]
        # For each positive row, how many ranked rows of either class score less, and how many at most as much.
        self._below = [np.searchsorted(part, self._scores[0], "left") for part in ranked]
        self._up_to = np.searchsorted(ranked[1], self._scores[0], "right")
        self._decision = decision

    def figures(self, metrics: Sequence[str], positives: np.ndarray, negatives: np.ndarray) -> list[np.ndarray]:
        with np.errstate(divide="ignore", invalid="ignore"):  # a resample without a class has no figure: NaN
            return [_FIGURES[metric](self, positives, negatives) for metric in metrics]

    def roc_auc(self, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
        """The share of pairs that are in order; a pair of equal scores counts half."""
        ranked = self._ranked(1, negatives)
        won = _at(ranked, self._below[1])
        if (self._below[1] != self._up_to).any():
            won = (won + _at(ranked, self._up_to)) / 2
        return np.einsum("rp,rp->r", positives, won) / (positives.sum(axis=1) * ranked[:, -1])

    def average_precision(self, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
        """Precision at the score of each positive row, averaged over them."""
        right, wrong = (
            ranked[:, -1:] - _at(ranked, below)
            for ranked, below in zip((self._ranked(0, positives), self._ranked(1, negatives)), self._below, strict=True)
        )
        precision = np.nan_to_num(right / (right + wrong))
        return np.einsum("rp,rp->r", positives, precision) / positives.sum(axis=1)

    def lift_at_10(self, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
        """As ``metrics.lift``: rows that share the score at the cut count in part."""
        order, starts, ends = self._all_ranked
        rows = _from_zero(_at(np.concatenate([positives, negatives], axis=1), order))
        found = _from_zero(_at(np.concatenate([positives, np.zeros_like(negatives)], axis=1), order))
        k = np.ceil(rows[:, -1:] / 10)
        cut = np.minimum((rows[:, 1:] < k).sum(axis=1, keepdims=True), len(order) - 1)
        above, until = (np.take_along_axis(rows, places[cut], 1) for places in (starts, ends))
        hits, hits_until = (np.take_along_axis(found, places[cut], 1) for places in (starts, ends))
        tied = (hits_until - hits) / (until - above) * (k - above)
        return ((hits + tied) / k / (found[:, -1:] / rows[:, -1:]))[:, 0]

    def brier(self, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
        return self._means(positives, negatives)[:, 0]

    def log_loss(self, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
        return self._means(positives, negatives)[:, 1]

    def expected_profit(self, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
        return self._means(positives, negatives)[:, 2]

    def calibration_error(self, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
        """As ``metrics.calibration_error``."""
        return np.abs(self._means(positives, negatives)[:, 3:]).sum(axis=1)

    def precision(self, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
        right, wrong = self._chosen(positives, negatives)
        return np.nan_to_num(right / (right + wrong))

    def recall(self, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
        return np.nan_to_num(self._chosen(positives, negatives)[0] / positives.sum(axis=1))

    def f1(self, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
        right, wrong = self._chosen(positives, negatives)
        return np.nan_to_num(2 * right / (right + wrong + positives.sum(axis=1)))

    def _ranked(self, which: int, weights: np.ndarray) -> np.ndarray:
        """Weight of the rows of one class up to each rank, from 0 on."""
        return _from_zero(_at(weights, self._orders[which]))

    def _means(self, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
        """Averages over the rows, of shape (resamples, columns)."""
        rows = positives.sum(axis=1) + negatives.sum(axis=1)
        return np.asarray((positives @ self._columns[0] + negatives @ self._columns[1]) / rows[:, None])

    @cached_property
    def _columns(self) -> tuple[np.ndarray, np.ndarray]:
        """For the rows of each class: squared error, log loss, worth, and the error in the bin of their score."""
        return self._columns_of(self._scores[0], 1), self._columns_of(self._scores[1], 0)

    def _columns_of(self, scores: np.ndarray, label: int) -> np.ndarray:
        tiny = np.finfo(np.float64).eps  # where scikit-learn cuts, too
        loss = -np.log(np.clip(scores if label else 1 - scores, tiny, 1 - tiny))
        in_bin = calibration_bin(scores)[:, None] == np.arange(CALIBRATION_BINS)
        columns = [(label - scores) ** 2, loss, worth(self._decision, scores, label)]
        return np.column_stack([*columns, (label - scores)[:, None] * in_bin]).astype(np.float32)

    @cached_property
    def _all_ranked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The order of all rows from the highest score down; for each rank, where its equals begin and end."""
        falling = -np.concatenate(self._scores)
        order = np.argsort(falling, kind="stable")
        return (
            order,
            np.searchsorted(falling[order], falling[order], "left"),
            np.searchsorted(falling[order], falling[order], "right"),
        )

    def _chosen(self, positives: np.ndarray, negatives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weight of the positive and of the negative rows that score at least the threshold."""
        right, wrong = (scores >= self._decision.threshold for scores in self._scores)
        return positives @ right.astype(np.float32), negatives @ wrong.astype(np.float32)


def _at(weights: np.ndarray, places: np.ndarray) -> np.ndarray:
    """``weights[:, places]``, in a third of the time: all places are in range, so none has to be looked at."""
    return weights.take(places, axis=1, mode="clip")


def _from_zero(weights: np.ndarray) -> np.ndarray:
    """Cumulative weights along each resample, beginning with 0; whole numbers, exact in 32 bits up to 16 million."""
    sums = np.zeros((len(weights), weights.shape[1] + 1), np.float32)
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums


_FIGURES: dict[str, Callable[[_Weighted, np.ndarray, np.ndarray], np.ndarray]] = {
    "roc_auc": _Weighted.roc_auc,
    "average_precision": _Weighted.average_precision,
    "lift_at_10": _Weighted.lift_at_10,
    "brier": _Weighted.brier,
    "log_loss": _Weighted.log_loss,
    "calibration_error": _Weighted.calibration_error,
    "expected_profit": _Weighted.expected_profit,
    "f1": _Weighted.f1,
    "precision": _Weighted.precision,
    "recall": _Weighted.recall,
}
