"""Whatever the bytes: each row is published, in quarantine with a reason or an exact repeat, or the file is refused."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.data import contract, expectations, reading
from include.data.calendar import midnight
from include.errors import DataRejected
from include.spec import UseCase

MAXIMUM = 1_000_000
# Derandomised: the same examples on every machine. Files of one test follow each other under one name.
examples = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
judged = settings(examples, max_examples=10)  # each of these runs the whole suite

TELCO_ROWS = 30
NASTY = [
    "",
    " ",
    "12abc",
    "1e999",
    "-0",
    "NaN",
    "null",
    "Yes",
    "yes",
    "1,5",
    '"',
    "'",
    "=cmd()",
    "\u202e",
    "\U0001f600",
]
cells = st.one_of(st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs"]), max_size=8))


def outcome(path: Path, content: bytes, spec: UseCase) -> str:
    """Refused with its code, or judged row by row; the counts add up, and every row in quarantine has its reason."""
    path.write_bytes(content)
    refused = None
    try:
        raw = contract.read(path, spec)
        conformed = contract.conform(raw, spec)
    except DataRejected as refusal:
        refused = refusal
    if refused is not None:
        assert path.name in str(refused)
        return refused.code
    frame = conformed.frame.assign(observed_at=midnight("2026-11-23"))
    result = expectations.validate(frame, conformed.faults, spec)
    reasons = result.broken_rules
    assert len(raw.frame) == len(frame) == len(reasons) == result.rows_in
    assert result.rows_in == result.published + result.quarantined + result.duplicates
    assert (reasons == "").sum() == result.published
    assert (reasons == "duplicate row").sum() == result.duplicates
    good = frame[reasons == ""]
    for name, column in spec.columns.items():
        assert column.nullable or good[name].notna().all()
        assert column.values is None or good[name].dropna().isin(column.values).all()
    assert good["label"].dropna().isin([0.0, 1.0]).all()
    return "JUDGED"


@pytest.fixture(scope="module")
def telco_lines(telco_csv: Path) -> list[bytes]:
    return telco_csv.read_bytes().splitlines(keepends=True)[: TELCO_ROWS + 1]


@examples
@given(content=st.binary(max_size=200))
def test_any_bytes(content: bytes, tmp_path: Path, churn: UseCase):
    for name in ("any.csv", "any.csv.gz", "any.parquet"):
        assert outcome(tmp_path / name, content, churn) != "JUDGED"


@examples
@given(content=st.text(st.sampled_from('ab,"\r\n \ufeff\x0b\u2028'), max_size=40).map(str.encode))
def test_the_fast_reader_never_differs_from_the_exact_one(content: bytes):
    header = exact = None
    try:
        header = next(reading._rows("x.csv", content), None)
        exact = reading._exact("x.csv", content, header or [])
    except DataRejected:
        pass  # the fast reader must not know better, then
    if header is not None and len(set(header)) == len(header):
        fast = reading._fast(content, header)
        if exact is None:
            assert fast is None
        elif fast is not None:
            assert fast.to_pydict() == exact.to_pydict()


@settings(examples, max_examples=40)  # most of these are refused by the reader, at no cost
@given(seed=st.integers(0, 2**32), edits=st.integers(1, 12), zipped=st.booleans())
def test_real_lines_with_bytes_changed(
    seed: int, edits: int, zipped: bool, tmp_path: Path, telco_lines: list[bytes], churn: UseCase
):
    chance = random.Random(seed)
    content = bytearray(b"".join(telco_lines))
    for _ in range(edits):
        at = chance.randrange(len(telco_lines[0]), len(content))
        match chance.randrange(3):
            case 0:
                content[at] = chance.choice(b'0123456789,.-"\n\r ayN\xff\0')
            case 1:
                del content[at : at + chance.randrange(1, 30)]
            case _:
                content[at:at] = content[at - 40 : at]
    packed = gzip.compress(bytes(content)) if zipped else bytes(content)
    outcome(tmp_path / ("mutated.csv.gz" if zipped else "mutated.csv"), packed, churn)


@judged
@given(edits=st.lists(st.tuples(st.integers(0, TELCO_ROWS - 1), st.integers(0, 20), cells), max_size=25))
def test_real_rows_with_cells_changed(
    edits: list[tuple[int, int, str]], tmp_path: Path, telco_lines: list[bytes], churn: UseCase
):
    header, *rows = [line.decode().rstrip("\r\n").split(",") for line in telco_lines]
    for row, column, value in edits:
        rows[row][column] = value
    content = pd.DataFrame(rows, columns=header).to_csv(index=False).encode()
    found = outcome(tmp_path / "cells.csv", content, churn)
    assert found == "JUDGED" or "\0" in "".join(value for *_, value in edits)


@judged
@given(rows=st.lists(st.lists(cells, min_size=21, max_size=21), min_size=1, max_size=8))
def test_any_table(rows: list[list[str]], tmp_path: Path, telco_lines: list[bytes], churn: UseCase):
    header = telco_lines[0].decode().strip().split(",")
    frame = pd.DataFrame([*rows, rows[0]], columns=header, dtype="str")
    outcome(tmp_path / "table.csv", frame.to_csv(index=False).encode(), churn)
    frame.to_parquet(tmp_path / "source.parquet")
    outcome(tmp_path / "table.parquet", (tmp_path / "source.parquet").read_bytes(), churn)
