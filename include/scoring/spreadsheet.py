"""CSV that a spreadsheet opens as what it is: its text stays text, and nothing of it is run.

A spreadsheet takes a cell for a formula by its first character, whether it stands in quotes or not, and a formula may
call programs and addresses (OWASP, "CSV Injection"). Where ``;`` separates cells, as in half of Europe, or where it is
read line by line, a cell may begin within a text. An apostrophe before the character makes it text again. It is shown,
and whoever reads the file with a program takes one away wherever a cell may begin.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from include.files import whole

BEGINNING = r"(^|[;\t\r\n])([^\S\t\r\n]*)"
"""Where a cell may begin, and the blanks before what it begins with."""
FORMULA = re.compile(BEGINNING + r"(?=[=+\-@'\uFF1D\uFF0B\uFF0D\uFF20])")
"""What makes a formula, some languages with the wide forms of the four characters; and what makes text of it."""
CHANGED = re.compile(r"0\d+|\d{16,}|\d+(?:\.\d*)?[eE][+-]?\d+|\d{1,4}[-/.]\d{1,2}(?:[-/.]\d{1,4})?")
"""Texts that a spreadsheet shows as another number, or as a day: the id 007 as 7, 1E5 as 100000, 3-4 as a day of April.
Of numbers it keeps fifteen digits."""
ENCODING = "utf-8-sig"
"""With a byte-order mark: without one Excel takes UTF-8 for the old encoding of its country. Other programs skip it."""


def neutralised(text: str, *, exact: bool = False) -> str:
    """``text`` with an apostrophe where something in it would be run, or with ``exact`` where it would be changed."""
    safe = FORMULA.sub(r"\1\2'", text)
    risky = text.startswith(("\t", "\r", "\n")) or (exact and CHANGED.fullmatch(text))
    return f"'{safe}" if risky else safe


def write_csv(path: Path, frame: pd.DataFrame, exact: Collection[str] = ()) -> None:
    """Write ``frame`` whole or not at all: text neutralised and in quotes, numbers without, null empty.

    In the columns ``exact``, such as the id, also what a spreadsheet would change is kept as text.
    """
    with whole(path) as temporary, temporary.open("w", encoding=ENCODING, newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerow([neutralised(str(name)) for name in frame.columns])
        columns = [_cells(frame[name], exact=name in exact) for name in frame.columns]
        writer.writerows(zip(*columns, strict=True))


def _cells(column: pd.Series, *, exact: bool) -> list[Any]:
    values = column.astype(object).where(column.notna(), None).tolist()
    return [neutralised(value, exact=exact) if isinstance(value, str) else value for value in values]
