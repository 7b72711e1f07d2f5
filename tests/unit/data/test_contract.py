"""Files that are really broken, each named after its row of the bad-input matrix, made from real Telco rows."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from include.data import contract, expectations
from include.errors import DataRejected
from include.spec import UseCase


def lines_of(telco: Path) -> list[str]:
    return telco.read_text(encoding="utf-8").splitlines()[:201]


def renamed(lines: list[str]) -> bytes:
    return "\n".join([lines[0].replace("tenure", "Tenure"), *lines[1:]]).encode()


WHOLE_FILE: dict[str, tuple[Callable[[list[str]], bytes], str, str]] = {
    "B2": (lambda lines: b"", "EMPTY_FILE", "0 bytes"),
    "B3": (lambda lines: (lines[0] + "\n").encode(), "NO_ROWS", "no row"),
    "B6-pdf": (lambda lines: b"%PDF-1.7 ...", "WRONG_FORMAT", "PDF"),
    "B6-gzip": (lambda lines: gzip.compress("\n".join(lines).encode()), "WRONG_FORMAT", "gzip"),
    "B8-utf16": (lambda lines: "\n".join(lines).encode("utf-16"), "WRONG_FORMAT", "UTF-16"),
    "B8-bytes": (lambda lines: "\n".join(lines).encode() + b"\xff\xff", "BAD_ENCODING", "byte"),
    "B9-ragged": (lambda lines: "\n".join([*lines, "1,2,3"]).encode(), "RAGGED_ROW", "line 202"),
    "B9-quote": (lambda lines: ("\n".join(lines) + '\n"open').encode(), "UNREADABLE", "line"),
    "B9-nul": (lambda lines: "\n".join(lines).encode() + b"\n\0", "NUL_BYTE", "line 202"),
    "B10": (lambda lines: lines[0].replace("Partner", "gender").encode() + b"\n1", "DUPLICATE_COLUMN", "gender"),
    "B11": (lambda lines: "\n".join(x.split(",", 1)[1] for x in lines).encode(), "MISSING_COLUMN", "customerID"),
    "B14": (renamed, "MISSING_COLUMN", "did you mean 'Tenure'"),
}


@pytest.mark.parametrize("row", WHOLE_FILE)
def test_a_broken_file_is_refused_whole(row: str, tmp_path: Path, telco_csv: Path, churn: UseCase):
    breaking, code, named = WHOLE_FILE[row]
    path = tmp_path / "customers.csv"
    path.write_bytes(breaking(lines_of(telco_csv)))
    with pytest.raises(DataRejected) as refusal:
        contract.read(path, churn)
    assert refusal.value.code == code
    assert named in str(refusal.value)
    assert "customers.csv" in str(refusal.value)


def test_b5_a_truncated_parquet_is_refused(tmp_path: Path, telco_csv: Path, churn: UseCase):
    path = tmp_path / "customers.parquet"
    pd.read_csv(telco_csv).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataRejected, match=r"customers\.parquet"):
        contract.read(path, churn)


def test_b7_a_gzip_bomb_is_not_unpacked(tmp_path: Path, churn: UseCase):
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"0" * 50_000_000))
    small = churn.model_copy(update={"limits": churn.limits.model_copy(update={"maximum_bytes": 1_000_000})})
    with pytest.raises(DataRejected, match="more than 1000000 bytes"):
        contract.read(path, small)


BROKEN_VALUES = {
    "B15": ("tenure", "12abc", "tenure: not a number"),
    "B16": ("MonthlyCharges", "29,85", "MonthlyCharges: not a number"),
    "B21": ("MonthlyCharges", "inf", "MonthlyCharges: not a number"),
    "B21-overflow": ("MonthlyCharges", "1e999", "MonthlyCharges: not finite"),
    "B32": ("Churn", "Maybe", "Churn: neither"),
    "integer": ("tenure", "1.5", "tenure: not a whole number"),
    "B19": ("Contract", " ", "Contract: must not be blank"),
    "B24": ("tenure", "-3", "tenure: must be between"),
    "category": ("Contract", "Weekly", "Contract: must be one of"),
}


@pytest.mark.parametrize("row", BROKEN_VALUES)
def test_a_broken_value_sends_its_row_to_quarantine(row: str, telco_csv: Path, churn: UseCase):
    column, value, rule = BROKEN_VALUES[row]
    text = pd.read_csv(telco_csv, dtype="str", keep_default_na=False)
    text.loc[7, column] = value
    conformed = contract.conform(contract.RawTable(text, ()), churn)
    frame = conformed.frame.assign(observed_at=pd.Timestamp("2026-01-01", tz="UTC"))
    result = expectations.validate(frame, conformed.faults, churn)
    broken = result.broken_rules[result.broken_rules != ""]
    assert list(broken.index) == [7]
    assert broken.loc[7].startswith(rule)
    assert result.rows_in == result.published + result.quarantined + result.duplicates == len(text)
    assert result.refusals == ()


def test_the_real_file_passes_whole(telco_csv: Path, churn: UseCase):
    conformed = contract.conform(contract.read(telco_csv, churn), churn)
    frame = conformed.frame.assign(observed_at=pd.Timestamp("2026-01-01", tz="UTC"))
    result = expectations.validate(frame, conformed.faults, churn)
    assert (result.rows_in, result.published, result.refusals) == (7043, 7043, ())
    assert int(frame["TotalCharges"].isna().sum()) == 11
    assert frame["label"].mean() == pytest.approx(0.2654, abs=1e-4)


def test_b35_repeats_are_dropped_and_conflicts_quarantined(telco_csv: Path, churn: UseCase):
    text = pd.read_csv(telco_csv, dtype="str", keep_default_na=False).head(500)
    conflict = text.head(1).assign(tenure="70")
    twice = pd.concat([text, text.tail(3), conflict], ignore_index=True)
    conformed = contract.conform(contract.RawTable(twice, ()), churn)
    frame = conformed.frame.assign(observed_at=pd.Timestamp("2026-01-01", tz="UTC"))
    result = expectations.validate(frame, conformed.faults, churn)
    assert (result.rows_in, result.duplicates, result.quarantined, result.published) == (504, 3, 2, 499)
