"""A plan: parts of about one size, each row in one of them, and a fingerprint that tells what is another scoring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.data.stream import RowGroup
from include.files import FileDamaged
from include.scoring.planning import Chosen, Plan, only, window
from include.spec import UseCase
from tests.unit.scoring.conftest import EXAMPLES


def chosen(*groups: list[int]) -> Chosen:
    named = tuple(RowGroup(path=f"{n}.parquet", number=0, rows=len(rows)) for n, rows in enumerate(groups))
    return Chosen(named, np.array([row for rows in groups for row in rows], dtype=bool))


masks = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=9), max_size=12)


@EXAMPLES
@given(masks, st.integers(1, 16))
def test_each_row_group_is_in_one_part_with_its_rows_in_their_order(groups: list[list[int]], count: int):
    whole = chosen(*groups)
    parts = whole.cut(count)
    assert len(parts) == count
    assert [group for part in parts for group in part.groups] == list(whole.groups)
    assert np.array_equal(np.concatenate([part.picked for part in parts]), whole.picked)
    for part in parts:
        assert sum(group.rows for group in part.groups) == len(part.picked)


@EXAMPLES
@given(masks, st.integers(1, 16))
def test_a_part_has_at_most_one_row_group_more_than_its_share(groups: list[list[int]], count: int):
    whole = chosen(*groups)
    largest = max((sum(rows) for rows in groups), default=0)
    assert all(part.count <= whole.count / count + largest for part in whole.cut(count))


@EXAMPLES
@given(masks)
def test_what_is_not_looked_at_makes_no_difference(groups: list[list[int]]):
    whole, few = chosen(*groups), chosen(*groups).without_empty_groups()
    assert few.count == whole.count
    assert all(part.any() for part in np.split(few.picked, np.cumsum([g.rows for g in few.groups])[:-1]) if part.size)
    assert few.fingerprint("1") == few.without_empty_groups().fingerprint("1")


def test_the_fingerprint_tells_other_rows_files_and_settings():
    one = chosen([1, 0, 1], [1])
    others = [chosen([1, 1, 1], [1]), chosen([1, 0, 1]), replace(one, groups=one.groups[::-1])]
    prints = {one.fingerprint("1", "a"), one.fingerprint("2", "a"), *(other.fingerprint("1", "a") for other in others)}
    assert len(prints) == 5
    assert one.fingerprint("1", "a") == chosen([1, 0, 1], [1]).fingerprint("1", "a")


def test_only_the_rows_that_are_picked_pass():
    batches = [pa.record_batch({"a": list(range(start, start + 3))}) for start in (0, 3, 6)]
    picked = np.array([0, 1, 0, 0, 0, 0, 1, 1, 1], dtype=bool)
    assert [batch["a"].to_pylist() for batch in only(batches, picked)] == [[1], [6, 7, 8]]


@pytest.mark.parametrize("rows", [2, 4])
def test_a_table_that_is_another_one_is_refused(rows: int):
    with pytest.raises(FileDamaged, match=f"the table has {rows} rows where 3 were planned"):
        list(only([pa.record_batch({"a": list(range(rows))})], np.ones(3, dtype=bool)))


def test_the_window_is_the_days_before_as_of(churn: UseCase):
    days = window("2026-03-01", churn)
    assert (str(days.first), str(days.end), days.known_at) == ("2025-12-01", "2026-03-01", "2026-03-01")


def test_a_plan_is_read_as_it_was_written_or_refused(tmp_path: Path):
    group = RowGroup(path="a.parquet", number=1, rows=3)
    days = {"as_of": "2026-01-03", "first_day": "2026-01-01", "last_day": "2026-01-02"}
    made = Plan(
        champion="3",
        publication="i1",
        data_version="customers@4",
        simulated=True,
        table_version=4,
        rows=2,
        partitions=((group,), ()),
        fingerprint="f" * 64,
        **days,
    )
    path = tmp_path / "plan.json"
    made.write(path)
    assert Plan.read(path) == made
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileDamaged, match=r"plan\.json: damaged or gone"):
        Plan.read(path)
