"""Attribution drift: does the champion go by the same inputs as when it was judged?

Amazon SageMaker Clarify's definition: the normalised discounted cumulative gain (K. Järvelin and J. Kekäläinen,
"Cumulated Gain-Based Evaluation of IR Techniques", 2002) of the inputs in the order of their global SHAP values now,
where each counts as much as it did in the baseline; below 0.9 it is a violation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from include.spec import Monitoring

RESAMPLES = 1_000
FIRST = 3
"""Inputs that are named."""


@dataclass(frozen=True)
class AttributionDrift:
    """``ndcg`` of 1 is the same order; below ``limit`` it drifted. Both are None where nothing could be measured.

    ``before`` and ``now`` are the inputs that the model goes by first.
    """

    status: Literal["OK", "DRIFT", "INSUFFICIENT", "NOT_MEASURED"]
    note: str
    ndcg: float | None = None
    limit: float | None = None
    before: tuple[str, ...] = ()
    now: tuple[str, ...] = ()


def compare(
    names: tuple[str, ...], baseline: np.ndarray, current: np.ndarray, rules: Monitoring, seed: int
) -> AttributionDrift:
    """SHAP values of rows of the baseline and of now, shapes (rows, inputs), in the order of ``names``.

    An nDCG below the rules' ``minimum_ndcg`` counts if it is also lower than samples of the baseline of these sizes
    have by chance (bootstrap, at the rules' ``false_alarm_rate``).
    """
    before, now = (np.abs(side).mean(axis=0) for side in (baseline, current))
    found = float(ndcg(before, now))
    by_chance = _by_chance(np.abs(baseline), len(current), rules.false_alarm_rate, np.random.default_rng(seed))
    limit = min(rules.minimum_ndcg, by_chance)
    first = [tuple(names[place] for place in np.argsort(-side, kind="stable")[:FIRST]) for side in (before, now)]
    status: Literal["DRIFT", "OK"] = "DRIFT" if found < limit else "OK"
    note = f"nDCG {found:.3f}, at least {limit:.3f}; first now {', '.join(first[1])}, before {', '.join(first[0])}"
    return AttributionDrift(status, note, round(found, 6), round(limit, 6), *first)


def ndcg(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Of global attributions, not negative, of shape (..., inputs) each; shape (...). 1 where nothing is attributed."""
    discounts = 1 / np.log2(np.arange(before.shape[-1]) + 2)
    orders = np.argsort(-now, axis=-1, kind="stable"), np.argsort(-before, axis=-1, kind="stable")
    gain, best = (np.take_along_axis(before, order, axis=-1) @ discounts for order in orders)
    return np.divide(gain, best, out=np.ones_like(best), where=best > 0)


def _by_chance(values: np.ndarray, rows: int, false_alarm_rate: float, rng: np.random.Generator) -> float:
    """The nDCG of two samples of ``values``, one as large as it is and one of ``rows``, that so many fall below."""
    equal = np.full(len(values), 1 / len(values))
    sides = [rng.multinomial(size, equal, RESAMPLES) @ values / size for size in (len(values), rows)]
    return float(np.quantile(ndcg(*sides), false_alarm_rate))
