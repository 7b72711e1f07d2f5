"""What a file shows of its columns: how many values, of which kind, in which range. Nothing is decided here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from include.data import contract
from include.data.reading import read_text
from include.errors import DataRejected
from include.spec import Limits

# A number that starts with 0 and goes on, such as 01234, is a code: as a number it would lose its zero.
CODE = r"[+-]?0\d.*"
DAY = r"\d{4}-\d{2}-\d{2}"
CLOCK = r"[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?"
OFFSET = r"(?:Z|[+-]\d{2}:?\d{2})"
EXTREME = 1e300

Kind = Literal["empty", "integer", "number", "date", "time", "text"]


@dataclass(frozen=True)
class Profile:
    """One column. ``values`` are the distinct ones, the most frequent first; ``date`` is a time without its offset."""

    name: str
    kind: Kind
    rows: int
    values: tuple[str, ...]
    counts: tuple[int, ...]
    low: float | None = None
    high: float | None = None

    @property
    def given(self) -> int:
        return sum(self.counts)

    @property
    def nullable(self) -> bool:
        return self.given < self.rows

    @property
    def is_unique(self) -> bool:
        return len(self.values) == self.rows

    @property
    def is_flag(self) -> bool:
        return set(self.values) == {"0", "1"}


def read_columns(path: Path) -> pd.DataFrame:
    """Every column of a CSV or Parquet file as stripped text, null where blank, read as the pipeline reads it.

    Raises ``DataRejected`` for a file that the pipeline would refuse whole.
    """
    frame = read_text(path, Limits().maximum_bytes)
    if frame.empty:
        raise DataRejected("NO_ROWS", f"{path.name}: a header and no row; expected at least one")
    return frame.apply(contract.strip)


def profile(text: pd.Series) -> Profile:
    """The profile of a column of text, null where blank."""
    given = text.dropna()
    counted = given.value_counts()
    kind = _kind(given)
    column = (str(text.name), kind, len(text), tuple(counted.index), tuple(map(int, counted)))
    if kind not in ("integer", "number"):
        return Profile(*column)
    numbers = given.astype("float64")
    return Profile(*column, low=float(numbers.min()), high=float(numbers.max()))


def range_with_margin(low: float, high: float) -> tuple[float, float] | None:
    """Bounds half the observed range further out, rounded outward; not negative if ``low`` is not.

    None so near to the ends of what a float holds that there may be nothing further out.
    """
    span = (high - low) or abs(high) or 1.0
    if max(-low, high) > EXTREME or span < 1 / EXTREME:
        return None
    digits = 1 - math.floor(math.log10(span))
    step = 10.0**-digits
    bottom = math.floor((low - span / 2) / step) * step
    top = math.ceil((high + span / 2) / step) * step
    return round(max(bottom, 0.0) if low >= 0 else bottom, max(digits, 0)), round(top, max(digits, 0))


def _kind(given: pd.Series) -> Kind:
    def all_are(pattern: str) -> bool:
        return bool(given.str.fullmatch(pattern).all())

    if given.empty:
        return "empty"
    if all_are(contract.NUMBER) and not given.str.fullmatch(CODE).any():
        numbers = given.astype("float64").to_numpy()
        if np.isfinite(numbers).all():
            return _kind_of_numbers(given, numbers)
    if all_are(DAY + CLOCK + OFFSET):
        return "time"
    return "date" if all_are(f"{DAY}(?:{CLOCK})?") else "text"


def _kind_of_numbers(given: pd.Series, numbers: np.ndarray) -> Kind:
    """Whole numbers that float64 would change are text, such as ids; with an exponent they are measured."""
    if (numbers % 1 != 0).any():
        return "number"
    large = given[np.abs(numbers) >= contract.EXACT]
    if large.empty:
        return "integer"
    return "text" if large.str.fullmatch(r"[+-]?\d+").any() else "number"
