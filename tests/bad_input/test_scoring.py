"""B26, B28, B29: what came in as data is scored as data, and given away as text that nobody runs."""

from __future__ import annotations

import csv

import pandas as pd
import pytest

from tests.bad_input.loans import ROWS, Loop, as_csv, loans

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries warn about each other

FEW = 3
STRANGE = [
    "\U0001f600\U0001f4a9",
    "\u202e\u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "x" * 10_000,
    "中文-ß",
    'a"b,c;d',
]
FORMULAS = ["=cmd|'/c calc'!A1", "+1+1", "-2+3", "@SUM(A1:A9)", '=HYPERLINK("http://evil","x")', "007", "1E5"]


def riskiest(loop: Loop, ids: list[str]) -> bytes:
    """The next day's file, whose first loans have these ids and the highest scores."""
    frame = loans(loop.next_day)
    frame.loc[frame.index[: len(ids)], ["amount", "age"]] = ["900000.00", "20"]
    frame.loc[frame.index[: len(ids)], "loan"] = ids
    return as_csv(frame)


def top(loop: Loop, count: int) -> list[dict[str, str]]:
    """The first rows of the spreadsheet."""
    with loop.exported("top").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))[:count]


def test_b26_an_unseen_category_is_scored_as_unknown_and_counted(loop: Loop):
    frame = loans(loop.next_day)
    frame.loc[frame.index[:FEW], "region"] = "the moon"
    assert loop.ingest(as_csv(frame)) == "PUBLISHED"
    assert loop.score() == "SCORED"
    assert f"UNSEEN: region: {FEW} rows have a value not learned" in loop.reason
    scores = pd.read_parquet(loop.exported("scores")).set_index("loan").loc[frame["loan"].head(FEW), "score"]
    assert ((scores > 0) & (scores < 1)).all()


def test_b28_letters_of_all_kinds_are_scored_and_exported(loop: Loop):
    assert loop.ingest(riskiest(loop, STRANGE)) == "PUBLISHED", loop.reason
    assert loop.score() == "SCORED", loop.reason
    assert {row["loan"] for row in top(loop, len(STRANGE))} == set(STRANGE)
    assert set(STRANGE) <= set(pd.read_parquet(loop.exported("scores"))["loan"])


def test_b29_s19_formulas_are_data_on_the_way_in_and_text_in_the_spreadsheet(loop: Loop):
    assert loop.ingest(riskiest(loop, FORMULAS)) == "PUBLISHED", loop.reason
    assert set(FORMULAS) <= set(loop.table("customers")["loan"])
    assert loop.score() == "SCORED", loop.reason
    scores = pd.read_parquet(loop.exported("scores"))
    assert set(FORMULAS) <= set(scores["loan"]), "programs are given what it is"
    rows = top(loop, len(FORMULAS))
    assert {row["loan"] for row in rows} == {f"'{formula}" for formula in FORMULAS}
    cells = [cell for row in top(loop, ROWS) for cell in row.values()]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
