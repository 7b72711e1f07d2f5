"""How a drafted spec describes a column: its type, its range, and why it is no feature if it is none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.cli.profile import Profile, range_with_margin
from include.spec import RESERVED_COLUMNS, alike

MOST_CATEGORIES = 50


def unusable(names: Sequence[str]) -> dict[str, str]:
    """The columns that cannot even be described in a spec, and why."""
    found = {
        name: f"tables take it for '{taken}', case ignored; rename it to use it" for name, taken in alike(names).items()
    }
    for name in names:
        if not name.strip():
            found[name] = "it has no name in the header; name it to use it"
        elif name.lower() in RESERVED_COLUMNS:
            found[name] = "the name is used by the project itself; rename it to use it"
    return found


def why_no_feature(found: Profile, key: str, time: str | None) -> str | None:
    """Why a model cannot or must not learn from a column; None when it may."""
    if found.name in (key, time):
        return "it identifies a row" if found.name == key else "it dates a row"
    if found.kind == "empty":
        return "it is blank in every row"
    if len(found.values) == 1:
        return f"it is {found.values[0]!r} in every row that has a value"
    if found.kind == "date":
        return "it is a date; derive a number in features.py (with an offset, such as Z, it could be observed_at)"
    if _type(found, key) == "text":
        return f"it is text with {len(found.values)} different values; derive a feature in features.py to use it"
    return None


def column(found: Profile, key: str) -> dict[str, Any]:
    """A line under ``columns``, as the spec wants it."""
    says: dict[str, Any] = {"type": _type(found, key)}
    if says["type"] == "category":
        says["values"] = sorted(found.values)
    elif says["type"] in ("integer", "number"):
        says |= _range(found)
    if found.nullable:
        says["nullable"] = True
    return says | {"description": _description(found, key)}


def _range(found: Profile) -> dict[str, float]:
    if found.low is None or found.high is None or (bounds := range_with_margin(found.low, found.high)) is None:
        return {}
    return {"min": _whole(bounds[0]), "max": _whole(bounds[1])}


def _whole(bound: float) -> float:
    """20, not 20.0, where there is no fraction."""
    return int(bound) if bound.is_integer() else bound


def _description(found: Profile, key: str) -> str:
    """What the owner is asked; no value of a text column, since it may name a person."""
    if found.name == key:
        return "DESCRIBE: what the id stands for, and who gives it"
    if found.low is None:
        return "DESCRIBE: what it says"
    return f"DESCRIBE: what it measures, in which unit (found {found.low:g} to {found.high:g})"


def _type(found: Profile, key: str) -> str:
    if found.name == key or found.kind in ("empty", "date", "time"):
        return "text"
    if found.kind in ("integer", "number") and not found.is_flag:
        return found.kind
    return "category" if len(found.values) <= MOST_CATEGORIES and not found.is_unique else "text"
