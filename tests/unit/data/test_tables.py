"""Delta tables: what a run left behind that died before it published is undone, whatever state it is in."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from include.data import tables


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
    """Delta writes a checkpoint after a hundred commits; the one of an undone commit must not be read."""
    last = None
    for number in range(101):
        last = tables.append(uri, rows(number), f"i{number}", after=last)
    assert any("checkpoint" in path.name for path in (Path(uri) / tables.LOG).iterdir())
    again = tables.append(uri, rows(1000), "again", after=98)
    assert values(uri, again) == [*range(99), 1000]
    assert values(uri, 50) == [*range(51)]
