"""A version of a table in batches: all of its rows, each time in the same order, and no file that cannot matter."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from include.data import stream, tables
from include.data.stream import TableVersion


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return str(tmp_path / "customers")


def published(uri: str, *frames: pd.DataFrame) -> TableVersion:
    version = None
    for frame in frames:
        version = tables.append(uri, frame, "r", after=version)
    assert version is not None
    return TableVersion(uri, version)


def read(table: TableVersion, columns: list[str], texts: tuple[str, ...] = ()) -> pd.DataFrame:
    batches = table.batches(table.row_groups(), columns, texts)
    return pd.concat([batch.to_pandas() for batch in batches], ignore_index=True)


def test_it_is_all_rows_of_the_version_always_in_the_same_order(uri: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream, "BATCH_ROWS", 4)
    table = published(uri, *(pd.DataFrame({"a": range(n * 10, n * 10 + 10)}) for n in range(5)))
    old = TableVersion(uri, 2)
    first = read(table, ["a"])["a"].tolist()
    assert sorted(first) == list(range(50))
    assert read(table, ["a"])["a"].tolist() == first
    assert sorted(read(old, ["a"])["a"]) == list(range(30))
    assert max(map(len, table.batches(table.row_groups(), ["a"]))) == 4


def test_row_groups_are_read_alone(uri: str):
    table = published(uri, *(pd.DataFrame({"a": [n] * (n + 1)}) for n in range(3)))
    groups = table.row_groups()
    assert sorted(group.rows for group in groups) == [1, 2, 3]
    for group in groups:
        (batch,) = table.batches([group], ["a"])
        assert batch["a"].to_pylist() == [group.rows - 1] * group.rows


def test_a_file_in_which_no_row_passes_is_left_out(uri: str):
    days = pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"], utc=True).as_unit("us")
    table = published(uri, *(pd.DataFrame({"at": [day], "as_of": f"2026-01-0{n + 2}"}) for n, day in enumerate(days)))
    assert len(table.row_groups([("at", ">=", days[1])])) == 2
    assert len(table.row_groups([("at", ">=", days[1]), ("as_of", "<=", "2026-01-03")])) == 1
    assert table.row_groups([("as_of", "<=", "2026-01-01")]) == []


def test_text_comes_as_categories_and_null_stays_null(uri: str):
    table = published(uri, pd.DataFrame({"id": ["007", "8"], "kind": ["a", None], "n": [1.0, None]}))
    frame = read(table, ["id", "kind", "n"], texts=("kind",))
    assert isinstance(frame["kind"].dtype, pd.CategoricalDtype)
    assert frame["kind"].isna().tolist() == [False, True]
    assert frame["id"].tolist() == ["007", "8"]


def test_a_column_that_a_file_lacks_is_null_and_one_that_the_table_lacks_is_not_there(uri: str):
    table = published(uri, pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2], "kind": ["x"]}))
    frame = read(table, ["a", "kind", "never"], texts=("kind", "never"))
    assert list(frame) == ["a", "kind"]
    assert frame.set_index("a")["kind"].isna().to_dict() == {1: True, 2: False}
