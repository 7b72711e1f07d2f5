"""Samples counted by value: what is left out, what counts as one, and that no row is lost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.monitoring.tallies import MAXIMUM_CATEGORIES, OTHER, Tally, frequent, merged, tally


def test_numbers_are_counted_without_blanks_and_what_is_infinite():
    counted = tally(pd.Series([3.0, 1.0, np.nan, 3.0, np.inf]), "number")
    assert (counted.values.tolist(), counted.counts.tolist(), counted.rows) == ([1.0, 3.0], [1, 2], 3)
    assert counted.is_numeric
    assert counted.cumulative(np.array([0.0, 1.0, 2.9, 3.0])).tolist() == pytest.approx([0, 1 / 3, 1 / 3, 1])
    assert counted.std() == pytest.approx(np.std([3.0, 1.0, 3.0]))


@pytest.mark.parametrize("dtype", ["str", "category", "object"])
def test_categories_are_counted_as_texts(dtype: str):
    counted = tally(pd.Series(["b", "a", None, "b"]).astype(dtype), "category")
    assert (counted.values.tolist(), counted.counts.tolist()) == (["a", "b"], [1, 2])
    assert not counted.is_numeric


def test_a_number_and_its_text_are_one_category():
    counted = tally(pd.Series([1, "1", 2], dtype=object), "category")
    assert (counted.values.tolist(), counted.counts.tolist()) == (["1", "2"], [2, 1])


def test_a_category_that_no_row_has_is_none():
    column = pd.Series(["a", "b"]).astype("category").head(1)
    assert tally(column, "category").values.tolist() == ["a"]


def test_text_where_numbers_are_expected_is_an_error():
    with pytest.raises(ValueError, match="could not convert"):
        tally(pd.Series(["1", "long"]), "number")


def test_of_very_many_categories_the_rare_ones_of_the_reference_count_as_one():
    names = np.array([f"c{number:04}" for number in range(1000)], dtype=object)
    reference = Tally(names, np.arange(1000, 0, -1))
    current = Tally(np.array(["c0000", "c0999", "new"], dtype=object), np.array([5, 2, 1]))
    kept = frequent(reference, current)
    assert kept is not None
    assert kept.tolist() == names[: MAXIMUM_CATEGORIES - 1].tolist()
    after = merged(current, kept)
    assert dict(zip(after.values, after.counts, strict=True)) == {OTHER: 3, "c0000": 5}
    assert merged(reference, kept).rows == reference.rows
    assert frequent(after, after) is None
    assert merged(after, None) is after
