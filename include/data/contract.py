"""The contract of a batch: from the bytes of a file to typed columns, with every value that does not fit named.

Nothing is guessed and nothing is repaired: a value that cannot be what its column says becomes null and its row is
named in a ``RowFault``; a file that cannot be a batch at all is refused whole.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from pyarrow import ArrowInvalid

from include.errors import DataRejected
from include.spec import Column, UseCase

MAGIC = {
    b"PAR1": "Parquet",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip or xlsx",
    b"%PDF": "PDF",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"{": "JSON",
    b"[": "JSON",
    b"<": "HTML or XML",
}
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
SAMPLE = 5


@dataclass(frozen=True)
class RawTable:
    """Columns as text, in the file's own order; ``extra`` names those that the spec does not know."""

    frame: pd.DataFrame
    extra: tuple[str, ...]


@dataclass(frozen=True)
class RowFault:
    """Rows (positions, shape (n,)) that break ``rule``, with a few of the values found."""

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
    if not path.is_file():
        raise DataRejected("MISSING_FILE", f"{path}: there is no such file")
    frame = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path, spec)
    if frame.empty:
        raise DataRejected("NO_ROWS", f"{path.name}: a header and no row; expected at least one")
    expected = list(spec.columns)
    missing = [name for name in expected if name not in frame.columns]
    if missing:
        raise DataRejected("MISSING_COLUMN", _missing(path.name, missing, list(frame.columns)))
    known = {*expected, spec.target.column}
    extra = tuple(name for name in frame.columns if name not in known)
    return RawTable(frame.drop(columns=list(extra)), extra)


def conform(raw: RawTable, spec: UseCase) -> Conformed:
    """Give every column its type. Neither drops nor reorders a row."""
    faults: list[RowFault] = []
    typed: dict[str, pd.Series] = {}
    for name, column in spec.columns.items():
        text = raw.frame[name].str.strip()
        text = text.where(text != "")
        typed[name] = _numbers(name, column, text, faults) if column.is_numeric else text.astype("str")
    if spec.observed_at:
        typed["observed_at"] = _times(spec.observed_at, raw.frame[spec.observed_at], faults)
    typed["label"] = _labels(spec, raw.frame, faults)
    return Conformed(pd.DataFrame(typed), tuple(faults))


def map_labels(text: pd.Series, spec: UseCase) -> tuple[pd.Series, np.ndarray]:
    """Labels as 1.0, 0.0 or NaN for blank, and a mask of those that are none of the target's two values."""
    stripped = text.str.strip()
    labels = stripped.map({spec.target.positive: 1.0, spec.target.negative: 0.0}).astype("float64")
    return labels, (labels.isna() & stripped.notna() & (stripped != "")).to_numpy()


def _labels(spec: UseCase, frame: pd.DataFrame, faults: list[RowFault]) -> pd.Series:
    if spec.target.column not in frame.columns:
        return pd.Series(np.nan, index=frame.index)
    labels, broken = map_labels(frame[spec.target.column], spec)
    expected = f"{spec.target.positive!r} or {spec.target.negative!r}"
    _note(faults, f"{spec.target.column}: neither {expected}", spec.target.column, broken, frame[spec.target.column])
    return labels


def _numbers(name: str, column: Column, text: pd.Series, faults: list[RowFault]) -> pd.Series:
    given = text.notna().to_numpy()
    numeric = text.str.fullmatch(NUMBER).fillna(False).to_numpy(dtype=bool)
    values = pd.to_numeric(text.where(numeric), errors="coerce").astype("float64")
    _note(faults, f"{name}: not a number", name, given & ~numeric, text)
    infinite = np.isinf(values.to_numpy())
    _note(faults, f"{name}: not finite", name, infinite, text)
    values = values.mask(infinite)
    if column.type == "integer":
        broken = (values % 1 != 0).to_numpy() & values.notna().to_numpy()
        _note(faults, f"{name}: not a whole number", name, broken, text)
        values = values.mask(broken)
    return values


def _times(name: str, text: pd.Series, faults: list[RowFault]) -> pd.Series:
    aware = text.str.strip().str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$", regex=True, na=False).to_numpy(dtype=bool)
    times = pd.to_datetime(text.where(aware), errors="coerce", utc=True, format="ISO8601").dt.as_unit("us")
    rule = f"{name}: not an ISO 8601 time with its offset, such as 2026-01-31T12:00:00Z"
    _note(faults, rule, name, times.isna().to_numpy(), text)
    return times


def _note(faults: list[RowFault], rule: str, column: str, broken: np.ndarray, text: pd.Series) -> None:
    if broken.any():
        rows = np.flatnonzero(broken)
        faults.append(RowFault(rule, column, rows, tuple(str(text.iloc[row])[:80] for row in rows[:SAMPLE])))


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(path)
    except ArrowInvalid as error:
        raise DataRejected("UNREADABLE", f"{path.name}: not a whole Parquet file ({error}); write it again") from error
    return pd.DataFrame({name: table[name].to_pandas().map(_text).astype("str") for name in table.column_names})


def _text(value: object) -> str | None:
    """A Parquet value as the CSV of the same table would have it; integral floats stay integers."""
    if value is None or value != value:
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _read_csv(path: Path, spec: UseCase) -> pd.DataFrame:
    content = _content(path, spec.limits.maximum_bytes)
    text = _decode(path, content)
    rows = _rows(path.name, text)
    header = next(rows, None)
    if header is None:
        raise DataRejected("EMPTY_FILE", f"{path.name}: nothing but blanks; expected a header and rows")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise DataRejected("DUPLICATE_COLUMN", f"{path.name}: the header names {', '.join(twice)} more than once")
    return pd.DataFrame(list(rows), columns=header, dtype="str")


def _content(path: Path, maximum: int) -> bytes:
    """The bytes of the file, decompressed if it is gzip, never more than ``maximum``."""
    with open(path, "rb") as plain:
        start = plain.read(4)
    if not start:
        raise DataRejected("EMPTY_FILE", f"{path.name}: 0 bytes; expected a header and rows")
    for magic, found in MAGIC.items():
        if start.startswith(magic) and not (found == "gzip" and path.suffix == ".gz"):
            raise DataRejected("WRONG_FORMAT", f"{path.name}: expected a CSV in UTF-8, found {found}; convert it")
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as source:
            content = source.read(maximum + 1)
    except (EOFError, gzip.BadGzipFile) as error:
        raise DataRejected("UNREADABLE", f"{path.name}: the gzip stream is broken ({error}); copy it again") from error
    if len(content) > maximum:
        raise DataRejected(
            "TOO_LARGE", f"{path.name}: more than {maximum} bytes; raise limits.maximum_bytes or split it"
        )
    return content


def _decode(path: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataRejected(
            "BAD_ENCODING", f"{path.name}: not UTF-8 at byte {error.start} ({error.reason}); save it as UTF-8"
        ) from error
    if "\0" in text:
        raise DataRejected(
            "NUL_BYTE", f"{path.name}: a NUL byte in line {text[: text.index(chr(0))].count(chr(10)) + 1}"
        )
    return text


def _rows(name: str, text: str) -> Iterator[list[str]]:
    """Header and rows, all of one length; raises with the line of the first that is not."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    width = None
    try:
        for row in reader:
            if not row:
                continue
            width = width or len(row)
            if len(row) != width:
                message = f"{name}: line {reader.line_num} has {len(row)} fields, the header has {width}"
                raise DataRejected("RAGGED_ROW", f"{message}; look for a missing field or an unquoted comma")
            yield row
    except csv.Error as error:
        raise DataRejected("UNREADABLE", f"{name}: line {reader.line_num}: {error}; look for an open quote") from error


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
