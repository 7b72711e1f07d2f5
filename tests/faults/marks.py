"""The cases that ``make test`` leaves to ``make test-faults``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pytest


def thorough(*cases: Any) -> list[Any]:
    """These values of a parameter, each with the mark; a tuple is several parameters."""
    return [pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.thorough) for case in cases]


def named(cases: Mapping[str, tuple[Any, ...]], quick: Collection[str]) -> list[Any]:
    """The cases with their names as ids; all but the ``quick`` ones carry the mark."""
    return [
        pytest.param(*case, id=name, marks=() if name in quick else pytest.mark.thorough)
        for name, case in cases.items()
    ]
