"""Delta tables: whole versions, types that stay, and nothing left of a run that died before it published."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from include.data import tables
from include.errors import DataRejected


def rows(*values: int) -> pd.DataFrame:
    return pd.DataFrame({"a": list(values)})


def values(uri: str, version: int) -> list[int]:
    return sorted(tables.read(uri, version)["a"])


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return str(tmp_path / "customers")


def test_an_append_is_seen_from_its_version_on(uri: str):
    first = tables.append(uri, rows(1), "i1", after=None)
    second = tables.append(uri, rows(2), "i2", after=first)
    assert (values(uri, first), values(uri, second)) == ([1], [1, 2])


def test_a_frame_comes_back_as_it_went(uri: str) -> None:
    times = pd.to_datetime(["2026-01-01", "2026-01-02", None], utc=True).as_unit("us")
    notes = pd.Series(["ß✓", None, ""], dtype="str")
    frame = pd.DataFrame({"id": ["007", "9007199254740993", "7"], "n": [0.1, None, -0.0], "at": times, "note": notes})
    back = tables.read(uri, tables.append(uri, frame, "i1", after=None))
    pd.testing.assert_frame_equal(back, frame, check_dtype=False)
    assert back["at"].dtype == frame["at"].dtype


@pytest.mark.parametrize("mark", "\x85\u2028\u2029", ids=ascii)
def test_a_text_value_may_hold_what_some_call_a_line_break(mark: str, uri: str) -> None:
    version = tables.append(uri, pd.DataFrame({"id": [f"a{mark}b"]}), "i1", after=None)
    assert list(tables.read(uri, version)["id"]) == [f"a{mark}b"]


def test_rows_of_a_reader_are_taken_batch_by_batch(uri: str) -> None:
    first, taken = tables.append(uri, rows(1), "i1", after=None), []

    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(2, 5):
            taken.append(number)
            yield pa.record_batch({"a": [number]})

    reader = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), batches())
    assert taken == []
    second = tables.append(uri, reader, "i2", after=first)
    assert (values(uri, first), values(uri, second)) == ([1], [1, 2, 3, 4])
    text = pa.RecordBatchReader.from_batches(pa.schema([("a", pa.string())]), [])
    with pytest.raises(DataRejected, match="holds 'a' as long, now string"):
        tables.append(uri, text, "i3", after=second)


def test_a_read_filters_and_picks_columns(uri: str) -> None:
    version = tables.append(uri, rows(1, 2, 3).assign(b="x"), "i1", after=None)
    assert sorted(tables.read(uri, version, filters=[("a", ">=", 2)])["a"]) == [2, 3]
    assert list(tables.read(uri, version, columns=["b"])) == ["b"]


def test_a_column_that_the_spec_gained_is_null_in_older_rows(uri: str) -> None:
    first = tables.append(uri, rows(1), "i1", after=None)
    second = tables.append(uri, rows(2).assign(more="x"), "i2", after=first)
    third = tables.append(uri, rows(3), "i3", after=second)  # and gave up again
    assert "more" not in tables.read(uri, first)
    for version in (second, third):
        table = tables.read(uri, version)
        assert list(table.loc[table["more"].notna(), "a"]) == [2]


@pytest.mark.parametrize(("value", "kind"), [("1", "string"), (1.0, "double")])
def test_a_column_of_another_type_is_refused_and_nothing_is_written(uri: str, value: object, kind: str) -> None:
    version = tables.append(uri, rows(1), "i1", after=None)
    with pytest.raises(DataRejected, match=rf"customers holds 'a' as long, now {kind}; give the column") as refusal:
        tables.append(uri, rows(2).assign(a=value), "i2", after=version)
    assert refusal.value.code == "TYPE_CHANGED"
    assert values(uri, tables.append(uri, rows(2), "i2", after=version)) == [1, 2]


def torn_rows(folder: Path) -> None:
    newest = max(folder.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes()[:100])


def lost_rows(folder: Path) -> None:
    max(folder.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns).unlink()


def torn_log(folder: Path) -> None:
    newest = max((folder / tables.LOG).iterdir())
    newest.write_bytes(newest.read_bytes()[:40])


def empty_log(folder: Path) -> None:
    max((folder / tables.LOG).iterdir()).write_bytes(b"")


@pytest.mark.parametrize("damage", [lambda _: None, torn_rows, lost_rows, torn_log, empty_log])
@pytest.mark.parametrize("published", [0, 1, 2], ids=["the first", "the second", "the third"])
def test_an_append_takes_the_place_of_what_was_never_published(published: int, damage, uri: str):
    last = None
    for number in range(published):
        last = tables.append(uri, rows(number), f"i{number}", after=last)
    tables.append(uri, rows(100), "died", after=last)
    damage(Path(uri))
    version = tables.append(uri, rows(7), "again", after=last)
    assert values(uri, version) == [*range(published), 7]
    if last is not None:
        assert values(uri, last) == list(range(published))


def test_several_commits_past_the_published_one_are_undone(uri: str):
    first = tables.append(uri, rows(1), "i1", after=None)
    died = tables.append(uri, rows(100), "died", after=first)
    tables.append(uri, rows(101), "died, too", after=died)
    assert values(uri, tables.append(uri, rows(2), "i2", after=first)) == [1, 2]


def test_a_table_of_many_commits_keeps_its_checkpoints(uri: str):
    """Delta writes a checkpoint after a hundred commits; the one of an undone commit must not be read.

    It looks then for entries of its log that are a month old, as all are here but the newest.
    """
    last, month_ago = None, time.time() - 31 * 86_400
    for number in range(101):
        last = tables.append(uri, rows(number), f"i{number}", after=last)
        for entry in (Path(uri) / tables.LOG).iterdir():
            os.utime(entry, (month_ago, month_ago))
    assert any("checkpoint" in path.name for path in (Path(uri) / tables.LOG).iterdir())
    assert values(uri, 98) == [*range(99)]
    again = tables.append(uri, rows(1000), "again", after=98)
    assert values(uri, again) == [*range(99), 1000]
    assert values(uri, 50) == [*range(51)]
