"""Reason codes: what moved a single score up and down, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from include.spec import UseCase

TOP = 4
"""How many reasons a score is given in each direction, as lenders state at most four."""
SMALL = 0.1
"""Below it a number is written with two digits that are not zero, else with two after the point."""
SMALLEST = 5e-4
"""An effect that would be written as zero is no reason."""


@dataclass(frozen=True)
class Reason:
    """One input's part in one score: ``effect`` is in ``unit``, positive where it raises the score."""

    input: str
    description: str
    value: str
    effect: float
    unit: str

    @property
    def text(self) -> str:
        direction = "raises" if self.effect > 0 else "lowers"
        about = f" ({self.description})" if self.description else ""
        return f"{self.input} is {self.value}{about}: {direction} the score by {abs(self.effect):.3g} {self.unit}"


@dataclass(frozen=True)
class Reasons:
    """The strongest reasons of one score, each direction strongest first."""

    raising: tuple[Reason, ...]
    lowering: tuple[Reason, ...]


def reasons(row: pd.Series, effects: Sequence[float] | np.ndarray, unit: str, spec: UseCase, top: int = TOP) -> Reasons:
    """The ``top`` reasons in each direction; ``effects`` belong to the inputs of ``row``, one by one."""
    found = [
        Reason(str(name), describe(spec, str(name)), as_text(row[name]), float(effect), unit)
        for name, effect in zip(row.index, effects, strict=True)
    ]
    order = sorted((one for one in found if abs(one.effect) >= SMALLEST), key=lambda one: -abs(one.effect))
    raising, lowering = ([one for one in order if (one.effect > 0) == up] for up in (True, False))
    return Reasons(tuple(raising[:top]), tuple(lowering[:top]))


def describe(spec: UseCase, name: str) -> str:
    """What the spec says an input is."""
    derived = spec.features.derived.get(name)
    column = spec.columns.get(name)
    return derived.description if derived else column.description if column else ""


def as_text(value: Any) -> str:
    """A value of an input for a person: a number without digits that say nothing, ``missing`` for null."""
    if not isinstance(value, float | int | np.number):
        return str(value)
    number = float(value)
    if math.isnan(number):
        return "missing"
    return f"{number:.2g}" if 0 < abs(number) < SMALL else f"{number:,.2f}".rstrip("0").rstrip(".")
