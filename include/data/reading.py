"""From the bytes of a file to columns of text: CSV (plain or gzip) and Parquet, read exactly or refused.

Python's ``csv`` in strict mode is the law on what a CSV is. A file without a quotation mark goes through Arrow, which
is ten times as fast and means the same by it; whatever Arrow refuses is read again by the law, which names the line.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv

from include.errors import DataRejected

START = 512
"""Bytes at the beginning of a file that tell its format."""
BINARY = rb"(?=.*[\0-\x08\x0e-\x1f])"
"""Holds a byte that no text has: a column, too, may be called PAR1 or ORC."""
MAGIC = {
    rb"PAR1" + BINARY: "Parquet",
    rb"\x1f\x8b": "gzip",
    rb"PK\x03\x04": "zip or xlsx",
    rb"\xd0\xcf\x11\xe0": "xls",
    rb"BZh" + BINARY: "bzip2",
    rb"\xfd7zXZ": "xz",
    rb"\x28\xb5\x2f\xfd": "zstd",
    rb"%PDF-\d": "PDF",
    rb"SQLite format 3\0": "SQLite",
    rb"Obj\x01": "Avro",
    rb"ORC" + BINARY: "ORC",
    rb"ARROW1\0": "Arrow",
    rb"\xff\xfe\0\0": "UTF-32",
    rb"\xff\xfe": "UTF-16",
    rb"\xfe\xff": "UTF-16",
    # Not a column called [id] or {id}.
    rb"[\[{]\s*(?:[\[\]{}\"]|$)": "JSON",
    # Not a column called <age>, after which another one follows.
    rb"<(?:[!?]|[A-Za-z][\w:.-]*(?:\s+[\w:.-]+=|\s*/?>(?![,;\t])))": "HTML or XML",
}
UNKNOWN = "text or something unknown"
CHUNK_ROWS = 50_000
TEXT = pa.large_string()


def read_text(path: Path, maximum_bytes: int) -> pd.DataFrame:
    """Every column as text, in the file's order; null where Parquet has null.

    Raises ``DataRejected`` naming file, what was found, what was expected, and how to mend it.
    """
    if not path.is_file():
        raise DataRejected("MISSING_FILE", f"{path}: there is no such file; put it there and start the run again")
    if not path.stat().st_size:
        raise DataRejected("EMPTY_FILE", f"{path.name}: 0 bytes; expected a header and rows; write it again")
    read = _read_parquet if path.suffix == ".parquet" else _read_csv
    table = read(path, maximum_bytes)
    return table.combine_chunks().to_pandas(types_mapper={TEXT: pd.StringDtype(na_value=float("nan"))}.get)


def _require_format(name: str, start: bytes, expected: str) -> None:
    found = next((found for magic, found in MAGIC.items() if re.match(magic, start, re.DOTALL)), UNKNOWN)
    wanted = {"CSV": [UNKNOWN], "gzip": ["gzip"], "Parquet": ["Parquet"]}[expected]
    if found not in wanted:
        shown = "a CSV in UTF-8" if expected == "CSV" else expected
        raise DataRejected("WRONG_FORMAT", f"{name}: expected {shown}, found {found}; convert it or give it its name")


def _require_unique(name: str, columns: list[str]) -> None:
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        message = f"{name}: {len(columns)} columns, of which {', '.join(map(repr, twice))} stand there more than once"
        raise DataRejected("DUPLICATE_COLUMN", f"{message}; expected each name once; rename or drop one")


def _too_large(name: str, maximum: int) -> DataRejected:
    return DataRejected("TOO_LARGE", f"{name}: more than {maximum} bytes; raise limits.maximum_bytes or split it")


# CSV


def _read_csv(path: Path, maximum: int) -> pa.Table:
    content = _content(path, maximum)
    _require_text(path.name, content)
    header = next(_rows(path.name, content), None)
    if header is None:
        raise DataRejected("EMPTY_FILE", f"{path.name}: nothing but blank lines; expected a header and rows")
    _require_unique(path.name, header)
    table = _fast(content, header)
    return _exact(path.name, content, header) if table is None else table


def _content(path: Path, maximum: int) -> bytes:
    """The bytes of the file, decompressed if it is gzip, never more than ``maximum``."""
    zipped = path.suffix == ".gz"
    with open(path, "rb") as plain:
        _require_format(path.name, plain.read(START), "gzip" if zipped else "CSV")
    try:
        with gzip.open(path) if zipped else open(path, "rb") as source:
            content = source.read(maximum + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataRejected("UNREADABLE", f"{path.name}: the gzip stream is broken ({error}); copy it again") from error
    if len(content) > maximum:
        raise _too_large(path.name, maximum)
    if zipped:
        _require_format(path.name, content[:START], "CSV")
    return content


def _require_text(name: str, content: bytes) -> None:
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{name}: not UTF-8 at byte {error.start} ({error.reason}); save it as UTF-8"
        raise DataRejected("BAD_ENCODING", message) from error
    if (first := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, first) + 1
        raise DataRejected("NUL_BYTE", f"{name}: a NUL byte in line {line}; expected text, save it as UTF-8")


def _fast(content: bytes, header: list[str]) -> pa.Table | None:
    """The table by Arrow; None where only the exact reader can tell what the file means."""
    if b'"' in content:
        return None
    as_is = arrow_csv.ConvertOptions(
        column_types=dict.fromkeys(header, TEXT), null_values=[], strings_can_be_null=False, check_utf8=False
    )
    try:
        parsing = arrow_csv.ParseOptions(quote_char=False, double_quote=False)
        table = arrow_csv.read_csv(pa.BufferReader(content), parse_options=parsing, convert_options=as_is)
    except pa.ArrowInvalid:
        return None
    longest = max((pc.max(pc.binary_length(column)).as_py() or 0 for column in table.columns), default=0)
    return table if table.column_names == header and longest <= csv.field_size_limit() else None


def _exact(name: str, content: bytes, header: list[str]) -> pa.Table:
    rows = islice(_rows(name, content), 1, None)
    parts = [pa.table([pa.array([], TEXT) for _ in header], names=header)]
    while chunk := list(islice(rows, CHUNK_ROWS)):
        parts.append(pa.table([pa.array(values, TEXT) for values in zip(*chunk, strict=True)], names=header))
    return pa.concat_tables(parts)


def _rows(name: str, content: bytes) -> Iterator[list[str]]:
    """Header and rows, all of one length, blank lines left out; raises with the line of the first that is not."""
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline=""), strict=True)
    width = None
    try:
        for row in reader:
            if not row:
                continue
            width = width or len(row)
            if len(row) != width:
                message = f"{name}: line {reader.line_num} has {len(row)} fields, expected {width} as in the header"
                raise DataRejected("RAGGED_ROW", f"{message}; look for a missing field or an unquoted comma")
            yield row
    except csv.Error as error:
        raise DataRejected("UNREADABLE", f"{name}: line {reader.line_num}: {error}; look for an open quote") from error


# Parquet


def _read_parquet(path: Path, maximum: int) -> pa.Table:
    with open(path, "rb") as plain:
        _require_format(path.name, plain.read(START), "Parquet")
    try:
        file = pq.ParquetFile(path)
        _require_size(path.name, file.metadata, maximum)
        table = file.read()
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the disk's fault, not the file's
        raise DataRejected("UNREADABLE", f"{path.name}: not a whole Parquet file ({error}); write it again") from error
    _require_unique(path.name, table.column_names)
    columns = [_as_text(path.name, name, table[name]) for name in table.column_names]
    return pa.table(columns, names=table.column_names)


def _require_size(name: str, metadata: pq.FileMetaData, maximum: int) -> None:
    """Refuse by the footer, before anything is decompressed; a cell counts for one byte at least, as in a CSV."""
    stated = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    if max(stated, metadata.num_rows * metadata.num_columns) > maximum:
        raise _too_large(name, maximum)


def _as_text(name: str, column: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as the CSV of the same table would have them; integral floats stay integers, NaN is null."""
    kind = values.type
    try:
        if pa.types.is_dictionary(kind):
            return _as_text(name, column, values.cast(kind.value_type))
        if pa.types.is_boolean(kind):
            return pc.if_else(values, pa.scalar("True", TEXT), pa.scalar("False", TEXT))
        if pa.types.is_timestamp(kind) and kind.tz:
            return values.cast(pa.timestamp(kind.unit, "UTC")).cast(TEXT)
        if pa.types.is_floating(kind):
            return _floats_as_text(values.cast(pa.float64()))
        return values.cast(TEXT)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        message = f"{name}: column '{column}' holds {kind}, expected numbers, times or text in UTF-8 ({error})"
        raise DataRejected("BAD_TYPE", f"{message}; write it as one of these") from error


def _floats_as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    known = pc.if_else(pc.is_nan(values), None, values)
    whole = pc.and_(pc.equal(pc.floor(known), known), pc.less(pc.abs(known), 2.0**63))
    return pc.if_else(whole, pc.if_else(whole, known, 0.0).cast(pa.int64()).cast(TEXT), known.cast(TEXT))
