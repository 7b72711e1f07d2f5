"""The reader: its fast way means the same as its exact one, and Parquet reads as the CSV of the same table would."""

from __future__ import annotations

import bz2
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from include.data import reading
from include.errors import DataRejected

MAXIMUM = 10_000_000

SAME: dict[str, bytes] = {
    "plain": b"a,b\n1,2\n3,4\n",
    "no-end": b"a,b\n1,2\n3,4",
    "crlf": b"a,b\r\n1,2\r\n",
    "cr": b"a,b\r1,2\r3,4\r",
    "blank-lines": b"\n\na,b\n\n1,2\n\r\n\n3,4\n\n",
    "mark": b"\xef\xbb\xbfa,b\n1,2\n",
    "blanks": b"a,b\n , \n,\n",
    "nulls": b"a,b\nNaN,null\nNA,\n",
    "separators": "a,b\n\u2028,\x0b\x0c\x1c\x85\n".encode(),
    "leading-zeros": b"a,b\n007,9007199254740993\n",
    "one-column": b"a\n1\n\n2\n",
}


@pytest.mark.parametrize("case", SAME)
def test_the_fast_way_reads_what_the_exact_one_reads(case: str):
    content = SAME[case]
    header = next(reading._rows("x.csv", content))
    fast = reading._fast(content, header)
    assert fast is not None
    assert fast.to_pydict() == reading._exact("x.csv", content, header).to_pydict()


QUOTED = {
    "newline": (b'a,b\n"1\n2",3\n', [["1\n2", "3"]]),
    "comma": (b'a,b\n"1,2",3\n', [["1,2", "3"]]),
    "quote": (b'a,b\n"say ""hi""",3\n', [['say "hi"', "3"]]),
    "inside": (b'a,b\n5" pipe,3\n', [['5" pipe', "3"]]),
}


@pytest.mark.parametrize("case", QUOTED)
def test_quotes_are_read_exactly(case: str, tmp_path: Path):
    content, rows = QUOTED[case]
    (tmp_path / "x.csv").write_bytes(content)
    assert reading.read_text(tmp_path / "x.csv", MAXIMUM).to_numpy().tolist() == rows


def test_many_quoted_rows_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "CHUNK_ROWS", 3)
    (tmp_path / "x.csv").write_text("a,b\n" + "".join(f'"{n}",x\n' for n in range(10)))
    assert list(reading.read_text(tmp_path / "x.csv", MAXIMUM)["a"]) == [str(n) for n in range(10)]


@pytest.mark.parametrize("quote", ["", '"'], ids=["plain", "quoted"])
def test_a_field_past_the_limit_is_refused_either_way(quote: str, tmp_path: Path):
    (tmp_path / "x.csv").write_text(f"a,b\n1,{quote}2{quote}\n{'x' * 200_000},3\n")
    with pytest.raises(DataRejected, match=r"x\.csv: line 3: field larger"):
        reading.read_text(tmp_path / "x.csv", MAXIMUM)


AS_TEXT = {
    "integers-with-null": (pa.array([9007199254740993, None]), ["9007199254740993", None]),
    "floats": (pa.array([1.0, 29.85, 1e16, float("nan")]), ["1", "29.85", "10000000000000000", None]),
    "infinite": (pa.array([float("inf")]), ["inf"]),
    "booleans": (pa.array([True, False, None]), ["True", "False", None]),
    "categories": (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
    "decimals": (pa.array([Decimal("1.50")]), ["1.50"]),
    "days": (pa.array([date(2026, 1, 31)]), ["2026-01-31"]),
    "times": (pa.array([datetime(2026, 1, 31, 12, tzinfo=UTC)]), ["2026-01-31 12:00:00.000000Z"]),
    "naive-times": (pa.array([datetime(2026, 1, 31, 12)]), ["2026-01-31 12:00:00.000000"]),
    "texts": (pa.array([" 007 ", ""]), [" 007 ", ""]),
}


@pytest.mark.parametrize("case", AS_TEXT)
def test_parquet_values_as_text(case: str, tmp_path: Path):
    values, expected = AS_TEXT[case]
    pq.write_table(pa.table({"a": values}), tmp_path / "x.parquet")
    found = reading.read_text(tmp_path / "x.parquet", MAXIMUM)["a"]
    assert [None if pd.isna(value) else value for value in found] == expected


@pytest.mark.parametrize("values", [[[1, 2]], [{"b": 1}], [b"\xff"]], ids=["list", "record", "bytes"])
def test_parquet_values_that_are_no_text_are_refused_with_their_column(values: list, tmp_path: Path):
    pq.write_table(pa.table({"odd": pa.array(values)}), tmp_path / "x.parquet")
    with pytest.raises(DataRejected, match=r"x\.parquet: column 'odd' holds"):
        reading.read_text(tmp_path / "x.parquet", MAXIMUM)


@pytest.mark.parametrize(
    "first", ["ORCID", "ORC", "PAR1", "BZh", "%PDF", "[id]", "{id}", "<age>", "<monthly fee>", "<5"]
)
def test_a_column_may_be_called_as_a_format_begins(first: str, tmp_path: Path):
    path = tmp_path / "data.csv"
    path.write_text(f"{first},b\n1,2\n")
    assert list(reading.read_text(path, 1000)) == [first, "b"]


NO_CSV: dict[str, tuple[str, Callable[[Path], object]]] = {
    "parquet": ("Parquet", lambda path: pq.write_table(pa.table({"a": ["x"]}), path)),
    "parquet without rows": ("Parquet", lambda path: pq.write_table(pa.table({"a": pa.array([], "string")}), path)),
    "orc": ("ORC", lambda path: orc.write_table(pa.table({"a": ["x"]}), str(path))),
    "bzip2": ("bzip2", lambda path: path.write_bytes(bz2.compress(b"a,b\n"))),
    "array": ("JSON", lambda path: path.write_text('[{"a": 1, "b": 2}]')),
    "indented array": ("JSON", lambda path: path.write_text('[\r\n    {\r\n "a": 1, "b": 2}]')),
    "lines": ("JSON", lambda path: path.write_text('{"a": 1, "b": 2}\n')),
    "page": ("HTML", lambda path: path.write_text("<!DOCTYPE html>")),
    "page of a tag": ("HTML", lambda path: path.write_text('<html lang="en">Sign in, please')),
    "xml": ("XML", lambda path: path.write_text("<rows>\n<row a=1/>, </rows>")),
}


@pytest.mark.parametrize("case", NO_CSV)
def test_another_format_is_named(case: str, tmp_path: Path):
    name, write = NO_CSV[case]
    write(tmp_path / "data.csv")
    with pytest.raises(DataRejected, match=f"found .*{name}"):
        reading.read_text(tmp_path / "data.csv", 10_000)
