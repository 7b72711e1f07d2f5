"""MLflow's protocol: the four ways in which its clients write rows.

``dataframe_split`` and ``dataframe_records`` are pandas' own, ``instances`` are rows and ``inputs`` columns, as
TensorFlow Serving has them; see https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from include.serving.problems import Fault, Problem, invalid, pointer
from include.serving.rows import Where, require_few, shown, within


@dataclass(frozen=True)
class Given:
    """Rows, each an object by the names of its fields, and ``where`` each of them, or of its fields, stood."""

    rows: list[Any]
    where: Where

    @property
    def names(self) -> list[str]:
        """The names of the first row."""
        return list(self.rows[0]) if self.rows else []


def rows_of(body: Any, most: int) -> Given:
    """The rows of a request, up to so many. Raises ``Problem``."""
    if not isinstance(body, dict):
        raise _fault("", "BAD_VALUE", f"expected an object with one of {_named(FORMATS)}; found {shown(body)}")
    given = [key for key in FORMATS if key in body]
    if len(given) != 1:
        present = _named(given) if given else "none of them"
        raise _fault("", "BAD_FORMAT", f"expected exactly one of {_named(FORMATS)}; found {present}")
    if unknown := sorted(body.keys() - {*FORMATS, "params"}):
        raise _fault(pointer(unknown[0]), "UNKNOWN_FIELD", f"there is no such field; expected {given[0]} alone")
    if body.get("params") not in (None, {}):
        raise _fault("/params", "UNKNOWN_FIELD", "the model takes no params; take them out")
    found = FORMATS[given[0]](body[given[0]], given[0], most)
    if not found.rows:
        raise _fault(pointer(given[0]), "NO_ROWS", "expected at least one row")
    return found


def _split(found: Any, key: str, most: int) -> Given:
    if not isinstance(found, dict) or not isinstance(found.get("data"), list):
        raise _fault(pointer(key), "BAD_VALUE", "expected an object with 'columns' and 'data'")
    columns, data = found.get("columns"), found["data"]
    require_few(data, most)
    if unknown := sorted(found.keys() - {"columns", "data", "index"}):
        raise _fault(pointer(key, unknown[0]), "UNKNOWN_FIELD", "expected 'columns', 'data' and 'index'")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise _fault(pointer(key, "columns"), "BAD_VALUE", "expected the names of the columns")
    if len(set(columns)) < len(columns):
        raise _fault(pointer(key, "columns"), "BAD_VALUE", "a column is named twice")
    for place, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(columns):
            raise _fault(
                pointer(key, "data", place), "BAD_VALUE", f"expected an array of {len(columns)} values, one a column"
            )
    rows = [dict(zip(columns, row, strict=True)) for row in data]

    def where(place: int, name: str | None = None) -> str:
        return pointer(key, "data", place, *([columns.index(name)] if name in columns else []))

    return Given(rows, where)


def _records(found: Any, key: str, most: int) -> Given:
    if not isinstance(found, list):
        raise _fault(pointer(key), "BAD_VALUE", f"expected an array of rows; found {shown(found)}")
    require_few(found, most)
    for place, row in enumerate(found):
        if not isinstance(row, dict):
            detail = f"expected an object, since the model knows its inputs by name; found {shown(row)}"
            raise _fault(pointer(key, place), "NO_ROW", detail)
    return Given(found, within(key))


def _inputs(found: Any, key: str, most: int) -> Given:
    if isinstance(found, list):
        return _records(found, key, most)
    if not isinstance(found, Mapping) or not found:
        raise _fault(
            pointer(key), "BAD_VALUE", f"expected an object with an array for each column; found {shown(found)}"
        )
    for name, values in found.items():
        if not isinstance(values, list):
            raise _fault(pointer(key, name), "BAD_VALUE", f"expected an array of values; found {shown(values)}")
        require_few(values, most)
    if len({len(values) for values in found.values()}) > 1:
        raise _fault(pointer(key), "BAD_VALUE", "the columns are not of one length")
    rows = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]

    def where(place: int, name: str | None = None) -> str:
        return pointer(key, *([] if name is None else [name]), *([place] if name in found else []))

    return Given(rows, where)


FORMATS: dict[str, Callable[[Any, str, int], Given]] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _records,
    "inputs": _inputs,
}


def _named(keys: Any) -> str:
    return ", ".join(keys)


def _fault(where: str, code: str, detail: str) -> Problem:
    return invalid([Fault(where, code, detail)])
