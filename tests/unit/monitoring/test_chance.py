"""What chance makes of a distance: samples of one distribution pass the limit about as rarely as they should."""

from __future__ import annotations

import numpy as np
import pytest

from include.monitoring import chance
from include.monitoring.distances import distance, divergence, shares
from tests.unit.monitoring.conftest import Deal

LEVEL = 0.99
PAIRS = 4000
SIZES = [(800, 200), (3500, 360), (5000, 3000)]
CATEGORIES = {"even": [0.48, 0.52], "three": [0.55, 0.21, 0.24], "rare": [0.9, 0.07, 0.02, 0.006, 0.003, 0.001]}


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("method", ["jensenshannon", "psi"])
@pytest.mark.parametrize("case", CATEGORIES)
def test_the_limit_of_categories(case: str, method: str, sizes: tuple[int, int]):
    """One in a hundred, estimated from one reference of the distribution: a bit more where a category is rare."""
    rng = np.random.default_rng(1)
    n, m = sizes
    reference = rng.choice(len(CATEGORIES[case]), n, p=CATEGORIES[case])
    limit = chance.limit(method, reference, m, LEVEL, rng)
    before, after = (rng.multinomial(size, CATEGORIES[case], PAIRS) / size for size in sizes)
    assert 0.002 <= (divergence(method, before, after) > limit).mean() <= 0.02


@pytest.mark.parametrize("column", ["tenure", "MonthlyCharges", "score"])
def test_the_limit_of_numbers(column: str, deal: Deal):
    rng = np.random.default_rng(1)
    reference = deal(3500)[0][column].to_numpy()
    limit = chance.limit("wasserstein", reference, 360, LEVEL, rng)
    found = [distance("wasserstein", rng.choice(reference, 3500), rng.choice(reference, 360)) for _ in range(1500)]
    assert 0.002 <= (np.array(found) > limit).mean() <= 0.018


def test_a_far_level_is_reached_by_few_resamples(deal: Deal):
    """At 1 in 2,000, as for 20 columns at 1 % together; the resamples are 1,000."""
    reference = deal(3500)[0]["MonthlyCharges"].to_numpy()
    weights, gaps = chance._cells(reference)
    rng = np.random.default_rng(2)
    before, after = (rng.multinomial(size, weights, 20_000) / size for size in (3500, 360))
    truth = np.abs(np.cumsum(before - after, axis=1))[:, :-1] @ gaps / reference.std()
    limits = [chance.limit("wasserstein", reference, 360, 0.9995, np.random.default_rng(seed)) for seed in range(10)]
    assert np.mean([(truth > limit).mean() for limit in limits]) <= 0.0005
    assert np.mean(limits) == pytest.approx(np.quantile(truth, 0.9995), rel=0.1)


@pytest.mark.parametrize("method", ["wasserstein", "jensenshannon", "psi"])
def test_a_constant_column_has_no_chance(method: str):
    constant = np.full(500, 7.0)
    assert chance.limit(method, constant, 300, 0.9995, np.random.default_rng(0)) == 0
    assert distance(method, constant, constant[:300]) == 0


def test_the_limit_is_the_same_twice(deal: Deal):
    reference = deal()[0]["tenure"].to_numpy()
    one, same = (chance.limit("wasserstein", reference, 360, LEVEL, np.random.default_rng(5)) for _ in range(2))
    assert one == same


def test_cells_are_the_shares_of_a_column_with_few_values():
    weights, gaps = chance._cells(np.array([1.0, 1.0, 1.0, 4.0]))
    np.testing.assert_allclose(weights, [0.75, 0.25])
    np.testing.assert_allclose(gaps, [3.0])
    assert len(shares(np.array([0, 0, 2]), np.array([1]))[0]) == 3
