"""The newest row of each id, found by its keys in batches, is the one that the whole table in memory says."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from include.data import newest as module
from include.data import tables
from include.data.newest import Window, newest
from include.data.stream import TableVersion
from include.data.window import Lake
from include.spec import UseCase
from include.state.publications import Publication

FIRST, END = date(2026, 1, 5), date(2026, 1, 15)
KEYS = ["customerID", "observed_at", "as_of", "run_id"]


def table_of(uri: str, publications: list[pd.DataFrame]) -> int:
    version = None
    for frame in publications:
        version = tables.append(uri, frame, "r", after=version)
    assert version is not None
    return version


def rows(ids: list[str], days: list[object], as_of: str, run: str) -> pd.DataFrame:
    times = pd.to_datetime(pd.Series(days), utc=True, format="ISO8601").dt.as_unit("us")
    return pd.DataFrame(
        {"customerID": pd.Series(ids, dtype="str"), "observed_at": times, "as_of": as_of, "run_id": run}
    )


def drawn(seed: int) -> list[pd.DataFrame]:
    """Publications with customers that come again, corrections of earlier rows, and runs that share an ``as_of``."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(6):
        keys = pd.DataFrame({"id": random.integers(0, 60, 80), "day": random.integers(0, 20, 80)}).drop_duplicates()
        ids = [f"{'0' * (number % 3)}{one}-é✓" if one % 7 else f"={one}" for one in keys["id"]]
        days = [date(2026, 1, 1) + timedelta(int(day)) for day in keys["day"]]
        as_of = date(2026, 1, 10) + timedelta(int(random.integers(0, 4)))
        made.append(rows(ids, days, as_of.isoformat(), f"run-{random.integers(0, 100):02}-{number}"))
    return made


def found(uri: str, version: int, known_at: str, folder: Path) -> list[tuple[object, ...]]:
    table = TableVersion(uri, version)
    groups = table.row_groups()
    batches = list(table.batches(groups, KEYS, texts=KEYS[2:]))
    mask = newest(batches, sum(group.rows for group in groups), Window(FIRST, END, known_at), folder)
    every = pd.concat([batch.to_pandas() for batch in batches], ignore_index=True)
    return sorted(every[mask].astype({"as_of": str, "run_id": str}).itertuples(index=False, name=None))


def expected(lake: str, version: int, known_at: str, churn: UseCase) -> list[tuple[object, ...]]:
    days = {"first_day": "2026-01-01", "last_day": "2026-01-20", "as_of": "2026-02-01", "run_id": "r"}
    counts = {"rows_in": 0, "rows_published": 0, "rows_quarantined": 0, "simulated": False}
    made = Publication(use_case="churn", dataset="data", versions={"customers": version}, **days, **counts)
    every = Lake(lake, churn, made).observations(FIRST, END, known_at)
    last = every.drop_duplicates("customerID", keep="last")[KEYS]
    return sorted(last.itertuples(index=False, name=None))


@pytest.fixture(scope="module", params=range(3))
def lake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """Where the table of a seed is, and its version."""
    folder = str(tmp_path_factory.mktemp("lake"))
    return folder, table_of(tables.table_uri(folder, "churn", "customers"), drawn(request.param))


@pytest.mark.parametrize("known_at", ["2026-01-09", "2026-01-11", "2026-01-20"])
@pytest.mark.parametrize("bucket_rows", [7, 100, 10_000])
def test_it_is_the_last_one_that_is_left_of_all_observations(
    bucket_rows: int,
    known_at: str,
    lake: tuple[str, int],
    tmp_path: Path,
    churn: UseCase,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(module, "BUCKET_ROWS", bucket_rows)
    folder, version = lake
    ours = found(tables.table_uri(folder, "churn", "customers"), version, known_at, tmp_path / "keys")
    assert ours == expected(folder, version, known_at, churn)
    assert bool(ours) == (known_at != "2026-01-09"), "before the first publication nothing is known"
    assert not (tmp_path / "keys").exists()


CASES = {
    "the later observation": ([("a", "2026-01-06", "2026-01-20", "r1"), ("a", "2026-01-07", "2026-01-20", "r1")], [1]),
    "the later correction": ([("a", "2026-01-06", "2026-01-21", "r1"), ("a", "2026-01-06", "2026-01-20", "r2")], [0]),
    "of one as_of the later run": ([("a", "2026-01-06", "2026-01-20", r) for r in ("r2", "r3", "r1")], [1]),
    "a microsecond": ([("a", f"2026-01-06T00:00:00.00000{n}", "2026-01-20", "r1") for n in (1, 2, 0)], [1]),
    "the window": ([("a", d, "2026-01-20", "r1") for d in ("2026-01-04T23:59:59.999999", "2026-01-15")], []),
    "its first day": ([("a", "2026-01-05", "2026-01-20", "r1"), ("a", "2026-01-15", "2026-01-20", "r1")], [0]),
    "what is known": ([("a", "2026-01-06", "2026-01-20", "r1"), ("a", "2026-01-07", "2026-01-26", "r2")], [0]),
    "ids as text": ([(i, "2026-01-06", "2026-01-20", "r1") for i in ("7", "07", "7 ", "7.0")], [0, 1, 2, 3]),
}


@pytest.mark.parametrize("case", CASES)
def test_which_row_counts(case: str, tmp_path: Path):
    given, kept = CASES[case]
    frames = [rows([i], [day], as_of, run) for i, day, as_of, run in given]
    batches = [_dictionaries(frame) for frame in frames]
    mask = newest(batches, len(given), Window(FIRST, END, "2026-01-25"), tmp_path / "keys")
    assert np.flatnonzero(mask).tolist() == kept


def _dictionaries(frame: pd.DataFrame) -> pa.RecordBatch:
    return pa.RecordBatch.from_pandas(frame.astype({"as_of": "category", "run_id": "category"}), preserve_index=False)


def test_ids_that_share_a_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pd.util, "hash_array", lambda ids, categorize: np.zeros(len(ids), dtype=np.uint64))
    monkeypatch.setattr(module, "BUCKET_ROWS", 2)
    batch = _dictionaries(rows(list("abcab"), ["2026-01-06"] * 3 + ["2026-01-07"] * 2, "2026-01-20", "r1"))
    mask = newest([batch], 5, Window(FIRST, END, "2026-01-25"), tmp_path / "keys")
    assert mask.tolist() == [False, False, True, True, True]


def test_what_a_try_that_died_left_is_not_read(tmp_path: Path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "0.arrow").write_bytes(b"half")
    batch = _dictionaries(rows(["a"], ["2026-01-06"], "2026-01-20", "r1"))
    assert newest([batch], 1, Window(FIRST, END, "2026-01-25"), tmp_path / "keys").tolist() == [True]


def test_no_row_is_no_row(tmp_path: Path):
    assert newest([], 0, Window(FIRST, END, "2026-01-25"), tmp_path / "keys").tolist() == []
