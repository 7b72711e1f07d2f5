"""S19: a spreadsheet runs nothing of an export and changes nothing of it; a program reads back what was written."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.scoring.spreadsheet import BEGINNING, neutralised, write_csv
from tests.unit.scoring.conftest import EXAMPLES

STARTS = "=+-@\t\r"
HOSTILE = [
    '=cmd|"/c calc"!A1',
    '=HYPERLINK("http://evil","x")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "  =1+1",
    "\uff1d1+1",
    "\n=1+1",
    'a";=1+1;"',
    "a;=1+1",
    "a,=1+1",
    'a"\r\n=1+1',
]
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.text("=+-@'\uff0b1a; \t\r\n", max_size=8),
)


def restored(text: str) -> str:
    """As the module says that a program does."""
    return re.sub(BEGINNING + "'", r"\1\2", text)


@EXAMPLES
@given(texts, st.booleans())
@example("'=1", False)
@example("", True)
def test_s19_no_text_begins_as_a_formula_and_every_text_can_be_had_back(text: str, exact: bool):
    safe = neutralised(text, exact=exact)
    assert not safe.startswith(tuple(STARTS))
    for cell in re.split("[;\\t\\r\\n]", safe):
        assert not cell.lstrip().startswith(tuple(STARTS))
    assert restored(safe) == text


@pytest.mark.parametrize("text", ["7590-VHVEG", "ab=c", "a-b, c-d", "", "O'Neill", "1", "42.5", "tenure is 1: raises"])
def test_harmless_text_is_left_alone(text: str):
    assert neutralised(text) == text


IDS = ["007", "00042", "9007199254740993", "1E5", "12e3", "3-4", "1/2", "2026-01-31", "31.12.2026"]


@pytest.mark.parametrize("text", IDS)
def test_b18_an_id_that_a_spreadsheet_would_show_otherwise_stays_text(text: str):
    assert neutralised(text, exact=True) == f"'{text}"
    assert neutralised(text) == text


@pytest.mark.parametrize("text", ["7590-VHVEG", "42", "123456789012345", "C-7", "P00001"])
def test_other_ids_are_left_alone(text: str):
    assert neutralised(text, exact=True) == text


def cells(path: Path, delimiter: str = ",") -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


def test_s19_a_hostile_table_comes_back_and_in_no_country_does_a_cell_begin_with_a_formula(tmp_path: Path):
    path = tmp_path / "top.csv"
    frame = pd.DataFrame({"=id": ["007", *HOSTILE[1:]], "score": 0.25, "+text": HOSTILE})
    write_csv(path, frame, exact=["=id"])
    header, *rows = cells(path)
    assert header == ["'=id", "score", "'+text"]
    assert [[restored(i), float(score), restored(text)] for i, score, text in rows] == frame.to_numpy().tolist()
    for delimiter in ",;":
        for row in cells(path, delimiter):
            assert not [cell for cell in row if cell.lstrip().startswith(tuple(STARTS))]


def test_b28_letters_of_all_kinds_are_read_back_by_what_knows_the_mark(tmp_path: Path):
    path = tmp_path / "top.csv"
    strange = ["\U0001f600", "\u202eabc", "ß✓ж中", "x" * 10_000, "two\nlines", 'a "quote"', "", "nul\0"]
    write_csv(path, pd.DataFrame({"id": strange, "n": [None] * len(strange)}))
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert [row[0] for row in cells(path)[1:]] == strange


def test_numbers_are_numbers_and_null_is_nothing(tmp_path: Path):
    path = tmp_path / "top.csv"
    write_csv(path, pd.DataFrame({"a": [-0.5, float("nan")], "b": [1, -2]}))
    assert path.read_text(encoding="utf-8-sig").splitlines() == ['"a","b"', "-0.5,1", '"",-2']


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "top.csv"
    with pytest.raises(UnicodeEncodeError):
        write_csv(path, pd.DataFrame({"a": ["\ud800"]}))
    assert list(tmp_path.iterdir()) == []
