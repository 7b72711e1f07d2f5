"""Attribution drift: Clarify's nDCG, quiet on samples of one distribution, awake when other inputs come first."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from include.monitoring.attribution import compare, ndcg
from include.spec import Monitoring

NAMES = tuple(f"x{number}" for number in range(12))
SIZES = np.geomspace(1, 0.02, len(NAMES))
RULES = Monitoring()


def values(rows: int, sizes: np.ndarray = SIZES, seed: int = 0) -> np.ndarray:
    """SHAP values whose mean absolute values are about ``sizes``."""
    return np.random.default_rng(seed).normal(0, 1, (rows, len(sizes))) * sizes


def test_it_is_scikit_learns_ndcg_with_the_baseline_as_relevance():
    rng = np.random.default_rng(1)
    for _ in range(20):
        before, now = rng.random((2, 9))
        assert float(ndcg(before, now)) == pytest.approx(ndcg_score([before], [now]))


def test_the_same_order_is_1_whatever_the_sizes():
    assert float(ndcg(np.array([3.0, 1.0, 2.0]), np.array([0.3, 0.1, 0.2]))) == 1
    assert float(ndcg(np.zeros(3), np.array([1.0, 2.0, 3.0]))) == 1


def test_other_inputs_drift_and_are_named():
    found = compare(NAMES, values(1000), values(500, SIZES[::-1], seed=1), RULES, 0)
    assert (found.status, found.before, found.now) == ("DRIFT", NAMES[:3], NAMES[:-4:-1])
    assert found.ndcg < found.limit == 0.9
    assert "first now x11, x10, x9, before x0, x1, x2" in found.note


@pytest.mark.parametrize("rows", [200, 1000])
def test_without_a_change_it_is_quiet(rows: int):
    found = [compare(NAMES, values(1000, seed=seed), values(rows, seed=100 + seed), RULES, 0) for seed in range(50)]
    assert {one.status for one in found} == {"OK"}


def test_inputs_that_hardly_differ_change_places_by_chance():
    """The model goes by one input in a few rows: which one is first in a small sample says nothing."""
    rng = np.random.default_rng(0)

    def rare(rows: int) -> np.ndarray:
        return (rng.random((rows, 12)) < 0.004) * rng.exponential(5, (rows, 12))

    found = [compare(NAMES, rare(1000), rare(200), RULES, 0) for _ in range(50)]
    assert min(one.ndcg for one in found) < 0.9
    assert max(one.limit for one in found) < 0.9
    assert sum(one.status == "DRIFT" for one in found) <= 3
