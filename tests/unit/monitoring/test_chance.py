"""What chance makes of distances: samples of one distribution pass the limits about as rarely as they should."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.monitoring import chance
from include.monitoring.distances import distance, divergence
from include.monitoring.tallies import Tally, tally
from tests.unit.monitoring.conftest import Deal

LEVEL = 0.99
PAIRS = 4000
SIZES = [(800, 200), (3500, 360), (5000, 3000), (40_000, 500)]
CATEGORIES = {"even": [0.48, 0.52], "three": [0.55, 0.21, 0.24], "rare": [0.9, 0.07, 0.02, 0.006, 0.003, 0.001]}


def column(method: str, values: pd.Series, current: int, rows: int = chance.MOST_ROWS) -> chance.Compared:
    """Of ``values``, held against a sample of ``current`` rows with a value."""
    counted = tally(values, "category" if method != "wasserstein" else "number")
    few = pd.Series(values.to_numpy()).head(rows)
    return chance.compared(method, few, counted, Tally(counted.values[:1], np.array([current])))


def limit(method: str, values: pd.Series, current: int, seed: int = 1) -> float:
    return chance.limits([column(method, values, current)], LEVEL, np.random.default_rng(seed))[0]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("method", ["jensenshannon", "psi"])
@pytest.mark.parametrize("case", CATEGORIES)
def test_the_limit_of_categories(case: str, method: str, sizes: tuple[int, int]):
    """One in a hundred, estimated from one reference of the distribution: a bit more where a category is rare."""
    rng = np.random.default_rng(1)
    n, m = sizes
    names = np.array([f"c{number}" for number in range(len(CATEGORIES[case]))], dtype=object)
    reference = pd.Series(rng.choice(names, n, p=CATEGORIES[case])).astype("str")
    found = limit(method, reference, m)
    before, after = (rng.multinomial(size, CATEGORIES[case], PAIRS) / size for size in sizes)
    assert 0.002 <= (divergence(method, before, after) > found).mean() <= 0.021


@pytest.mark.parametrize("name", ["tenure", "MonthlyCharges", "score"])
def test_the_limit_of_numbers(name: str, deal: Deal):
    rng = np.random.default_rng(1)
    reference = deal(3500)[0][name]
    found = limit("wasserstein", reference, 360)
    values = reference.to_numpy()
    pairs = [[tally(pd.Series(rng.choice(values, n)), "number") for n in (3500, 360)] for _ in range(1500)]
    assert 0.002 <= np.mean([distance("wasserstein", *pair) > found for pair in pairs]) <= 0.018


def test_a_column_with_few_scores_has_the_chance_of_few_rows(deal: Deal):
    """In a baseline only the rows that were held out have a score; in a window each has one."""
    reference = deal(4000)[0]["score"].reset_index(drop=True)
    few = reference.where(reference.index % 20 == 0)
    assert limit("wasserstein", few, 400) == pytest.approx(limit("wasserstein", few.dropna(), 400), rel=0.1)
    assert limit("wasserstein", few, 400) > 1.4 * limit("wasserstein", reference, 400)


def independent(columns: int, seed: int = 0) -> list[chance.Compared]:
    rng = np.random.default_rng(seed)
    codes = rng.choice(np.array(["a", "b", "c"], dtype=object), (columns, 3500), p=[0.5, 0.3, 0.2])
    return [column("jensenshannon", pd.Series(one).astype("str"), 500) for one in codes]


def test_all_columns_together_pass_as_rarely_as_one():
    """Of twenty independent columns each has to go farther, so that the farthest of them keeps the level."""
    columns = independent(20)
    found = np.array(chance.limits(columns, LEVEL, np.random.default_rng(1)))
    rng = np.random.default_rng(2)
    passed = np.zeros(PAIRS, dtype=bool)
    for one in found:
        before, after = (rng.multinomial(size, [0.5, 0.3, 0.2], PAIRS) / size for size in (3500, 500))
        passed |= divergence("jensenshannon", before, after) > one
    assert 0.003 <= passed.mean() <= 0.018
    assert found.min() > 1.2 * limit("jensenshannon", pd.Series(list("aaaaabbbcc") * 350).astype("str"), 500)


def test_columns_that_say_the_same_count_as_one():
    (one,) = independent(1)
    alone, *_ = chance.limits([one], LEVEL, np.random.default_rng(1))
    assert chance.limits([one] * 20, LEVEL, np.random.default_rng(1)) == pytest.approx([alone] * 20)


@pytest.mark.parametrize("method", ["wasserstein", "jensenshannon", "psi"])
def test_a_constant_column_has_no_chance(method: str):
    constant = pd.Series(np.full(500, 7.0 if method == "wasserstein" else "x"))
    assert limit(method, constant, 300) == 0
    counted = tally(constant, "number" if method == "wasserstein" else "category")
    assert distance(method, counted, counted) == 0


def test_the_limits_are_the_same_twice():
    one, same = (chance.limits(independent(3), LEVEL, np.random.default_rng(5)) for _ in range(2))
    assert one == same


def test_cells_are_the_values_of_a_column_with_few_of_them():
    found = column("wasserstein", pd.Series([1.0, np.nan, 1.0, 1.0, 4.0]), 4)
    assert found.cells.tolist() == [0, -1, 0, 0, 1]
    np.testing.assert_allclose(found.gaps, [3.0 / np.std([1.0, 1.0, 1.0, 4.0])])
