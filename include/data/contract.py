"""The contract of a batch: from the bytes of a file to typed columns, with every value that does not fit named.

Nothing is guessed and nothing is repaired: a value that cannot be what its column says becomes null and its row is
named in a ``RowFault``; a file that cannot be a batch at all is refused whole.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from include.data.reading import read_text
from include.errors import DataRejected
from include.spec import Column, UseCase

NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
OFFSET = r"(?:Z|[+-][0-9]{2}:?[0-9]{2})$"
EXACT = 2.0**53
"""From here on float64 leaves out whole numbers."""
SAMPLE = 5


@dataclass(frozen=True)
class RawTable:
    """Columns as text, in the file's own order; ``extra`` names those that the spec does not know."""

    frame: pd.DataFrame
    extra: tuple[str, ...]
    name: str = "the data"


@dataclass(frozen=True)
class RowFault:
    """Rows (positions, ascending, shape (n,)) that break ``rule``, with a few of the values found."""

    rule: str
    column: str
    rows: np.ndarray
    sample: tuple[str, ...]


@dataclass(frozen=True)
class Conformed:
    """``frame`` has the spec's columns and ``label`` (1.0, 0.0, NaN where unknown); ``faults`` name broken values."""

    frame: pd.DataFrame
    faults: tuple[RowFault, ...]


def read(path: Path, spec: UseCase) -> RawTable:
    """Read a CSV (plain or gzip) or Parquet file as text. Raises ``DataRejected`` naming file, found and expected."""
    raw = read_columns(path, list(spec.columns), [spec.target.column], spec.limits.maximum_bytes)
    if raw.frame.empty:
        raise DataRejected("NO_ROWS", f"{path.name}: a header and no row; expected at least one; export it again")
    return raw


def read_columns(path: Path, needed: list[str], optional: list[str], maximum_bytes: int) -> RawTable:
    """The ``needed`` columns of a file and those of the ``optional`` that it has, as text."""
    frame = read_text(path, maximum_bytes)
    refuse_missing(path.name, needed, list(frame.columns))
    extra = tuple(name for name in frame.columns if name not in {*needed, *optional})
    return RawTable(frame.drop(columns=list(extra)), extra, path.name)


def refuse_missing(name: str, needed: list[str], found: list[str]) -> None:
    """Raise ``DataRejected`` (``MISSING_COLUMN``) when the table ``name`` lacks a column; say which is near."""
    missing = [column for column in needed if column not in found]
    if missing:
        raise DataRejected("MISSING_COLUMN", _missing(name, missing, found))


def conform(raw: RawTable, spec: UseCase) -> Conformed:
    """Give every column its type. Neither drops nor reorders a row.

    Raises ``DataRejected`` (``BAD_TIME``) for a time of observation that is not clearly one moment.
    """
    faults: list[RowFault] = []
    typed: dict[str, pd.Series] = {}
    for name, column in spec.columns.items():
        text = strip(raw.frame[name])
        typed[name] = _numbers(name, column, text, faults) if column.is_numeric else text
    if spec.observed_at:
        typed["observed_at"] = read_times(raw, spec.observed_at)
    typed["label"] = _labels(spec, raw.frame, faults)
    return Conformed(pd.DataFrame(typed), tuple(faults))


def strip(text: pd.Series) -> pd.Series:
    """Text without the blanks around it; null where nothing is left."""
    stripped = text.str.strip()
    return stripped.where(stripped != "")


def stripped(value: object) -> str:
    """One value as the text that ``strip`` makes of it; empty where that is null."""
    return "" if value is None else str(value).strip()


def map_labels(text: pd.Series, spec: UseCase) -> tuple[pd.Series, np.ndarray]:
    """Labels as 1.0, 0.0 or NaN for blank, and a mask of those that are none of the target's two values."""
    given = strip(text)
    is_positive, is_negative = given == spec.target.positive, given == spec.target.negative
    labels = np.select([is_positive, is_negative], [1.0, 0.0], np.nan)
    return pd.Series(labels, index=text.index), (given.notna() & ~is_positive & ~is_negative).to_numpy(dtype=bool)


def read_times(raw: RawTable, name: str, *, days: bool = False) -> pd.Series:
    """Column ``name`` as UTC times in microseconds, NaT where blank; raises ``DataRejected`` (``BAD_TIME``).

    A time without its offset names two moments when the clocks go back, and another one in each place. With ``days``
    a plain day is read as its midnight in UTC.
    """
    text = strip(raw.frame[name])
    aware = text.where(text.str.contains(f"{OFFSET}|{DAY}" if days else OFFSET, regex=True, na=False))
    times = pd.to_datetime(aware, errors="coerce", utc=True, format="ISO8601").dt.as_unit("us")
    broken = text[text.notna() & times.isna()]
    if len(broken):
        raise DataRejected(
            "BAD_TIME",
            f"{raw.name}: column '{name}': {len(broken)} of {len(text)} values are no ISO 8601 time with an offset, "
            f"such as 2026-01-31T12:00:00Z; found {_shown(broken)}; write them so",
        )
    return times


def _labels(spec: UseCase, frame: pd.DataFrame, faults: list[RowFault]) -> pd.Series:
    if spec.target.column not in frame.columns:
        return pd.Series(np.nan, index=frame.index)
    labels, broken = map_labels(frame[spec.target.column], spec)
    expected = f"{spec.target.positive!r} or {spec.target.negative!r}"
    _note(faults, f"{spec.target.column}: neither {expected}", spec.target.column, broken, frame[spec.target.column])
    return labels


def _numbers(name: str, column: Column, text: pd.Series, faults: list[RowFault]) -> pd.Series:
    codes, found = pd.factorize(text)  # each distinct text is read once; null has the code -1
    distinct = pd.Series(found, dtype=text.dtype)
    values = distinct.where(distinct.str.fullmatch(NUMBER)).to_numpy(dtype="float64", na_value=np.nan)
    broken = {"not a number": np.isnan(values), "not finite": np.isinf(values)}
    if column.type == "integer":
        broken["not a whole number"] = np.isfinite(values) & (np.floor(values) != values)
        broken["too large to be kept exactly; make the column text"] = np.isfinite(values) & (np.abs(values) >= EXACT)
    for rule, among in broken.items():
        _note(faults, f"{name}: {rule}", name, np.append(among, False)[codes], text)
    values[np.any(list(broken.values()), axis=0)] = np.nan
    return pd.Series(np.append(values, np.nan)[codes], index=text.index)


def _note(faults: list[RowFault], rule: str, column: str, broken: np.ndarray, text: pd.Series) -> None:
    if broken.any():
        rows = np.flatnonzero(broken)
        faults.append(RowFault(rule, column, rows, tuple(str(text.iloc[row])[:80] for row in rows[:SAMPLE])))


def _shown(values: pd.Series) -> str:
    return ", ".join(repr(value[:80]) for value in values.head(3))


def _missing(name: str, missing: list[str], found: list[str]) -> str:
    parts = []
    lowered = {column.lower(): column for column in found}
    for column in missing:
        near = [lowered[column.lower()]] if column.lower() in lowered else difflib.get_close_matches(column, found, n=1)
        parts.append(f"'{column}'" + (f" (did you mean '{near[0]}'?)" if near else ""))
    return (
        f"{name}: {len(missing)} of the columns that the use case needs are missing: {', '.join(parts)}; "
        f"the file has {', '.join(found)}. For a file of another kind: python -m include init NAME --from {name}"
    )
