"""Which rows of a table are the newest observation of their id, found without holding the table.

Only the keys are read. They are dealt out to files by a hash of the id, so that all rows of an id are in the same one,
and each file is small enough to be looked at as a whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.data.calendar import midnight
from include.files import naming

BUCKET_ROWS = 2_000_000
"""Rows of a file on average."""
DEALT = pa.schema(
    [
        ("id", pa.large_string()),
        ("hash", pa.uint64()),
        ("observed_at", pa.int64()),
        ("source", pa.int32()),
        ("place", pa.int64()),
    ]
)

Source = tuple[str, str]
"""``as_of`` and run that a row was published by; of two that correct each other the greater one counts."""


@dataclass(frozen=True)
class Window:
    """Observations from ``first`` on and before ``end``, as known at ``known_at`` (an ``as_of``)."""

    first: date
    end: date
    known_at: str


def newest(keys: Iterable[pa.RecordBatch], rows: int, window: Window, folder: Path) -> np.ndarray:
    """Whether each row is the newest observation of its id, of shape (rows,) and type bool.

    ``keys`` are all rows in their order: id, time of observation (microseconds, UTC), ``as_of`` and run as
    dictionaries. Of an observation that was corrected the last correction counts: the rows are those that are left of
    ``Lake.observations`` when all but the last of each id are dropped. ``folder`` is made for the time of the call.
    """
    shutil.rmtree(folder, ignore_errors=True)  # of a try that died
    folder.mkdir(parents=True)
    try:
        buckets = [folder / f"{number}.arrow" for number in range(-(-rows // BUCKET_ROWS))]
        with naming(folder):
            sources = _deal(keys, window, buckets)
        found = np.zeros(rows, dtype=bool)
        for bucket in buckets:
            with pa.ipc.open_file(bucket) as file:
                found[_newest_of(file.read_all(), sources)] = True
        return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _deal(keys: Iterable[pa.RecordBatch], window: Window, buckets: list[Path]) -> list[Source]:
    """Write the rows in ``window`` to the bucket of their id; return the sources, which the rows name by number."""
    sources: dict[Source, int] = {}
    with ExitStack() as open_files:
        writers = [open_files.enter_context(pa.ipc.new_file(bucket, DEALT)) for bucket in buckets]
        for rows in _in_window(keys, window, sources):
            bucket_of = rows["hash"].to_numpy() % len(buckets)
            order = np.argsort(bucket_of, kind="stable")
            dealt, ends = rows.take(order), np.searchsorted(bucket_of[order], np.arange(len(buckets) + 1))
            for number, writer in enumerate(writers):
                writer.write_batch(dealt.slice(ends[number], ends[number + 1] - ends[number]))
    return list(sources)


def _in_window(keys: Iterable[pa.RecordBatch], window: Window, sources: dict[Source, int]) -> Iterator[pa.RecordBatch]:
    """The rows in ``window`` with their places, as ``DEALT`` says; sources that were not met before are added."""
    first, end = (int(midnight(day).timestamp()) * 1_000_000 for day in (window.first, window.end))
    start = 0
    for ids, times, as_ofs, runs in (batch.columns for batch in keys):
        observed, (source, known) = times.cast(pa.int64()).to_numpy(), _sources(as_ofs, runs, window, sources)
        places = np.flatnonzero(known & (first <= observed) & (observed < end))
        within = ids.take(pa.array(places))
        hashes = pd.util.hash_array(within.to_numpy(zero_copy_only=False), categorize=False)
        columns = [within.cast(pa.large_string()), hashes, observed[places], source[places], start + places]
        yield pa.record_batch(columns, schema=DEALT)
        start += len(ids)


def _sources(
    as_ofs: pa.DictionaryArray, runs: pa.DictionaryArray, window: Window, sources: dict[Source, int]
) -> tuple[np.ndarray, np.ndarray]:
    """For each row the number of its source, and whether that was known at the time of the window."""
    as_of_values, run_values = as_ofs.dictionary.to_pylist(), runs.dictionary.to_pylist()
    pairs = as_ofs.indices.to_numpy().astype(np.int64) * len(run_values) + runs.indices.to_numpy()
    present, place = np.unique(pairs, return_inverse=True)
    found = [(as_of_values[pair // len(run_values)], run_values[pair % len(run_values)]) for pair in present]
    numbers = np.array([sources.setdefault(source, len(sources)) for source in found], dtype=np.int32)
    known = np.array([as_of <= window.known_at for as_of, _ in found], dtype=bool)
    return numbers[place], known[place]


def _newest_of(rows: pa.Table, sources: list[Source]) -> np.ndarray:
    """The places of the rows of a bucket that are the newest of their id."""
    codes = _codes(rows["id"].combine_chunks(), rows["hash"].to_numpy())
    rank = np.empty(len(sources), dtype=np.int64)
    rank[sorted(range(len(sources)), key=sources.__getitem__)] = np.arange(len(sources))
    places = rows["place"].to_numpy()
    left = np.arange(len(codes))
    for values in (rows["observed_at"].to_numpy(), rank[rows["source"].to_numpy()], places):
        greatest = np.full(codes.max(initial=-1) + 1, np.iinfo(np.int64).min)
        np.maximum.at(greatest, codes[left], values[left])
        left = left[values[left] == greatest[codes[left]]]
    return places[left]


def _codes(ids: pa.LargeStringArray, hashes: np.ndarray) -> np.ndarray:
    """A number for each row, the same for rows of one id only: by their hash, unless two ids happen to share one."""
    _, first, codes = np.unique(hashes, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[codes] != np.arange(len(codes)))
    if pc.equal(ids.take(again), ids.take(first[codes[again]])).false_count:
        return np.asarray(ids.dictionary_encode().indices)
    return codes
