"""What the data of a champion was like, column by column: kept in its baseline, held against every later window.

The names are those of SageMaker Model Monitor's ``constraints.json``: the inferred type, completeness, and the domain
of a category.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from include.spec import UseCase

Kind = Literal["number", "text"]


@dataclass(frozen=True)
class Constraint:
    """One column: ``completeness`` is the share of its rows with a value.

    ``domain`` are the values of a category, ``quartiles`` those of the absolute values of a number, and None for other
    columns. ``kind`` is None for a column without a value.
    """

    kind: Kind | None
    completeness: float
    domain: tuple[str, ...] | None = None
    quartiles: tuple[float, float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Constraint:
        lists = {name: content[name] and tuple(content[name]) for name in ("domain", "quartiles")}
        return cls(**{**content, **lists})


def constraints(rows: pd.DataFrame, spec: UseCase) -> dict[str, Constraint]:
    """Those of each column of the spec that ``rows`` have."""
    return {
        name: constraint(rows[name], spec.columns[name].type == "category") for name in spec.columns if name in rows
    }


def constraint(column: pd.Series, is_category: bool) -> Constraint:
    given = column.dropna()
    domain = tuple(sorted(map(str, given.unique()))) if is_category else None
    return Constraint(kind_of(column), float(column.notna().mean()), domain, quartiles(given))


def kind_of(column: pd.Series) -> Kind | None:
    given = column.dropna()
    if not len(given):
        return None
    return "number" if pd.api.types.is_numeric_dtype(given) else "text"


def quartiles(given: pd.Series) -> tuple[float, float, float] | None:
    """Of the absolute values; None for text and without a value."""
    if kind_of(given) != "number":
        return None
    low, median, high = given.abs().quantile([0.25, 0.5, 0.75])
    return float(low), float(median), float(high)
