"""B1 to B14: files that cannot be a batch. Each is refused whole, for a reason that says how to mend it."""

from __future__ import annotations

import gzip
import io
import threading
from collections.abc import Callable

import pandas as pd
import pytest

from tests.bad_input.loans import ROWS, Loop, Maker, as_csv, loans, write

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

Break = Callable[[bytes], bytes]


def as_parquet(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.to_parquet(sink, index=False)
    return sink.getvalue()


def refused(loop: Loop, content: bytes | None, code: str, *named: str) -> None:
    """The ledger has the code, the file and all of ``named``; what was published before is what is published."""
    before, day = loop.latest, loop.next_day
    assert loop.ingest(content) == "DATA_REJECTED"
    assert loop.reason.startswith(f"{code}: ")
    for part in (str(day) if before else "", *named):
        assert part in loop.reason
    assert loop.latest == before


def lines(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


def swap(old: str, new: str) -> Break:
    return lambda content: content.replace(old.encode(), new.encode(), 1)


def without(content: bytes, column: str) -> bytes:
    return as_csv(pd.read_csv(io.BytesIO(content), dtype=str).drop(columns=column))


WHOLE: dict[str, tuple[Break, str, tuple[str, ...]]] = {
    "b02_empty": (lambda _: b"", "EMPTY_FILE", ("0 bytes", "expected a header")),
    "b02_blank": (lambda _: b"\n\r\n\n", "EMPTY_FILE", ("blank lines", "expected a header")),
    "b03_header_only": (lambda good: lines(good)[0], "NO_ROWS", ("no row", "at least one")),
    "b04_too_few_rows": (lambda good: b"".join(lines(good)[:20]), "TOO_FEW_ROWS", ("19 rows", "at least 20")),
    "b05_truncated_csv": (lambda good: good[:-30], "RAGGED_ROW", (f"line {ROWS + 1}", "expected 7")),
    "b06_parquet": (
        lambda good: as_parquet(pd.read_csv(io.BytesIO(good))),
        "WRONG_FORMAT",
        ("expected a CSV", "found Parquet"),
    ),
    "b06_xlsx": (lambda _: b"PK\x03\x04" + bytes(99), "WRONG_FORMAT", ("found zip or xlsx", "convert it")),
    "b06_json": (lambda _: b'[{"loan": 1}]', "WRONG_FORMAT", ("found JSON",)),
    "b06_html": (lambda _: b"<html>Sign in</html>", "WRONG_FORMAT", ("found HTML",)),
    "b06_gzip": (gzip.compress, "WRONG_FORMAT", ("found gzip",)),
    "b06_semicolons": (lambda good: good.replace(b",", b";"), "MISSING_COLUMN", ("loan;granted",)),
    "b07_oversize": (lambda good: good + b"x" * 1_000_000, "TOO_LARGE", ("more than 1000000 bytes", "split it")),
    "b08_utf16": (lambda good: good.decode().encode("utf-16"), "WRONG_FORMAT", ("found UTF-16", "UTF-8")),
    "b08_utf16_without_mark": (lambda good: good.decode().encode("utf-16-le"), "NUL_BYTE", ("line 1", "UTF-8")),
    "b08_bad_bytes": (lambda good: good[:200] + b"\xf6" + good[200:], "BAD_ENCODING", ("byte 200", "UTF-8")),
    "b09_ragged": (lambda good: good.replace(b",yes", b",yes,1", 1), "RAGGED_ROW", ("8 fields, expected 7",)),
    "b09_open_quote": (lambda good: good + b'"open,1', "UNREADABLE", (f"line {ROWS + 2}", "open quote")),
    "b09_nul": (lambda good: good + b"\0", "NUL_BYTE", (f"line {ROWS + 2}",)),
    "b10_duplicate_column": (swap("age", "amount"), "DUPLICATE_COLUMN", ("'amount'", "rename or drop")),
    "b11_missing_column": (lambda good: without(good, "region"), "MISSING_COLUMN", ("1 of the columns", "'region'")),
    "b14_other_case": (swap("amount", "Amount"), "MISSING_COLUMN", ("'amount'", "did you mean 'Amount'?")),
    "b14_renamed": (swap("purpose", "purpose_"), "MISSING_COLUMN", ("'purpose'", "did you mean 'purpose_'?")),
}


@pytest.mark.parametrize("row", WHOLE)
def test_a_broken_file_is_refused_whole(row: str, loop: Loop):
    breaking, code, named = WHOLE[row]
    refused(loop, breaking(as_csv(loans(loop.next_day))), code, *named)


def test_b01_a_missing_file_is_waited_for_and_then_named(loop: Loop):
    refused(loop, None, "MISSING_FILE", "no such file after 0.3 s", "put it there")


def test_b01_a_late_file_is_taken_when_it_comes(maker: Maker, monkeypatch: pytest.MonkeyPatch):
    loop = maker.make("late-file", monkeypatch, days=1, source={"wait_seconds": 20})
    path = loop.folder / f"{loop.next_day}.csv"
    threading.Timer(0.5, write, (path, as_csv(loans(loop.next_day)))).start()
    assert loop.ingest(None) == "PUBLISHED"


PARQUET: dict[str, tuple[Break, str, tuple[str, ...]]] = {
    "b05_truncated": (lambda good: good[:-100], "UNREADABLE", ("not a whole Parquet file", "write it again")),
    "b05_torn_within": (lambda good: good[:1000] + bytes(900) + good[1900:], "UNREADABLE", ("write it again",)),
    "b06_csv": (lambda _: b"loan,granted\n1,2\n", "WRONG_FORMAT", ("expected Parquet",)),
    "b07_bomb": (
        lambda _: as_parquet(pd.DataFrame({"loan": ["0"] * 2_000_000})),
        "TOO_LARGE",
        ("more than 1000000 bytes",),
    ),
}
GZIP: dict[str, tuple[Break, str, tuple[str, ...]]] = {
    "b05_truncated": (lambda good: good[:-100], "UNREADABLE", ("gzip stream is broken", "copy it again")),
    "b05_torn_within": (lambda good: good[:400] + bytes(50) + good[450:], "UNREADABLE", ("gzip stream is broken",)),
    "b06_csv": (gzip.decompress, "WRONG_FORMAT", ("expected gzip",)),
    "b06_pdf_within": (lambda _: gzip.compress(b"%PDF-1.7"), "WRONG_FORMAT", ("found PDF",)),
    "b07_bomb": (lambda _: gzip.compress(bytes(50_000_000)), "TOO_LARGE", ("more than 1000000 bytes",)),
}


@pytest.mark.parametrize("row", PARQUET)
def test_a_broken_parquet_file_is_refused_whole(row: str, maker: Maker, monkeypatch: pytest.MonkeyPatch):
    breaking, code, named = PARQUET[row]
    loop = maker.make(f"parquet-{row}", monkeypatch, suffix=".parquet")
    refused(loop, breaking(as_parquet(loans(loop.next_day))), code, str(loop.next_day), *named)


@pytest.mark.parametrize("row", GZIP)
def test_a_broken_gzip_file_is_refused_whole(row: str, maker: Maker, monkeypatch: pytest.MonkeyPatch):
    breaking, code, named = GZIP[row]
    loop = maker.make(f"gzip-{row}", monkeypatch, suffix=".csv.gz")
    refused(loop, breaking(gzip.compress(as_csv(loans(loop.next_day)))), code, str(loop.next_day), *named)


@pytest.mark.parametrize("suffix", [".parquet", ".csv.gz"])
def test_whole_files_of_these_kinds_are_published(suffix: str, maker: Maker, monkeypatch: pytest.MonkeyPatch):
    loop = maker.make(f"good{suffix}", monkeypatch, suffix=suffix)
    frame = loans(loop.next_day)
    content = as_parquet(frame) if suffix == ".parquet" else gzip.compress(as_csv(frame))
    assert loop.ingest(content) == "PUBLISHED", loop.reason
    assert loop.adds_up()


def test_b08_a_byte_order_mark_is_accepted(loop: Loop):
    assert loop.ingest(b"\xef\xbb\xbf" + as_csv(loans(loop.next_day))) == "PUBLISHED"
    assert loop.adds_up()


def test_b12_an_extra_column_is_ignored_with_a_warning(loop: Loop, caplog: pytest.LogCaptureFixture):
    assert loop.ingest(as_csv(loans(loop.next_day).assign(shoe_size="42"))) == "PUBLISHED"
    assert "ignored unknown column(s) shoe_size" in caplog.text
    assert loop.evidence["ignored_columns"] == ["shoe_size"]
    assert "shoe_size" not in loop.table("customers")
