"""How far the groups of the sensitive columns differ in what the challenger decides about them.

The rates of a group are fairlearn's. A metric is the difference of its rate between the group where it is highest and
the one where it is lowest (fairlearn's ``between_groups``); the selection-rate ratio is the lowest over the highest.
Groups with too few rows are left out, and named.

When is a value over its limit unfair, and when is it chance? The largest difference between small groups is never 0,
also where they do not differ: of groups by a coin with the sizes of Telco's (gender and age together, 1,760 rows held
out) 35 % are more than 0.1 apart in equal opportunity. So a limit fails when the value is over it *and* such a value
would be rare if the groups did not differ: all limits together refuse a model whose groups do not differ in 5 % of the
verdicts at most. The four-fifths rule is read so, too: differences may be no adverse impact "where the differences are
based on small numbers and are not statistically significant" (Uniform Guidelines on Employee Selection Procedures, 29
CFR 1607.4 D). A value over its limit that may be chance passes under the name ``WITHIN_CHANCE``. To fail only what is
shown to be over its limit would let an unfair model pass for want of rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
from sklearn.metrics import precision_score

from include.evaluation.resampling import RESAMPLES, Interval, percentiles
from include.evaluation.slices import Grouping
from include.spec import FairnessMetric, Slices

CHANCES = 20_000
"""Draws of groups that do not differ."""
SMALLEST_P = 1 / (1 + CHANCES)
"""The lowest p-value that can be told; a stricter level could fail nothing."""

RATES = {
    "equal_opportunity": ("true_positive_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
    "predictive_parity": ("precision",),
    "demographic_parity": ("selection_rate",),
    "selection_rate_ratio": ("selection_rate",),
    "calibration": ("calibration_gap",),
}
"""What each metric compares between the groups; of two rates, the one that differs more."""


@dataclass(frozen=True, slots=True)
class Group:
    """One group and its rates; NaN where too few rows are there to divide by.

    ``calibration_gap`` is the mean score less the rate of positives.
    """

    name: str
    n: int
    positives: int
    selected: int
    rates: dict[str, float]


@dataclass(frozen=True, slots=True)
class Disparity:
    """How far the groups ``by`` some columns differ in one metric; NaN with fewer than two groups ``compared``.

    ``interval`` (95 %, by percentiles) is of the two groups that differ most, ``highest`` and ``lowest`` in ``rate``.
    ``p_value`` is how often chance gives a value like this to groups that do not differ. ``n`` is the number of rows in
    the groups ``compared``; the ``insufficient`` ones have too few.
    """

    metric: str
    by: tuple[str, ...]
    value: float
    interval: Interval
    p_value: float
    rate: str
    highest: str
    lowest: str
    n: int
    compared: tuple[str, ...]
    insufficient: tuple[str, ...]
    champion: float | None = None


@dataclass(frozen=True, slots=True)
class Fairness:
    """The groups by one sensitive column, or by two taken together, and how far they differ."""

    by: tuple[str, ...]
    groups: tuple[Group, ...]
    disparities: tuple[Disparity, ...]


@dataclass(frozen=True)
class Decided:
    """What a model says of each row: its score (a probability), and whether it is acted on; both of shape (rows,)."""

    scores: np.ndarray
    chosen: np.ndarray


def measure(
    divisions: Sequence[Grouping], labels: np.ndarray, models: Mapping[str, Decided], support: Slices, *, seed: int
) -> tuple[Fairness, ...]:
    """The fairness of the challenger, and of the champion where it is among ``models``, by each of ``divisions``.

    ``labels`` (0 or 1) are of shape (rows,). The seed draws the resamples.
    """
    return tuple(_measure(division, labels, models, support, seed) for division in divisions)


def _measure(
    division: Grouping, labels: np.ndarray, models: Mapping[str, Decided], support: Slices, seed: int
) -> Fairness:
    found = {name: _Rated(division, labels, model, support) for name, model in models.items()}
    challenger, champion = found["challenger"], found.get("champion")
    random = np.random.default_rng(seed)
    draws = challenger.resampled(random)
    disparities = [_disparity(metric, division, challenger, draws, random) for metric in get_args(FairnessMetric)]
    if champion:
        disparities = [replace(one, champion=_worst(one.metric, champion)[1]) for one in disparities]
    return Fairness(division.by, tuple(challenger.groups(division)), tuple(disparities))


class _Rated:
    """The rates of the groups under one model: each of shape (groups,), NaN where a group is too small for it."""

    def __init__(self, division: Grouping, labels: np.ndarray, model: Decided, support: Slices) -> None:
        count = len(division.values)
        cell = (division.codes * 2 + labels.astype(int)) * 2 + model.chosen
        self.cells = np.bincount(cell, minlength=4 * count).reshape(count, 2, 2)  # rows by group, label and choice
        self.divisors = _divisors(self.cells)
        n = self.cells.sum(axis=(1, 2))
        error = model.scores - labels
        with np.errstate(invalid="ignore", divide="ignore"):  # a group without rows has no rate: NaN
            gap = np.bincount(division.codes, error, count) / n
            self._deviation = np.sqrt(np.bincount(division.codes, error**2, count) / n - gap**2)
        rates = _by_fairlearn(self.cells) | {"calibration_gap": gap}
        self.rates = {
            name: np.where(
                (n >= support.minimum_support) & (self.divisors[name] >= support.minimum_class_support), rate, np.nan
            )
            for name, rate in rates.items()
        }

    def resampled(self, random: np.random.Generator) -> dict[str, np.ndarray]:
        """The rates on resamples of the rows, each of shape (resamples, groups).

        A resample gives every row a Poisson(1) number of copies, and so each cell of n rows a Poisson(n) number. The
        mean error of a group's scores is drawn from the normal distribution that it has on that many rows.
        """
        drawn = random.poisson(self.cells, (RESAMPLES, *self.cells.shape))
        divisors = _divisors(drawn)
        with np.errstate(invalid="ignore", divide="ignore"):
            rates = {name: hits / divisors[name] for name, hits in _hits(drawn).items()}
            error = self._deviation / np.sqrt(divisors["calibration_gap"])
        gap = self.rates["calibration_gap"] + error * random.standard_normal(error.shape)
        return rates | {"calibration_gap": gap}

    def not_differing(self, rate: str, places: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Rates, of shape (CHANCES, places), of groups of these sizes that all have the rate that they have together.

        Of a small group all or none may be chosen: its own resamples then never differ, and chance does.
        """
        own, divisors = self.rates[rate][places], self.divisors[rate][places]
        shared = np.average(own, weights=divisors)
        shape = (CHANCES, len(places))
        if rate == "calibration_gap":
            return np.asarray(shared + self._deviation[places] / np.sqrt(divisors) * random.standard_normal(shape))
        return np.asarray(random.binomial(divisors, np.clip(shared, 0, 1), shape) / divisors)

    def groups(self, division: Grouping) -> list[Group]:
        """What a person asks of each group."""
        return [
            Group(
                name,
                n=int(self.cells[place].sum()),
                positives=int(self.cells[place, 1].sum()),
                selected=int(self.cells[place, :, 1].sum()),
                rates={rate: float(values[place]) for rate, values in self.rates.items()},
            )
            for place, name in enumerate(division.names)
        ]


def _hits(cells: np.ndarray) -> dict[str, np.ndarray]:
    """What stands above the line of each rate, of ``cells`` (…, groups, label, choice)."""
    found, flagged = cells[..., 1, 1], cells[..., 0, 1]
    return {
        "true_positive_rate": found,
        "false_positive_rate": flagged,
        "precision": found,
        "selection_rate": found + flagged,
    }


def _divisors(cells: np.ndarray) -> dict[str, np.ndarray]:
    """What stands below it."""
    n = cells.sum(axis=(-2, -1))
    return {
        "true_positive_rate": cells[..., 1, :].sum(axis=-1),
        "false_positive_rate": cells[..., 0, :].sum(axis=-1),
        "precision": cells[..., :, 1].sum(axis=-1),
        "selection_rate": n,
        "calibration_gap": n,
    }


def _by_fairlearn(cells: np.ndarray) -> dict[str, np.ndarray]:
    """The rates of the groups; each cell stands for its rows by their number, so that many rows take no longer."""
    filled = np.flatnonzero(cells.sum(axis=(1, 2)))
    metrics = {
        "true_positive_rate": true_positive_rate,
        "false_positive_rate": false_positive_rate,
        "precision": _precision,
        "selection_rate": selection_rate,
    }
    weights = {"sample_weight": cells[filled].ravel()}
    frame = MetricFrame(
        metrics=metrics,
        y_true=np.tile([0, 0, 1, 1], len(filled)),
        y_pred=np.tile([0, 1, 0, 1], len(filled)),
        sensitive_features=np.repeat(filled, 4),
        sample_params=dict.fromkeys(metrics, weights),
    )
    found = frame.by_group.reindex(range(len(cells)))
    return {name: found[name].to_numpy(np.float64) for name in metrics}


def _precision(labels: np.ndarray, chosen: np.ndarray, sample_weight: np.ndarray) -> float:
    return float(precision_score(labels, chosen, sample_weight=sample_weight, zero_division=np.nan))


def _compared(metric: str, found: _Rated) -> np.ndarray:
    """The places of the groups that have every rate of the metric."""
    return np.flatnonzero(np.all([~np.isnan(found.rates[rate]) for rate in RATES[metric]], axis=0))


def _apart(metric: str, rates: np.ndarray) -> np.ndarray:
    """How far rates of shape (…, groups) are apart, of shape (…,)."""
    with np.errstate(invalid="ignore", divide="ignore"):  # nobody is selected in any group: no ratio
        if metric == "selection_rate_ratio":
            return np.asarray(rates.min(axis=-1) / rates.max(axis=-1))
        return np.asarray(rates.max(axis=-1) - rates.min(axis=-1))


def _worst(metric: str, found: _Rated) -> tuple[str, float]:
    """Which rate of the metric differs most between the groups, and how far."""
    places = _compared(metric, found)
    if len(places) < 2:
        return RATES[metric][0], math.nan
    apart = {rate: float(_apart(metric, found.rates[rate][places])) for rate in RATES[metric]}
    rate = max(apart, key=apart.__getitem__)
    return rate, apart[rate]


def _disparity(
    metric: str, division: Grouping, found: _Rated, draws: Mapping[str, np.ndarray], random: np.random.Generator
) -> Disparity:
    places, names = _compared(metric, found), division.names
    rate, value = _worst(metric, found)
    compared = tuple(names[place] for place in places)
    insufficient = tuple(name for name in names if name not in compared)
    if len(places) < 2:
        nothing = Interval(math.nan, math.nan)
        return Disparity(metric, division.by, value, nothing, math.nan, rate, "", "", 0, compared, insufficient)
    highest, lowest = (int(places[pick(found.rates[rate][places])]) for pick in (np.argmax, np.argmin))
    high, low = draws[rate][:, highest], draws[rate][:, lowest]
    with np.errstate(invalid="ignore", divide="ignore"):
        of_pair = low / high if metric == "selection_rate_ratio" else high - low
    return Disparity(
        metric,
        division.by,
        value,
        interval=percentiles(of_pair),
        p_value=_chance(metric, value, places, found, random),
        rate=rate,
        highest=names[highest],
        lowest=names[lowest],
        n=int(found.cells[places].sum()),
        compared=compared,
        insufficient=insufficient,
    )


def _chance(metric: str, value: float, places: np.ndarray, found: _Rated, random: np.random.Generator) -> float:
    """How often groups that do not differ are as far apart."""
    apart = [_apart(metric, found.not_differing(rate, places, random)) for rate in RATES[metric]]
    of_chance = np.max(apart, axis=0)
    as_far = of_chance <= value if metric == "selection_rate_ratio" else of_chance >= value
    return float(1 + as_far.sum()) / (1 + len(of_chance))
